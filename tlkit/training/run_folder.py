"""The run folder: everything needed to predict with what was trained, and how it was made.

``run.json`` is written last: a folder that has it is complete.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tlkit.analysis.calibration import calibrated_probabilities
from tlkit.architectures.preprocessor import make_preprocessor
from tlkit.data.modality import IMAGE
from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import ModelError, RunError, WeightsError
from tlkit.keras_files import check_crc, foreign_error, foreign_folder, is_archive, is_hdf5
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.hashing import file_digest
from tlkit.utils.output_file import RUN_MODEL, RUN_RECORD, RUN_STATE

if TYPE_CHECKING:
    from tlkit.inference.compiler.model_file import ModelNetwork
    from tlkit.training.history import Phase

FORMAT = 4
"""Version of ``run.json``; 1 had ``kind`` for ``modality``, 2 no ``temperature``, 3 one label an image."""
MODEL, RECORD, HISTORY, REPORT = RUN_MODEL, RUN_RECORD, "history.csv", "report.html"
STATE = RUN_STATE
"""Options and state of a run that is not finished."""
DIGESTS = "images.json"
"""SHA-256 of the images of each split, by path."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The contents of ``run.json``.

    Attributes:
        architecture: Name in the registry.
        classes: Class names; the position is the label.
        preprocessing: Normalization of the input values.
        size: Input height and width in pixels.
        resize: How an image is brought to that size, or which part of a recording is used.
        weights: ``name`` and ``digest`` of the weights of the base.
        head: ``kind`` and ``pooling``.
        freeze: ``layers`` frozen of ``total``, ``through`` which, and which ``trained``.
        arguments: Every option with its effective value.
        versions: Of tlkit and what it ran on.
        created: Time of creation, UTC, ISO 8601.
        data: Number of files by split and class.
        results: Accuracy after each phase and of the saved model, class by class.
        command: The command line that reproduces the run.
        features: Provenance of the features of phase 1.
        skipped: Files that could not be read, ``input`` and ``error`` each.
        left_out: Number of files in class folders that are no images, by the end of their names.
        warnings: What to know before trusting it.
        data_format: ``channels_last`` or ``channels_first``.
        model_digest: ``sha256:…`` of the model file; None in a run of an older tlkit.
        modality: What the model takes: ``image`` or ``audio``.
        temperature: Divides the logits, so that probabilities are neither too sure nor too unsure.
        thresholds: The probability of each class from which on it is given, where images may have several labels; else
            empty.
        format: Version of this record.
    """

    architecture: str
    classes: Sequence[str]
    preprocessing: str
    size: tuple[int, int]
    resize: str
    weights: Mapping[str, str | None]
    head: Mapping[str, str]
    freeze: Mapping[str, Any]
    arguments: Mapping[str, Any]
    versions: Mapping[str, str]
    created: str
    data: Mapping[str, Mapping[str, int]]
    results: Mapping[str, Any]
    command: str = ""
    features: Mapping[str, Any] = field(default_factory=dict)
    skipped: Sequence[Mapping[str, str]] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    data_format: str = "channels_last"
    model_digest: str | None = None
    modality: str = IMAGE.name
    temperature: float = 1.0
    thresholds: Sequence[float] = ()
    format: int = FORMAT

    @property
    def multi_label(self) -> bool:
        """Images may have several labels."""
        return bool(self.thresholds)

    def calibrated(self, probabilities: np.ndarray) -> np.ndarray:
        """Return probabilities, ``(…, classes)``, with their logits divided by the temperature."""
        return calibrated_probabilities(probabilities, self.temperature, multi_label=self.multi_label)

    def preprocessor(self, *, allow_private: bool = False) -> Preprocessor:
        """Return the preprocessor of the model.

        Args:
            allow_private: URLs may lead to hosts of this network.

        Raises:
            ValueError: There is no such preprocessor.
            UsageError: A package that reads such files is not installed.
        """
        return make_preprocessor(
            self.modality, self.size, self.preprocessing, self.resize, allow_private=allow_private,
            data_format=self.data_format,
        )  # fmt: skip


def write_model(folder: Path, save_model: Callable[[Path], None], phases: Sequence[Phase]) -> None:
    """Write the model and its training history; each file is whole or absent.

    Args:
        folder: The run folder.
        save_model: Write the model to a ``.keras`` file: the weights without the state of an optimizer.
        phases: The history.

    Raises:
        RunError: The folder cannot be written to.
    """
    with _writing(folder):
        with atomic_write(folder / MODEL) as part:
            save_model(part)
        with atomic_write(folder / HISTORY) as part, part.open("w", newline="") as file:
            columns = ("phase", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds")
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            for phase in phases:
                writer.writerows({"phase": phase.name, **epoch} for epoch in phase.epochs)


def write_digests(folder: Path, digests: Mapping[str, Mapping[str, str]]) -> None:
    """Write ``images.json``: the SHA-256 of every image that was used, by split and path.

    Raises:
        RunError: The folder cannot be written to.
    """
    with _writing(folder), atomic_write(folder / DIGESTS) as part:
        part.write_text(json.dumps(digests, indent=0) + "\n", "utf-8")


def read_digests(folder: Path, split: str) -> frozenset[bytes]:
    """Read the digests of the images of a split of a run; none where the run has no record of them.

    Raises:
        RunError: The record is damaged.
    """
    path = folder / DIGESTS
    try:
        return frozenset(map(bytes.fromhex, json.loads(path.read_text("utf-8")).get(split, {}).values()))
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()  # a run of an older tlkit, or an exported file
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RunError(f"{path} cannot be read: {error}.", hint="Remove it to evaluate without it.") from error


def write_record(folder: Path, record: RunRecord) -> None:
    """Write ``run.json``, which marks the run as complete.

    Raises:
        RunError: The folder cannot be written to.
    """
    with _writing(folder), atomic_write(folder / RECORD) as part:
        part.write_text(json.dumps(dataclasses.asdict(record), indent=2, allow_nan=False) + "\n", "utf-8")


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(f"Cannot write the run {folder}: {error.strerror or error}.") from error


def read_run(folder: Path) -> RunRecord:
    """Read the record of a run.

    Raises:
        RunError: Not a run folder, an unfinished one, one of a newer tlkit, or a damaged one.
    """
    if not folder.is_dir():
        raise RunError(
            f"There is no run folder {folder}.",
            hint="`tlkit finetune DATA -o RUN` creates one.",
        )
    if (folder / STATE).exists() and not (folder / RECORD).exists():
        raise RunError(
            f"The run {folder} is not finished.",
            hint=f"Resume it: tlkit finetune --resume {shlex.quote(str(folder))}",
        )
    if not (folder / RECORD).is_file() or not (folder / MODEL).is_file():
        found = foreign_folder(folder)
        what = "" if found.what == "a folder" else f"{found.what}, "
        raise RunError(
            f"{folder} is {what}not a finished run: it needs {MODEL} and {RECORD}.",
            hint=found.hint or "`tlkit finetune DATA -o RUN` creates one.",
        )
    try:
        content = json.loads((folder / RECORD).read_text("utf-8"))
        if content["format"] > FORMAT:
            raise RunError(
                f"{folder} was written by tlkit {content.get('versions', {}).get('tlkit', 'of a later version')} "
                f"(run.json format {content['format']}); this tlkit reads formats up to {FORMAT}.",
                hint="Upgrade tlkit to use this run.",
            )
        if content["format"] == 1:
            content = {"modality": content.pop("kind", IMAGE.name), **content}
        record = RunRecord(**{**content, "size": tuple(content["size"])})
        sound = (
            record.format in range(1, FORMAT + 1)
            and record.data_format in ("channels_last", "channels_first")
            and isinstance(record.classes, list)
            and all(isinstance(name, str) for name in record.classes)
            and all(type(side) is int for side in record.size)
            and isinstance(record.model_digest, str | None)
            and len(record.size) == 2
            and isinstance(record.temperature, int | float)
            and 0 < record.temperature < math.inf
            and len(record.thresholds) in (0, len(record.classes))
            and all(isinstance(threshold, int | float) for threshold in record.thresholds)
        )
        if sound:
            record.preprocessor()
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RunError(f"{folder / RECORD} cannot be read: {error}.") from error
    if not sound:
        raise RunError(f"{folder / RECORD} is not a valid record of a run.")
    return record


def verified_digest(folder: Path, record: RunRecord) -> str:
    """Return ``sha256:…`` of the model file of a run, after comparing it with the record.

    Raises:
        RunError: It cannot be read, is damaged, or is not the file that was saved.
    """
    path = folder / MODEL
    try:
        digest = file_digest(path)
        if digest != record.model_digest:  # damaged, or another file, or of an older tlkit, which recorded none
            if is_archive(path):
                check_crc(path)
            elif not is_hdf5(path):
                raise foreign_error(path)
    except (OSError, WeightsError) as error:
        reason = error.message if isinstance(error, WeightsError) else f"{path} cannot be read: {error.strerror}."
        raise RunError(reason, hint="Copy the run again, or train it again.") from error
    if record.model_digest not in (None, digest):
        raise RunError(
            f"{path} is not the model that this run saved: its digest is {digest}, {RECORD} has {record.model_digest}.",
            hint="Copy the run again. To use another model, name a copy of it outside of the run.",
        )
    return digest


def load_model(folder: Path, record: RunRecord) -> Any:
    """Load the trained model of a run.

    Raises:
        RunError: It cannot be loaded, is damaged, or is not the model that the record describes.
    """
    from tlkit.keras_files import load_model as load_file

    path = folder / MODEL
    verified_digest(folder, record)
    try:
        model = load_file(path).model
    except (ModelError, WeightsError) as error:
        raise RunError(error.message, hint=error.hint) from error
    _compare_shapes(path, record, model.input_shape, model.output_shape)
    return model


def load_network(folder: Path, record: RunRecord) -> ModelNetwork:
    """Load the trained model of a run as a network without Keras.

    Raises:
        Unsupported: It has a layer that only Keras computes.
        RunError: It cannot be loaded, is damaged, or is not the model that the record describes.
    """
    from tlkit.inference.compiler.model_file import read_model_file

    path = folder / MODEL
    verified_digest(folder, record)
    try:
        model = read_model_file(path)
    except (ModelError, WeightsError) as error:
        raise RunError(error.message, hint=error.hint) from error
    shapes, outputs = model.shapes(record.size), model.network.graph.outputs
    output = shapes[outputs[0].call] if len(outputs) == 1 else tuple(shapes[ref.call] for ref in outputs)
    _compare_shapes(path, record, (None, *model.input_shape), (None, *output))
    return model


def _compare_shapes(path: Path, record: RunRecord, inputs: object, outputs: object) -> None:
    preprocessor = record.preprocessor()
    shape = (
        (preprocessor.channels, *record.size)
        if preprocessor.data_format == "channels_first"
        else (*record.size, preprocessor.channels)
    )
    if inputs != (None, *shape) or outputs != (None, len(record.classes)):
        raise RunError(
            f"{path} takes inputs of {inputs} and outputs {outputs}, but {RECORD} describes "
            f"{preprocessor.modality.plural} of {record.size[0]}x{record.size[1]} and {len(record.classes)} classes."
        )
