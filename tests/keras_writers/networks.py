"""Small networks for the writers in ``dialects``; a mistake of layout or order changes their outputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_writers.dialects import Layer, Network, output_shapes


def small(seed: int = 0) -> Network:
    """No two sizes are alike: 9×7×3, padded 14×10×3, convolved 12×9×5, pooled 6×4×5, convolved 5×2×4, then 40, 6, 3."""
    return _fill(
        seed,
        (
            ("input_1", "InputLayer", {"shape": (9, 7, 3)}),
            ("pad", "ZeroPadding2D", {"padding": ((3, 2), (2, 1))}),
            ("conv1", "Conv2D", {"filters": 5, "kernel_size": (3, 2), "activation": "relu"}),
            ("bn1", "BatchNormalization", {"epsilon": 1e-3}),
            ("pool", "MaxPooling2D", {"pool_size": (2, 2)}),
            ("conv2", "Conv2D", {"filters": 4, "kernel_size": (2, 3), "activation": "linear"}),
            ("flatten", "Flatten", {}),
            ("fc1", "Dense", {"units": 6, "activation": "relu"}),
            ("predictions", "Dense", {"units": 3, "activation": "softmax"}),
        ),
    )


def square(seed: int = 0) -> Network:
    """Every kernel is 3×3×3×3: no shape tells its layout. The maps still differ: 8×6×3, 6×4×3, 4×2×3, then 24 and 5."""
    return _fill(
        seed,
        (
            ("input_1", "InputLayer", {"shape": (8, 6, 3)}),
            ("conv1", "Conv2D", {"filters": 3, "kernel_size": (3, 3), "activation": "relu"}),
            ("bn1", "BatchNormalization", {"epsilon": 1e-3}),
            ("conv2", "Conv2D", {"filters": 3, "kernel_size": (3, 3), "activation": "relu"}),
            ("flatten", "Flatten", {}),
            ("predictions", "Dense", {"units": 5, "activation": "softmax"}),
        ),
    )


def twins(seed: int = 0) -> Network:
    """Two BatchNormalizations of one width in a row: their eight vectors can change places and no shape complains."""
    return _fill(
        seed,
        (
            ("input_1", "InputLayer", {"shape": (5, 4, 3)}),
            ("bn1", "BatchNormalization", {"epsilon": 1e-3}),
            ("relu", "Activation", {"activation": "relu"}),
            ("bn2", "BatchNormalization", {"epsilon": 1e-3}),
            ("avg", "GlobalAveragePooling2D", {}),
            ("predictions", "Dense", {"units": 4, "activation": "softmax"}),
        ),
    )


def depthwise(seed: int = 0) -> Network:
    """Strides, "same" padding, groups, a depth multiplier, a layer without bias, a Dropout that does nothing here."""
    return _fill(
        seed,
        (
            ("input_1", "InputLayer", {"shape": (9, 8, 3)}),
            (
                "conv_dw",
                "DepthwiseConv2D",
                {"kernel_size": (3, 2), "strides": 2, "depth_multiplier": 2, "padding": "same"},
            ),
            ("bn_dw", "BatchNormalization", {"epsilon": 1e-3}),
            ("relu_dw", "Activation", {"activation": "relu"}),
            (
                "conv_pw",
                "Conv2D",
                {"filters": 4, "kernel_size": (1, 3), "groups": 2, "padding": "same", "use_bias": False},
            ),
            ("drop", "Dropout", {"rate": 0.25}),
            ("avg", "GlobalAveragePooling2D", {}),
            ("predictions", "Dense", {"units": 3, "activation": "softmax"}),
        ),
    )


def grouped(seed: int = 0) -> Network:
    """Two convolutions in groups, as ResNeXt has them: 3 groups of 2 channels, then 2 groups of 3."""
    return _fill(
        seed,
        (
            ("input_1", "InputLayer", {"shape": (9, 8, 3)}),
            ("conv1", "Conv2D", {"filters": 6, "kernel_size": (3, 2), "activation": "relu"}),
            ("block1_2_conv", "Conv2D", {"filters": 6, "kernel_size": (2, 3), "groups": 3, "use_bias": False}),
            ("bn1", "BatchNormalization", {"epsilon": 1e-3}),
            ("relu1", "Activation", {"activation": "relu"}),
            ("conv2", "Conv2D", {"filters": 6, "kernel_size": (1, 1)}),
            (
                "block2_2_conv",
                "Conv2D",
                {"filters": 6, "kernel_size": (3, 2), "strides": 2, "groups": 2, "use_bias": False},
            ),
            ("bn2", "BatchNormalization", {"epsilon": 1e-3}),
            ("avg", "GlobalAveragePooling2D", {}),
            ("predictions", "Dense", {"units": 3, "activation": "softmax"}),
        ),
    )


def image(network: Network, seed: int = 0) -> np.ndarray:
    """Noise of the size the network takes, ``(H, W, C)`` float64."""
    return np.random.default_rng([seed, 1]).normal(size=network[0].config["shape"])


def _fill(seed: int, rows: Sequence[tuple[str, str, dict]]) -> Network:
    """Random weights of a size that leaves neither a dead ReLU everywhere nor a saturated softmax."""
    random = np.random.default_rng(seed)
    empty = tuple(Layer(name, kind, {}, config) for name, kind, config in rows)
    widths = [None] + [shape[-1] for shape in output_shapes(empty)]
    return tuple(
        Layer(layer.name, layer.kind, _weights(layer, width, random), layer.config)
        for layer, width in zip(empty, widths, strict=False)
    )


def _weights(layer: Layer, width: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    def normal(*shape: int, fan: int = 1, gain: float = 1.0) -> np.ndarray:
        return (random.normal(size=shape) * gain / np.sqrt(fan)).astype("float32")

    config = layer.config
    if layer.kind in ("Conv2D", "DepthwiseConv2D"):
        high, wide = config["kernel_size"]
        deep = layer.kind == "DepthwiseConv2D"
        groups = width if deep else config.get("groups", 1)
        last = (width, config["depth_multiplier"]) if deep else (width // groups, config["filters"])
        found = {
            "kernel": normal(high, wide, *last, fan=high * wide * width // groups, gain=1.4),
            "bias": normal(last[0] * last[1] if deep else last[1], gain=0.2),
        }
    elif layer.kind == "Dense":
        gain = 0.35 if config["activation"] == "softmax" else 1.0
        found = {
            "kernel": normal(width, config["units"], fan=width, gain=gain),
            "bias": normal(config["units"], gain=0.2),
        }
    elif layer.kind == "BatchNormalization":
        return {
            "gamma": 1 + normal(width, gain=0.3),
            # Above zero, so that one taken for a variance gives a wrong answer and not NaN.
            "beta": random.uniform(0.1, 0.7, size=width).astype("float32"),
            "moving_mean": normal(width, gain=0.3),
            "moving_variance": random.uniform(0.4, 1.8, size=width).astype("float32"),
        }
    else:
        return {}
    if not config.get("use_bias", True):
        del found["bias"]
    return found
