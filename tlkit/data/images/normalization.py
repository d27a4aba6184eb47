"""From RGB pixels to what a network was trained on.

Source: ``keras/src/applications/imagenet_utils.py``; ``lite`` from ``efficientnet_lite_builder.py``. Unlike
Keras's function on NumPy arrays, the input is never changed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# Means of the ImageNet training set, 0 to 255, in BGR order (caffe) and 0 to 1 in RGB order (torch).
_CAFFE_MEAN = np.array([103.939, 116.779, 123.68], np.float32)
_TORCH_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_TORCH_STD = np.array([0.229, 0.224, 0.225], np.float32)


def _caffe(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., ::-1] - _CAFFE_MEAN


def _tf(pixels: np.ndarray) -> np.ndarray:
    return pixels / np.float32(127.5) - np.float32(1)


def _torch(pixels: np.ndarray) -> np.ndarray:
    return (pixels / np.float32(255) - _TORCH_MEAN) / _TORCH_STD


def _lite(pixels: np.ndarray) -> np.ndarray:
    return (pixels - np.float32(127)) / np.float32(128)


def _unit(pixels: np.ndarray) -> np.ndarray:
    return pixels / np.float32(255)


def _none(pixels: np.ndarray) -> np.ndarray:
    return pixels


MODES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "caffe": _caffe,
    "tf": _tf,
    "torch": _torch,
    "lite": _lite,
    "unit": _unit,
    "none": _none,
}
"""What each mode does with float32 pixels. caffe: BGR, ImageNet mean taken off. tf: -1 to 1. torch: 0 to 1, then
ImageNet mean and deviation. lite: (x - 127) / 128. unit: 0 to 1. none: 0 to 255, for networks that rescale by
themselves."""


def preprocess(pixels: np.ndarray, mode: str) -> np.ndarray:
    """Scale pixels as ``mode`` asks.

    Args:
        pixels: ``(..., 3)`` RGB, uint8 or float, 0 to 255. Not changed.
        mode: A key of :data:`MODES`.

    Returns:
        A new float32 array of the same shape.
    """
    return MODES[mode](np.array(pixels, np.float32, copy=True)).astype(np.float32, copy=False)
