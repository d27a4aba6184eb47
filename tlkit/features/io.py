"""Files of features: rows with the names, labels and provenance that belong to them; each file is whole or absent."""

from __future__ import annotations

import csv
import json
import os
import zlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.errors import FeatureError
from tlkit.features.store import FeatureStore
from tlkit.keras_files import FEATURES
from tlkit.utils.atomic_write import atomic_write

ENDINGS = (".npy", ".h5", ".hdf5", ".csv")
FORMAT = 1
_CHUNK_BYTES = 2**18


@dataclass(frozen=True)
class FeatureMetadata:
    """What belongs to the rows of a set.

    Attributes:
        provenance: What decides the numbers.
        files: ``(rows,)`` file names and addresses, in the order of the rows.
        digests: ``(rows,)`` SHA-256 of the pictures' bytes.
        checks: ``(rows,)`` CRC-32 of each row's bytes, so that what changed since is found.
        labels: ``(rows,)`` class numbers; None where there are no classes.
        classes: Class names; the position is the label.
        failed: ``(file, reason)`` of the pictures without a row.
        notes: What else should be known (measured errors).
    """

    provenance: Mapping[str, Any]
    files: Sequence[str]
    digests: Sequence[bytes]
    checks: np.ndarray
    labels: np.ndarray | None = None
    classes: Sequence[str] = ()
    failed: Sequence[tuple[str, str]] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self, shape: Sequence[int]) -> dict[str, Any]:
        """All of it as JSON knows it; ``shape`` is that of the features."""
        return {
            "format": FORMAT,
            "shape": [len(self.files), *shape],
            "dtype": "float32",
            "provenance": self.provenance,
            **({"notes": self.notes} if self.notes else {}),
            "classes": list(self.classes),
            "files": list(self.files),
            "labels": None if self.labels is None else self.labels.tolist(),
            "sha256": [digest.hex() for digest in self.digests],
            "crc32": self.checks.tolist(),
            "failed": [{"input": file, "error": reason} for file, reason in self.failed],
        }


def facts_from_json(content: Any, path: Path) -> FeatureMetadata:
    """What :meth:`FeatureMetadata.as_json` said.

    Raises:
        FeatureError: It did not.
    """
    try:
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']} is not known here")
        facts = FeatureMetadata(
            content["provenance"],
            content["files"],
            [bytes.fromhex(digest) for digest in content["sha256"]],
            np.array(content["crc32"], np.uint32),
            None if content["labels"] is None else np.array(content["labels"], np.int64),
            content["classes"],
            [(item["input"], item["error"]) for item in content["failed"]],
            content.get("notes", {}),
        )
        if not len(facts.files) == len(facts.digests) == len(facts.checks) == content["shape"][0]:
            raise ValueError("rows and names differ in number")
        if not isinstance(facts.provenance, dict):
            raise ValueError("it has no provenance")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise FeatureError(f"{path} does not describe features: {error}.") from error
    return facts


