"""Features as Parquet: a dataset of all splits that pyarrow, Ray, Spark, DuckDB and pandas open as it is.

A row is an image: ``file``, ``digest`` (SHA-256 of its bytes), ``label`` with its name ``class``, ``split``, ``crc32``
of the features, and ``features``, a list of fixed size, flattened in C order. What decides the numbers is in the
metadata of the schema, under ``tlkit``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.errors import FeatureError
from tlkit.features.io import FORMAT, FeatureBlocks, FeatureFile, FeatureMetadata, is_dense, metadata_from_dict
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.extras import needs
from tlkit.utils.rows import Rows, hold

KEY = b"tlkit"
_PART_BYTES = 2**28
"""Of the features in a file of a dataset."""
_GROUP_BYTES = 2**23
"""Of the features in a row group, which is what is read at a time."""


def check_pyarrow() -> None:
    """Check for pyarrow, before any work is done.

    Raises:
        TlkitError: It is not installed.
    """
    needs("parquet", "pyarrow", by="Parquet")


def part_path(folder: Path, split: str, number: int) -> Path:
    """Return the path of a file of a dataset, counted from 0."""
    return folder / f"part-{split}-{number:05d}.parquet"


def is_features(path: Path) -> bool:
    """Return True for a Parquet file with features by tlkit."""
    try:
        return _content(path) is not None
    except (OSError, ValueError):
        return False


def write_dataset(folder: Path, splits: Mapping[str, FeatureBlocks]) -> None:
    """Write the features of all splits, in files of 256 MB; those that were there before are removed first.

    Args:
        folder: Where.
        splits: The features of each split, of one provenance.
    """
    for path in sorted(folder.glob("*.parquet")):
        if is_features(path):
            path.unlink()
    parts = {
        name: max(1, math.ceil(len(each.metadata.files) / _rows_in(_PART_BYTES, each))) for name, each in splits.items()
    }
    content = _describe(splits, parts)
    for name, features in splits.items():
        rows = _Rows(features)
        for number in range(parts[name]):
            blocks = rows.take(_rows_in(_PART_BYTES, features))
            _write(part_path(folder, name, number), features, name, content, blocks)


def write_parquet(path: Path, features: FeatureBlocks) -> None:
    """Write features as one file."""
    blocks = _Rows(features).take(len(features.metadata.files))
    _write(path, features, None, _describe({"": features}, {"": 1}), blocks)


def _rows_in(size: int, features: FeatureBlocks) -> int:
    return max(1, size // (4 * math.prod(features.shape)))


def _describe(splits: Mapping[str, FeatureBlocks], parts: Mapping[str, int]) -> dict[str, Any]:
    first = next(iter(splits.values()))
    return {
        "format": FORMAT,
        "provenance": first.metadata.provenance.to_dict(),
        "notes": dict(first.metadata.notes),
        "classes": list(first.metadata.classes),
        "shape": list(first.shape),
        "splits": {
            name: {
                "parts": parts[name],
                "skipped": [{"input": file, "error": reason} for file, reason in features.metadata.skipped],
            }
            for name, features in splits.items()
        },
    }


class _Rows:
    """The rows of features, handed out in parts."""

    def __init__(self, features: FeatureBlocks) -> None:
        self._blocks, self._start = iter(features.blocks), 0
        self._rest = np.empty((0, *features.shape), np.float32)

    def take(self, count: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the next rows, ``count`` at most, as blocks: the number of the first, and ``(rows, *shape)``."""
        while count:
            block = self._rest if len(self._rest) else next(self._blocks, None)
            if block is None:
                return
            own, self._rest = block[:count], block[count:]
            yield self._start, own
            self._start += len(own)
            count -= len(own)


def _write(
    path: Path,
    features: FeatureBlocks,
    split: str | None,
    content: Mapping[str, Any],
    blocks: Iterable[tuple[int, np.ndarray]],
) -> None:
    import pyarrow
    from pyarrow import parquet

    length = math.prod(features.shape)
    schema = pyarrow.schema(
        [
            ("file", pyarrow.string()), ("digest", pyarrow.string()), ("label", pyarrow.int64()),
            ("class", pyarrow.string()), ("split", pyarrow.string()), ("crc32", pyarrow.uint32()),
            ("features", pyarrow.list_(pyarrow.float32(), length)),
        ],
        {KEY: json.dumps(content)},
    )  # fmt: skip
    with (
        atomic_write(path) as part,
        # floats neither compress nor repeat
        parquet.ParquetWriter(
            part, schema, compression="none", use_dictionary=["class", "split"],
            write_statistics=["label", "class", "split"],
        ) as writer,
    ):  # fmt: skip
        for start, block in blocks:
            for first in range(0, len(block), _rows_in(_GROUP_BYTES, features)):
                rows = block[first : first + _rows_in(_GROUP_BYTES, features)]
                writer.write_table(_table(schema, features.metadata, split, start + first, rows))


