"""A run that is under way: whose folder it is, and what it takes to go on with it."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tlkit.config import FinetuneConfig
from tlkit.errors import DataError, RunError, TrainingError
from tlkit.training.history import CHECKPOINT
from tlkit.training.run_folder import RECORD
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.locks import locked
from tlkit.utils.logging import logger

MARK, STATE, ROWS = ".being-written", "unfinished.json", ".features"


@dataclass(frozen=True)
class RunState:
    """What a run was begun with.

    Attributes:
        config: Every option.
        versions: Of the software that began it.
        weights: ``sha256:…`` of the base's weights file; None for random weights.
        room: Bytes that rows of the frozen part may take.
        pictures: A name for the pictures, their classes, splits and order; None before they were looked at.
    """

    config: FinetuneConfig
    versions: Mapping[str, str]
    weights: str | None
    room: int
    pictures: str | None = None


@contextmanager
def create_run_dir(output: str | None, name: str) -> Iterator[Path]:
    """Make the folder of a new run, for this process alone; nothing that exists is ever written into.

    When the block fails, what can be gone on with stays, and the rest goes again.

    Args:
        output: The folder that was asked for; None for the next free ``runs/NAME-N``.
        name: What to name it after.

    Raises:
        RunError: The folder that was asked for exists and is not empty, or cannot be made.
    """
    try:
        path, made = _next_free(Path("runs"), name) if output is None else _make(Path(output))
    except OSError as error:
        where = str(error.filename or output or "runs")
        raise RunError(f"Cannot make the run folder {where}: {error.strerror}.") from error
    with _own(path), _under_way(path):
        try:
            yield path
        except BaseException as error:
            if not _can_go_on(path, error):
                tidy_up(path)
                (path / MARK).unlink(missing_ok=True)
                with suppress(OSError):
                    if made:
                        path.rmdir()
            raise


@contextmanager
def _under_way(path: Path) -> Iterator[None]:
    """Say how to go on with a run when what is done in the block fails."""
    try:
        yield
    except BaseException as error:
        if _can_go_on(path, error):
            name = shlex.quote(str(path))
            logger.warning("%s is kept: `tlkit finetune --resume %s` goes on with it.", name, name)
        raise


def _can_go_on(path: Path, error: BaseException) -> bool:
    """True when there is something to go on with, and going on may end otherwise."""
    begun = (path / CHECKPOINT).exists() or isinstance(error, KeyboardInterrupt | RunError)
    return begun and (path / STATE).exists() and not isinstance(error, TrainingError)


@contextmanager
def open_interrupted_run(path: Path) -> Iterator[Path]:
    """The folder of a run that was broken off, for this process alone.

    Raises:
        RunError: It is no such folder, the run is finished, or another process is at work on it.
    """
    if not path.is_dir():
        raise RunError(f"There is no run folder {path}.", hint="`tlkit finetune DATA -o RUN` makes one.")
    if (path / RECORD).exists():
        raise RunError(
            f"The run {path} is finished; there is nothing to go on with.",
            hint=f"Use it: tlkit predict --model {path} IMAGES...",
        )
    if not (path / STATE).exists():
        raise RunError(
            f"{path} is not a run that was broken off: it has no {STATE}.",
            hint="`tlkit finetune DATA -o RUN` starts a new run.",
        )
    with _own(path), _under_way(path):
        yield path


@contextmanager
def _own(path: Path) -> Iterator[None]:
    with ExitStack() as until_done:
        try:
            until_done.enter_context(locked(path / MARK, wait=False, remove=True))
        except BlockingIOError as error:
            raise RunError(f"Another tlkit is at work on {path}.", hint="Wait until it ends.") from error
        except OSError as error:
            raise RunError(f"Cannot write to the run folder {path}: {error.strerror}.") from error
        yield


def _next_free(folder: Path, name: str) -> tuple[Path, bool]:
    folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        path = folder / f"{name}-{number}"
        with suppress(FileExistsError):
            path.mkdir()
            return path, True
    raise AssertionError("counting never ends")


def _make(path: Path) -> tuple[Path, bool]:
    """The folder that was asked for, and whether it had to be made."""
    try:
        path.mkdir(parents=True)
        return path, True
    except FileExistsError:
        if not path.is_dir():
            raise RunError(f"{path} is a file, not a folder for a run.") from None
    there = {entry.name for entry in path.iterdir()} - {MARK}
    if STATE in there and RECORD not in there:
        raise RunError(
            f"In {path} another run is being written, or was broken off.",
            hint=f"`tlkit finetune --resume {path}` goes on with it; or name another folder with -o.",
        )
    if there:
        raise RunError(
            f"{path} exists and is not empty; a new run never writes into an old one.",
            hint="Name another folder with -o, or leave -o out.",
        )
    return path, False


def write_state(folder: Path, state: RunState) -> None:
    """Write what it takes to go on; paths become absolute, so that it can be done from anywhere.

    Raises:
        RunError: The folder cannot be written to.
    """
    content = dataclasses.asdict(state)
    config = content["config"]
    for name in ("data", "features"):
        config[name] = config[name] and os.path.abspath(config[name])
    if config["weights"] not in ("imagenet", "none"):
        config["weights"] = os.path.abspath(config["weights"])
    try:
        with atomic_write(folder / STATE) as part:
            part.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise RunError(f"Cannot write the run {folder}: {error.strerror}.") from error


def read_state(folder: Path) -> RunState:
    """What a run was begun with.

    Raises:
        RunError: It cannot be read.
    """
    try:
        content = json.loads((folder / STATE).read_text("utf-8"))
        config = content["config"]
        options = FinetuneConfig(**{**config, "output": str(folder)})
        return RunState(**{**content, "config": options})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{folder / STATE} cannot be read: {error}.",
            hint="Start the training anew.",
        ) from error


def check_same_pictures(folder: Path, state: RunState, pictures: str) -> None:
    """Go on only with the pictures that a run was begun with; note them where it begins.

    Raises:
        DataError: They are others.
    """
    if state.pictures not in (None, pictures):
        raise DataError(
            f"The files in {state.config.data} are not those that the run was begun with.",
            hint="Put back what was there, or start a new run.",
        )
    write_state(folder, dataclasses.replace(state, pictures=pictures))


def tidy_up(folder: Path) -> None:
    """Remove what only an unfinished run needs."""
    (folder / CHECKPOINT).unlink(missing_ok=True)
    (folder / STATE).unlink(missing_ok=True)
    shutil.rmtree(folder / ROWS, ignore_errors=True)
