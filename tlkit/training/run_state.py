"""A run in progress: the lock on its folder, and what a resume needs."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tlkit.config import FinetuneConfig
from tlkit.errors import ConfigError, DataError, FeatureError, RunError, TrainingError
from tlkit.training.history import CHECKPOINT
from tlkit.training.run_folder import RECORD, STATE
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.interrupt import resumable
from tlkit.utils.locks import locked

LOCK, FEATURES = ".lock", ".features"
FOLDS = ".folds"
"""What is known of the folds that are complete."""
TRACKERS = ".trackers.json"
"""What it takes to continue the records of experiment trackers."""


@dataclass(frozen=True)
class RunState:
    """What a run started with.

    Attributes:
        config: Every option.
        versions: Versions of the software that started it.
        weights_digest: ``sha256:…`` of the weights file of the base; None for random weights.
        cache_budget_bytes: Bytes that cached features may take.
        images_digest: Digest of the images, their classes, splits and order.
    """

    config: FinetuneConfig
    versions: Mapping[str, str]
    weights_digest: str | None
    cache_budget_bytes: int
    images_digest: str


@contextmanager
def create_run_dir(output: str | None, name: str) -> Iterator[Path]:
    """Create the folder of a new run, locked for this process; existing files are never written to.

    When the block fails, a run that is finished or can be resumed stays, and anything else is removed.

    Args:
        output: The folder; None for the next free ``runs/NAME-N``.
        name: What to name it after.

    Raises:
        RunError: The folder exists and is not empty, or cannot be created.
    """
    try:
        path, made = _next_free(Path("runs"), name) if output is None else _create(Path(output))
    except OSError as error:
        where = str(error.filename or output or "runs")
        raise RunError(f"Cannot create the run folder {where}: {error.strerror}.") from error
    with _lock(path), report_resumable(path):
        try:
            yield path
        except BaseException as error:
            if not _is_resumable(path, error):
                tidy_up(path)
                for fold in () if (path / RECORD).exists() else path.glob("fold-*"):  # the folder was empty
                    shutil.rmtree(fold, ignore_errors=True)
                (path / LOCK).unlink(missing_ok=True)
                with suppress(OSError):
                    if made:
                        path.rmdir()
            raise


def report_resumable(path: Path) -> AbstractContextManager[None]:
    """Report how to resume a run when the block fails."""
    command = f"To resume: tlkit finetune --resume {shlex.quote(str(path))}"
    return resumable(lambda error: command if _is_resumable(path, error) else None)


def _is_resumable(path: Path, error: BaseException) -> bool:
    """Return True if the run can be resumed and a retry could succeed."""
    if (path / RECORD).exists():
        return False
    disk_full = isinstance(error, FeatureError) and isinstance(error.__cause__, OSError)
    is_trained = (path / FOLDS).exists() or (path / CHECKPOINT).exists() or any(path.glob(f"fold-*/{CHECKPOINT}"))
    started = is_trained or isinstance(error, KeyboardInterrupt | RunError) or disk_full
    return started and (path / STATE).exists() and not isinstance(error, TrainingError)


def refuse_finished(path: Path) -> None:
    """Refuse a folder that is not that of an interrupted run.

    Raises:
        RunError: It is not one, or the run is finished.
    """
    if not path.is_dir():
        raise RunError(f"There is no run folder {path}.", hint="`tlkit finetune DATA -o RUN` creates one.")
    if (path / RECORD).exists():
        raise RunError(
            f"The run {path} is finished; there is nothing to resume.",
            hint=f"Use it: tlkit predict --model {path} IMAGES...",
        )
    if not (path / STATE).exists():
        raise RunError(
            f"{path} is not an interrupted run: it has no {STATE}.",
            hint="`tlkit finetune DATA -o RUN` starts a new run.",
        )


@contextmanager
def open_interrupted_run(path: Path) -> Iterator[Path]:
    """Open the folder of an interrupted run, locked for this process.

    Raises:
        RunError: It is not one, the run is finished, or another process trains it.
    """
    refuse_finished(path)
    with _lock(path):
        yield path


@contextmanager
def follow(path: Path | None = None) -> Iterator[Path]:
    """Create a folder for a process that trains a run which another one writes; it is removed after the block.

    Args:
        path: The folder of the run, where it is resumed.
    """
    with tempfile.TemporaryDirectory(prefix="tlkit-") as folder:
        with suppress(FileNotFoundError):  # no epoch was completed
            if path is not None:
                shutil.copyfile(path / CHECKPOINT, Path(folder, CHECKPOINT))
        yield Path(folder)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with ExitStack() as until_done:
        try:
            until_done.enter_context(locked(path / LOCK, wait=False, remove=True))
        except BlockingIOError as error:
            raise RunError(f"Another tlkit process is using {path}.", hint="Wait until it ends.") from error
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


def _create(path: Path) -> tuple[Path, bool]:
    """Return the folder, and whether it had to be created."""
    try:
        path.mkdir(parents=True)
        return path, True
    except FileExistsError:
        refuse_occupied(path)
        return path, False


def refuse_occupied(path: Path) -> None:
    """Refuse to start a run in a folder that holds something.

    Raises:
        RunError: It is a file, or not empty.
    """
    if not path.is_dir():
        if os.path.lexists(path):
            raise RunError(f"{path} is a file, not a folder for a run.")
        return
    there = {entry.name for entry in path.iterdir()} - {LOCK}
    if STATE in there and RECORD not in there:
        raise RunError(
            f"{path} holds an interrupted or unfinished run.",
            hint=f"Resume it with `tlkit finetune --resume {path}`, or choose another folder with -o.",
        )
    if there:
        raise RunError(
            f"{path} exists and is not empty; a new run never writes into an old one.",
            hint="Choose another folder with -o, or leave -o out.",
        )


def write_state(folder: Path, state: RunState) -> None:
    """Write what a resume needs; paths become absolute, so that it works from any folder.

    Raises:
        RunError: The folder cannot be written to.
    """
    content = dataclasses.asdict(state)
    config = content["config"]
    for name in ("data", "features", "tensorboard"):
        config[name] = config[name] and os.path.abspath(config[name])
    if config["weights"] not in ("imagenet", "none"):
        config["weights"] = os.path.abspath(config["weights"])
    try:
        with atomic_write(folder / STATE) as part:
            part.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise RunError(f"Cannot write the run {folder}: {error.strerror}.") from error


def read_state(folder: Path) -> RunState:
    """Read what a run started with.

    Raises:
        RunError: It cannot be read.
    """
    try:
        content = json.loads((folder / STATE).read_text("utf-8"))
        config = content["config"]
        options = FinetuneConfig(**{**config, "output": str(folder)})
        return RunState(**{**content, "config": options})
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ConfigError) as error:
        raise RunError(
            f"{folder / STATE} cannot be read: {error}.",
            hint="Start a new run.",
        ) from error


def refuse_other_images(state: RunState, digest: str) -> None:
    """Refuse to resume on other images than a run started with.

    Args:
        state: What the run started with.
        digest: Digest of the images, their classes, splits and order.

    Raises:
        DataError: They differ.
    """
    if state.images_digest != digest:
        raise DataError(
            f"The files in {state.config.data} are not those that the run started with.",
            hint="Restore them, or start a new run.",
        )


def tidy_up(folder: Path) -> None:
    """Remove the files that only an unfinished run needs."""
    (folder / CHECKPOINT).unlink(missing_ok=True)
    (folder / STATE).unlink(missing_ok=True)
    (folder / TRACKERS).unlink(missing_ok=True)
    for temporary in (FEATURES, FOLDS):
        shutil.rmtree(folder / temporary, ignore_errors=True)
