"""The new classifiers that go on top of a base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tlkit.backend import keras
from tlkit.errors import UsageError

layers = keras.layers


@dataclass(frozen=True)
class Head:
    """A kind of classifier.

    Attributes:
        pooling: What it does to the feature map first, unless told otherwise.
        summary: What it is, in words.
    """

    pooling: str
    summary: str


HEADS = {
    "dense": Head("avg", "global average pooling, Dense 1024 ReLU, softmax"),
    "linear": Head("avg", "global average pooling, softmax"),
    "flatten": Head("none", "Flatten, Dense 256 ReLU, Dropout 0.5, softmax"),
}


def head_pooling(kind: str, asked: str | None) -> str:
    """The pooling for a head: what was asked, checked, or the head's own.

    Raises:
        UsageError: The head needs a vector and no pooling was asked for.
    """
    if asked == "none" and kind != "flatten":
        raise UsageError(
            f"--head {kind} needs one vector a picture; --pooling none leaves a feature map.",
            hint="Use --pooling avg or max, or --head flatten.",
        )
    return asked or HEADS[kind].pooling


def pooling_layer(pooling: str) -> Any | None:
    """The Keras layer that turns a feature map into a vector; None for ``none``."""
    if pooling == "avg":
        return layers.GlobalAveragePooling2D(name="avg_pool")
    return layers.GlobalMaxPooling2D(name="max_pool") if pooling == "max" else None


def build_head(kind: str, feature_shape: Sequence[int], classes: int) -> Any:
    """A fresh classifier.

    Args:
        kind: A key of :data:`HEADS`.
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
