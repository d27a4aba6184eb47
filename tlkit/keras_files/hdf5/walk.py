"""List everything in an HDF5 file: groups, datasets, links, attributes. No values are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py

from tlkit.keras_files.hdf5.attributes import attributes, type_name
from tlkit.keras_files.hdf5.links import decoded, link, storage_of, values_elsewhere
from tlkit.keras_files.types import Node
from tlkit.utils.text import truncate

MAX_DEPTH = 256
"""Groups inside groups that are entered."""
MAX_OBJECTS = 500_000
"""Objects that are listed."""


def walk(root: h5py.File) -> Iterator[Node]:
    """Iterate over every name in a file, parents before children, in the file's order; links are not followed.

    It ends on every file: an object with two links is entered once, and depth and number have limits, reported by a
    last node of kind ``unreadable``.
    """
    yield Node("/", "group", attributes=attributes(root))
    seen = {_identity(root.id): "/"}
    count = 1
    stack: list[tuple[Any, str, Iterator[bytes]]] = [(root.id, "", _names(root.id))]
    while stack:
        group, prefix, remaining = stack[-1]
        name = next(remaining, None)
        if name is None:
            stack.pop()
            continue
        count += 1
        path = f"{prefix}/{truncate(decoded(name))}"
        if count > MAX_OBJECTS:
            yield Node(path, "unreadable", f"more than {MAX_OBJECTS:,} objects; the rest is not listed")
            return
        try:
            node, child = _describe(group, name, path, seen)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            yield Node(path, "unreadable", truncate(str(error).strip().split("\n")[0]))
            continue
        yield node
        if child is not None:
            if len(stack) >= MAX_DEPTH:
                yield Node(f"{path}/…", "unreadable", f"deeper than {MAX_DEPTH} groups; not entered")
            else:
                stack.append((child, path, _names(child)))


def _names(group: Any) -> Iterator[bytes]:
    try:
        yield from group
    except (OSError, RuntimeError, ValueError):
        return


def _describe(group: Any, key: bytes, path: str, seen: dict[Any, str]) -> tuple[Node, Any]:
    """Return one name of a group, and the group to enter for it."""
    if group.links.get_info(key).type != h5py.h5l.TYPE_HARD:
        target = link(h5py.Group(group), decoded(key))
        assert target is not None
        return Node(path, f"{target.kind} link", target.target), None
    item = h5py.h5o.open(group, key)
    info = h5py.h5o.get_info(item)
    identity = info.fileno, info.addr
    if identity in seen:
        return Node(path, "hard link", seen[identity]), None
    if isinstance(item, h5py.h5g.GroupID):
        seen[identity] = path
        return Node(path, "group", attributes=attributes(item)), item
    if info.rc > 1:
        seen[identity] = path
    if isinstance(item, h5py.h5d.DatasetID):
        kind, shape, stored = type_name(item.dtype), item.shape, item.get_storage_size()
        stored_as = storage_of(item)
        files = values_elsewhere(item) if stored_as in ("external", "virtual") else None
        return Node(path, "dataset", files, shape, kind, stored_as, stored, attributes(item)), None
    return Node(path, "datatype"), None


def _identity(item: Any) -> Any:
    info = h5py.h5o.get_info(item)
    return info.fileno, info.addr
