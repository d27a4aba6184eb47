"""A run of ``finetune`` before and after the work: what was decided, and what it came to."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.layer_tables import layers_of
from tlkit.architectures.preprocessor import preprocessor_for, refuse_image_options
from tlkit.architectures.pretrained import WeightsChoice, choose_weights
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.config import FinetuneConfig
from tlkit.data.dataset import Dataset, scan_dataset
from tlkit.data.modality import Modality
from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import UsageError
from tlkit.reporting.metrics import Evaluation
from tlkit.training.freeze import FreezePoint, resolve_freeze_point, resolve_stages
from tlkit.training.heads import Head, choose_head
from tlkit.training.history import Phase
from tlkit.utils.cache_dir import cache_budget
from tlkit.utils.logging import logger
from tlkit.utils.text import join_truncated, pluralize

if TYPE_CHECKING:
    from tlkit.training.compile_options import PhasePlan


@dataclass(frozen=True)
class FinetuneResult:
    """What a run came to.

    Attributes:
        run: The run folder.
        architecture: Name of the base.
        classes: Class names; the position is the label.
        images: Pictures used, by split.
        freeze_point: Where the base was cut for phase 2, in its last stage.
        trained: Layers of the base that trained in phase 2.
        phases: The phases that ran.
        evaluations: How well the finished model, which is float32, does on ``validation`` and, where there is one,
            ``test``; phases that trained in bfloat16 may have said a little else.
        skipped: ``(path, reason)`` of pictures that could not be read.
        warnings: What a person should know before trusting it.
    """

    run: Path
    architecture: str
    classes: tuple[str, ...]
    images: dict[str, int]
    freeze_point: FreezePoint
    trained: tuple[str, ...]
    phases: tuple[Phase, ...]
    evaluations: Mapping[str, Evaluation]
    skipped: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what ``tlkit finetune --format json`` prints."""
        return {
            "run": str(self.run),
            "architecture": self.architecture,
            "classes": list(self.classes),
            "val_accuracy": self.val_accuracy,
            "test_accuracy": self.test_accuracy,
            "phases": [phase.summary() for phase in self.phases],
            **{split: evaluation.summary() for split, evaluation in self.evaluations.items()},
            "freeze": {
                "layers": self.freeze_point.frozen,
                "total": self.freeze_point.total,
                "through": self.freeze_point.last,
                "notes": list(self.freeze_point.notes),
            },
            "trained": list(self.trained),
            "images": self.images,
            "skipped": [{"input": path, "error": reason} for path, reason in self.skipped],
            "warnings": list(self.warnings),
        }

    @property
    def val_accuracy(self) -> float:
        """Validation accuracy of the finished model, 0 to 1."""
        return self.evaluations["validation"].accuracy

    @property
    def test_accuracy(self) -> float | None:
        """Test accuracy of the finished model, 0 to 1; None without a test split."""
        return self.evaluations["test"].accuracy if "test" in self.evaluations else None


@dataclass(frozen=True)
class Job:
    """A run that was looked at and can be done.

    Attributes:
        config: What was asked for.
        architecture: The base.
        weights: Where its weights come from.
        preprocessor: How a file becomes its input.
        head: The classifier.
        freeze_points: Where the base is cut, one a stage of phase 2.
        dataset: The pictures.
        room: Bytes that rows of the frozen part may take.
    """

    config: FinetuneConfig
    architecture: Architecture
    weights: WeightsChoice
    preprocessor: Preprocessor
    head: Head
    freeze_points: tuple[FreezePoint, ...]
    dataset: Dataset
    room: int

    def plans(self) -> list[PhasePlan]:
        """The phases, in order."""
        from tlkit.training.compile_options import PhasePlan

        config = self.config
        plans = []
        if config.epochs:
            plans.append(
                PhasePlan(
                    name="head", epochs=config.epochs, optimizer=config.optimizer, lr=config.lr,
                    schedule=config.schedule, momentum=config.momentum, patience=config.patience,
                )
            )  # fmt: skip
        for stage in range(len(self.freeze_points) if config.finetune_epochs else 0):
            plans.append(
                PhasePlan(
                    name="finetune" if len(self.freeze_points) == 1 else f"finetune-{stage + 1}",
                    epochs=config.finetune_epochs, optimizer=config.finetune_optimizer,
                    lr=config.finetune_lr * config.stage_decay**stage, schedule=config.finetune_schedule,
                    momentum=config.momentum, patience=config.patience,
                )
            )  # fmt: skip
        return plans


def plan_training(config: FinetuneConfig) -> Job:
    """Refuse what can be refused before TensorFlow starts, and say what a person should know."""
    architecture = get_architecture(config.arch, config.build)
    config = dataclasses.replace(
        config, data_format=architecture.options.data_format
    )  # what keras.json says may change
    size = architecture.input_size(config.size, include_top=False)
    refuse_image_options(architecture, **{"--augment": None if config.augment == "none" else config.augment})
    preprocessor = preprocessor_for(architecture, size, config.resize)
    freeze_points = _boundaries(architecture, config)
    head = choose_head(
        config.head, pooling=config.pooling, units=config.head_units, dropout=config.dropout,
        on_map=len(layers_of(architecture, include_top=False)[-1].shape) == 3,
    )  # fmt: skip
    dataset = scan_dataset(config.data, val_split=config.val_split, seed=config.seed, modality=preprocessor.modality)
    weights = choose_weights(architecture, config.weights, include_top=False, size=size, options=config.load)
    room = cache_budget(config.cache_limit)
    for note in (note for freeze_point in freeze_points for note in freeze_point.notes):
        logger.info(note)
    for warning in dataset.warnings:
        logger.warning(warning)
    logger.info(_data_line(dataset, preprocessor.modality))
    return Job(config, architecture, weights, preprocessor, head, freeze_points, dataset, room)


def _boundaries(architecture: Architecture, config: FinetuneConfig) -> tuple[FreezePoint, ...]:
    names = [layer.name for layer in layers_of(architecture, include_top=False)]
    one = resolve_freeze_point(
        architecture, names, freeze=config.freeze, unfreeze=config.unfreeze, unfreeze_blocks=config.unfreeze_blocks
    )
    if config.stages is None:
        return (one,)
    stages: Sequence[str] = [stage.strip() for stage in config.stages.split(",") if stage.strip()]
    if not stages:
        raise UsageError("--stages names no cut.", hint="Give some, deeper each: --stages mixed9,mixed8,mixed7.")
    return resolve_stages(architecture, names, stages)


def _data_line(dataset: Dataset, modality: Modality) -> str:
    parts = [f"{pluralize(len(split.files), modality.singular)} for {name}" for name, split in dataset.splits.items()]
    classes = pluralize(len(dataset.classes), "class", "classes")
    return f"{classes} ({join_truncated(dataset.classes)}): {', '.join(parts)}."
