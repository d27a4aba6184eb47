"""Weights files with the layers of an architecture, made without a network."""

import h5py
import numpy as np

from tlkit.architectures.layer_tables import expected_layers
from tlkit.architectures.registry.lookup import get_architecture


def published(name, *, top):
    """What the file of an architecture is called."""
    return get_architecture(name).weights_file(include_top=top).name


def write_weights(path, name, *, top):
    """A file as Keras 2 wrote it with the layers of an architecture, all zero; zeros take no space in HDF5."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        layers = expected_layers(get_architecture(name), include_top=top)
        file.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        file.attrs["keras_version"], file.attrs["backend"] = b"2.2.0", b"tensorflow"
        for layer in layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{role}:0" for role, _ in layer.tensors]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, (_, shape) in zip(names, layer.tensors, strict=True):
                group.create_dataset(name, shape, np.float32)
    return path
