"""Minimum, maximum and mean of a tensor, read in pieces."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import h5py
import numpy as np

from tlkit.keras_files.hdf5.filters import missing_filter
from tlkit.keras_files.hdf5.links import storage
from tlkit.keras_files.types import Stats
from tlkit.utils.text import pluralize

PIECE = 2**22
"""Values that are read at a time."""
MAX_CHUNK = 2**28
"""Bytes of one chunk; HDF5 unpacks a chunk as a whole."""
MAX_RATIO = 1100
"""Bytes that one stored byte can become; deflate cannot do more."""


def stats(dataset: h5py.Dataset) -> Stats:
    """Compute the statistics of a dataset of numbers, in bounded memory; of others, a note why not.

    Raises:
        OSError: A piece of the file cannot be read.
    """
    reason = _not_read_reason(dataset)
    if reason:
        return Stats(note=reason)
    smallest, largest, total, count = math.inf, -math.inf, 0.0, 0
    nan = infinite = zero = 0
    for piece in _pieces(dataset):
        values = piece.ravel()
        if values.dtype.kind == "f":
            values = values.astype(np.promote_types(values.dtype, np.float32), copy=False)
            missing = np.isnan(values)
            nan += int(missing.sum())
            values = values[~missing] if missing.any() else values
            infinite += int(np.isinf(values).sum())
        if values.size:
            smallest, largest = min(smallest, float(values.min())), max(largest, float(values.max()))
            zero += int(values.size - np.count_nonzero(values))
            finite = values[np.isfinite(values)] if infinite else values
            total, count = total + float(finite.sum(dtype=np.float64)), count + finite.size
    if math.isinf(smallest) and smallest > 0 and not infinite:
        return Stats(nan=nan, infinite=infinite, zero=zero)
    return Stats(smallest, largest, total / count if count else None, nan, infinite, zero)


def _not_read_reason(dataset: h5py.Dataset) -> str | None:
    """Return why a dataset is not read; None if it is."""
    if storage(dataset) in ("external", "virtual"):
        return f"not read: its values are outside the file ({storage(dataset)})"
    if dataset.shape is None or dataset.dtype.kind not in "fiu" or dataset.dtype.names:
        return "not numbers"
    stored, size = dataset.id.get_storage_size(), dataset.size * dataset.dtype.itemsize
    if dataset.size == 0:
        return "no values"
    if stored == 0:
        return f"nothing is stored: every value is {dataset.fillvalue}"
    if size > max(2**30, stored * MAX_RATIO):
        return f"not read: it declares {size:,} bytes and stores {stored:,}"
    missing = missing_filter(dataset)
    if missing:
        return f"not read: packed with the HDF5 filter {missing}, which is not installed"
    chunk = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
    if dataset.chunks and chunk > MAX_CHUNK:
        return f"not read: it is compressed in chunks of {pluralize(chunk, 'byte')}"
    return None


def _pieces(dataset: h5py.Dataset) -> Iterator[np.ndarray]:
    """Iterate over the values in slabs of at most :data:`PIECE` values, along chunks where there are some."""
    if not dataset.shape:
        yield np.asarray(dataset[()])
        return
    steps = list(dataset.chunks or (1,) * dataset.ndim)
    for axis in reversed(range(dataset.ndim)):
        room = PIECE // max(1, math.prod(steps))
        if room > 1:
            steps[axis] = min(dataset.shape[axis], steps[axis] * room)
    for starts in itertools.product(
        *(range(0, length, step) for length, step in zip(dataset.shape, steps, strict=True))
    ):
        yield dataset[tuple(slice(start, start + step) for start, step in zip(starts, steps, strict=True))]
