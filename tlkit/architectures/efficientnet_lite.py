"""EfficientNet-Lite 0 to 2 in Keras.

EfficientNet-Lite is EfficientNet without squeeze-and-excitation, with ReLU6 instead of swish, and with a stem
and a head of fixed width. Source: ``tpu/models/official/efficientnet/lite``; layer names follow
``keras/src/applications/efficientnet.py``.
"""

from __future__ import annotations

import math
from typing import Any

from tlkit.backend import keras

layers = keras.layers

# (kernel, stride, expansion, filters, repeats) of the seven stages of Lite0.
_STAGES = (
    (3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1),
)  # fmt: skip


def _width(filters: int, factor: float) -> int:
    """Return filters times ``factor``, rounded to a multiple of 8, but not down by more than 10%."""
    scaled = filters * factor
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def _stage_repeats(factor: float) -> list[int]:
    """Return the repeats of each stage; the first and the last are not scaled."""
    last = len(_STAGES) - 1
    return [count if number in (0, last) else math.ceil(count * factor) for number, (*_, count) in enumerate(_STAGES)]


def _batch_norm(name: str) -> Any:
    return layers.BatchNormalization(_channels_axis(), epsilon=1e-3, momentum=0.99, name=name)


def _channels_axis() -> int:
    """Axis of the channels in the data format to build in, as :func:`tlkit.architectures.build.build` sets it."""
    return 1 if keras.config.image_data_format() == "channels_first" else -1


def _block(x: Any, name: str, *, kernel: int, stride: int, expansion: int, filters: int) -> Any:
    """Add one inverted bottleneck: expand, convolve depthwise, project, and add the input if the shapes match."""
    inputs, channels = x, x.shape[_channels_axis()]
    if expansion != 1:
        x = layers.Conv2D(channels * expansion, 1, use_bias=False, name=f"{name}_expand_conv")(x)
        x = _batch_norm(f"{name}_expand_bn")(x)
        x = layers.ReLU(6.0, name=f"{name}_expand_activation")(x)
    x = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False, name=f"{name}_dwconv")(x)
    x = _batch_norm(f"{name}_bn")(x)
    x = layers.ReLU(6.0, name=f"{name}_activation")(x)
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project_conv")(x)
    x = _batch_norm(f"{name}_project_bn")(x)
    return layers.Add(name=f"{name}_add")([x, inputs]) if stride == 1 and channels == filters else x


def _efficientnet_lite(
    name: str,
    width: float,
    depth: float,
    dropout: float,
    *,
    input_shape: tuple[int, int, int],
    include_top: bool = True,
    weights: None = None,
    classes: int = 1000,
) -> Any:
    if weights is not None:
        raise ValueError("weights are assigned after building; pass weights=None")
    inputs = keras.Input(input_shape, name="input_layer")
    x = layers.Conv2D(32, 3, 2, padding="same", use_bias=False, name="stem_conv")(inputs)
    x = _batch_norm("stem_bn")(x)
    x = layers.ReLU(6.0, name="stem_activation")(x)
    for number, ((kernel, stride, expansion, filters, _), repeats) in enumerate(
        zip(_STAGES, _stage_repeats(depth), strict=True), start=1
    ):
        for repeat in range(repeats):
            x = _block(
                x,
                f"block{number}{chr(ord('a') + repeat)}",
                kernel=kernel,
                stride=stride if repeat == 0 else 1,
                expansion=expansion,
                filters=_width(filters, width),
            )
    x = layers.Conv2D(1280, 1, use_bias=False, name="top_conv")(x)
    x = _batch_norm("top_bn")(x)
    x = layers.ReLU(6.0, name="top_activation")(x)
    if include_top:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = layers.Dropout(dropout, name="top_dropout")(x)
        x = layers.Dense(classes, activation="softmax", name="predictions")(x)
    return keras.Model(inputs, x, name=name)


def EfficientNetLite0(**kwargs: Any) -> Any:
    """Build EfficientNet-Lite0; arguments as in ``keras.applications``, pixels ``(x - 127) / 128``."""
    return _efficientnet_lite("efficientnetlite0", 1.0, 1.0, 0.2, **kwargs)


def EfficientNetLite1(**kwargs: Any) -> Any:
    """Build EfficientNet-Lite1; arguments as in ``keras.applications``, pixels ``(x - 127) / 128``."""
    return _efficientnet_lite("efficientnetlite1", 1.0, 1.1, 0.2, **kwargs)


def EfficientNetLite2(**kwargs: Any) -> Any:
    """Build EfficientNet-Lite2; arguments as in ``keras.applications``, pixels ``(x - 127) / 128``."""
    return _efficientnet_lite("efficientnetlite2", 1.1, 1.2, 0.3, **kwargs)
