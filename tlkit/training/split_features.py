"""Pooled features of every image of a data folder, cached."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from tlkit.errors import FeatureError
from tlkit.features.cache import FeatureCache
from tlkit.features.extractor import FeatureExtractor
from tlkit.training.split_data import SplitData


def split_features(
    images: SplitData,
    extractor: FeatureExtractor,
    *,
    batch_size: int | None = None,
    description: str = "features",
) -> dict[str, np.ndarray]:
    """Compute the features of each split, as far as they are not cached; images that cannot be read leave the splits.

    Args:
        images: The splits.
        extractor: Computes them; one output.
        batch_size: Images per batch; None for the engine's own number.
        description: What the progress bar names.

    Returns:
        ``(images, features)`` float32 by split, in the order of the files.

    Raises:
        DataError: No training image of a class can be read.
        FeatureError: The disk is full, or the weights are damaged.
    """
    found = {}
    with tempfile.TemporaryDirectory(prefix="tlkit-") as fallback, FeatureCache(Path(fallback)) as cache:
        for split in list(images.splits):
            while True:
                try:
                    with cache.open_for_writing(extractor.provenances) as stores:
                        result = extractor.compute_missing(
                            images.splits[split].files, stores, batch_size=batch_size,
                            description=f"{description} of {split}", digests=images.digests(split),
                        )  # fmt: skip
                    break
                except (FeatureError, OSError) as error:
                    cache.use_fallback(error)
            images.drop(split, result.failed, result.digests)
            (rows,) = stores[0].read_outputs(result.rows[0][:, 0])
            found[split] = rows.reshape(len(rows), -1)
    extractor.close()
    return found
