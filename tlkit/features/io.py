"""Feature files: feature vectors with their file names, labels and provenance; each file is whole or absent."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.errors import FeatureError
from tlkit.features.store import FeatureStore, adjacent
from tlkit.inference.provenance import Provenance
from tlkit.keras_files import FEATURES
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.positioned import read_at
from tlkit.utils.text import csv_line

ENDINGS = (".npy", ".h5", ".hdf5", ".parquet", ".csv")
FORMAT = 1
_CHUNK_BYTES = 2**18
_GAPS = 4
"""How many times as many rows as are wanted are read at most, to read them as a range: it takes a tenth of the time."""


@dataclass(frozen=True)
class FeatureMetadata:
    """What belongs to the rows of a feature file.

    Attributes:
        provenance: What decides the numbers.
        files: ``(rows,)`` file names and URLs, in row order.
        digests: ``(rows,)`` SHA-256 of the image bytes.
        checks: ``(rows,)`` uint32, CRC-32 of each row's bytes, so that damage is noticed.
        labels: ``(rows,)`` int64; None where there are no classes.
        classes: Class names; the position is the label.
        skipped: ``(file, reason)`` of the images without a row.
        notes: Measured error of a lower precision.
    """

    provenance: Provenance
    files: Sequence[str]
    digests: Sequence[bytes]
    checks: np.ndarray
    labels: np.ndarray | None = None
    classes: Sequence[str] = ()
    skipped: Sequence[tuple[str, str]] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self, shape: Sequence[int]) -> dict[str, Any]:
        """Return all of it as JSON values; ``shape`` is that of one row."""
        return {
            "format": FORMAT,
            "shape": [len(self.files), *shape],
            "dtype": "float32",
            "provenance": self.provenance.to_dict(),
            **({"notes": self.notes} if self.notes else {}),
            "classes": list(self.classes),
            "files": list(self.files),
            "labels": None if self.labels is None else self.labels.tolist(),
            "sha256": [digest.hex() for digest in self.digests],
            "crc32": self.checks.tolist(),
            "skipped": [{"input": file, "error": reason} for file, reason in self.skipped],
        }


def metadata_from_dict(content: Any, path: Path) -> FeatureMetadata:
    """Read what :meth:`FeatureMetadata.to_dict` returned.

    Raises:
        FeatureError: It is something else.
    """
    try:
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']} is unknown to this version")
        metadata = FeatureMetadata(
            Provenance(**content["provenance"]),
            content["files"],
            [bytes.fromhex(digest) for digest in content["sha256"]],
            np.array(content["crc32"], np.uint32),
            None if content["labels"] is None else np.array(content["labels"], np.int64),
            content["classes"],
            [(item["input"], item["error"]) for item in content.get("skipped", content.get("failed", ()))],
            content.get("notes", {}),
        )
        if not len(metadata.files) == len(metadata.digests) == len(metadata.checks) == content["shape"][0]:
            raise ValueError("rows and names differ in number")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise FeatureError(f"{path} does not describe features: {error}.") from error
    return metadata


def read_json(path: Path) -> Any:
    """Read the JSON file beside a feature file.

    Raises:
        FeatureError: It cannot be read.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FeatureError(f"{path} cannot be read: {error}.") from error


@dataclass(frozen=True)
class FeatureBlocks:
    """Features on their way into a file.

    Attributes:
        blocks: The rows, some megabytes at a time, ``(rows, *shape)`` float32.
        shape: Shape of one row.
        metadata: What belongs to the rows.
    """

    blocks: Iterable[np.ndarray]
    shape: tuple[int, ...]
    metadata: FeatureMetadata


def write_json(path: Path, features: FeatureBlocks) -> None:
    """Write the metadata of features as JSON."""
    with atomic_write(path) as part, part.open("w", encoding="utf-8") as file:
        json.dump(features.metadata.to_dict(features.shape), file, indent=1)
        file.write("\n")


def write_npy(path: Path, features: FeatureBlocks) -> None:
    """Write ``(rows, *shape)`` float32 as a NumPy file, one block at a time."""
    with atomic_write(path) as part, part.open("wb") as file:
        shape = (len(features.metadata.files), *features.shape)
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for block in features.blocks:
            file.write(np.ascontiguousarray(block, "<f4").tobytes())


