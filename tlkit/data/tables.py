"""Tables of labelled images: CSV, TSV, JSON Lines or Parquet, alone or beside a folder of images."""

from __future__ import annotations

import ast
import csv
import json
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tlkit.data.discovery import LeftOut, is_url, walk_files
from tlkit.data.labelled_files import NO_LABEL, ClassFiles, LabelledFiles
from tlkit.data.layout import TRAIN, split_of
from tlkit.data.modality import Modality
from tlkit.data.tar_members import find_member
from tlkit.errors import DataError, UsageError
from tlkit.utils.logging import logger
from tlkit.utils.text import did_you_mean, join_truncated, pluralize

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
"""Ends of names of tables."""
NAMES = ("labels", "annotations", "metadata", "train_labels", "train")
"""Names of a table beside its images, the likeliest first."""

_PATHS = (
    "path", "filepath", "imagepath", "file", "filename", "imagefile", "imagename", "image", "img", "imgpath", "url",
    "imageurl", "imageid", "id",
)  # fmt: skip
_LABELS = ("label", "labels", "class", "classname", "category", "target", "species", "breed", "tag", "tags", "y")
_SPLITS = ("split", "set", "subset", "partition")
_SHOWN = 10
_MORE = "more cells than columns"
"""Names the cells of a row that no column has."""
_SEPARATORS = ("|", ";", ",", " ")
"""What stands between the labels of an image, the least doubtful first."""


def find_table(data: str) -> Path | None:
    """Return the table that DATA is, or that stands beside the images of a folder; None where there is none."""
    path = Path(data)
    if path.is_file():
        return path if path.suffix.lower() in ENDINGS else None
    for name in NAMES:
        for ending in ENDINGS:
            if (path / f"{name}{ending}").is_file():
                return path / f"{name}{ending}"
    return None


def listed_images(table: Path) -> list[str]:
    """Return the images that the rows of a Parquet table name, in their order: paths below its folder, and URLs.

    A file that is not there is returned too, so that reading it fails with its name.

    Raises:
        DataError: It cannot be read, has no column of images, or a row without one.
    """
    parquet, errors = _parquet(table)
    try:
        names = parquet.read_schema(table).names
        column = names[0] if len(names) == 1 else _first(_known(names), _PATHS)
        if column is None:
            raise DataError(
                f"{table} has the columns {join_truncated(names)}, and none of them is known to hold images.",
                hint="Call one of them path.",
            )
        values = parquet.read_table(table, columns=[column])[column].to_pylist()
    except errors as error:
        raise DataError(f"{table} cannot be read: {error}.") from error
    paths = [_text(value) for value in values]
    if "" in paths:
        raise DataError(f"{table}, line {paths.index('') + 1}: it has no {column}.")
    return [path if is_url(path) else os.path.join(table.parent, path) for path in paths]


def scan_table(
    table: Path,
    modality: Modality,
    group: str | None = None,
    *,
    multi_label: bool = False,
    separator: str | None = None,
    known: Collection[str] = (),
) -> LabelledFiles:
    """Read the rows of a table and find their images; a row that is wrong is skipped by its line.

    Args:
        table: CSV, TSV, JSON Lines or Parquet with a column of images and one of labels, and perhaps of splits.
        modality: What the files are.
        group: Name of the column that tells which images belong together.
        multi_label: An image may have several labels, in one row or in several.
        separator: What stands between the labels of a row; None to find out. Lists need none.
        known: The labels that there should be, which help to find out; ``separator`` is but the likeliest then.

    Raises:
        DataError: It cannot be read, has no such columns, or no row of it can be used.
        UsageError: It has no column ``group``.
    """
    rows = list(_read(table))
    if not rows:
        raise DataError(f"{table} has no rows.")
    columns = _Columns.of(table, list(rows[0][1]), group)
    images = _Images(table.parent, modality)
    warnings: list[str] = []
    if separator is not None and not known and not any(separator in _text(row.get(columns.label)) for _, row in rows):
        warnings.append(f"--label-separator {separator!r} stands in no label of {table}.")
    if multi_label and (separator is None or known):
        separators = _SEPARATORS if separator is None else (separator, *_SEPARATORS)
        separator = _find_separator(table, [row.get(columns.label) for _, row in rows], separators, known)
    found: dict[str, dict[str, dict[str, None]]] = defaultdict(lambda: defaultdict(dict))
    groups: dict[str, str] = {}
    bad: list[tuple[str, str]] = []
    seen: dict[str, tuple[int, str]] = {}
    again: list[str] = []
    for line, row in rows:
        try:
            file, split, its_group = columns.values(row, images)
            labels = columns.labels(row, separator) if multi_label else [columns.one_label(row)]
            before, its_split = seen.setdefault(file, (line, split))
            if multi_label and split != its_split:
                raise ValueError(f"it puts {row[columns.path]} into {split}, and line {before} into {its_split}")
        except ValueError as reason:
            bad.append((f"{table}, line {line}", str(reason)))
            continue
        if before != line and not multi_label:
            again.append(f"line {line} names {row[columns.path]} again (line {before})")
            continue
        for label in labels:
            found[split][label][file] = None
        if its_group:
            groups[file] = its_group
    if not found:
        raise DataError(
            f"No row of {table} can be used: {bad[0][1]} ({bad[0][0].rpartition(', ')[2]}).",
            hint=f"Column {columns.path} holds paths below the folder of the table, or URLs.",
        )
    classes = sorted({label for labels in found.values() for label in labels})
    by_split: dict[str, ClassFiles] = {
        split: {name: list(found[split].get(name, ())) for name in classes}
        for split in ("train", "validation", "test")
        if split in found
    }
    if again:
        number = pluralize(len(again), "row")
        warnings.append(
            f"{number} of {table} not used, because the image stands above: {join_truncated(again, most=3)}."
        )
    joined = [name for name in classes if any(mark in name for mark in ("|;/" if multi_label else "|;"))]
    if joined:
        how = (
            "--label-separator sets what separates them" if multi_label else "only `tlkit finetune --multi-label` reads"
        )
        warnings.append(
            f"Labels of {table} such as {join_truncated(joined, most=3)} count as one class each: {how}"
            f"{'' if multi_label else ' several labels an image'}."
        )
    left_out = LeftOut(Counter(), bad)
    # a class that a held-out split lacks goes unmeasured there; train needs them all
    may_be_empty = {str(split): classes if split != TRAIN else [] for split in by_split}
    return LabelledFiles(str(table.parent), by_split, left_out, may_be_empty, warnings, groups, multi_label)


