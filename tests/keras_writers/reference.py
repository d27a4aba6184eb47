"""The output of a network, computed in float64 by SciPy alone: no Keras, so that no mistake of Keras's is shared."""

from __future__ import annotations

import numpy as np
from scipy.signal import correlate

from keras_writers.dialects import Layer, Network, pair, same_padding


def forward(network: Network, pixels: np.ndarray) -> np.ndarray:
    """The network's output for one ``(H, W, C)`` image."""
    values = np.asarray(pixels, dtype="float64")
    for layer in network:
        values = _STEPS[layer.kind](layer, values)
    return values


def _same(layer: Layer, values: np.ndarray) -> np.ndarray:
    return values


def _pad(layer: Layer, values: np.ndarray) -> np.ndarray:
    return np.pad(values, (*layer.config["padding"], (0, 0)))


def _border(layer: Layer, values: np.ndarray, window: tuple, strides: tuple, fill: float = 0.0) -> np.ndarray:
    if layer.config.get("padding", "valid") == "valid":
        return values
    sizes = [same_padding(*axis) for axis in zip(values.shape[:2], window, strides, strict=True)]
    return np.pad(values, (*sizes, (0, 0)), constant_values=fill)


def _convolve(layer: Layer, values: np.ndarray) -> np.ndarray:
    kernel = layer.weights["kernel"].astype("float64")
    strides = pair(layer.config.get("strides", 1))
    values = _border(layer, values, kernel.shape[:2], strides)
    if layer.kind == "DepthwiseConv2D":
        # Channel by channel: `depth_multiplier` results of the first, then those of the second …
        groups, filters = kernel.shape[2], kernel.shape[3]
        pieces = [kernel[:, :, group : group + 1] for group in range(groups)]
    else:
        groups = layer.config.get("groups", 1)
        filters = kernel.shape[3] // groups
        pieces = np.split(kernel, groups, axis=3)
    maps = [
        correlate(part, piece[..., index], mode="valid", method="direct")[:: strides[0], :: strides[1]]
        for part, piece in zip(np.split(values, groups, axis=2), pieces, strict=True)
        for index in range(filters)
    ]
    return _activate(layer, np.concatenate(maps, axis=2) + layer.weights.get("bias", 0.0))


def _normalize(layer: Layer, values: np.ndarray) -> np.ndarray:
    gamma, beta, mean, variance = (
        layer.weights[name].astype("float64") for name in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    return gamma * (values - mean) / np.sqrt(variance + layer.config["epsilon"]) + beta


def _pool(layer: Layer, values: np.ndarray) -> np.ndarray:
    window = pair(layer.config["pool_size"])
    strides = pair(layer.config.get("strides") or window)
    values = _border(layer, values, window, strides, fill=-np.inf)
    views = np.lib.stride_tricks.sliding_window_view(values, window, axis=(0, 1))
    return views[:: strides[0], :: strides[1]].max(axis=(-2, -1))


def _dense(layer: Layer, values: np.ndarray) -> np.ndarray:
    return _activate(layer, values @ layer.weights["kernel"].astype("float64") + layer.weights.get("bias", 0.0))


def _activate(layer: Layer, values: np.ndarray) -> np.ndarray:
    name = layer.config.get("activation", "linear")
    if name == "relu":
        return np.maximum(values, 0)
    if name == "softmax":
        powers = np.exp(values - values.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)
    assert name == "linear", name
    return values


_STEPS = {
    "InputLayer": _same,
    "Dropout": _same,
    "ZeroPadding2D": _pad,
    "Conv2D": _convolve,
    "DepthwiseConv2D": _convolve,
    "BatchNormalization": _normalize,
    "MaxPooling2D": _pool,
    "GlobalAveragePooling2D": lambda layer, values: values.mean(axis=(0, 1)),
    "Flatten": lambda layer, values: values.ravel(),
    "Dense": _dense,
    "Activation": _activate,
}
