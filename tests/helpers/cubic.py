"""A base with a layer that OpenVINO cannot convert, and no layer table: only Keras runs it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.registry.lookup import register


def Cubic(
    *, input_shape: tuple[int, int, int], include_top: bool = True, weights: None = None, classes: int = 50
) -> Any:
    """Build the base; arguments as in ``keras.applications``."""
    from tlkit.backend import keras

    layers = keras.layers
    inputs = keras.Input(input_shape, name="input_layer")
    x = layers.Conv2D(6, 3, strides=2, activation="relu", name="stem")(inputs)
    x = layers.Resizing(12, 12, interpolation="bicubic", name="enlarge")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="top")(x)
    if include_top:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = layers.Dense(classes, activation="softmax", name="predictions")(x)
    return keras.Model(inputs, x, name="cubic")


def registered() -> AbstractContextManager[Architecture]:
    """Register the base inside the ``with`` block, under the name ``cubic``."""
    return register(
        Architecture(
            name="cubic",
            title="Cubic",
            builder="helpers.cubic:Cubic",
            size=32,
            min_size=16,
            preprocessing="tf",
            parameters=1_050,
            size_mb=0.1,
            top1=None,
            top5=None,
            depth=None,
            features=8,
            blocks=("stem", "top"),
            freeze="stem",
            keras1_freeze={},
            labels="msd",
            with_top=None,
            without_top=None,
            package="helpers",
        )
    )