def write_csv(path: Path, features: FeatureBlocks) -> None:
    """Write one line per image: its file name, then its features; a feature map is flattened in C order.

    Names are written as in every CSV of tlkit, :func:`tlkit.utils.text.csv_line`; the metadata has them unchanged.
    """
    names = iter(features.metadata.files)
    with atomic_write(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        first = True
        for block in features.blocks:
            flat = block.reshape(len(block), -1)
            if first:
                file.write(csv_line(["file", *(f"f{number}" for number in range(flat.shape[1]))]))
                first = False
            for row in flat:
                # nine digits bring every float32 back as it was
                file.write(f"{csv_line([next(names)]).rstrip()},{','.join(f'{value:.9g}' for value in row.tolist())}\n")


def looks_like_features(path: Path) -> bool:
    """Return True for a .npy (features or labels) or .csv that may be tlkit's, where no metadata beside it says so."""
    try:
        if path.suffix.lower() == ".csv":
            with path.open("rb") as file:
                return file.read(7) == b"file,f0"
        return np.load(path, mmap_mode="r", allow_pickle=False).dtype in (np.dtype("<f4"), np.dtype("<i8"))
    except (OSError, ValueError):
        return False


def write_h5(path: Path, groups: Mapping[str, FeatureBlocks]) -> None:
    """Write an HDF5 feature file.

    Args:
        path: The file.
        groups: The features by the name of their group; ``""`` for the root.
    """
    import h5py

    with atomic_write(path) as part, h5py.File(part, "w") as file:
        file.attrs[FEATURES] = FORMAT
        for name, features in groups.items():
            group = file.create_group(name) if name else file
            metadata, shape = features.metadata, features.shape
            content = metadata.to_dict(shape)
            rows = len(metadata.files)
            group.attrs["provenance"] = json.dumps(content["provenance"])
            if metadata.notes:
                group.attrs["notes"] = json.dumps(metadata.notes)
            # lists are datasets: an attribute ends at 64 kB
            _strings(group, "skipped", [json.dumps(item) for item in content["skipped"]])
            _strings(group, "classes", metadata.classes)
            # whole rows per chunk, so that a batch reads little that it does not need
            in_chunk = max(1, min(rows or 1, _CHUNK_BYTES // max(1, 4 * int(np.prod(shape)))))
            data = group.create_dataset(
                "features", (rows, *shape), "<f4", chunks=(in_chunk, *shape) if rows and np.prod(shape) else None
            )
            start = 0
            for block in features.blocks:
                data[start : start + len(block)] = block
                start += len(block)
            if metadata.labels is not None:
                group["labels"] = metadata.labels.astype("<i8")
            _strings(group, "files", metadata.files)
            group["crc32"] = metadata.checks.astype("<u4")
            group["sha256"] = np.frombuffer(b"".join(metadata.digests), np.uint8).reshape(rows, -1 if rows else 32)


def _strings(group: Any, name: str, texts: Sequence[str]) -> None:
    import h5py

    # names that are not UTF-8 keep their bytes
    encoded = np.array([text.encode("utf-8", "surrogateescape") for text in texts], object)
    group.create_dataset(name, (len(texts),), h5py.string_dtype(), data=encoded if len(texts) else None)


class FeatureFile:
    """A feature file whose rows are read when they are needed.

    Attributes:
        metadata: What belongs to its rows.
        shape: Shape of one row.
    """

    def __init__(self, metadata: FeatureMetadata, shape: tuple[int, ...], path: Path, group: str | None) -> None:
        self.metadata, self.shape = metadata, shape
        self._path, self._group = path, group

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Read rows by number, ``(len(rows), *shape)`` float32.

        Raises:
            FeatureError: The file cannot be read, or a row is damaged.
        """
        found = self._read(rows)
        bad = rows[~self._sound(rows, found)]
        if len(bad):
            raise FeatureError(
                f"{self._path} is damaged: the features of {self.metadata.files[bad[0]]} "
                "changed after they were written.",
                hint="Run the command that wrote it again; it recomputes damaged rows.",
            )
        return found

    def _sound(self, rows: np.ndarray, found: np.ndarray) -> np.ndarray:
        checks = [zlib.crc32(row.astype("<f4").tobytes()) for row in found]
        return np.asarray(np.array(checks, np.uint32) == self.metadata.checks[rows])

    def _read(self, rows: np.ndarray) -> np.ndarray:
        try:
            if self._group is None:
                return self._read_npy(rows)
            import h5py

            order, back = np.unique(rows, return_inverse=True)  # HDF5 reads increasing indices
            with h5py.File(self._path, "r") as file:
                data = file[self._group or "/"]["features"]
                found = data[order[0] : order[-1] + 1][order - order[0]] if is_dense(order) else data[order]
                return np.asarray(found, np.float32)[back]
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise FeatureError(f"{self._path} cannot be read: {error}.") from error

    def _read_npy(self, rows: np.ndarray) -> np.ndarray:
        found = np.empty((len(rows), *self.shape), np.float32)
        size, flat = found[:1].nbytes, found.reshape(-1).view(np.uint8)
        with self._path.open("rb", buffering=0) as file:
            start = os.fstat(file.fileno()).st_size - size * len(self.metadata.files)
            for first, stop in adjacent(rows, size):
                data = read_at(file.fileno(), size * (stop - first), start + size * int(rows[first]))
                flat[size * first : size * stop] = np.frombuffer(data, np.uint8)
        return found

    def is_sound(self) -> bool:
        """Return True when every row passes its checksum."""
        rows = np.arange(len(self.metadata.files))
        return sum(len(numbers) for numbers, _ in self.sound_blocks(rows)) == len(rows)

    def sound_blocks(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows that pass their checksum, some megabytes at a time, as ``(numbers, rows)``."""
        step = max(1, 2**23 // max(1, 4 * int(np.prod(self.shape))))
        for start in range(0, len(rows), step):
            chosen = rows[start : start + step]
            found = self._read(chosen)
            good = self._sound(chosen, found)
            yield chosen[good], found[good]


def is_dense(rows: np.ndarray) -> bool:
    """Return True for increasing numbers of rows that are best read as a range, with those between them."""
    return bool(len(rows) and (np.diff(rows) > 0).all() and rows[-1] - rows[0] < _GAPS * len(rows))


def open_npy(path: Path, beside: Path) -> FeatureFile:
    """Open a ``.npy`` file of features with the JSON file beside it.

    Raises:
        FeatureError: They cannot be read, or do not belong together.
    """
    metadata = metadata_from_dict(read_json(beside), beside)
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = reader(file)
            whole = os.fstat(file.fileno()).st_size == file.tell() + dtype.itemsize * int(np.prod(shape))
    except (OSError, ValueError) as error:
        raise FeatureError(f"{path} is not a feature file: {error}.") from error
    if dtype != np.dtype("<f4") or fortran or not whole or not shape or shape[0] != len(metadata.files):
        raise FeatureError(
            f"{path} does not match {beside.name}: it holds {shape} {dtype}, "
            f"and {len(metadata.files):,} files are listed.",
            hint="Compute the features again.",
        )
    return FeatureFile(metadata, tuple(shape[1:]), path, None)


def open_h5(path: Path, group: str = "") -> FeatureFile:
    """Open one split of an HDF5 feature file.

    Raises:
        FeatureError: It cannot be read, or holds no such features.
        WeightsError: It is not an HDF5 file.
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
                "skipped": [
                    json.loads(item) for item in _texts(place, "skipped" if has(place, "skipped") else "failed")
                ],
                "classes": _texts(place, "classes"),
                "files": _texts(place, "files"),
                "labels": numbers(place, "labels")[()].tolist() if has(place, "labels") else None,
                "crc32": numbers(place, "crc32")[()].tolist(),
                "sha256": [row.tobytes().hex() for row in numbers(place, "sha256")[()]],
            }
        except (KeyError, ValueError, RecursionError) as error:
            raise FeatureError(f"{path} is incomplete: {error}.") from error
        return FeatureFile(metadata_from_dict(content, path), tuple(features.shape[1:]), path, group)


def _texts(group: Any, name: str) -> list[str]:
    from tlkit.keras_files.hdf5.links import inside

    return [item.decode("utf-8", "surrogateescape") for item in inside(group, name)[()].tolist()]


def copy_rows(store: FeatureStore, rows: FeatureFile, digests_needed: Container[bytes]) -> None:
    """Copy the rows of images that are needed again from a finished file into a store of the same provenance."""
    digests = rows.metadata.digests
    chosen = [row for row, digest in enumerate(digests) if digest in digests_needed and digest not in store.rows]
    for numbers, block in rows.sound_blocks(np.array(chosen, np.int64)):
        store.append([digests[row] for row in numbers], [block])
