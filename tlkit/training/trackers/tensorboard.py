"""Event files that TensorBoard reads, written without TensorFlow."""

from __future__ import annotations

import io
import itertools
import os
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from tlkit.errors import InputError, TlkitError
from tlkit.reporting.html import THUMBNAIL_SIDE
from tlkit.reporting.page import MAX_ERRORS
from tlkit.training.trackers.base import Finished, Status
from tlkit.utils.extras import needs

_HEADER, _FOOTER = 12, 4
"""Bytes of a record before its data (its length, and a checksum of that) and after them (a checksum)."""


def check_tensorboard() -> None:
    """Check for the packages, before any work is done.

    Raises:
        TlkitError: One is not installed.
    """
    needs("tensorboard", "tensorboard", by="--tensorboard")


class EventFiles:
    """The event files of one run: a folder for each phase, so that a plot has a curve of each.

    Args:
        folder: Of the run.
    """

    name = "TensorBoard"
    keeps_files = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _EventFile] = {}
        self._written: dict[str, set[int]] = {}

    @classmethod
    def create(cls, directory: str, name: str, params: Mapping[str, Any]) -> EventFiles:
        """Create the folder of a new run in a directory; where one of that name exists, the next free is taken.

        Args:
            directory: Made if need be.
            name: Of the run.
            params: Not written: TensorBoard has no place for them that needs no plugin.

        Raises:
            TlkitError: It cannot be written to.
        """
        root = Path(directory).absolute()
        try:
            root.mkdir(parents=True, exist_ok=True)
            for number in itertools.count(1):
                folder = root / (name if number == 1 else f"{name}-{number}")
                try:
                    folder.mkdir()
                except FileExistsError:
                    continue
                return cls(folder)
        except OSError as error:
            raise TlkitError(f"Cannot write to the directory {root} of --tensorboard: {error.strerror}.") from error
        raise AssertionError("counting never ends")

    @classmethod
    def resume(cls, directory: str, state: Mapping[str, str]) -> EventFiles:
        """Continue the event files of a training that was interrupted."""
        return cls(Path(state["folder"]))

    def nested(self, name: str, params: Mapping[str, Any]) -> EventFiles:
        """Return the event files of a fold, in the folder of the run."""
        return EventFiles(self._folder / name)

    @property
    def state(self) -> dict[str, str]:
        """The folder."""
        return {"folder": str(self._folder)}

    def epoch(self, phase: str, step: int, values: Mapping[str, float]) -> None:
        """Write the metrics of an epoch to the folder of its phase."""
        if phase not in self._written:
            self._written[phase] = _steps(self._folder / phase)
        if step not in self._written[phase]:
            self._file(phase).write(step, [{"tag": tag, "simple_value": value} for tag, value in values.items()])
            self._written[phase].add(step)

    def finish(self, finished: Finished) -> None:
        """Write the metrics of the saved model, the plots, and the worst errors with their heat maps."""
        step = finished.epochs
        values: list[dict[str, Any]] = [{"tag": tag, "simple_value": value} for tag, value in finished.metrics()]
        values += [{"tag": tag, "image": _image(data)} for tag, data in _images(finished)]
        for value in values:  # an event each: TensorBoard reads one at a time
            self._file("").write(step, [value])

    def keep_files(self, folder: Path, name: str) -> None:
        """TensorBoard shows no files."""

    def close(self, status: Status) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()

    def _file(self, phase: str) -> _EventFile:
        if phase not in self._files:
            self._files[phase] = _EventFile(self._folder / phase)
        return self._files[phase]


class _EventFile:
    """One event file, readable after every write."""

    def __init__(self, folder: Path) -> None:
        # the package's own EventFileWriter imports TensorFlow where it is installed
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"events.out.tfevents.{int(time.time()):010d}.tlkit.{os.getpid()}.{time.monotonic_ns()}"
        self._records = RecordWriter(path.open("xb"))
        self._write(file_version="brain.Event:2")

    def write(self, step: int, values: list[dict[str, Any]]) -> None:
        """Write values at a step: ``tag`` and ``simple_value`` or ``image`` each."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._write(step=step, summary=Summary(value=[Summary.Value(**value) for value in values]))

    def _write(self, **fields: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._records.write(Event(wall_time=time.time(), **fields).SerializeToString())
        self._records.flush()

    def close(self) -> None:
        self._records.close()


def _steps(folder: Path) -> set[int]:
    """Return the steps that the event files of a folder have; what a killed process left half written ends a file."""
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    steps = set()
    for path in sorted(folder.glob("*tfevents*")):
        for data in _records(path.read_bytes()):
            try:
                event = Event.FromString(data)
            except DecodeError:
                break
            if event.HasField("summary"):
                steps.add(event.step)
    return steps


def _records(content: bytes) -> Iterator[bytes]:
    start = 0
    while start + _HEADER <= len(content):
        (length,) = struct.unpack_from("<Q", content, start)
        end = start + _HEADER + length + _FOOTER
        if end > len(content):
            return
        yield content[start + _HEADER : end - _FOOTER]
        start = end


def _image(data: bytes) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary

    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        return Summary.Image(width=width, height=height, colorspace=len(image.getbands()), encoded_image_string=data)


def _images(finished: Finished) -> Iterator[tuple[str, bytes]]:
    """Yield ``(tag, PNG)`` of the plots of each split, and of its worst errors, the most confident first."""
    for section in finished.sections:
        if section.confusion:
            yield f"{section.split}/confusion_matrix", section.confusion
        yield f"{section.split}/calibration", section.calibration
        for rank, error in enumerate(section.evaluation.most_confident_errors(MAX_ERRORS), start=1):
            name = f"{rank:02d} {error.true} predicted as {error.predicted} ({error.confidence:.3f})"
            try:
                loaded = finished.preprocessor.load(section.files[error.position])
                thumbnail = finished.preprocessor.thumbnail(loaded, THUMBNAIL_SIDE)
            except InputError:  # no longer there
                continue
            buffer = io.BytesIO()
            thumbnail.save(buffer, "PNG")
            yield f"{section.split}_errors/{name}", buffer.getvalue()
            if error.position in section.heat:
                yield f"{section.split}_heat_maps/{name}", section.heat[error.position]
