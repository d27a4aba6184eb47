"""Walk an HDF5 file without ever leaving it.

HDF5 lets a name stand for an object in another file (external link), a path to be looked up (soft link), values in a
raw file beside (external storage) or in other HDF5 files (virtual data set). h5py opens those files as soon as such a
name is touched, even with ``in`` and ``get``; this module looks at the link first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from tlkit.errors import WeightsError
from tlkit.text import printable


def encoded(name: str) -> bytes:
    """A name as the file has it; names that are not UTF-8 come back as they were."""
    return name.encode("utf-8", "surrogateescape")


def decoded(name: bytes) -> str:
    """A name of the file as text."""
    return name.decode("utf-8", "surrogateescape")


def has(group: h5py.Group, name: str) -> bool:
    """True when the group itself holds an object of that name (a hard link)."""
    links = group.id.links
    return links.exists(encoded(name)) and links.get_info(encoded(name)).type == h5py.h5l.TYPE_HARD


def names(group: h5py.Group) -> Iterator[str]:
    """The names in a group, links of every kind, in the file's order."""
    return map(decoded, group.id)


def inside(group: h5py.Group, path: str) -> Any:
    """The object at ``path``, reached over hard links only.

    Raises:
        WeightsError: There is no such object inside the file.
    """
    item: Any = group
    for part in path.split("/"):
        if not (part and isinstance(item, h5py.Group) and has(item, part)):
            raise WeightsError(f"{printable(group.file.filename)}: {_missing(item, part, path)}.")
        item = item[encoded(part)]
    return item


@dataclass(frozen=True)
class Link:
    """A name that is no object of this file.

    Attributes:
        kind: ``soft``, ``external`` or ``unknown``.
        target: The path it stands for; for an external link ``file:path``.
    """

    kind: str
    target: str


def link(group: h5py.Group, name: str) -> Link | None:
    """What a name that is not an object itself stands for; None for an object. Nothing is followed."""
    links, key = group.id.links, encoded(name)
    kind = links.get_info(key).type
    if kind == h5py.h5l.TYPE_HARD:
        return None
    if kind == h5py.h5l.TYPE_SOFT:
        return Link("soft", decoded(links.get_val(key)))
    if kind == h5py.h5l.TYPE_EXTERNAL:
        file, path = links.get_val(key)
        return Link("external", f"{decoded(file)}:{decoded(path)}")
    return Link("unknown", f"link of kind {kind}")


def _missing(item: Any, part: str, path: str) -> str:
    where = f"{printable(item.name).rstrip('/')}/{printable(part)}" if isinstance(item, h5py.Group) else printable(path)
    if part and isinstance(item, h5py.Group) and item.id.links.exists(encoded(part)):
        leads = link(item, part)
        if leads is not None:
            return f"{where} is a {leads.kind} link to {printable(leads.target)}, which is not followed"
    return f"{where} is not inside it"


def storage(dataset: h5py.Dataset) -> str:
    """``contiguous``, ``chunked``, ``compact``, ``external`` or ``virtual``."""
    properties = dataset.id.get_create_plist()
    if properties.get_external_count():
        return "external"
    layout = properties.get_layout()
    return {
        h5py.h5d.COMPACT: "compact",
        h5py.h5d.CONTIGUOUS: "contiguous",
        h5py.h5d.CHUNKED: "chunked",
        h5py.h5d.VIRTUAL: "virtual",
    }.get(layout, "unknown")


def numbers(group: h5py.Group, path: str) -> h5py.Dataset:
    """The data set of numbers at ``path``, not read.

    Raises:
        WeightsError: It is not inside the file, its values are not, or they are no numbers.
    """
    dataset = inside(group, path)
    if not isinstance(dataset, h5py.Dataset) or storage(dataset) in ("external", "virtual"):
        raise WeightsError(f"{printable(path)!r} keeps its values outside {printable(group.file.filename)}.")
    if dataset.dtype.kind not in "fiu" or dataset.shape is None:
        raise WeightsError(f"{printable(path)!r} in {printable(group.file.filename)} holds no numbers.")
    return dataset


def text(group: h5py.Group, attribute: str) -> str | None:
    """A text kept in an attribute; None when there is none, or when it is no text."""
    value = group.attrs.get(attribute)
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return decoded(value)
    return value if isinstance(value, str) else None


def text_list(group: h5py.Group, attribute: str) -> list[str]:
    """A list of names kept in an attribute; Keras splits long ones over ``attribute0``, ``attribute1``, …."""
    if attribute in group.attrs:
        chunks = [group.attrs[attribute]]
    else:
        chunks = []
        while f"{attribute}{len(chunks)}" in group.attrs:
            chunks.append(group.attrs[f"{attribute}{len(chunks)}"])
    return [
        decoded(name) if isinstance(name, bytes) else str(name) for chunk in chunks for name in np.atleast_1d(chunk)
    ]
