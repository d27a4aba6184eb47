"""The filters that values are packed with, and whether this machine has them."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path

import h5py

from tlkit.errors import WeightsError

_NAMES = {
    305: "lzo", 307: "bzip2", 32000: "lzf", 32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32013: "zfp",
    32015: "zstd", 32017: "sz", 32018: "fcidecomp", 32024: "sz3", 32026: "blosc2", 32028: "sperr", 4: "szip",
}  # fmt: skip
"""Filters that have a number at the HDF Group; HDF5 itself has deflate, shuffle, fletcher32, nbit and scaleoffset."""

INSTALL = "`pip install hdf5plugin`, or repack it where it was made: `h5repack -f GZIP=4 FILE NEW`."


def missing_filter(dataset: h5py.Dataset) -> str | None:
    """Return name and number of the first filter that a dataset is packed with and this machine lacks; None if none.

    Those of the package hdf5plugin are used where it is installed. No value is read.
    """
    properties = dataset.id.get_create_plist()
    for number in range(properties.get_nfilters()):
        code, _, _, stored_name = properties.get_filter(number)
        if not _available(code) and not _left_out(dataset, number):
            name = _NAMES.get(code) or stored_name.decode("utf-8", "replace")[:40] or "without a name"
            return f"{name} ({code})"
    return None


def _left_out(dataset: h5py.Dataset, number: int) -> bool:
    """Return True if the first chunk went without a filter, as one that is optional does where it saves nothing."""
    stored = dataset.id.get_num_chunks()
    return bool(stored and dataset.id.get_chunk_info(0).filter_mask >> number & 1)


@cache
def _available(code: int) -> bool:
    if not h5py.h5z.filter_avail(code):
        with suppress(ImportError):
            import hdf5plugin  # noqa: F401 - it registers its filters with HDF5
    return bool(h5py.h5z.filter_avail(code))


def require_filters(dataset: h5py.Dataset, path: Path) -> None:
    """Refuse a dataset that cannot be unpacked here.

    Args:
        dataset: The dataset.
        path: Its file, for messages.

    Raises:
        WeightsError: It is packed with a filter that is not installed.
    """
    missing = missing_filter(dataset)
    if missing:
        raise WeightsError(
            f"{path} cannot be read here: {dataset.name} is packed with the HDF5 filter {missing}, which is not "
            "installed. It is not damaged.",
            hint=INSTALL,
        )
