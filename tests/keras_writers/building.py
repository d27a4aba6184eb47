"""The networks of ``networks`` as Keras models with weights of their own, to load files into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import keras
import numpy as np

from keras_writers.dialects import Layer, Network
from keras_writers.networks import image


def keras_model(network: Network, *, nested: str | None = None, seed: int = 99) -> keras.Model:
    """The network; ``nested`` puts all layers before the Flatten or pooling into an inner model, as the writers do."""
    inputs = keras.Input(network[0].config["shape"], name=network[0].name)
    outputs = inputs
    layers = list(network[1:])
    if nested:
        ends = [layer.kind in ("Flatten", "GlobalAveragePooling2D") for layer in network].index(True)
        base = keras.Model(inputs, _through(network[1:ends], inputs), name=nested)
        inputs = keras.Input(network[0].config["shape"], name=f"{nested}_input")
        outputs, layers = base(inputs), list(network[ends:])
    model = keras.Model(inputs, _through(layers, outputs))
    random = np.random.default_rng(seed)
    model.set_weights([random.uniform(0.2, 1.0, weight.shape) for weight in model.get_weights()])
    return model


def _through(layers: Sequence[Layer], tensor):
    for layer in layers:
        tensor = getattr(keras.layers, layer.kind)(name=layer.name, **layer.config)(tensor)
    return tensor


def answer(model: keras.Model, network: Network) -> np.ndarray:
    """The output of a model for the image that ``reference.forward`` is given."""
    return np.asarray(model(image(network)[np.newaxis].astype("float32"), training=False))[0]


def renamed(network: Network, names: Mapping[str, str] | str) -> Network:
    """The network with other names: a mapping, or a format of the name (``"old_{}"``)."""
    return tuple(
        replace(layer, name=names.format(layer.name) if isinstance(names, str) else names.get(layer.name, layer.name))
        for layer in network
    )


def without(network: Network, kind: str) -> Network:
    """The network without the layers of a class, which must not change a shape."""
    return tuple(layer for layer in network if layer.kind != kind)


def values(model: keras.Model) -> Iterator[bytes]:
    """Every weight, to the byte."""
    return (array.tobytes() for array in model.get_weights())
