"""ResNeXt-50 and -101, which Keras no longer ships: ResNet's bottleneck with a convolution in 32 groups.

Paper: Aggregated Residual Transformations for Deep Neural Networks (Xie et al., 2017). Layers and their names follow
``resnet_common.py`` (``block3``, ``stack3``) of keras-applications, so that its files match by name. Without a grouped
convolution, that package used a depthwise one of multiplier ``filters / 32`` and summed its outputs per group: the same
function with many more multiplications. :mod:`tlkit.keras_files.loading.grouped_conv` converts its kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tlkit.backend import keras

layers = keras.layers

GROUPS = 32
EXPANSION = 2
"""Output channels of a block, as a multiple of those of its grouped convolution."""


def _conv(x: Any, filters: int, kernel: int, name: str, **options: Any) -> Any:
    return layers.Conv2D(filters, kernel, use_bias=False, name=f"{name}_conv", **options)(x)


def _batch_norm(x: Any, name: str) -> Any:
    axis = -1 if keras.config.image_data_format() == "channels_last" else 1
    return layers.BatchNormalization(axis=axis, epsilon=1.001e-5, name=f"{name}_bn")(x)


def _relu(x: Any, name: str) -> Any:
    return layers.Activation("relu", name=name)(x)


def _block(x: Any, name: str, *, filters: int, stride: int, shortcut: bool) -> Any:
    """Add one residual block: reduce, convolve in groups, expand, and add the input.

    Args:
        x: Input feature map.
        name: Of the block; the names of its layers start with it.
        filters: Channels of the grouped convolution.
        stride: Of the grouped convolution.
        shortcut: Project the input to the shape of the output by a 1x1 convolution.
    """
    inputs = x
    if shortcut:
        inputs = _batch_norm(_conv(x, EXPANSION * filters, 1, f"{name}_0", strides=stride), f"{name}_0")
    x = _batch_norm(_conv(x, filters, 1, f"{name}_1"), f"{name}_1")
    x = _relu(x, f"{name}_1_relu")
    x = layers.ZeroPadding2D(1, name=f"{name}_2_pad")(x)
    x = _batch_norm(_conv(x, filters, 3, f"{name}_2", strides=stride, groups=GROUPS), f"{name}_2")
    x = _relu(x, f"{name}_2_relu")
    x = _batch_norm(_conv(x, EXPANSION * filters, 1, f"{name}_3"), f"{name}_3")
    x = layers.Add(name=f"{name}_add")([inputs, x])
    return _relu(x, f"{name}_out")


def _resnext(
    name: str,
    repeats: Sequence[int],
    *,
    input_shape: tuple[int, int, int],
    include_top: bool = True,
    weights: None = None,
    classes: int = 1000,
) -> Any:
    if weights is not None:
        raise ValueError("weights are assigned after building; pass weights=None")
    inputs = keras.Input(input_shape, name="input_layer")
    x = layers.ZeroPadding2D(3, name="conv1_pad")(inputs)
    x = _relu(_batch_norm(_conv(x, 64, 7, "conv1", strides=2), "conv1"), "conv1_relu")
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage, count in enumerate(repeats):
        for number in range(count):
            x = _block(
                x,
                f"conv{stage + 2}_block{number + 1}",
                filters=128 * 2**stage,
                stride=2 if stage and not number else 1,
                shortcut=number == 0,
            )
    if include_top:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = layers.Dense(classes, activation="softmax", name="probs")(x)
    return keras.Model(inputs, x, name=name)


def ResNeXt50(**kwargs: Any) -> Any:
    """Build ResNeXt-50 (32x4d); arguments as in ``keras.applications``, pixels in the range of the ``torch`` mode."""
    return _resnext("resnext50", (3, 4, 6, 3), **kwargs)


def ResNeXt101(**kwargs: Any) -> Any:
    """Build ResNeXt-101 (32x4d); arguments as in ``keras.applications``, pixels in the range of the ``torch`` mode."""
    return _resnext("resnext101", (3, 4, 23, 3), **kwargs)
