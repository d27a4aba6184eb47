"""Resize an image to the input size of a network."""

from __future__ import annotations

import numpy as np
from PIL import Image

RESIZE_MODES = ("squash", "crop")

CROP_FRACTION = 0.875
"""Side of the central crop, as a fraction: 224 of 256, as published ImageNet accuracies are evaluated."""


def resize(image: Image.Image, size: tuple[int, int], mode: str) -> np.ndarray:
    """Resize with Pillow's bilinear filter, which is antialiased when it reduces.

    Args:
        image: Mode RGB or L.
        size: Target height and width.
        mode: ``squash``: the whole image, its aspect ratio changed. ``crop``: the central 87.5% (a side) of the
            largest centred box with the aspect ratio of ``size``.

    Returns:
        ``(height, width, 3)`` uint8, 0 to 255, RGB; ``(height, width)`` for mode L.
    """
    height, width = size
    box = None if mode == "squash" else _central_box(image.size, width / height)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box=box))


def _central_box(image_size: tuple[int, int], aspect: float) -> tuple[float, float, float, float]:
    """Return the centred box with aspect ratio ``aspect`` (width / height), in pixels of the image."""
    width, height = image_size
    crop_width = min(width, height * aspect) * CROP_FRACTION
    crop_height = crop_width / aspect
    left, top = (width - crop_width) / 2, (height - crop_height) / 2
    return left, top, left + crop_width, top + crop_height
