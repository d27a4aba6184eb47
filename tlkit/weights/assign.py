"""Put arrays into the layers of a model: everything fits and is set, or nothing is touched."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlkit.errors import WeightsError
from tlkit.h5.layers import SavedLayer
from tlkit.text import counted, listed, printable

Tensor = Any
"""A NumPy array, or a data set of an open HDF5 file: it has a shape, and NumPy can read it."""


@dataclass(frozen=True)
class LoadReport:
    """What a load did.

    Attributes:
        layers: Layers that were set.
        tensors: Tensors that were set.
        unused: Layers of the source that the model has no place for.
    """

    layers: int
    tensors: int
    unused: tuple[str, ...] = ()


def layers_with_weights(model: Any) -> list[Any]:
    """The layers that hold weights, in the model's order."""
    return [layer for layer in model.layers if layer.weights]


def saved_order(layer: Any) -> list[Any]:
    """A layer's variables in the order that ``.h5`` files keep: those that train, then the others."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def assign_by_name(model: Any, arrays: Mapping[str, Sequence[Tensor]], *, source: str) -> LoadReport:
    """Set every layer of ``model`` from the arrays under its name.

    Args:
        model: A Keras model.
        arrays: ``{layer name: arrays in the order of layer.weights}``.
        source: What the arrays are from, for messages.

    Raises:
        WeightsError: A layer has no arrays, or shapes differ; the model is as it was.
    """
    layers = layers_with_weights(model)
    missing = [layer.name for layer in layers if layer.name not in arrays]
    if missing:
        raise WeightsError(
            f"{printable(source)} has nothing for {counted(len(missing), 'layer')} of {model.name}: {listed(missing)}."
        )
    pairs = [(layer, layer.weights, arrays[layer.name]) for layer in layers]
    unused = tuple(name for name in arrays if name not in {layer.name for layer in layers})
    return _assign(model, pairs, source, unused)


def assign_in_order(model: Any, saved: Sequence[SavedLayer], *, source: str) -> LoadReport:
    """Set the layers of ``model`` that have weights from those of a file, first to first.

    Raises:
        WeightsError: Another number of layers or tensors, or shapes that differ; the model is as it was.
    """
    layers = layers_with_weights(model)
    if len(layers) != len(saved):
        raise WeightsError(
            f"{printable(source)} holds {counted(len(saved), 'layer')} with weights "
            f"({listed([layer.name for layer in saved], most=3)}), but {model.name} has {len(layers)} "
            f"({listed([layer.name for layer in layers], most=3)}).",
            hint="Is it the file of another architecture, or of the one with (or without) its classifier?",
        )
    pairs = [
        (layer, saved_order(layer), [array for _, array in file_layer.weights])
        for layer, file_layer in zip(layers, saved, strict=True)
    ]
    return _assign(model, pairs, source, ())


def assign_by_folder(model: Any, arrays: Mapping[str, Tensor], *, source: str) -> LoadReport:
    """Set the layers of ``model`` from the folders of a Keras 3 weights file.

    Keras 3 names a folder after the layer's class and counts them in the model's order, whatever the layers are
    called: ``layers/conv2d``, ``layers/conv2d_1``, …; layers inside a layer have a ``layers`` folder of their own.

    Raises:
        WeightsError: A layer has no folder, or shapes differ; the model is as it was.
    """
    places = list(_folders(model, "layers"))
    missing = [
        layer.name
        for layer, folder in places
        if any(f"{folder}/vars/{number}" not in arrays for number in range(len(layer.weights)))
    ]
    if missing:
        raise WeightsError(
            f"{printable(source)} has nothing for {counted(len(missing), 'layer')} of {model.name}: {listed(missing)}.",
            hint="Is it the file of another architecture, or of the one without its classifier?",
        )
    pairs = [
        (
            layer,
            saved_order(layer),
            [arrays[f"{folder}/vars/{number}"] for number in range(len(layer.weights))],
        )
        for layer, folder in places
    ]
    used = {f"{folder}/vars/{number}" for layer, folder in places for number in range(len(layer.weights))}
    return _assign(model, pairs, source, tuple(name for name in arrays if name not in used))


def _folders(model: Any, prefix: str) -> Iterator[tuple[Any, str]]:
    """The layers that hold weights, each with its folder."""
    seen: Counter[str] = Counter()
    for layer in model.layers:
        kind = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", type(layer).__name__))
        kind = re.sub(r"([a-z])([A-Z])", r"\1_\2", kind).lower()
        folder = f"{prefix}/{kind}_{seen[kind]}" if seen[kind] else f"{prefix}/{kind}"
        seen[kind] += 1
        if getattr(layer, "layers", None):
            yield from _folders(layer, f"{folder}/layers")
        elif layer.weights:
            yield layer, folder


def _assign(
    model: Any,
    pairs: Sequence[tuple[Any, Sequence[Any], Sequence[Tensor]]],
    source: str,
    unused: tuple[str, ...],
) -> LoadReport:
    for layer, variables, arrays in pairs:
        wanted = [tuple(variable.shape) for variable in variables]
        got = [tuple(array.shape) for array in arrays]
        if wanted != got:
            raise WeightsError(
                f"{printable(source)} does not fit layer {layer.name} of {model.name}: "
                f"the layer wants {wanted}, the file has {got}."
            )
    # shapes fit, so this takes as much memory as the model; every value is read before the first is set
    values = [[np.asarray(array) for array in arrays] for _, _, arrays in pairs]
    for (layer, variables, _), layer_values in zip(pairs, values, strict=True):
        for variable, value in zip(variables, layer_values, strict=True):
            variable.assign(value)
        if hasattr(layer, "finalize_state"):  # Normalization computes with copies of its weights
            layer.finalize_state()
    return LoadReport(len(pairs), sum(len(arrays) for *_, arrays in pairs), unused)
