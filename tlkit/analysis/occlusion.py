"""Why a class? Cover parts of an image, and see what its probability loses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_WINDOWS = ((0.2, 0.1), (0.35, 0.13))
"""Side of the covered squares and distance between them, as shares of the image's."""
_BLUR = 0.015
"""Width of the Gaussian that takes the edges of squares away, as a share of the image's side."""
_LEAST = 1e-7


def occlusion_map(
    probabilities: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray, label: int, *, batch: int = 32
) -> np.ndarray:
    """Return how much each part of an image speaks for a class: what its log-odds lose when squares are covered.

    It takes the network as it is: any layers, any layout, no gradients. Source: Zeiler and Fergus, Visualizing and
    Understanding Convolutional Networks (2014), with two sizes of squares that overlap.

    Args:
        probabilities: Map ``(batch, height, width, channels)`` uint8 to ``(batch, classes)`` probabilities.
        pixels: ``(height, width, channels)`` uint8.
        label: The class.
        batch: Images to compute at once.

    Returns:
        ``(height, width)`` float32: 0 where covering changes nothing or helps the class, 1 where it costs most.
    """
    from scipy.ndimage import gaussian_filter

    height, width, _ = pixels.shape
    squares = [
        (round(top * height), round((top + side) * height), round(left * width), round((left + side) * width))
        for side, step in _WINDOWS
        for top in _begins(side, step)
        for left in _begins(side, step)
    ]
    colour = pixels.mean(axis=(0, 1)).astype(np.uint8)  # of the image, so that covering adds no colour of its own
    losses = []
    whole = _log_odds(probabilities(pixels[np.newaxis]), label)[0]
    for start in range(0, len(squares), batch):
        covered = np.repeat(pixels[np.newaxis], len(squares[start : start + batch]), axis=0)
        for image, (top, bottom, left, right) in zip(covered, squares[start : start + batch], strict=True):
            image[top:bottom, left:right] = colour
        losses.append(whole - _log_odds(probabilities(covered), label))
    total, count = np.zeros((2, height, width), np.float32)
    for loss, (top, bottom, left, right) in zip(np.concatenate(losses), squares, strict=True):
        weight = 1 / ((bottom - top) * (right - left))  # a small square says more about where
        total[top:bottom, left:right] += loss * weight
        count[top:bottom, left:right] += weight
    heat = np.maximum(gaussian_filter(total / count, (_BLUR * height, _BLUR * width), mode="nearest"), 0)
    return np.asarray(heat / (heat.max() or 1.0))


def _begins(side: float, step: float) -> np.ndarray:
    return np.linspace(0, 1 - side, round((1 - side) / step) + 1)


def _log_odds(probabilities: np.ndarray, label: int) -> np.ndarray:
    of_class = probabilities[:, label].astype(np.float64)
    others = np.delete(probabilities, label, axis=1).astype(np.float64).sum(axis=1)
    return np.asarray(np.log(np.maximum(of_class, _LEAST)) - np.log(np.maximum(others, _LEAST)))
