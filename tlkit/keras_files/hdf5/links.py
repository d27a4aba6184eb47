"""Walk an HDF5 file without ever leaving it.

In HDF5, a name can refer to an object in another file (external link), to a path (soft link), or to values in a raw
file (external storage) or in other HDF5 files (virtual dataset). h5py opens those files as soon as such a name is used,
even with ``in`` and ``get``; this module reads the link itself first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py

from tlkit.errors import WeightsError
from tlkit.keras_files.hdf5.filters import missing_filter
from tlkit.utils.text import truncate

MAX_FILES = 3
"""Files that hold the values of a dataset and are named."""


def encoded(name: str) -> bytes:
    """Encode a name as in the file; names that are not UTF-8 survive the round trip."""
    return name.encode("utf-8", "surrogateescape")


def decoded(name: bytes) -> str:
    """Decode a name of the file."""
    return name.decode("utf-8", "surrogateescape")


def has(group: h5py.Group, name: str) -> bool:
    """Return True if the group itself holds an object of that name (a hard link)."""
    return _is_hard(group.id, encoded(name))


def names(group: h5py.Group) -> Iterator[str]:
    """Iterate over the names in a group, links of every kind, in the file's order."""
    return map(decoded, group.id)


def inside(group: h5py.Group, path: str) -> Any:
    """Return the object at ``path``, reached over hard links only.

    Raises:
        WeightsError: There is no such object inside the file.
    """
    item: Any = group.id
    for part in path.split("/"):
        key = encoded(part)
        if not (part and isinstance(item, h5py.h5g.GroupID) and _is_hard(item, key)):
            found = h5py.Group(item) if isinstance(item, h5py.h5g.GroupID) else None
            raise WeightsError(f"{group.file.filename}: {truncate(_missing(found, part, path))}.")
        item = h5py.h5o.open(item, key)
    return as_object(item)


def _is_hard(group: Any, key: bytes) -> bool:
    return bool(group.links.exists(key) and group.links.get_info(key).type == h5py.h5l.TYPE_HARD)


def as_object(item: Any) -> Any:
    """Wrap a low-level identifier in h5py's class for it."""
    if isinstance(item, h5py.h5g.GroupID):
        return h5py.Group(item)
    return h5py.Dataset(item) if isinstance(item, h5py.h5d.DatasetID) else h5py.Datatype(item)


@dataclass(frozen=True)
class Link:
    """A name that refers to something else than an object of this file.

    Attributes:
        kind: ``soft``, ``external`` or ``unknown``.
        target: The path that it refers to; of an external link ``file:path``.
    """

    kind: str
    target: str


def link(group: h5py.Group, name: str) -> Link | None:
    """Return what a name refers to without following it; None if it is an object of this file."""
    links, key = group.id.links, encoded(name)
    kind = links.get_info(key).type
    if kind == h5py.h5l.TYPE_HARD:
        return None
    if kind == h5py.h5l.TYPE_SOFT:
        return Link("soft", truncate(decoded(links.get_val(key))))
    if kind == h5py.h5l.TYPE_EXTERNAL:
        file, path = links.get_val(key)
        return Link("external", f"{truncate(decoded(file))}:{truncate(decoded(path))}")
    return Link("unknown", f"link of kind {kind}")


def _missing(item: Any, part: str, path: str) -> str:
    where = f"{str(item.name).rstrip('/')}/{part}" if isinstance(item, h5py.Group) else str(path)
    if part and isinstance(item, h5py.Group) and item.id.links.exists(encoded(part)):
        target = link(item, part)
        if target is not None:
            return f"{where} is a link ({target.kind}) to {target.target}, which is not followed"
    return f"{where} is not inside it"


def storage(dataset: h5py.Dataset) -> str:
    """Return how values are stored: ``contiguous``, ``chunked``, ``compact``, ``external`` or ``virtual``."""
    return storage_of(dataset.id)


def storage_of(dataset: Any) -> str:
    """Do the same for a low-level identifier."""
    properties = dataset.get_create_plist()
    if properties.get_external_count():
        return "external"
    layout = properties.get_layout()
    return {
        h5py.h5d.COMPACT: "compact",
        h5py.h5d.CONTIGUOUS: "contiguous",
        h5py.h5d.CHUNKED: "chunked",
        h5py.h5d.VIRTUAL: "virtual",
    }.get(layout, "unknown")


def values_elsewhere(dataset: Any) -> str:
    """Return the files that hold the values of an external or virtual dataset (a low-level identifier).

    Nothing is opened. More than :data:`MAX_FILES` are counted.
    """
    properties = dataset.get_create_plist()
    count = properties.get_external_count() or properties.get_virtual_count()
    found: list[Any] = []
    for number in range(min(count, MAX_FILES)):
        if properties.get_external_count():
            found.append(properties.get_external(number)[0])
        else:
            found.append(properties.get_virtual_filename(number))
    names_found = dict.fromkeys(truncate(decoded(name) if isinstance(name, bytes) else name) for name in found)
    return ", ".join(names_found) + (f" and {count - MAX_FILES:,} more" if count > MAX_FILES else "")


def numbers(group: h5py.Group, path: str) -> h5py.Dataset:
    """Return the dataset of numbers at ``path``, unread.

    Raises:
        WeightsError: It is not inside the file, its values are not, or they are not numbers.
    """
    dataset = inside(group, path)
    if not isinstance(dataset, h5py.Dataset):
        raise WeightsError(f"{path!r} in {group.file.filename} is no dataset.")
    stored = storage(dataset)
    if stored in ("external", "virtual"):
        raise WeightsError(
            f"{path!r} has its values outside {group.file.filename}, in {values_elsewhere(dataset.id)}, "
            "which is not opened."
        )
    if dataset.dtype.kind not in "fiu" or dataset.shape is None:
        raise WeightsError(f"{path!r} in {group.file.filename} does not hold numbers.")
    if stored == "chunked":
        missing_filter(dataset)  # those of hdf5plugin register when they are needed
    return dataset
