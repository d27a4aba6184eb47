"""Pixel normalization: what ``keras.applications.*.preprocess_input`` does, for each network.

Source: ``keras/src/applications/imagenet_utils.py`` (``_preprocess_numpy_input``), whose modes ``caffe``, ``tf`` and
``torch`` are these; ``lite`` from ``efficientnet_lite_builder.py`` of tensorflow/tpu (``MEAN_RGB`` 127, ``STDDEV_RGB``
128). Unlike Keras's function on NumPy arrays, the input is never modified.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# Means of the ImageNet training set: BGR, 0 to 255, from the Caffe release of VGG; RGB, 0 to 1, from torchvision.
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
"""Normalization of float32 RGB pixels, 0 to 255, by name. caffe: to BGR, minus the ImageNet mean. tf: -1 to 1. torch:
0 to 1, minus the ImageNet mean, divided by its standard deviation. lite: (x - 127) / 128. unit: 0 to 1. none:
unchanged, for networks that normalize inside the model."""


def as_scale(mode: str) -> tuple[list[float], list[float], bool]:
    """Return a mode as a scale and an offset for each of R, G and B, and whether the channels are reversed after them.

    Args:
        mode: A key of :data:`MODES`.
    """
    zero, one = (MODES[mode](np.full(3, value)) for value in (0.0, 1.0))
    reverse = mode == "caffe"
    order = slice(None, None, -1 if reverse else 1)
    return (one - zero)[order].tolist(), zero[order].tolist(), reverse


def preprocess(pixels: np.ndarray, mode: str) -> np.ndarray:
    """Normalize pixels.

    Args:
        pixels: ``(..., 3)`` RGB, uint8 or float, 0 to 255. Not modified.
        mode: A key of :data:`MODES`.

    Returns:
        A new float32 array of the same shape.
    """
    return MODES[mode](np.array(pixels, np.float32, copy=True)).astype(np.float32, copy=False)
