"""Build the new head, the part that trains in phase 2, and base, pooling and head as one model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tlkit.analysis.logistic_regression import LogisticRegression
from tlkit.architectures.submodel import pooling_layer
from tlkit.backend import keras, keras_scope
from tlkit.data.preprocessor import Preprocessor
from tlkit.keras_private import tensors_of
from tlkit.training.frontier import Frontier
from tlkit.training.heads import Head

layers = keras.layers


@keras_scope()
def build_head(head: Head, feature_shape: Sequence[int], classes: int, data_format: str = "channels_last") -> Any:
    """Build a classifier with random weights.

    Args:
        head: Kind, hidden units and dropout.
        feature_shape: Shape of the features of one image, after pooling.
        classes: Number of classes.
        data_format: Layout of features that are maps.

    Returns:
        A functional ``keras.Model`` called ``head``; its output is ``(batch, classes)`` float32, probabilities.
    """
    inputs = keras.Input(tuple(feature_shape), name="features")
    flattens = len(feature_shape) > 1 or head.kind == "flatten"
    x = layers.Flatten(data_format, name="flatten")(inputs) if flattens else inputs
    if head.units:
        x = layers.Dense(head.units, activation="relu", name="fc")(x)
    if head.dropout:
        x = layers.Dropout(head.dropout, name="dropout")(x)
    x = layers.Dense(classes, activation=head.activation, name="predictions")(x)
    return keras.Model(inputs, x, name="head")


def set_linear_head(head: Any, fitted: LogisticRegression) -> None:
    """Give a linear head of :func:`build_head` the weights that were fitted."""
    head.get_layer("predictions").set_weights([fitted.kernel, fitted.bias])


@keras_scope()
def assemble_model(base: Any, pooling: str, head: Any, name: str, preprocessor: Preprocessor) -> Any:
    """Join base, pooling and head into one model from image (or audio clip) to class probabilities.

    The base runs in inference mode even in training: its BatchNormalization uses the statistics of ImageNet.

    Args:
        base: The base.
        pooling: ``avg``, ``max`` or ``none``.
        head: The classifier.
        name: Name of the model.
        preprocessor: What its inputs are.
    """
    inputs = keras.Input(base.input_shape[1:], name=preprocessor.modality.name)
    x = base(inputs, training=False)
    pool = pooling_layer(pooling, preprocessor.data_format)
    return keras.Model(inputs, head(pool(x) if pool else x), name=name)


@keras_scope()
def build_trainable_top(network: Any, frontier: Frontier, head: Any, *, batchnorm: str = "frozen") -> Any:
    """Build the part that trains in phase 2, from the frontier to the classes.

    It shares its layers with ``network`` and ``head``.

    Args:
        network: The base and its pooling, as one functional model.
        frontier: Where it is cut.
        head: The classifier.
        batchnorm: ``frozen`` runs the layers of the base in inference mode; in ``train`` they follow ``fit``, so that
            BatchNormalization updates its statistics and Dropout drops.

    Returns:
        A ``keras.Model`` with one input per tensor of the frontier.
    """
    tensors = network.outputs if frontier.is_output else tensors_of(network, frontier.names)
    inputs: Any = [keras.Input(tensor.shape[1:], name=f"frontier_{number}") for number, tensor in enumerate(tensors)]
    if len(inputs) == 1:
        inputs = inputs[0]
    if frontier.is_output:
        return keras.Model(inputs, head(inputs))
    part = keras.Model(tensors, network.output)
    return keras.Model(inputs, head(part(inputs, training=None if batchnorm == "train" else False)))


@contextmanager
def training_undone(model: Any) -> Iterator[None]:
    """Give a compiled model and its optimizer the variables back that they had before the block."""
    variables = [*model.variables, *model.optimizer.variables]
    before = [variable.numpy() for variable in variables]
    yield
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)


@contextmanager
def batchnorm_scope(network: Any, steps: int) -> Iterator[None]:
    """Let BatchNormalization that trains average its statistics over about an epoch inside the block.

    The default momentum of 0.99 averages over hundreds of batches: after a few epochs of a few batches statistics are
    still on their way from those of ImageNet.

    Args:
        network: The base; of its BatchNormalization, those with ``trainable`` train.
        steps: Batches per epoch.
    """
    kind = keras.layers.BatchNormalization
    before = [(layer, layer.momentum) for layer in network.layers if isinstance(layer, kind) and layer.trainable]
    for layer, momentum in before:
        layer.momentum = min(momentum, max(0.5, 1 - 1 / steps))
    try:
        yield
    finally:
        for layer, momentum in before:
            layer.momentum = momentum
