"""Where images show a class: for `predict --explain`, and for the errors on pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tlkit.analysis.calibration import of_two
from tlkit.analysis.occlusion import occlusion_map
from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import InputError
from tlkit.reporting.html import THUMBNAIL_SIDE
from tlkit.reporting.metrics import Evaluation
from tlkit.reporting.plots import draw_heat

_EXPLAINED = 6
"""Errors of a page that are explained: each takes the network more than a hundred times."""

Compute = Callable[[np.ndarray], np.ndarray]
"""Map ``(batch, height, width, channels)`` uint8 to ``(batch, classes)`` probabilities."""


def heat_map(compute: Compute, pixels: np.ndarray, label: int, *, multi_label: bool) -> np.ndarray:
    """Return where an image shows a class, ``(height, width)`` float32, 0 to 1.

    Args:
        compute: The classifier.
        pixels: ``(height, width, channels)`` uint8.
        label: The class.
        multi_label: Its probability is of the class by itself.
    """
    if multi_label:
        return occlusion_map(lambda images: of_two(compute(images)[:, label]), pixels, 1)
    return occlusion_map(compute, pixels, label)


def draw_errors(
    compute: Compute, preprocessor: Preprocessor, evaluation: Evaluation, files: Sequence[str]
) -> dict[int, bytes]:
    """Draw where the most confident errors show the class that was predicted.

    Args:
        compute: The classifier that made them.
        preprocessor: How a file becomes its input.
        evaluation: Its predictions.
        files: The evaluated files.

    Returns:
        PNG files by the position of the image, of those that can still be read.
    """
    drawn = {}
    for error in evaluation.most_confident_errors(_EXPLAINED):
        try:
            pixels = preprocessor.to_array(preprocessor.load(files[error.position]))
        except InputError:
            continue
        heat = heat_map(compute, pixels, error.explained, multi_label=evaluation.labels.ndim == 2)
        drawn[error.position] = draw_heat(pixels, heat, THUMBNAIL_SIDE)
    return drawn