def _find_separator(
    table: Path, values: Sequence[Any], separators: Sequence[str], known: Collection[str]
) -> str | None:
    """Find what stands between the labels of an image; None where no image has two."""
    texts = {_text(value) for value in values if _as_list(value) is None} - {""}
    parts_of = {
        separator: {_label(part) for text in texts for part in text.split(separator)} - {""} for separator in separators
    }
    fitting = [separator for separator in separators if parts_of[separator] <= {*known}]
    for separator in fitting or separators:
        parts = parts_of[separator]
        # words of one label are not labels: those come back in other combinations
        if parts != texts and (separator != " " or len(parts) < len(texts) or separator in fitting):
            logger.info("%s separates the labels of an image by %r.", table, separator)
            return separator
    return None


def _as_list(value: Any) -> list[Any] | None:
    """Return a list, also one that was written as text: ``['cat', 'dog']``; None for anything else."""
    text = _text(value)
    if not isinstance(value, str) or not (text.startswith("[") and text.endswith("]")):
        return value if isinstance(value, list) else None
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _label(value: Any) -> str:
    return unicodedata.normalize("NFC", _text(value))


def _read(table: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the line and the values by column of each row."""
    try:
        if table.suffix.lower() == ".parquet":
            yield from _read_parquet(table)
            return
        with table.open(encoding="utf-8-sig", newline="") as file:
            if table.suffix.lower() in (".jsonl", ".ndjson"):
                yield from _read_json_lines(table, file)
            else:
                yield from _read_csv(table, file)
    except OSError as error:
        raise DataError(f"Cannot read the table {table}: {error.strerror or error}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} is no table that can be read: {error}.", hint="Save it as UTF-8 text.") from error


def _read_csv(table: Path, file: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    header = file.readline()
    if not header.strip():
        return
    file.seek(0)
    delimiter = "\t" if table.suffix.lower() == ".tsv" else max(",;\t", key=header.count)
    reader = csv.DictReader(file, delimiter=delimiter, restkey=_MORE, strict=True)
    names = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = names
    if len(names) < 2 or len({*names}) < len(names):
        raise DataError(
            f"{table} begins with {header.strip()[:100]!r}, not with the names of at least two columns.",
            hint="Its first line names the columns: path,label.",
        )
    first = next((name for name in names if is_url(name) or (table.parent / name).is_file()), None)
    if first is not None:
        raise DataError(
            f"{table} begins with the image {first}, not with the names of its columns.",
            hint="Its first line names the columns: path,label.",
        )
    for row in reader:
        if any(value for value in row.values()):
            yield reader.line_num, row


def _read_json_lines(table: Path, file: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line, text in enumerate(file, start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{table}, line {line}: no JSON ({error}).") from error
        if not isinstance(row, dict):
            raise DataError(f"{table}, line {line}: {type(row).__name__}, not an object of columns.")
        yield line, row


def _read_parquet(table: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    parquet, errors = _parquet(table)
    try:
        rows = parquet.read_table(table).to_pylist()
    except errors as error:
        raise DataError(f"{table} cannot be read: {error}.") from error
    yield from enumerate(rows, start=1)


def _parquet(table: Path) -> tuple[Any, tuple[type[Exception], ...]]:
    """Return the module that reads Parquet, and what it raises.

    Raises:
        DataError: It is not installed.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise DataError(
            f"{table} is Parquet, which pyarrow reads.", hint="pip install 'tlkit[parquet]', or save it as CSV."
        ) from error
    return parquet, (ArrowException, OSError)


@dataclass(frozen=True)
class _Columns:
    """Which columns of a table are what."""

    path: str
    label: str
    split: str | None
    group: str | None

    @classmethod
    def of(cls, table: Path, names: Sequence[str], group: str | None) -> _Columns:
        known = _known(names)
        path, label, split = (_first(known, words) for words in (_PATHS, _LABELS, _SPLITS))
        if (path is None or label is None) and len(names) == 2:
            path = path or next(name for name in names if name != label)
            label = label or next(name for name in names if name != path)
        if path is None or label is None or path == label:
            what = "images" if path is None else "labels"
            raise DataError(
                f"{table} has the columns {join_truncated(names)}, and none of them is known to hold {what}.",
                hint="Call one path and one label; split is optional.",
            )
        if group is not None and group not in names:
            raise UsageError(
                f"--group {group}: {table} has no such column.",
                hint=did_you_mean(group, names) or f"It has {join_truncated(names)}.",
            )
        return cls(path, label, split, group)

    def values(self, row: Mapping[str, Any], images: _Images) -> tuple[str, str, str]:
        """Return file, split and group of a row.

        Raises:
            ValueError: One of them is wrong; the message says how.
        """
        name, split = (_text(row.get(column)) if column else "" for column in (self.path, self.split))
        if not name:
            raise ValueError(f"it has no {self.path}")
        if any(row.get(_MORE, ())):
            raise ValueError(f"it has more cells than columns: {join_truncated(row[_MORE], most=3)}")
        found = split_of(split)[0] if split else TRAIN
        if found not in ("train", "validation", "test"):
            raise ValueError(f"{self.split} {split!r} is none of train, validation and test")
        group = _text(row.get(self.group)) if self.group else ""
        return images.find(name), found, group

    def one_label(self, row: Mapping[str, Any]) -> str:
        """Return the label of a row.

        Raises:
            ValueError: It has none, or several.
        """
        value = row.get(self.label)
        if isinstance(value, list):
            raise ValueError(f"{self.label} is a list; `tlkit finetune --multi-label` reads several labels an image")
        if not _text(value):
            raise ValueError(f"it has no {self.label}")
        return _label(value)

    def labels(self, row: Mapping[str, Any], separator: str | None) -> list[str]:
        """Return the labels of a row, :data:`NO_LABEL` for an empty list.

        Raises:
            ValueError: It does not say which; an image without labels has an empty list.
        """
        value = row.get(self.label)
        if (listed := _as_list(value)) is not None:
            if any(isinstance(each, list | dict) for each in listed):
                raise ValueError(f"{self.label} is a list of more than texts: {str(listed)[:80]}")
            return [_label(each) for each in listed if _text(each)] or [NO_LABEL]
        parts = _text(value).split(separator) if separator else [_text(value)]
        labels = [_label(part) for part in parts if _text(part)]
        if not labels:
            raise ValueError(f"it has no {self.label}")
        return labels


def _known(names: Sequence[str]) -> dict[str, str]:
    return {re.sub(r"[\s_-]", "", name).lower(): name for name in names}


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _first(known: Mapping[str, str], words: Collection[str]) -> str | None:
    return next((known[word] for word in words if word in known), None)


@dataclass
class _Images:
    """Finds the image that a row names.

    Attributes:
        root: The folder of the table.
        modality: What is searched for.
    """

    root: Path
    modality: Modality
    _by_name: dict[str, list[str]] = field(default_factory=dict)

    def find(self, name: str) -> str:
        """Return a path or URL.

        Raises:
            ValueError: There is no such file, or several.
        """
        if is_url(name):
            return name
        path = os.path.join(self.root, name)
        if os.path.isfile(path) or find_member(path):
            return path
        if not self._by_name:
            for file in walk_files(str(self.root), self.modality):
                for key in {os.path.basename(file), os.path.splitext(os.path.basename(file))[0]}:
                    self._by_name.setdefault(key, []).append(file)
        found = self._by_name.get(os.path.basename(name), [])
        if len(found) > 1:
            raise ValueError(f"{name} may be {join_truncated(found[:_SHOWN])}")
        if not found or os.path.isabs(name):
            raise ValueError(f"there is no file {name}")
        return found[0]
