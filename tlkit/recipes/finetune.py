"""Transfer learning in two phases: a new head on the frozen base, then the top of the base, slowly."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tlkit
from tlkit.architectures.architecture import Architecture
from tlkit.architectures.catalog import layers_of
from tlkit.architectures.pretrained import Pretrained, build_pretrained, choose_weights
from tlkit.architectures.table import get_architecture
from tlkit.config import FinetuneConfig
from tlkit.errors import UsageError
from tlkit.features.compute import Computing
from tlkit.features.source import of_architecture
from tlkit.images.batches import Look
from tlkit.images.dataset import TEST, TRAIN, VALIDATION, Dataset, scan_dataset
from tlkit.progress import logger
from tlkit.recipes.pictures import Pictures
from tlkit.reporting.plots import plot_history
from tlkit.text import counted, listed, printable
from tlkit.training.freeze import Boundary, resolve_boundary
from tlkit.training.heads import head_pooling
from tlkit.training.run_folder import PLOT, RunRecord, claim_folder, write_model, write_record

if TYPE_CHECKING:
    from tlkit.training.phases import Phase


@dataclass(frozen=True)
class FinetuneResult:
    """What a run came to.

    Attributes:
        run: The run folder.
        architecture: Name of the base.
        classes: Class names; the position is the label.
        images: Pictures used, by split.
        boundary: Where the base was cut for phase 2.
        trained: Layers of the base that trained in phase 2.
        phases: The phases that ran.
        test_accuracy: Of the finished model on the test split, 0 to 1; None without one.
        skipped: ``(path, reason)`` of pictures that could not be read.
        warnings: What a person should know before trusting it.
    """

    run: Path
    architecture: str
    classes: tuple[str, ...]
    images: dict[str, int]
    boundary: Boundary
    trained: tuple[str, ...]
    phases: tuple[Phase, ...]
    test_accuracy: float | None
    skipped: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]

    @property
    def val_accuracy(self) -> float:
        """Validation accuracy of the finished model, 0 to 1."""
        return self.phases[-1].val_accuracy


def finetune(config: FinetuneConfig) -> FinetuneResult:
    """Train a classifier for a data folder and leave it in a run folder.

    Raises:
        TlkitError: Options, data or weights that cannot be used; nothing is left behind then.
    """
    # Look and decide: what can be refused is refused here, before TensorFlow starts.
    architecture = get_architecture(config.architecture)
    size = architecture.input_size(config.size, include_top=False)
    if config.epochs + config.finetune_epochs == 0:
        raise UsageError("--epochs and --finetune-epochs are both 0: there is nothing to train.")
    layer_names = [layer.name for layer in layers_of(architecture, include_top=False)]
    boundary = resolve_boundary(architecture, layer_names, freeze=config.freeze, unfreeze=config.unfreeze)
    pooling = head_pooling(config.head, config.pooling)
    weights = choose_weights(architecture, config.weights, include_top=False, options=config.load)
    dataset = scan_dataset(config.data, val_split=config.val_split, seed=config.seed)
    for note in boundary.notes:
        logger.info(note)
    for warning in dataset.warnings:
        logger.warning(warning)
    logger.info(_data_line(dataset))

    pictures = Pictures(dataset, Look(size, architecture.preprocessing, config.resize), config.batch_size)

    with claim_folder(config.output, architecture.name) as folder:
        from tlkit.backend import keras
        from tlkit.training.feature_sequence import FeatureSequence
        from tlkit.training.model import attach, build_head
        from tlkit.training.phases import train_head

        keras.utils.set_random_seed(config.seed)
        pretrained = build_pretrained(architecture, weights=weights, include_top=False, size=size)
        base = pretrained.model
        source = of_architecture(
            architecture, weights=weights, pooling=pooling, size=size, resize=config.resize, model=lambda: base
        )
        computing = Computing(source, engine=config.engine, precision=config.precision)

        # Phase 1: what the frozen base says of each picture is computed once, and the head learns from that.
        pictures.leave_out_unreadable(TEST)
        phases: list[Phase] = []
        with pictures.features(computing, (TRAIN, VALIDATION), given=config.features, fallback=folder) as (
            train,
            validation,
        ):
            keras.utils.set_random_seed(config.seed)  # the same head whether features were there or not
            head = build_head(config.head, train.shape, len(dataset.classes))
            if config.epochs:
                logger.info("Phase 1: the head alone, on features of the frozen base.")
                phases.append(
                    train_head(
                        head,
                        FeatureSequence(train, batch_size=config.batch_size, shuffle_seed=config.seed),
                        FeatureSequence(validation, batch_size=config.batch_size),
                        epochs=config.epochs,
                        lr=config.lr,
                    )
                )

        # Phase 2: the layers above the boundary and the head, together.
        model = attach(base, pooling, head, architecture.name)
        trained: tuple[str, ...] = ()
        if config.finetune_epochs:
            phase, trained = _train_top(model, base, boundary, pictures, config)
            phases.append(phase)

        result = FinetuneResult(
            run=folder,
            architecture=architecture.name,
            classes=dataset.classes,
            test_accuracy=pictures.accuracy(model, TEST) if TEST in pictures.splits else None,
            images={name: len(split.files) for name, split in pictures.splits.items()},
            boundary=boundary,
            trained=trained,
            phases=tuple(phases),
            skipped=tuple(pictures.skipped),
            warnings=(*dataset.warnings, *pictures.warnings),
        )
        _write(result, model, pictures, architecture, pretrained, pooling, config, computing.provenance)
    return result


def _data_line(dataset: Dataset) -> str:
    parts = [f"{counted(len(split.files), 'picture')} for {name}" for name, split in dataset.splits.items()]
    return f"{counted(len(dataset.classes), 'class', 'classes')} ({listed(dataset.classes)}): {', '.join(parts)}."


def _train_top(
    model: Any, base: Any, boundary: Boundary, pictures: Pictures, config: FinetuneConfig
) -> tuple[Phase, tuple[str, ...]]:
    from tlkit.training.image_sequence import ImageSequence
    from tlkit.training.phases import set_trainable, train_top

    trained = [layer.name for layer in set_trainable(base, boundary)]
    logger.info("Phase 2: %s. The head trains too; BatchNorm keeps its statistics.", boundary.description)
    logger.info("Training %s of the base: %s.", counted(len(trained), "layer"), listed(trained))

    def sequence(split: str, shuffle_seed: int | None) -> ImageSequence:
        files, labels = pictures.splits[split].files, pictures.splits[split].labels
        return ImageSequence(files, labels, look=pictures.look, batch_size=config.batch_size, shuffle_seed=shuffle_seed)

    phase = train_top(
        model, sequence(TRAIN, config.seed), sequence(VALIDATION, None),
        epochs=config.finetune_epochs, lr=config.finetune_lr, momentum=config.momentum,
    )  # fmt: skip
    return phase, tuple(trained)


def _write(
    result: FinetuneResult,
    model: Any,
    pictures: Pictures,
    architecture: Architecture,
    pretrained: Pretrained,
    pooling: str,
    config: FinetuneConfig,
    features: Mapping[str, Any],
) -> None:
    write_model(result.run, model, result.phases)
    try:
        plot_history([(phase.name, phase.epochs) for phase in result.phases], result.run / PLOT)
    except Exception as error:  # matplotlib, its fonts, its cache folder: the model is worth more
        logger.warning("%s is not drawn: %s.", printable(result.run / PLOT), printable(error))
    boundary = result.boundary
    record = RunRecord(
        architecture=architecture.name,
        classes=result.classes,
        preprocessing=pictures.look.preprocessing,
        size=pictures.look.size,
        resize=pictures.look.rule,
        weights={"name": pretrained.weights, "digest": pretrained.digest},
        head={"kind": config.head, "pooling": pooling},
        freeze={
            "layers": boundary.frozen,
            "total": boundary.total,
            "through": boundary.last,
            "trained": result.trained,
        },
        arguments=dataclasses.asdict(config),
        versions=_versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        data=pictures.counts(),
        results={
            "val_accuracy": result.val_accuracy,
            "test_accuracy": result.test_accuracy,
            "phases": [phase.summary() for phase in result.phases],
        },
        features=features,
        skipped=[{"input": path, "error": reason} for path, reason in result.skipped],
        warnings=[*result.warnings, *boundary.notes],
    )
    write_record(result.run, record)


def _versions() -> dict[str, str]:
    packages: Sequence[str] = ("tensorflow", "keras", "numpy", "pillow", "h5py")
    return {
        "tlkit": tlkit.__version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
    }
