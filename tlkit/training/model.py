"""Put a network together: the new classifier, and base, pooling and head as one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tlkit.architectures.outputs import pooling_layer
from tlkit.backend import keras

layers = keras.layers


def build_head(kind: str, feature_shape: Sequence[int], classes: int) -> Any:
    """A fresh classifier.

    Args:
        kind: A key of :data:`tlkit.training.heads.HEADS`.
        feature_shape: Of one picture's features, after pooling.
        classes: How many classes it tells apart.

    Returns:
        A functional ``keras.Model`` called ``head``; its output is a softmax, float32 ``(batch, classes)``.
    """
    inputs = keras.Input(tuple(feature_shape), name="features")
    x = layers.Flatten(name="flatten")(inputs) if len(feature_shape) > 1 or kind == "flatten" else inputs
    if kind == "dense":
        x = layers.Dense(1024, activation="relu", name="fc")(x)
    elif kind == "flatten":
        x = layers.Dense(256, activation="relu", name="fc")(x)
        x = layers.Dropout(0.5, name="dropout")(x)
    x = layers.Dense(classes, activation="softmax", dtype="float32", name="predictions")(x)
    return keras.Model(inputs, x, name="head")


def attach(base: Any, pooling: str, head: Any, name: str) -> Any:
    """One model from picture to class: base, pooling, head.

    The base runs in inference mode even in training: its BatchNorm keeps the statistics of ImageNet.
    """
    inputs = keras.Input(base.input_shape[1:], name="image")
    x = base(inputs, training=False)
    pool = pooling_layer(pooling)
    return keras.Model(inputs, head(pool(x) if pool else x), name=name)
