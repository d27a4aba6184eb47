"""The network that a model file describes, without Keras."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlkit import keras_files
from tlkit.config import LoadOptions
from tlkit.inference.compiler.graph import Graph, Shape, Unsupported
from tlkit.inference.compiler.network import Network
from tlkit.inference.compiler.read_config import read_config
from tlkit.inference.compiler.shapes import Weights, infer_shapes
from tlkit.inference.compiler.tensors import Tensor
from tlkit.keras_files import Header, LayerSpec, data_layout

_MOST_WEIGHTS = 4 * 2**30
"""Values of all weights together."""


@dataclass(frozen=True)
class ModelNetwork:
    """A network from a file.

    Attributes:
        network: The network.
        input_shape: Of one input, None where a side is open.
        header: Dialect, writer and configuration of the file.
    """

    network: Network
    input_shape: tuple[int | None, ...]
    header: Header

    def shapes(self, size: tuple[int, int]) -> dict[int, Shape]:
        """Return the shape of the output of each call, for one image of a height and width.

        Raises:
            Unsupported: The size does not fit.
        """
        source = _source(self.input_shape, size, self.network.data_format)
        return infer_shapes(self.network.graph, source)[1]


def _source(shape: tuple[int | None, ...], size: tuple[int, int], data_format: str) -> Tensor:
    sides = iter(size)
    known = tuple(next(sides) if side is None else side for side in shape)
    return Tensor(None, known, moved=data_format == "channels_last")


def read_model_file(path: Path, options: LoadOptions | None = None) -> ModelNetwork:
    """Read a model file as a network; nothing in it is executed.

    Args:
        path: ``.h5`` of Keras 1, 2 or 3, or ``.keras``.
        options: How to load the weights, where the file leaves that open; None for the defaults.

    Raises:
        Unsupported: A kind of layer, or a setting, is not in the tables.
        ModelError: It holds no model, or one that is not built.
        WeightsError: It is damaged.
    """
    model = keras_files.describe_model(path)
    try:
        graph = read_config(model.config)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise Unsupported(path.name, f"its config cannot be followed ({error})", what="file") from error
    inputs = [call for call in graph.calls if call.kind == "InputLayer"]
    if len(inputs) != 1 or inputs[0].shape is None or len(inputs[0].shape) != 3:
        raise Unsupported(path.name, "it takes something else than images", what="file")
    shape = inputs[0].shape
    first = (data_layout(model.header.config) if model.header.config else None) == "channels_first"
    data_format = "channels_first" if first or (shape[2] not in (1, 3) and shape[0] in (1, 3)) else "channels_last"

    try:
        expected = _expected(graph, shape, data_format)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise Unsupported(path.name, f"its layers cannot be followed ({error!r})", what="file") from error
    first_read = iter([True])

    def read_arrays() -> Any:
        return keras_files.read_model_arrays(model, expected, options, report=next(first_read, False))

    return ModelNetwork(Network(graph, read_arrays, data_format), shape, model.header)


def _places(weights: Weights) -> tuple[str, ...]:
    """Return where Keras 3 stores the weights of a layer made of parts; empty for all others."""
    parts = [name.rpartition("/")[0] for name, _ in weights]
    if not any(parts):
        return ()
    return tuple(f"{part}/vars/{parts[:number].count(part)}".lstrip("/") for number, part in enumerate(parts))


def _expected(graph: Graph, shape: tuple[int | None, ...], data_format: str) -> list[LayerSpec]:
    """Return the layers that have weights, as a file is matched with them."""
    weights, _ = infer_shapes(graph, _source(shape, (224, 224), data_format))
    if sum(math.prod(size) for _, tensors in weights.values() for _, size in tensors) > _MOST_WEIGHTS:
        raise Unsupported("of this file", "has too many weights", what="model")
    settings = {call.layer: call.settings for call in graph.calls}
    return [
        LayerSpec(
            layer[-1],
            kind,
            tuple((name.rpartition("/")[2], size) for name, size in tensors),
            layer[:-1],
            variable_paths=_places(tensors),
            recurrent_activation=str(settings[layer].get("recurrent_activation") or ""),
            groups=settings[layer].get("groups") or 1,
        )
        for layer, (kind, tensors) in weights.items()
    ]
