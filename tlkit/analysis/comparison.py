"""Is one classifier better than another on the same images?"""

from __future__ import annotations

import numpy as np


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> float:
    """Return the p-value of the exact test of McNemar: how likely so large a difference is if both are equally good.

    Source: McNemar, Note on the sampling error of the difference between correlated proportions (1947).

    Args:
        right_a: ``(images,)`` bool, which images a classifier gets right.
        right_b: ``(images,)`` bool, which images the other one does.

    Returns:
        0 to 1, two-sided; 1 where both are right on the same images.
    """
    from scipy.stats import binomtest

    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    if not only_a + only_b:
        return 1.0
    return float(binomtest(only_a, only_a + only_b).pvalue)
