"""The state of an unfinished training, in one file that is whole or absent."""

from __future__ import annotations

import dataclasses
import json
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.errors import RunError
from tlkit.training.history import CHECKPOINT, Phase
from tlkit.utils.atomic_write import atomic_write

_KINDS = ("variables", "optimizer", "best", "kept")


@dataclass
class Checkpoint:
    """The state of a training after a completed epoch.

    Attributes:
        phases: The phases so far; the last is in progress.
        variables: Variables of the model of that phase, in its order.
        optimizer: Variables of its optimizer.
        best: Variables at the best epoch of that phase so far, with early stopping.
        kept: Variables at the best epoch of all phases so far, where the run keeps that one.
    """

    phases: list[Phase]
    variables: list[np.ndarray]
    optimizer: list[np.ndarray]
    best: list[np.ndarray]
    kept: list[np.ndarray]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint of a run.

    Raises:
        RunError: It cannot be written; the previous one stays.
    """
    arrays: dict[str, Any] = {
        f"{kind}-{number}": array for kind in _KINDS for number, array in enumerate(getattr(checkpoint, kind))
    }
    phases = json.dumps([dataclasses.asdict(phase) for phase in checkpoint.phases])
    try:
        with atomic_write(folder / CHECKPOINT) as part, part.open("wb") as file:
            np.savez(file, phases=np.frombuffer(phases.encode(), np.uint8), **arrays)
    except OSError as error:
        raise RunError(
            f"Cannot write the checkpoint of {folder}: {error.strerror or error}.",
            hint=f"Free some space, then `tlkit finetune --resume {folder}` resumes after the last checkpoint.",
        ) from error


class CheckpointWriter:
    """Writes checkpoints in a thread, one after another, while the next epoch trains.

    Args:
        folder: The run folder; None where another process writes it.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._last: Future[None] | None = None

    def write(self, checkpoint: Checkpoint) -> None:
        """Start to write a checkpoint, after the previous one is complete.

        Raises:
            RunError: The previous one could not be written.
        """
        self.wait()
        if self._folder is not None:
            self._last = self._thread.submit(write_checkpoint, self._folder, checkpoint)

    def wait(self) -> None:
        """Wait until the last checkpoint is complete.

        Raises:
            RunError: It could not be written; the one before it stays.
        """
        if self._last is not None:
            last, self._last = self._last, None
            last.result()


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the checkpoint of a run; None where no epoch was completed.

    Raises:
        RunError: It is damaged.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        # opened here: NumPy leaves a damaged file open
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            phases = [Phase(**phase) for phase in json.loads(file["phases"].tobytes())]
            found: dict[str, list[np.ndarray]] = {kind: [] for kind in _KINDS}
            for kind in _KINDS:
                while (name := f"{kind}-{len(found[kind])}") in file.files:
                    found[kind].append(file[name])
    except Exception as error:  # a damaged zip raises almost anything
        raise RunError(
            f"{path} is damaged: {error}.",
            hint="Remove it to train from scratch.",
        ) from error
    return Checkpoint(phases, **found)