def _table(schema: Any, metadata: FeatureMetadata, split: str | None, start: int, rows: np.ndarray) -> Any:
    import pyarrow

    own = slice(start, start + len(rows))
    labels = None if metadata.labels is None else metadata.labels[own].tolist()
    nothing = [None] * len(rows)
    flat = pyarrow.array(np.ascontiguousarray(rows, "<f4").reshape(-1))
    columns = {
        "file": [_text(name) for name in metadata.files[own]],
        "digest": [digest.hex() for digest in metadata.digests[own]],
        "label": labels or nothing,
        "class": nothing if labels is None else [_text(metadata.classes[label]) for label in labels],
        "split": [split] * len(rows),
        "crc32": metadata.checks[own],
    }  # fmt: skip
    arrays = [pyarrow.array(columns[name], schema.field(name).type) for name in columns]
    features = pyarrow.FixedSizeListArray.from_arrays(flat, schema.field("features").type.list_size)
    return pyarrow.Table.from_arrays([*arrays, features], schema=schema)


def _text(name: str) -> str:
    """Return a name as text; bytes of it that are none are escaped."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def open_dataset(folder: Path) -> dict[str, FeatureFile]:
    """Open the splits of a dataset; empty where there is none, or not all of it, as after an interruption.

    Raises:
        FeatureError: A file is damaged.
        TlkitError: pyarrow is not installed.
    """
    first = next((path for path in sorted(folder.glob("part-*.parquet"))), None)
    if first is None:
        return {}
    check_pyarrow()
    content = _content(first) or {}
    paths = {
        name: [part_path(folder, name, number) for number in range(split["parts"])]
        for name, split in content.get("splits", {}).items()
    }
    if not all(path.is_file() and _content(path) == content for parts in paths.values() for path in parts):
        return {}
    return {name: _open(parts, content, name) for name, parts in paths.items()}


def open_parquet(path: Path) -> FeatureFile:
    """Open a file that :func:`write_parquet` wrote.

    Raises:
        FeatureError: It is none, or damaged.
        TlkitError: pyarrow is not installed.
    """
    check_pyarrow()
    content = _content(path)
    if content is None or [*content["splits"]] != [""]:
        raise FeatureError(f"{path} holds no features by tlkit.")
    return _open([path], content, "")


def _content(path: Path) -> Any:
    """Return the metadata of a file; None where it is not tlkit's, or no Parquet at all."""
    from pyarrow import ArrowException, parquet

    try:
        text = (parquet.read_schema(path).metadata or {}).get(KEY)
        return None if text is None else json.loads(text)
    except (ArrowException, ValueError):
        return None


def _open(paths: Sequence[Path], content: Any, split: str) -> FeatureFile:
    from pyarrow import ArrowException, concat_tables, parquet

    try:
        files = [parquet.ParquetFile(path) for path in paths]
        table = concat_tables(file.read(["file", "digest", "label", "crc32"]) for file in files)
        labels = table["label"].to_pylist()
        metadata = metadata_from_dict(
            {
                **content,
                "shape": [len(labels), *content["shape"]],
                "files": table["file"].to_pylist(),
                "labels": None if None in labels else labels,
                "sha256": table["digest"].to_pylist(),
                "crc32": table["crc32"].to_pylist(),
                "skipped": content["splits"][split]["skipped"],
            },
            paths[0],
        )
        return _ParquetFeatures(metadata, tuple(content["shape"]), paths[0], files)
    except (ArrowException, OSError, KeyError, TypeError) as error:
        raise FeatureError(f"{paths[0]} cannot be read: {error}.") from error


class _ParquetFeatures(FeatureFile):
    """Features in Parquet. Rows in their order are read as they are; in any other, all of them are copied first."""

    def __init__(self, metadata: FeatureMetadata, shape: tuple[int, ...], path: Path, files: Sequence[Any]) -> None:
        super().__init__(metadata, shape, path, None)
        self._files = files
        self._groups = [(file, group) for file in files for group in range(file.num_row_groups)]
        counts = [file.metadata.row_group(group).num_rows for file, group in self._groups]
        self._starts = np.cumsum([0, *counts])
        self._copy: Rows | None = None
        self._last: tuple[int, np.ndarray] | None = None

    def _read(self, rows: np.ndarray) -> np.ndarray:
        from pyarrow import ArrowException

        try:
            if self._copy is None and is_dense(rows):
                found: np.ndarray = self._in_order(int(rows[0]), int(rows[-1]) + 1)[rows - rows[0]]
                return found
            if self._copy is None:
                groups = map(self._row_group, range(len(self._groups)))
                self._copy = hold(groups, (int(self._starts[-1]), *self.shape))
            return np.asarray(self._copy[rows])
        except (ArrowException, OSError, ValueError) as error:
            raise FeatureError(f"{self._path} cannot be read: {error}.") from error

    def _in_order(self, start: int, stop: int) -> np.ndarray:
        found = np.empty((stop - start, *self.shape), np.float32)
        while start < stop:
            number = int(np.searchsorted(self._starts, start, "right")) - 1
            first = int(self._starts[number])
            if self._last is None or self._last[0] != number:
                self._last = number, self._row_group(number)
            own = self._last[1][start - first : stop - first]
            found[len(found) - (stop - start) :][: len(own)] = own
            start += len(own)
        return found

    def _row_group(self, number: int) -> np.ndarray:
        file, group = self._groups[number]
        values = file.read_row_group(group, ["features"])["features"].combine_chunks().flatten()
        return np.asarray(values.to_numpy(), np.float32).reshape(-1, *self.shape)
