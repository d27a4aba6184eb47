"""Bring a picture to a network's input size."""

from __future__ import annotations

import numpy as np
from PIL import Image

RESIZE_MODES = ("squash", "crop")

CROP_FRACTION = 0.875
"""The side of the central part that published ImageNet evaluations look at."""


def resize(image: Image.Image, size: tuple[int, int], mode: str) -> np.ndarray:
    """Resize with Pillow's bilinear filter, which averages over what it shrinks.

    Args:
        image: Mode RGB.
        size: Height and width to reach.
        mode: ``squash`` takes the whole picture and changes its proportions; ``crop`` takes the largest centred
            part that has the proportions of ``size``, 87.5% of it a side.

    Returns:
        ``(height, width, 3)`` uint8, 0 to 255, RGB.
    """
    height, width = size
    box = None if mode == "squash" else _central(image.size, width / height)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box=box))


def _central(image_size: tuple[int, int], aspect: float) -> tuple[float, float, float, float]:
    """The centred box with proportions ``aspect`` (width over height), in pixels of the picture."""
    width, height = image_size
    crop_width = min(width, height * aspect) * CROP_FRACTION
    crop_height = crop_width / aspect
    left, top = (width - crop_width) / 2, (height - crop_height) / 2
    return left, top, left + crop_width, top + crop_height