def read_json(path: Path) -> Any:
    """The JSON beside features.

    Raises:
        FeatureError: It cannot be read.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FeatureError(f"{path} cannot be read: {error}.") from error


def write_json(path: Path, facts: FeatureMetadata, shape: Sequence[int]) -> None:
    """Write what belongs to rows of ``shape``."""
    with atomic_write(path) as part, part.open("w", encoding="utf-8") as file:
        json.dump(facts.as_json(shape), file, indent=1)
        file.write("\n")


def write_npy(path: Path, blocks: Iterable[np.ndarray], rows: int, shape: Sequence[int]) -> None:
    """Write rows as a NumPy file, a block at a time."""
    with atomic_write(path) as part, part.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (rows, *shape)}
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(np.ascontiguousarray(block, "<f4").tobytes())


def write_csv(path: Path, blocks: Iterable[np.ndarray], facts: FeatureMetadata) -> None:
    """Write one line a picture: its name, then its features; a feature map is laid out row by row."""
    names = iter(facts.files)
    with atomic_write(path) as part, part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        first = True
        for block in blocks:
            flat = block.reshape(len(block), -1)
            if first:
                writer.writerow(["file", *(f"f{number}" for number in range(flat.shape[1]))])
                first = False
            for row in flat:
                # nine digits bring every float32 back as it was
                writer.writerow([next(names), *(f"{value:.9g}" for value in row.tolist())])


def write_h5(path: Path, groups: Sequence[tuple[str, Iterable[np.ndarray], Sequence[int], FeatureMetadata]]) -> None:
    """Write an HDF5 file of features.

    Args:
        path: The file.
        groups: For each set the name of its group (``""`` for the file itself), its rows in blocks, the shape of one,
            and what belongs to them.
    """
    import h5py

    with atomic_write(path) as part, h5py.File(part, "w") as file:
        file.attrs[FEATURES] = FORMAT
        for name, blocks, shape, facts in groups:
            group = file.create_group(name) if name else file
            content = facts.as_json(shape)
            rows = len(facts.files)
            group.attrs["provenance"] = json.dumps(content["provenance"])
            if facts.notes:
                group.attrs["notes"] = json.dumps(facts.notes)
            # lists are data sets: an attribute ends at 64 kB
            _strings(group, "failed", [json.dumps(item) for item in content["failed"]])
            _strings(group, "classes", facts.classes)
            # whole rows a chunk, so that a batch reads little that it does not need
            in_chunk = max(1, min(rows or 1, _CHUNK_BYTES // max(1, 4 * int(np.prod(shape)))))
            features = group.create_dataset(
                "features", (rows, *shape), "<f4", chunks=(in_chunk, *shape) if rows and np.prod(shape) else None
            )
            start = 0
            for block in blocks:
                features[start : start + len(block)] = block
                start += len(block)
            if facts.labels is not None:
                group["labels"] = facts.labels.astype("<i8")
            _strings(group, "files", facts.files)
            group["crc32"] = facts.checks.astype("<u4")
            group["sha256"] = np.frombuffer(b"".join(facts.digests), np.uint8).reshape(rows, -1 if rows else 32)


def _strings(group: Any, name: str, texts: Sequence[str]) -> None:
    import h5py

    # names that are not UTF-8 keep their bytes
    encoded = np.array([text.encode("utf-8", "surrogateescape") for text in texts], object)
    group.create_dataset(name, (len(texts),), h5py.string_dtype(), data=encoded if len(texts) else None)


class FeatureFile:
    """Rows of a file of features, read where they are needed.

    Attributes:
        facts: What belongs to them.
        shape: Of one row.
    """

    def __init__(self, facts: FeatureMetadata, shape: tuple[int, ...], path: Path, group: str | None) -> None:
        self.facts, self.shape = facts, shape
        self._path, self._group = path, group

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Rows by number, ``(len(rows), …)`` float32.

        Raises:
            FeatureError: The file cannot be read, or a row is not what was written.
        """
        found = self._read(rows)
        bad = rows[~self._sound(rows, found)]
        if len(bad):
            raise FeatureError(
                f"{self._path} is damaged: the row of {self.facts.files[bad[0]]} is not what was written.",
                hint="Run the command that wrote it again; it computes what is damaged.",
            )
        return found

    def _sound(self, rows: np.ndarray, found: np.ndarray) -> np.ndarray:
        checks = [zlib.crc32(row.astype("<f4").tobytes()) for row in found]
        return np.asarray(np.array(checks, np.uint32) == self.facts.checks[rows])

    def _read(self, rows: np.ndarray) -> np.ndarray:
        try:
            if self._group is None:
                return self._read_npy(rows)
            import h5py

            order, back = np.unique(rows, return_inverse=True)  # HDF5 wants them rising
            with h5py.File(self._path, "r") as file:
                data = file[self._group or "/"]["features"]
                if len(order) and order[-1] - order[0] + 1 == len(order):
                    found = data[order[0] : order[-1] + 1]
                else:
                    found = data[order]
                return np.asarray(found, np.float32)[back]
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise FeatureError(f"{self._path} cannot be read: {error}.") from error

    def _read_npy(self, rows: np.ndarray) -> np.ndarray:
        found = np.empty((len(rows), *self.shape), np.float32)
        size = found[:1].nbytes
        with self._path.open("rb", buffering=0) as file:
            start = os.fstat(file.fileno()).st_size - size * len(self.facts.files)
            for number, row in enumerate(rows.tolist()):
                data = os.pread(file.fileno(), size, start + size * row)
                found[number] = np.frombuffer(data, "<f4").reshape(self.shape)
        return found

    def is_sound(self) -> bool:
        """True when every row is what was written."""
        rows = np.arange(len(self.facts.files))
        return sum(len(numbers) for numbers, _ in self.sound_blocks(rows)) == len(rows)

    def sound_blocks(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Of rows by number those that are what was written, some megabytes at a time, with their numbers."""
        step = max(1, 2**23 // max(1, 4 * int(np.prod(self.shape))))
        for start in range(0, len(rows), step):
            chosen = rows[start : start + step]
            found = self._read(chosen)
            good = self._sound(chosen, found)
            yield chosen[good], found[good]


def open_npy(path: Path, beside: Path) -> FeatureFile:
    """A ``.npy`` of features and the JSON beside it.

    Raises:
        FeatureError: They cannot be read, or do not belong together.
    """
    facts = facts_from_json(read_json(beside), beside)
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = reader(file)
            whole = os.fstat(file.fileno()).st_size == file.tell() + dtype.itemsize * int(np.prod(shape))
    except (OSError, ValueError) as error:
        raise FeatureError(f"{path} is not a file of features: {error}.") from error
    if dtype != np.dtype("<f4") or fortran or not whole or not shape or shape[0] != len(facts.files):
        raise FeatureError(
            f"{path} does not go with {beside.name}: it holds {shape} {dtype}, "
            f"and {len(facts.files):,} files are listed.",
            hint="Compute the features again.",
        )
    return FeatureFile(facts, tuple(shape[1:]), path, None)


def open_h5(path: Path, group: str = "") -> FeatureFile:
    """One set of an HDF5 file of features.

    Raises:
        FeatureError: It cannot be read, or is no set of features.
        WeightsError: It is no HDF5 file.
    """
    from tlkit.keras_files import open_file
    from tlkit.keras_files.hdf5.attributes import text
    from tlkit.keras_files.hdf5.links import has, inside, numbers

    with open_file(path) as opened:
        root = opened.root
        if FEATURES not in root.attrs or (group and not has(root, group)):
            raise FeatureError(f"{path} holds no features{f' of {group}' if group else ''} by tlkit.")
        place = inside(root, group) if group else root
        try:
            features = numbers(place, "features")
            content = {
                "format": FORMAT,
                "shape": features.shape,
                "provenance": json.loads(text(place, "provenance") or ""),
                "notes": json.loads(text(place, "notes") or "{}"),
                "failed": [json.loads(item) for item in _texts(place, "failed")],
                "classes": _texts(place, "classes"),
                "files": _texts(place, "files"),
                "labels": numbers(place, "labels")[()].tolist() if has(place, "labels") else None,
                "crc32": numbers(place, "crc32")[()].tolist(),
                "sha256": [row.tobytes().hex() for row in numbers(place, "sha256")[()]],
            }
        except (KeyError, ValueError, RecursionError) as error:
            raise FeatureError(f"{path} is not whole: {error}.") from error
        return FeatureFile(facts_from_json(content, path), tuple(features.shape[1:]), path, group)


def _texts(group: Any, name: str) -> list[str]:
    from tlkit.keras_files.hdf5.links import inside

    return [item.decode("utf-8", "surrogateescape") for item in inside(group, name)[()].tolist()]


def take_over(store: FeatureStore, rows: FeatureFile, wanted: Container[bytes]) -> None:
    """Put the rows of a finished file whose pictures are wanted again into a store of the same provenance."""
    digests = rows.facts.digests
    chosen = [row for row, digest in enumerate(digests) if digest in wanted and digest not in store.rows]
    for numbers, block in rows.sound_blocks(np.array(chosen, np.int64)):
        store.append([digests[row] for row in numbers], [block])
