"""What a run learns from its training images about images of other kinds: its file, ``unknown.npz``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from tlkit.analysis.unknown import ClassDistances, UnknownDetector, fit_unknown, fit_unknown_as
from tlkit.architectures.architecture import Architecture
from tlkit.data.layout import TRAIN, VALIDATION
from tlkit.errors import RunError
from tlkit.features.spec import FeatureSpec
from tlkit.inference.lazy_model import LazyModel
from tlkit.inference.loop import forward
from tlkit.inference.select import open_engine
from tlkit.training.base import Base
from tlkit.training.batches import TrainingBatches
from tlkit.training.datasets import SampleRows
from tlkit.training.plan import TrainingPlan
from tlkit.training.run_folder import RunRecord, read_run
from tlkit.training.run_network import RunNetwork
from tlkit.training.split_data import SplitData
from tlkit.utils.atomic_write import atomic_write

UNKNOWN = "unknown.npz"
"""File of a run folder with what known classes look like."""

_MOST_CACHED, _MOST_COMPUTED, _LEAST_OF_CLASS = 50_000, 2000, 5
"""Images of a split that are learned from: about so many whose features are cached, so many where they are computed for
this alone, and of each class at least."""

Features = Mapping[str, Sequence[np.ndarray]]
"""Of ``train`` and, where there is one, ``validation``: the features of each layer, ``(images, features)`` float32."""


def known_layers(architecture: Architecture, last: str) -> tuple[str, ...]:
    """Return the layers that tell: the last of the base, and one in its middle, which sees textures rather than things.

    Args:
        architecture: Of the base.
        last: Its last layer.
    """
    blocks = [block for block in architecture.blocks if block != last]
    return (last, blocks[len(blocks) // 2]) if blocks else (last,)


def specs_of_frozen(plan: TrainingPlan, base: Base) -> tuple[FeatureSpec, ...]:
    """Return the features to compute along with those that a head learns from.

    They are empty where the base changes afterwards, where its outputs are not computed once for each image, and where
    features were given: the finished model computes them then.
    """
    config = plan.config
    if plan.freeze_points or config.augment != "none" or config.features is not None:
        return ()
    return tuple(base.features(layer) for layer in known_layers(plan.architecture, base.layers[-1].name))


def features_of_frozen(
    data: TrainingBatches, specs: Sequence[FeatureSpec], images: SplitData, *, seed: int
) -> tuple[Features, np.ndarray] | None:
    """Return the features that were computed along, with the labels of the training images; None where none were.

    Args:
        data: Their features.
        specs: As of :func:`specs_of_frozen`.
        images: The splits.
        seed: Draws the images, where there are many.
    """
    if not specs:
        return None
    chosen = choose_images(images, _MOST_CACHED, seed=seed)
    found = {
        split: [SampleRows(data.samples(split, spec))[numbers] for spec in specs] for split, numbers in chosen.items()
    }
    return found, images.splits[TRAIN].strata[chosen[TRAIN]]


def features_of_run(
    run: RunNetwork, layers: Sequence[str], chosen: Mapping[str, np.ndarray], images: SplitData, engine: str
) -> tuple[Features, np.ndarray]:
    """Compute the features of a finished run, and return them with the labels of the training images.

    Args:
        run: Its network.
        layers: Names of the layers.
        chosen: Numbers of the images of each split, as of :func:`choose_images`.
        images: The splits.
        engine: ``auto``, ``keras`` or ``openvino``.
    """
    specs = [run.features(layer) for layer in layers]
    network = LazyModel.joined([spec.network for spec in specs])
    opened = open_engine(network, engine=engine)
    found, labels = {}, {}
    for split, numbers in chosen.items():
        batches = list(
            forward(
                [images.splits[split].files[number] for number in numbers.tolist()],
                lambda: opened,
                preprocessor=network.preprocessor,
                batch_size=None,
                description=f"what {split} looks like",
            )
        )
        found[split] = [np.concatenate(outputs) for outputs in zip(*(batch.outputs for batch in batches), strict=True)]
        read = [position for batch in batches for position in batch.positions]
        labels[split] = images.splits[split].strata[numbers[read]]
    return found, labels[TRAIN]


def choose_images(images: SplitData, most: int = _MOST_COMPUTED, *, seed: int) -> dict[str, np.ndarray]:
    """Choose about ``most`` training and validation images to learn from: enough of each class, in order."""
    random = np.random.default_rng(seed)
    each = max(_LEAST_OF_CLASS, most // len(images.classes))
    chosen = {}
    for split in (name for name in (TRAIN, VALIDATION) if name in images.splits):
        labels = images.splits[split].strata
        of_class = [random.permutation(np.flatnonzero(labels == label))[:each] for label in range(len(images.classes))]
        chosen[split] = np.sort(np.concatenate(of_class))
    return chosen


def learn_unknown(
    folder: Path,
    record: RunRecord,
    layers: Sequence[str],
    features: Features,
    labels: np.ndarray,
    folds: Sequence[Path] = (),
) -> None:
    """Learn what the known classes look like, and write it to the run.

    Args:
        folder: The run folder.
        record: Its record, with the digest of the model.
        layers: Names of the layers.
        features: Their features.
        labels: ``(images,)`` int64 of the training images: of several labels, the rarest.
        folds: Runs on folds of the images, where none are left to validate.
    """
    flat = {split: [each.reshape(len(each), -1) for each in found] for split, found in features.items()}
    seed = record.arguments["seed"]
    if folds:
        known = [read_unknown(fold, read_run(fold)) for fold in folds]
        others = [each.detector for each in known if each is not None]
        if not others:
            raise RunError("no run of a fold does")
        detector = fit_unknown_as(others, flat[TRAIN], labels, seed=seed)
    else:
        detector = fit_unknown(flat[TRAIN], labels, flat[VALIDATION], seed=seed)
    arrays: dict[str, Any] = {
        "names": np.array(layers), "model": np.array(record.model_digest), "threshold": np.array(detector.threshold)
    }  # fmt: skip
    for number, layer in enumerate(detector.layers):
        arrays |= {
            f"means_{number}": layer.means, f"directions_{number}": layer.directions,
            f"shares_{number}": layer.shares, f"typical_{number}": np.array(layer.typical),
        }  # fmt: skip
    try:
        with atomic_write(folder / UNKNOWN) as part, part.open("wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise RunError(f"Cannot write the run {folder}: {error.strerror or error}.") from error


@dataclass(frozen=True)
class KnownLayers:
    """What a run knows of its classes.

    Attributes:
        layers: Names of layers of its network.
        detector: Tells images of other kinds by their features, averaged over height and width.
    """

    layers: tuple[str, ...]
    detector: UnknownDetector


def read_unknown(folder: Path, record: RunRecord) -> KnownLayers | None:
    """Read what a run learned; None for a run of an older tlkit.

    Raises:
        RunError: The file is damaged, or belongs to another model.
    """
    path = folder / UNKNOWN
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names = tuple(map(str, arrays["names"].tolist()))
            layers = tuple(
                ClassDistances(
                    arrays[f"means_{number}"], arrays[f"directions_{number}"], arrays[f"shares_{number}"],
                    float(arrays[f"typical_{number}"]),
                )
                for number in range(len(names))
            )  # fmt: skip
            own = str(arrays["model"]) == record.model_digest
            detector = UnknownDetector(layers, float(arrays["threshold"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise RunError(
            f"{path} cannot be read: {error}.", hint="Copy the run again, or remove this file to predict without it."
        ) from error
    if not own:
        raise RunError(f"{path} is of another run.", hint="Copy the run again, or remove this file.")
    return KnownLayers(names, detector)
