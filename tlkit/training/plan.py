"""What a run of ``finetune`` will do, decided before TensorFlow starts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.layer_tables import LayerInfo, has_table, layers_of
from tlkit.architectures.preprocessor import preprocessor_for, refuse_image_options
from tlkit.architectures.pretrained import WeightsChoice, choose_weights
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.config import AUTO, Rate, TrainingOptions
from tlkit.data.dataset import Dataset, scan_dataset
from tlkit.data.layout import TRAIN
from tlkit.data.modality import Modality
from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import UsageError
from tlkit.training.cross_validation import CrossValidation
from tlkit.training.freeze import FreezePoint, affordable_freeze_point, resolve_freeze_point, resolve_stages
from tlkit.training.heads import Head, choose_head
from tlkit.training.run_state import refuse_occupied
from tlkit.utils.cache_dir import cache_budget
from tlkit.utils.logging import logger
from tlkit.utils.text import join_truncated, pluralize

LBFGS = "lbfgs"
"""The optimizer that fits a linear head without Keras."""


@dataclass(frozen=True, kw_only=True)
class PhasePlan:
    """How one phase trains.

    Attributes:
        name: ``head``, ``finetune``, or ``finetune-2`` and so on for stages.
        epochs: Number of epochs, at most.
        optimizer: One of :data:`tlkit.config.HeadOptimizer`.
        lr: Learning rate at its highest; None to find one by a range test.
        schedule: One of :data:`tlkit.config.Schedule`.
        momentum: Momentum of SGD.
        patience: Epochs without improvement after which the phase ends and its best weights are restored; None to
            train all epochs.
        nesterov: Nesterov momentum, of SGD.
        warmup_epochs: Epochs over which the learning rate rises from 0.
        weight_decay: Decoupled weight decay; None for the optimizer's own.
        clip_norm: Global norm that gradients are clipped to; None for none.
        ema: Validate and keep an average of the weights.
        mixes: Labels are mixed, as images are: rows of probabilities.
    """

    name: str
    epochs: int
    optimizer: str
    lr: float | None
    schedule: str = "constant"
    momentum: float = 0.9
    patience: int | None = None
    nesterov: bool = False
    warmup_epochs: float = 0.0
    weight_decay: float | None = None
    clip_norm: float | None = None
    ema: bool = False
    mixes: bool = False


@dataclass(frozen=True)
class TrainingPlan:
    """A run that was checked and can be done.

    Attributes:
        config: What was asked for.
        architecture: The base.
        weights: Where its weights come from.
        preprocessor: How a file becomes its input.
        head: The classifier.
        layers: The layers of the base, in order.
        freeze_points: Where the base is cut, one per stage; empty without phase 2.
        dataset: The images.
        cache_budget_bytes: Bytes that cached features may take.
        warnings: What to know before trusting the run.
        cross_validation: What runs on folds of the images tell of this one, on all of them; None where it has a
            validation split.
    """

    config: TrainingOptions
    architecture: Architecture
    weights: WeightsChoice
    preprocessor: Preprocessor
    head: Head
    layers: tuple[LayerInfo, ...]
    freeze_points: tuple[FreezePoint, ...]
    dataset: Dataset
    cache_budget_bytes: int
    warnings: tuple[str, ...]
    cross_validation: CrossValidation | None = None

    @property
    def freeze_point(self) -> FreezePoint:
        """Where the base is cut in the last stage; without phase 2 every layer is frozen."""
        count = len(self.layers)
        return self.freeze_points[-1] if self.freeze_points else FreezePoint(count, count, self.layers[-1].name)

    @property
    def needs_keras(self) -> bool:
        """False where nothing needs gradients and the model can be written as data."""
        is_fitted = self.head_phase is not None and self.head_phase.optimizer == LBFGS and not self.freeze_points
        is_data = has_table(self.architecture) and self.preprocessor.data_format == "channels_last"
        return not (is_fitted and is_data)

    @property
    def head_phase(self) -> PhasePlan | None:
        """Phase 1; None without one."""
        config = self.config
        if not config.epochs:
            return None
        return PhasePlan(
            name="head", epochs=config.epochs, optimizer=config.head_optimizer,
            lr=_rate(config.lr), schedule=config.schedule,
            momentum=config.momentum, patience=config.patience, nesterov=config.nesterov,
        )  # fmt: skip

    def finetune_phase(self, number: int) -> PhasePlan:
        """Return how a stage of phase 2 trains, counted from 0."""
        config = self.config
        return PhasePlan(
            name="finetune" if len(self.freeze_points) == 1 else f"finetune-{number + 1}",
            epochs=config.finetune_epochs, optimizer=config.finetune_optimizer,
            lr=_rate(config.finetune_lr, config.stage_decay**number),
            schedule=config.finetune_schedule,
            momentum=config.momentum, patience=config.patience, nesterov=config.nesterov,
            warmup_epochs=config.warmup_epochs, weight_decay=config.weight_decay, clip_norm=config.clip_norm,
            ema=config.ema, mixes=bool(config.mixup or config.cutmix),
        )  # fmt: skip


def _rate(rate: Rate, factor: float = 1.0) -> float | None:
    return None if isinstance(rate, str) else rate * factor


def plan_training(config: TrainingOptions, *, output: str | None = None) -> TrainingPlan:
    """Decide what a run will do; refuse what can be refused before TensorFlow starts.

    Args:
        config: What was asked for.
        output: The folder of a new run, which must not hold anything.

    Raises:
        TlkitError: Options, data or weights that cannot be used.
    """
    architecture = get_architecture(config.arch, config.build)
    # keras.json may change before a resume
    config = dataclasses.replace(config, data_format=architecture.options.data_format)
    size = architecture.input_size(config.size, include_top=False)
    refuse_image_options(architecture, **{"--augment": None if config.augment == "none" else config.augment})
    preprocessor = preprocessor_for(architecture, size, config.resize)
    layers = layers_of(architecture, include_top=False)
    freeze_points = _freeze_points(architecture, [layer.name for layer in layers], config)
    head = choose_head(
        config.head, pooling=config.pooling, units=config.head_units, dropout=config.dropout,
        on_map=len(layers[-1].shape) == 3, multi_label=config.multi_label,
    )  # fmt: skip
    weights = choose_weights(
        architecture, config.weights, include_top=False, size=size, options=config.load, seed=config.seed
    )
    budget = cache_budget(config.cache_limit)
    if output is not None:
        with suppress(OSError):  # creating it says more
            refuse_occupied(Path(output))  # before every image is read
    dataset = scan_dataset(config.data, seed=config.seed, modality=preprocessor.modality, **config.scanning)
    if config.freeze == AUTO and freeze_points:
        freeze_points = (_affordable(architecture, layers, preprocessor, dataset, config),)
    for note in (note for freeze_point in freeze_points for note in freeze_point.notes):
        logger.info(note)
    for warning in dataset.warnings:
        logger.warning(warning)
    _report_data(dataset, preprocessor.modality)
    return TrainingPlan(
        config, architecture, weights, preprocessor, head, layers, freeze_points, dataset, budget, dataset.warnings
    )


def _affordable(
    architecture: Architecture,
    layers: Sequence[LayerInfo],
    preprocessor: Preprocessor,
    dataset: Dataset,
    config: TrainingOptions,
) -> FreezePoint:
    default = architecture.input_size(None, include_top=False)
    return affordable_freeze_point(
        architecture,
        layers,
        scale=math.prod(preprocessor.size) / math.prod(default),
        images=len(dataset.splits[TRAIN].files),
        epochs=config.finetune_epochs,
    )


def _freeze_points(
    architecture: Architecture, layers: Sequence[str], config: TrainingOptions
) -> tuple[FreezePoint, ...]:
    one = resolve_freeze_point(
        architecture, layers, freeze=config.freeze, unfreeze=config.unfreeze, unfreeze_blocks=config.unfreeze_blocks
    )
    if config.stages is None:
        return (one,) if config.finetune_epochs else ()
    stages = [stage.strip() for stage in config.stages.split(",") if stage.strip()]
    if not stages:
        raise UsageError(
            "--stages names no layer.", hint="Name some, each deeper than the last: --stages mixed9,mixed8,mixed7."
        )
    resolved = resolve_stages(architecture, layers, stages)
    return resolved if config.finetune_epochs else ()


def _report_data(dataset: Dataset, modality: Modality) -> None:
    classes = pluralize(len(dataset.classes), "class", "classes")
    logger.info("%s: %s.", classes, join_truncated(dataset.classes))
    parts = [f"{name} {pluralize(len(split.files), modality.singular)}" for name, split in dataset.splits.items()]
    logger.info("Data: %s.", ", ".join(parts))
