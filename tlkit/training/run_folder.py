"""The run folder: all that it takes to predict with what was trained, and how it was made.

``run.json`` is written last: a folder that has it is complete.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlkit.errors import RunError
from tlkit.files import whole_file
from tlkit.images.preprocessing import MODES
from tlkit.images.resize import RULES
from tlkit.text import printable
from tlkit.training.phases import Phase

FORMAT = 1
MODEL, RECORD, HISTORY, PLOT = "model.keras", "run.json", "history.csv", "history.png"


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What ``run.json`` says.

    Attributes:
        architecture: Name in the table.
        classes: Class names; the position is the label.
        preprocessing: How pixels become inputs.
        size: Input height and width.
        resize: How a picture is brought to it.
        weights: Where the base's weights were from: ``name`` and ``digest``.
        head: ``kind`` and ``pooling``.
        freeze: ``layers`` frozen of ``total``, ``through`` which, and which ``trained``.
        arguments: Every option, as it was in force.
        versions: Of tlkit and what it ran on.
        created: When, UTC, ISO 8601.
        data: Pictures a split and class.
        results: Accuracy after each phase.
        skipped: Pictures that could not be read, ``input`` and ``error`` each.
        warnings: What a person should know before trusting it.
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
    skipped: Sequence[Mapping[str, str]] = ()
    warnings: Sequence[str] = ()
    format: int = FORMAT


@contextmanager
def claim_folder(output: str | None, name: str) -> Iterator[Path]:
    """Make the folder of a new run; nothing that exists is ever written into.

    When the block fails before anything was written, the folder goes again.

    Args:
        output: The folder that was asked for; None for the next free ``runs/NAME-N``.
        name: What to name it after.

    Raises:
        RunError: The folder that was asked for exists and is not empty, or cannot be made.
    """
    path = _make_folder(output, name)
    try:
        yield path
    except BaseException:
        with suppress(OSError):
            path.rmdir()
        raise


def _make_folder(output: str | None, name: str) -> Path:
    try:
        if output is None:
            number = 1
            while True:
                path = Path("runs") / f"{name}-{number}"
                try:
                    path.mkdir(parents=True)
                    return path
                except FileExistsError:
                    number += 1
        path = Path(output)
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"Cannot make the run folder {printable(output or 'runs')}: {error.strerror}.") from error
    if any(path.iterdir()):
        raise RunError(
            f"{printable(path)} exists and is not empty; a new run never writes into an old one.",
            hint="Name another folder with -o, or leave -o out.",
        )
    return path


def write_run(folder: Path, model: Any, record: RunRecord, phases: Sequence[Phase]) -> None:
    """Write model, history and, last, the record; each file is whole or absent.

    Raises:
        RunError: The folder cannot be written to.
    """
    try:
        with whole_file(folder / MODEL) as part:
            # a fresh wrapper was never compiled: the file holds the weights without the optimizer's state
            type(model)(model.inputs, model.outputs, name=model.name).save(part)
        with whole_file(folder / HISTORY) as part, part.open("w", newline="") as file:
            columns = ("phase", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds")
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            for phase in phases:
                writer.writerows({"phase": phase.name, **epoch} for epoch in phase.epochs)
        with whole_file(folder / RECORD) as part:
            part.write_text(json.dumps(dataclasses.asdict(record), indent=2) + "\n", "utf-8")
    except OSError as error:
        raise RunError(f"Cannot write the run {printable(folder)}: {error.strerror or error}.") from error


def read_run(folder: Path) -> RunRecord:
    """What a run folder says of itself.

    Raises:
        RunError: Not a run folder, an unfinished one, or one that does not make sense.
    """
    if not folder.is_dir():
        raise RunError(
            f"There is no run folder {printable(folder)}.",
            hint="`tlkit finetune DATA -o RUN` makes one.",
        )
    if not (folder / RECORD).is_file() or not (folder / MODEL).is_file():
        raise RunError(
            f"{printable(folder)} is not a finished run: it needs {MODEL} and {RECORD}.",
            hint="`tlkit finetune DATA -o RUN` makes one.",
        )
    try:
        content = json.loads((folder / RECORD).read_text("utf-8"))
        record = RunRecord(**{**content, "size": tuple(content["size"])})
        sound = (
            record.format == FORMAT
            and record.preprocessing in MODES
            and record.resize in RULES
            and all(isinstance(name, str) for name in record.classes)
            and len(record.size) == 2
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(f"{printable(folder / RECORD)} cannot be read: {printable(error)}.") from error
    if not sound:
        raise RunError(f"{printable(folder / RECORD)} is not a record of a run that this tlkit understands.")
    return record


def load_model(folder: Path, record: RunRecord) -> Any:
    """The trained model of a run.

    Raises:
        RunError: It cannot be loaded, or is not the model that the record describes.
    """
    from tlkit.backend import keras

    path = folder / MODEL
    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises many kinds on a damaged or foreign file
        raise RunError(
            f"{printable(path)} cannot be loaded: {printable(str(error).strip().splitlines()[0])}"
        ) from error
    inputs, outputs = model.input_shape, model.output_shape
    if inputs != (None, *record.size, 3) or outputs != (None, len(record.classes)):
        raise RunError(
            f"{printable(path)} takes {inputs} and gives {outputs}, but {RECORD} speaks of pictures of "
            f"{record.size[0]}x{record.size[1]} and {len(record.classes)} classes."
        )
    return model
