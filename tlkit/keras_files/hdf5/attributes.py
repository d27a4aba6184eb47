"""Read the attributes of groups and datasets; quickly, because a Keras file has one for every layer."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from tlkit.errors import WeightsError
from tlkit.keras_files.hdf5.links import decoded, encoded
from tlkit.keras_files.types import Attribute
from tlkit.utils.text import MAX_NAME, truncate

MAX_VALUE = 2**20
"""Bytes of an attribute that are read."""
MAX_ITEMS = 100_000


def text(group: Any, attribute: str) -> str | None:
    """Return an attribute that holds text; None if there is no such attribute, or if it is not text."""
    value = value_of(group, attribute)
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return decoded(value)
    return value if isinstance(value, str) else None


def text_list(group: Any, attribute: str) -> list[str]:
    """Return an attribute that holds a list of names; Keras splits long ones over ``attribute0``, ``attribute1``, …."""
    if h5py.h5a.exists(group.id, encoded(attribute)):
        chunks = [value_of(group, attribute)]
    else:
        chunks = []
        while h5py.h5a.exists(group.id, encoded(f"{attribute}{len(chunks)}")):
            chunks.append(value_of(group, f"{attribute}{len(chunks)}"))
    names = [name for chunk in chunks if chunk is not None for name in np.atleast_1d(chunk).ravel().tolist()]
    texts = [decoded(name) if isinstance(name, bytes) else str(name) for name in names]
    longest = max(texts, key=len, default="")
    if len(longest) > MAX_NAME:
        raise WeightsError(f"{attribute} in {group.file.filename} holds a name of {len(longest):,} characters.")
    return texts


def value_of(item: Any, name: str) -> Any:
    """Return the value of an attribute as h5py reads it; None if there is no such attribute."""
    key = encoded(name)
    return _read(h5py.h5a.open(item.id, key)) if h5py.h5a.exists(item.id, key) else None


def _read(handle: Any) -> Any:
    shape, dtype = handle.shape, handle.dtype
    if shape is None:
        return None
    if dtype.subdtype is not None:  # an array type is a shape of its own
        dtype, inner = dtype.subdtype
        shape = (*shape, *inner)
    values = np.zeros(shape, dtype)
    handle.read(values)
    return values if values.shape else values[()]


def attributes(item: Any) -> tuple[Attribute, ...]:
    """Return the attributes of an object, with a note in place of the value where one cannot be read.

    Args:
        item: An h5py object, or its low-level identifier.
    """
    item = getattr(item, "id", item) if isinstance(item, h5py.HLObject) else item
    found = []
    for number in range(h5py.h5a.get_num_attrs(item)):
        name = "?"
        try:
            handle = h5py.h5a.open(item, index=number)
            name = truncate(decoded(handle.name))
            shape, kind = handle.shape, type_name(handle.dtype)
            items = 0 if shape is None else int(np.prod(shape, dtype=object))
            size = handle.get_storage_size() if items else 0  # h5py takes a size of 0 for a failure
            if shape is None:
                found.append(Attribute(name, kind, (), None, "empty"))
            elif size > MAX_VALUE or items > MAX_ITEMS:
                found.append(Attribute(name, kind, shape, None, f"{size:,} bytes; not read"))
            else:
                value = _plain(_read(handle))
                length = _length(value)  # strings of any length are stored elsewhere, and only counted by their number
                note = f"{length:,} characters; not shown" if length > MAX_VALUE else None
                found.append(Attribute(name, kind, shape, None if note else value, note))
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:
            found.append(Attribute(name, "unreadable", (), None, truncate(str(error).strip().split("\n")[0])))
    return tuple(found)


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str) else sum(map(_length, value)) if isinstance(value, list) else 0


def type_name(dtype: np.dtype[Any]) -> str:
    """Return the name of a type: ``float32``, ``string``, ``a float32, b int8`` for a record."""
    if dtype.kind in "fiub":
        return dtype.name
    if dtype.kind == "S" or h5py.check_string_dtype(dtype) is not None:
        return "string"
    if dtype.names:
        return ", ".join(f"{name} {type_name(dtype[name])}" for name in dtype.names)
    special: Any = dtype.metadata or {}
    return "reference" if "ref" in special else "list" if "vlen" in special else str(dtype)


def _plain(value: Any) -> Any:
    """Convert the value of an attribute to what JSON has: text, number, list; anything else to words."""
    if isinstance(value, bytes | np.bytes_):
        return decoded(bytes(value))
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()] if value.dtype.kind in "OSU" else _numbers(value)
    if isinstance(value, np.generic):
        return _numbers(np.asarray(value))
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | bool) else str(value)


def _numbers(value: np.ndarray) -> Any:
    """Convert numbers to lists; JSON has no NaN and no infinity, so those become words."""
    if value.dtype.kind not in "fiub":
        return str(value)
    plain = value.dtype.kind != "f" or np.isfinite(value).all()
    return value.tolist() if plain else value.astype(str).tolist()
