"""The part of a network from its input to one of its layers."""

from __future__ import annotations

from typing import Any

from tlkit.backend import keras, keras_scope
from tlkit.keras_private import last_call_input


def pooling_layer(pooling: str, data_format: str = "channels_last", prefix: str = "") -> Any | None:
    """Return the Keras layer that pools a feature map into a vector, with a prefix of its name; None for ``none``."""
    if pooling == "avg":
        return keras.layers.GlobalAveragePooling2D(data_format, name=f"{prefix}avg_pool")
    return keras.layers.GlobalMaxPooling2D(data_format, name=f"{prefix}max_pool") if pooling == "max" else None


@keras_scope()
def submodel(model: Any, layer: str, pooling: str = "none", data_format: str = "channels_last") -> Any:
    """Return the model from the input to the (pooled) output of a layer. It shares the weights of ``model``.

    Layers of nested models are found too (the base of a run, its head).

    Args:
        model: A functional ``keras.Model`` of one input.
        layer: The name of a layer.
        pooling: ``none``, ``avg`` or ``max``, over height and width.
        data_format: Of the layer's output.

    Raises:
        KeyError: There is no such layer.
    """
    output = _output(model, model.inputs, layer)
    # several such models may become one, whose layers differ in name
    pool = pooling_layer(pooling, data_format, "" if layer == model.layers[-1].name else f"{layer}_")
    return keras.Model(model.input, pool(output) if pool else output)


def _output(model: Any, inputs: Any, layer: str) -> Any:
    """Return the output of ``layer`` for ``inputs`` of ``model``, calling the nested models on the way to it."""
    if any(own.name == layer for own in model.layers):
        inner = keras.Model(model.inputs, model.get_layer(layer).output)
        return inner.outputs[0] if inputs is model.inputs else inner(inputs, training=False)
    for own in model.layers:
        if getattr(own, "layers", None) and layer in layer_names(own):
            return _output(own, [own.input if own is model else _input_of(model, own, inputs)], layer)
    raise KeyError(layer)


def _input_of(model: Any, inner: Any, inputs: Any) -> Any:
    """Return the tensor that ``model`` calls the nested ``inner`` on, for ``inputs`` of ``model``."""
    tensor = last_call_input(inner)
    before = keras.Model(model.inputs, tensor)
    return before.outputs[0] if inputs is model.inputs else before(inputs, training=False)


def layer_names(model: Any) -> list[str]:
    """Return the names of all layers, including those of nested models."""
    names = []
    for layer in model.layers:
        names += [layer.name, *(layer_names(layer) if getattr(layer, "layers", None) else ())]
    return names
