"""Everything that is in an HDF5 file, as a flat list: groups, data sets, links, attributes. No values are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

from tlkit.h5.links import decoded, link, storage

MAX_DEPTH = 256
"""Groups inside groups that are entered."""
MAX_OBJECTS = 500_000
"""Objects that are listed."""
MAX_VALUE = 2**20
"""Bytes of an attribute that are read."""
MAX_ITEMS = 100_000


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute.

    Attributes:
        name: Its name.
        dtype: Its type.
        shape: Its shape; ``()`` for a single value.
        value: As JSON has it; None when it was not read, and ``note`` says why.
        note: Why there is no value.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    value: Any = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One name in the file.

    Attributes:
        path: From the root.
        kind: ``group``, ``dataset``, ``datatype``, ``soft link``, ``external link``, ``hard link`` (to an object
            that is listed already), or ``unreadable``.
        target: What a link stands for.
        shape: Of a data set; None where it has none.
        dtype: Of a data set.
        storage: ``contiguous``, ``chunked``, ``compact``, ``external``, ``virtual``.
        stored: Bytes that a data set takes in the file.
        attributes: Those of the object.
    """

    path: str
    kind: str
    target: str | None = None
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    storage: str | None = None
    stored: int | None = None
    attributes: tuple[Attribute, ...] = field(default=())


def walk(root: h5py.File) -> Iterator[Node]:
    """Every name in a file, parents before children, in the file's order; links are listed and never followed.

    Ends on every file: an object that is linked to twice is entered once, and depth and number have limits, told by a
    last node of kind ``unreadable``.
    """
    yield Node("/", "group", attributes=attributes(root))
    seen = {_address(root.id): "/"}
    count = 1
    stack: list[tuple[h5py.Group, str, Iterator[str]]] = [(root, "", _names(root))]
    while stack:
        group, prefix, remaining = stack[-1]
        name = next(remaining, None)
        if name is None:
            stack.pop()
            continue
        count += 1
        path = f"{prefix}/{name}"
        if count > MAX_OBJECTS:
            yield Node(path, "unreadable", f"more than {MAX_OBJECTS:,} objects; the rest is not listed")
            return
        try:
            node, child = _look(group, name, path, seen)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            yield Node(path, "unreadable", str(error).strip().split("\n")[0])
            continue
        yield node
        if child is not None:
            if len(stack) >= MAX_DEPTH:
                yield Node(f"{path}/…", "unreadable", f"deeper than {MAX_DEPTH} groups; not entered")
            else:
                stack.append((child, path, _names(child)))


def _names(group: h5py.Group) -> Iterator[str]:
    try:
        yield from map(decoded, group.id)
    except (OSError, RuntimeError, ValueError):
        return


def _look(group: h5py.Group, name: str, path: str, seen: dict[Any, str]) -> tuple[Node, h5py.Group | None]:
    leads = link(group, name)
    if leads is not None:
        return Node(path, f"{leads.kind} link", leads.target), None
    item = h5py.h5o.open(group.id, name.encode("utf-8", "surrogateescape"))
    address = _address(item)
    if address in seen:
        return Node(path, "hard link", seen[address]), None
    if h5py.h5o.get_info(item).rc > 1 or isinstance(item, h5py.h5g.GroupID):
        seen[address] = path
    if isinstance(item, h5py.h5g.GroupID):
        child = h5py.Group(item)
        return Node(path, "group", attributes=attributes(child)), child
    if isinstance(item, h5py.h5d.DatasetID):
        dataset = h5py.Dataset(item)
        return (
            Node(
                path, "dataset", None, dataset.shape, type_name(item.dtype), storage(dataset), item.get_storage_size(),
                attributes(dataset),
            ),
            None,
        )  # fmt: skip
    return Node(path, "datatype"), None


def _address(item: Any) -> Any:
    info = h5py.h5o.get_info(item)
    return info.fileno, info.addr


def type_name(dtype: np.dtype[Any]) -> str:
    """``float32``, ``string``, ``float32, int8`` for a record."""
    if h5py.check_string_dtype(dtype) is not None:
        return "string"
    if dtype.names:
        return ", ".join(f"{name} {type_name(dtype[name])}" for name in dtype.names)
    special: Any = dtype.metadata or {}
    return "reference" if "ref" in special else "list" if "vlen" in special else str(dtype)


def attributes(item: Any) -> tuple[Attribute, ...]:
    """The attributes of an object; those that cannot be read say why."""
    if not h5py.h5a.get_num_attrs(item.id):
        return ()
    found = []
    for number in range(h5py.h5a.get_num_attrs(item.id)):
        name = "?"
        try:
            handle = h5py.h5a.open(item.id, index=number)
            name = decoded(handle.name)
            shape, kind = handle.shape, type_name(handle.dtype)
            size = handle.get_storage_size()
            if shape is None:
                found.append(Attribute(name, kind, (), None, "empty"))
            elif size > MAX_VALUE or int(np.prod(shape, dtype=object)) > MAX_ITEMS:
                found.append(Attribute(name, kind, shape, None, f"{size:,} bytes; not read"))
            else:
                found.append(Attribute(name, kind, shape, _plain(item.attrs[name])))
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, UnicodeError) as error:
            found.append(Attribute(name, "unreadable", (), None, str(error).strip().split("\n")[0]))
    return tuple(found)


def _plain(value: Any) -> Any:
    """An attribute's value as JSON knows it: text, number, list; anything else in words."""
    if isinstance(value, bytes | np.bytes_):
        return decoded(bytes(value))
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()] if value.dtype.kind in "OSU" else _numbers(value)
    if isinstance(value, np.generic):
        return _numbers(np.asarray(value))
    return value if isinstance(value, str | int | bool) else str(value)


def _numbers(value: np.ndarray) -> Any:
    if (value.dtype.kind == "f" and not np.isfinite(value).all()) or value.dtype.kind not in "fiub":
        return value.astype(str).tolist() if value.dtype.kind in "fiub" else str(value)
    return value.tolist()
