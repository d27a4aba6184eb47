"""A network as data with its weights, and the OpenVINO model of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tlkit.data.preprocessor import Preprocessor
from tlkit.inference.compiler.emit import Arrays, emit
from tlkit.inference.compiler.graph import Graph, Ref
from tlkit.inference.compiler.tensors import Tensor, as_map, in_keras_order
from tlkit.inference.compiler.writer import Handle, Writer
from tlkit.utils.processors import compute_threads

if TYPE_CHECKING:
    import openvino


@dataclass(frozen=True)
class Network:
    """A network without Keras.

    Attributes:
        graph: Its calls.
        read_arrays: Read its weights; they are read again for every engine, and held by none.
        data_format: Layout of the maps in the graph. A network of the tables is always channels last, since either
            layout computes the same; its maps are returned in the layout of the preprocessor.
    """

    graph: Graph
    read_arrays: Callable[[], Arrays]
    data_format: str = "channels_last"

    def select(self, *names: str, pooling: str = "none") -> Selection:
        """Select outputs.

        Args:
            names: Of the layers whose outputs are computed; none for what the whole network returns.
            pooling: ``avg``, ``max`` or ``none``.

        Raises:
            Unsupported: There is no such layer, or it is called more than once.
        """
        refs = map(self.graph.output_of, names) if names else self.graph.outputs
        return Selection(self, tuple(Output(ref, pooling) for ref in refs))


@dataclass(frozen=True)
class Output:
    """One output of a network.

    Attributes:
        ref: The tensor of the graph.
        pooling: ``avg``, ``max`` or ``none``, over height and width.
    """

    ref: Ref
    pooling: str = "none"


@dataclass(frozen=True)
class Selection:
    """A network and what of it is computed.

    Attributes:
        network: The network.
        outputs: Its outputs, in order.
    """

    network: Network
    outputs: tuple[Output, ...]


class _Expression:
    """A tensor with arithmetic, for the functions that normalize NumPy arrays."""

    def __init__(self, writer: Writer, handle: Handle, channels: int) -> None:
        self.writer, self.handle, self.channels = writer, handle, channels

    def _binary(self, operation: str, other: Any) -> _Expression:
        constant = self.writer.constant(np.asarray(other, np.float32))
        return _Expression(self.writer, self.writer.binary(operation, self.handle, constant), self.channels)

    def __add__(self, other: Any) -> _Expression:
        return self._binary("add", other)

    def __sub__(self, other: Any) -> _Expression:
        return self._binary("subtract", other)

    def __mul__(self, other: Any) -> _Expression:
        return self._binary("multiply", other)

    def __truediv__(self, other: Any) -> _Expression:
        return self._binary("divide", other)

    def __getitem__(self, key: Any) -> _Expression:
        if key != (..., slice(None, None, -1)):
            raise TypeError(f"no such part of a tensor: {key}")
        reverse = self.writer.slice(self.handle, 3, self.channels - 1, -self.channels - 1, -1)
        return _Expression(self.writer, reverse, self.channels)


def compile_network(selection: Selection, preprocessor: Preprocessor) -> openvino.Model:
    """Return the OpenVINO model from pixels ``(1, height, width, channels)`` to outputs, normalization included.

    Args:
        selection: The network and its outputs.
        preprocessor: How a file becomes its input.

    Raises:
        Unsupported: A kind of layer, or a setting, is not in the tables.
    """
    from tlkit.inference.compiler.openvino_writer import OpenVINOWriter

    writer = OpenVINOWriter()
    pixels = writer.parameter([1, *preprocessor.size, preprocessor.channels], preprocessor.dtype)
    return writer.model(pixels, emit_selection(selection, preprocessor, writer.to_float(pixels), writer))


def emit_selection(selection: Selection, preprocessor: Preprocessor, pixels: Handle, writer: Writer) -> list[Handle]:
    """Emit the normalization of pixels and what follows, and return the outputs.

    Args:
        selection: The network and its outputs.
        preprocessor: How a file becomes its input.
        pixels: ``(batch, height, width, channels)`` float32, 0 to 255 of images.
        writer: Emits operations.

    Raises:
        Unsupported: A kind of layer, or a setting, is not in the tables.
    """
    network, outputs = selection.network, selection.outputs
    height, width = preprocessor.size
    channels = preprocessor.channels
    values = preprocessor.normalize(_Expression(writer, pixels, channels)).handle
    source = as_map(writer, Tensor(values, (height, width, channels)), "channels_last")
    if network.data_format == "channels_first":
        source = Tensor(source.handle, (channels, height, width))
    tensors = emit(network.graph, network.read_arrays(), [output.ref for output in outputs], source, writer)
    handles = []
    for output, tensor in zip(outputs, tensors, strict=True):
        if output.pooling != "none":
            how = {"avg": "mean", "max": "max"}[output.pooling]
            handles.append(
                writer.reduce(how, as_map(writer, tensor, network.data_format).handle, [2, 3], keepdims=False)
            )
        elif len(tensor.shape) == 3 and preprocessor.data_format != network.data_format:
            handles.append(as_map(writer, tensor, network.data_format).handle)  # asked for channels first
        else:
            handles.append(in_keras_order(writer, tensor).handle)
    return handles


def run_on_values(selection: Selection, values: np.ndarray) -> list[np.ndarray]:
    """Return the outputs of a network for a batch of inputs as the network takes them, not normalized.

    Args:
        selection: The network and its outputs.
        values: float32, in the layout of the graph.

    Raises:
        Unsupported: A kind of layer, or a setting, is not in the tables.
    """
    from tlkit.inference.compiler.openvino_writer import OpenVINOWriter
    from tlkit.inference.openvino_runtime import core

    network, writer = selection.network, OpenVINOWriter()
    given = writer.parameter([1, *values.shape[1:]], "float32")
    source = Tensor(given, tuple(values.shape[1:]))
    tensors = emit(network.graph, network.read_arrays(), [output.ref for output in selection.outputs], source, writer)
    model = writer.model(given, [in_keras_order(writer, tensor).handle for tensor in tensors])
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": compute_threads()}
    compiled = core.compile_model(model, "CPU", settings)
    rows = [list(compiled(values[number : number + 1]).values()) for number in range(len(values))]
    return [np.concatenate(arrays) for arrays in zip(*rows, strict=True)]
