"""Put networks together: the new classifier, what trains in phase 2, and base, pooling and head as one model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tlkit.architectures.submodel import pooling_layer
from tlkit.backend import keras
from tlkit.training.frontier import Frontier
from tlkit.training.heads import Head

layers = keras.layers


def build_head(head: Head, feature_shape: Sequence[int], classes: int, data_format: str = "channels_last") -> Any:
    """A fresh classifier.

    Args:
        head: Which.
        feature_shape: Of one picture's features, after pooling.
        classes: How many classes it tells apart.
        data_format: The layout of features that are maps.

    Returns:
        A functional ``keras.Model`` called ``head``; its output is a softmax, float32 ``(batch, classes)``.
    """
    inputs = keras.Input(tuple(feature_shape), name="features")
    flattens = len(feature_shape) > 1 or head.kind == "flatten"
    x = layers.Flatten(data_format, name="flatten")(inputs) if flattens else inputs
    if head.units:
        x = layers.Dense(head.units, activation="relu", name="fc")(x)
    if head.dropout:
        x = layers.Dropout(head.dropout, name="dropout")(x)
    x = layers.Dense(classes, activation="softmax", name="predictions")(x)
    return keras.Model(inputs, x, name="head")


def assemble_model(
    base: Any, pooling: str, head: Any, name: str, data_format: str = "channels_last", *, takes: str = "image"
) -> Any:
    """One model from picture or clip to class: base, pooling, head.

    The base runs in inference mode even in training: its BatchNorm keeps the statistics of ImageNet.
    """
    inputs = keras.Input(base.input_shape[1:], name=takes)
    x = base(inputs, training=False)
    pool = pooling_layer(pooling, data_format)
    return keras.Model(inputs, head(pool(x) if pool else x), name=name)


def build_trainable_top(network: Any, frontier: Frontier, head: Any, *, training: bool | None = False) -> Any:
    """What trains in phase 2, from the frontier to the classes; it shares its layers with ``network`` and ``head``.

    Args:
        network: The base and its pooling, as one functional model.
        frontier: Where it is cut.
        head: The classifier.
        training: What the layers of the base are told: False keeps BatchNorm at its statistics and Dropout
            asleep; None lets them follow ``fit``.

    Returns:
        A ``keras.Model`` of one input a tensor of the frontier.
    """
    inputs: Any = [keras.Input(shape, name=f"frontier_{number}") for number, shape in enumerate(frontier.shapes)]
    if len(inputs) == 1:
        inputs = inputs[0]
    if frontier.tensors[0] is network.outputs[0]:
        return keras.Model(inputs, head(inputs))
    part = keras.Model(list(frontier.tensors), network.output)
    return keras.Model(inputs, head(part(inputs, training=training)))


@contextmanager
def mixed_precision_scope(precision: str, network: Any) -> Iterator[None]:
    """Have the layers of a network compute in ``precision`` inside the block; their weights stay float32.

    Models must be put together inside the block: Keras asks a layer for its policy when it is called.
    """
    if precision == "float32":
        yield
        return
    before = [(layer, layer.dtype_policy) for layer in network.layers]
    for layer, _ in before:
        layer.dtype_policy = keras.DTypePolicy(f"mixed_{precision}")
    try:
        yield
    finally:
        for layer, policy in before:
            layer.dtype_policy = policy
