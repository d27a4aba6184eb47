"""The files of a folder of bottleneck features: one set of files per split."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from tlkit.features.io import FeatureBlocks, FeatureFile, open_h5, open_npy, write_h5, write_json, write_npy
from tlkit.features.parquet_files import open_dataset, part_path, write_dataset
from tlkit.utils.atomic_write import atomic_write

FORMATS = ("npy", "hdf5", "parquet")
HDF5 = "bottleneck_features.h5"
SPLITS = ("train", "validation", "test")


def _features(folder: Path, split: str) -> Path:
    return folder / f"bottleneck_features_{split}.npy"


def _labels(folder: Path, split: str) -> Path:
    return folder / f"bottleneck_labels_{split}.npy"


def _metadata(folder: Path, split: str) -> Path:
    return folder / f"bottleneck_{split}.json"


def open_splits(folder: Path, file_format: str | None = None) -> dict[str, FeatureFile]:
    """Open the finished splits in a folder; empty where there are none.

    Args:
        folder: Where `tlkit bottleneck` wrote.
        file_format: One of :data:`FORMATS`; None for whichever exists.

    Raises:
        FeatureError: They are damaged.
        WeightsError: The HDF5 file is not one.
        TlkitError: There is Parquet, and pyarrow is not installed.
    """
    opened_splits: dict[str, FeatureFile] = {}
    if file_format in (None, "hdf5") and (folder / HDF5).is_file():
        from tlkit.keras_files import open_file
        from tlkit.keras_files.hdf5.links import has

        with open_file(folder / HDF5) as opened:
            splits = [split for split in SPLITS if has(opened.root, split)]
        opened_splits = {split: open_h5(folder / HDF5, split) for split in splits}
    if file_format in (None, "parquet") and not opened_splits:
        opened_splits = open_dataset(folder)
    if file_format in (None, "npy") and not opened_splits:
        opened_splits = {
            split: open_npy(_features(folder, split), _metadata(folder, split))
            for split in SPLITS
            if _metadata(folder, split).is_file()
        }
    return opened_splits


def split_files(folder: Path, file_format: str, split: str) -> tuple[Path, ...]:
    """Return the paths that hold the features of a split."""
    if file_format == "hdf5":
        return (folder / HDF5,)
    if file_format == "parquet":
        return tuple(sorted(folder.glob(f"part-{split}-*.parquet"))) or (part_path(folder, split, 0),)
    return _features(folder, split), _labels(folder, split), _metadata(folder, split)


def write_splits(folder: Path, file_format: str, splits: Mapping[str, FeatureBlocks]) -> None:
    """Write the features of each split; every file is whole or absent, and the metadata comes last.

    Args:
        folder: Where.
        file_format: One of :data:`FORMATS`.
        splits: The features of each split.
    """
    if file_format == "hdf5":
        write_h5(folder / HDF5, splits)
        return
    if file_format == "parquet":
        write_dataset(folder, splits)
        return
    for split in SPLITS:  # no old metadata beside new features, nor a split that no longer exists
        with suppress(FileNotFoundError):
            _metadata(folder, split).unlink()
        if split not in splits:
            for path in (_features(folder, split), _labels(folder, split)):
                path.unlink(missing_ok=True)
    for split, features in splits.items():
        write_npy(_features(folder, split), features)
        with atomic_write(_labels(folder, split)) as part:
            np.save(part, np.asarray(features.metadata.labels, np.int64))
        write_json(_metadata(folder, split), features)
