"""The files of a folder of bottleneck features: one set a split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from tlkit.features.io import FeatureFile, FeatureMetadata, open_h5, open_npy, write_h5, write_json, write_npy
from tlkit.utils.atomic_write import atomic_write

FORMATS = ("npy", "hdf5")
HDF5 = "bottleneck_features.h5"
SPLITS = ("train", "validation", "test")


def _features(folder: Path, split: str) -> Path:
    return folder / f"bottleneck_features_{split}.npy"


def _labels(folder: Path, split: str) -> Path:
    return folder / f"bottleneck_labels_{split}.npy"


def _facts(folder: Path, split: str) -> Path:
    return folder / f"bottleneck_{split}.json"


def existing_sets(folder: Path, kind: str | None = None) -> dict[str, FeatureFile]:
    """The finished sets of a folder, by split; empty where there are none.

    Args:
        folder: Where `tlkit bottleneck` wrote.
        kind: One of :data:`FORMATS`; None for whichever is there.

    Raises:
        FeatureError: They are damaged.
        WeightsError: The HDF5 file is none.
    """
    found: dict[str, FeatureFile] = {}
    if kind in (None, "hdf5") and (folder / HDF5).is_file():
        from tlkit.keras_files import open_file
        from tlkit.keras_files.hdf5.links import has

        with open_file(folder / HDF5) as opened:
            splits = [split for split in SPLITS if has(opened.root, split)]
        found = {split: open_h5(folder / HDF5, split) for split in splits}
    if kind in (None, "npy") and not found:
        found = {
            split: open_npy(_features(folder, split), _facts(folder, split))
            for split in SPLITS
            if _facts(folder, split).is_file()
        }
    return found


def undescribed(folder: Path) -> list[Path]:
    """The names that NumPy files of features would have in a folder, of splits that nothing describes."""
    return [
        path
        for split in SPLITS
        if not _facts(folder, split).is_file()
        for path in (_features(folder, split), _labels(folder, split))
    ]


def write_sets(
    folder: Path,
    kind: str,
    sets: Mapping[str, tuple[Iterable[np.ndarray], Sequence[int], FeatureMetadata]],
    *,
    names: Iterable[str],
) -> dict[str, tuple[Path, ...]]:
    """Write sets of features, each file whole or absent; the file that says what they are comes last.

    Args:
        folder: Where.
        kind: One of :data:`FORMATS`.
        sets: For each split the rows in blocks, the shape of one, and what belongs to them; empty to write nothing.
        names: The splits whose files are told.

    Returns:
        The files of each split.
    """
    if kind == "hdf5":
        if sets:
            write_h5(folder / HDF5, [(split, *rest) for split, rest in sets.items()])
        return dict.fromkeys(names, (folder / HDF5,))
    if sets:
        for split in SPLITS:  # no old description beside new features, nor a split that is no more
            with suppress(FileNotFoundError):
                _facts(folder, split).unlink()
            if split not in sets:
                for path in (_features(folder, split), _labels(folder, split)):
                    path.unlink(missing_ok=True)
    for split, (blocks, shape, facts) in sets.items():
        write_npy(_features(folder, split), blocks, len(facts.files), shape)
        with atomic_write(_labels(folder, split)) as part:
            np.save(part, np.asarray(facts.labels, np.int64))
        write_json(_facts(folder, split), facts, shape)
    return {split: (_features(folder, split), _labels(folder, split), _facts(folder, split)) for split in names}
