"""Find a learning rate for a data folder by a range test."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlkit.config import FindLrConfig
from tlkit.data.layout import TRAIN
from tlkit.features.cache import FeatureCache
from tlkit.reporting.plots import check_plot_path, is_plot, plot_learning_rates
from tlkit.training.base import Base, plan_stages
from tlkit.training.batches import TrainingBatches
from tlkit.training.objective import Objective
from tlkit.training.plan import plan_training
from tlkit.training.run_state import FEATURES
from tlkit.training.split_data import SplitData
from tlkit.training.start_keras import keras_starting
from tlkit.utils.output_file import check_output


@dataclass(frozen=True)
class FoundRate:
    """A learning rate, and the curve that it comes from.

    Attributes:
        phase: ``head`` or ``finetune``.
        suggested: The rate to train with.
        rates: The learning rate of each batch, rising.
        losses: The loss of each batch before its step; the last may not be finite.
        skipped: ``(path, reason)`` of files that could not be read.
    """

    phase: str
    suggested: float
    rates: tuple[float, ...]
    losses: tuple[float, ...]
    skipped: tuple[tuple[str, str], ...]

    @property
    def option(self) -> str:
        """The option of finetune that takes the rate."""
        return "--lr" if self.phase == "head" else "--finetune-lr"

    def to_dict(self) -> dict[str, Any]:
        """Return what ``tlkit find-lr --format json`` prints."""
        return {
            "phase": self.phase,
            "suggested": self.suggested,
            "rates": list(self.rates),
            "losses": [loss if math.isfinite(loss) else None for loss in self.losses],
            "skipped": [{"input": path, "error": reason} for path, reason in self.skipped],
        }


def find_lr(config: FindLrConfig) -> FoundRate:
    """Train a few batches at rising learning rates, as ``finetune`` would start, and suggest a rate.

    Raises:
        TlkitError: Options, data or weights that cannot be used, or losses that say nothing.
    """
    if config.plot is not None:
        check_plot_path(Path(config.plot))
        check_output(Path(config.plot), is_plot, force=config.force)
    plan = plan_training(config)
    images = SplitData(plan.dataset, plan.preprocessor, config.batch_size)
    base = Base.of(plan)
    cuts = plan.freeze_points[:1] if config.tested == "finetune" else ()
    stages = plan_stages(base, cuts, batchnorm=config.batchnorm)
    data = TrainingBatches(plan, images, base, stages)
    with tempfile.TemporaryDirectory(prefix="tlkit-") as folder, FeatureCache(Path(folder) / FEATURES) as cache:
        with keras_starting(config.engine):
            data.prepare(cache)

        from tlkit.training.phases import new_head, train_head, unfrozen_top
        from tlkit.training.trainer import Trainer

        trainer = Trainer(Objective.for_labels(config, images.splits[TRAIN].labels, len(images.classes)), Path(folder))
        head = new_head(plan, images, base)
        phase = plan.head_phase
        if not stages:
            assert phase is not None  # the config holds it
            test = trainer.range_test(phase, head, data.batches(TRAIN, base.spec, phase=0))
        else:
            if phase is not None:
                train_head(phase, head, plan, images, base, data, trainer)
            tuning = plan.finetune_phase(0)
            with unfrozen_top(tuning, 0, stages[0], head, plan, base, data) as top:
                test = trainer.range_test(tuning, top.model, top.train, top.rate_factors)
    found = FoundRate(config.tested, test.suggested, test.rates, test.losses, tuple(images.skipped))
    if config.plot is not None:
        plot_learning_rates(found.rates, found.losses, found.suggested, Path(config.plot))
    return found
