"""Track a training: with no tracker, one or several, none of which can end it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tlkit.config import FinetuneConfig
from tlkit.errors import RunError
from tlkit.training.history import Phase
from tlkit.training.reproduce import effective_options
from tlkit.training.run_state import TRACKERS
from tlkit.training.trackers.base import Finished, Status, Tracker, first_line
from tlkit.training.trackers.mlflow import MlflowRun, check_mlflow
from tlkit.training.trackers.tensorboard import EventFiles, check_tensorboard
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.logging import logger

_KINDS: Mapping[str, type[EventFiles] | type[MlflowRun]] = {"mlflow": MlflowRun, "tensorboard": EventFiles}
"""The tracker of each option."""
_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


def check_trackers(config: FinetuneConfig) -> None:
    """Check that the trackers of a run are installed, before any work is done.

    Raises:
        TlkitError: One is not.
    """
    if config.tensorboard is not None:
        check_tensorboard()
    if config.mlflow is not None:
        check_mlflow()


class Trackers:
    """The trackers of one run. One that fails is warned about, once, and told nothing more."""

    def __init__(self, trackers: Sequence[Tracker] = ()) -> None:
        self._all = list(trackers)
        self._failed: set[str] = set()

    @property
    def working(self) -> list[Tracker]:
        """Those that did not fail."""
        return [tracker for tracker in self._all if tracker.name not in self._failed]

    def epoch(self, phase: str, step: int, values: Mapping[str, float], learning_rate: float | None = None) -> None:
        """Tell the metrics of an epoch.

        Args:
            phase: Name of its phase.
            step: Its number, counted from 1 through all phases.
            values: An epoch of a :class:`~tlkit.training.history.Phase`.
            learning_rate: At its end; None where it has none, or it is no longer known.
        """
        metrics = {name: values[name] for name in _METRICS}
        metrics |= {} if learning_rate is None else {"learning_rate": learning_rate}
        self._each(lambda tracker: tracker.epoch(phase, step, metrics))

    def phases(self, phases: Sequence[Phase]) -> None:
        """Tell all epochs of phases, the first of a run; those that a tracker has already are left as they are."""
        epochs = [(phase.name, epoch) for phase in phases for epoch in phase.epochs]
        for step, (name, epoch) in enumerate(epochs, start=1):
            self.epoch(name, step, epoch)

    def finish(self, finished: Finished) -> None:
        """Tell that the run is saved."""
        self._each(lambda tracker: tracker.finish(finished))

    @property
    def keeps_files(self) -> bool:
        """Whether any of them has a place for files."""
        return any(tracker.keeps_files for tracker in self.working)

    def keep_files(self, folder: Path, name: str) -> None:
        """Hand the files of a folder to those that have a place for them."""
        self._each(lambda tracker: tracker.keep_files(folder, name) if tracker.keeps_files else None)

    def close(self, status: Status) -> None:
        """End the records; that of a tracker that failed before is incomplete, and says so."""
        for tracker in self._all:
            try:
                tracker.close("FAILED" if tracker.name in self._failed and status == "FINISHED" else status)
            except Exception as error:
                self.lose(tracker.name, error)

    def lose(self, name: str, error: Exception) -> None:
        """Tell a tracker no more, and say so once."""
        if name not in self._failed:
            self._failed.add(name)
            logger.warning("%s is told no more of this run: %s.", name, first_line(error))

    def _each(self, tell: Callable[[Tracker], None]) -> None:
        for tracker in self.working:
            try:
                tell(tracker)
            except Exception as error:  # a full disk, a server that is gone: the training is worth more
                self.lose(tracker.name, error)


@contextmanager
def tracking(config: FinetuneConfig, folder: Path, parent: Trackers | None = None) -> Iterator[Trackers]:
    """Open the trackers of a run, and close them with how the block ended.

    Args:
        config: Which, and the options that they show.
        folder: The run folder.
        parent: Trackers of the whole run, where this is the run of a fold.

    Raises:
        TlkitError: One cannot be written to. Of a run that had begun, that is a warning.
    """
    trackers = Trackers(_opened(config, folder, parent))
    status: Status = "FAILED"
    try:
        yield trackers
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        trackers.close(status)


def _opened(config: FinetuneConfig, folder: Path, parent: Trackers | None) -> list[Tracker]:
    """Return the trackers, and note in the run folder what it takes to continue them."""
    states, trackers = _read(folder / TRACKERS), list[Tracker]()
    for option, kind in _KINDS.items():
        if getattr(config, option) is None:
            continue
        try:
            tracker = _open(kind, config, getattr(config, option), folder, states.get(kind.name), parent)
        except Exception as error:
            if parent is not None:
                parent.lose(kind.name, error)
            elif kind.name in states:
                logger.warning("%s is told nothing of %s: %s.", kind.name, folder, first_line(error))
            else:
                Trackers(trackers).close("FAILED")
                raise
        else:
            trackers += [tracker] if tracker else []
    if trackers:
        try:
            with atomic_write(folder / TRACKERS) as part:
                opened = {tracker.name: tracker.state for tracker in trackers}
                part.write_text(json.dumps({**states, **opened}) + "\n", "utf-8")  # one that is away may be back
        except OSError as error:
            raise RunError(f"Cannot write the run {folder}: {error.strerror}.") from error
    return trackers


def _open(
    kind: type[EventFiles] | type[MlflowRun],
    config: FinetuneConfig,
    target: str,
    folder: Path,
    state: Mapping[str, str] | None,
    parent: Trackers | None,
) -> Tracker | None:
    """Open a tracker: the one that a state describes, one of a fold, or a new one; None if that of the run failed."""
    above = None if parent is None else next((each for each in parent.working if isinstance(each, kind)), None)
    if parent is not None and above is None:
        return None
    if state is not None:
        return kind.resume(target, state)
    params = effective_options(config.reproducible)
    return above.nested(folder.name, params) if above else kind.create(target, folder.name, params)


def _read(path: Path) -> dict[str, dict[str, str]]:
    try:
        content: dict[str, dict[str, str]] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):  # a new run
        return {}
    return content
