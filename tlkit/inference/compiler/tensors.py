"""Tensors of a network that is being emitted: what the runtime computes, and the shape that Keras gives it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tlkit.inference.compiler.graph import Shape
from tlkit.inference.compiler.writer import Handle, Writer


@dataclass(frozen=True)
class Tensor:
    """A tensor.

    Attributes:
        handle: Of the runtime.
        shape: Keras's, without the batch.
        moved: True where the runtime has the last axis of Keras, the channels, right behind the batch: it computes maps
            channels first, and a map stays so until something asks for Keras's order.
        padded: True behind zero padding.
    """

    handle: Handle
    shape: Shape
    moved: bool = False
    padded: bool = False

    def axis(self, axis: int) -> int:
        """Return the runtime's number of an axis of Keras; the batch is 0."""
        rank = len(self.shape) + 1
        axis %= rank
        if not self.moved or axis == 0:
            return axis
        return 1 if axis == rank - 1 else axis + 1


def with_handle(tensor: Tensor, handle: Handle) -> Tensor:
    """Return a tensor of the same shape and order."""
    return dataclasses.replace(tensor, handle=handle)


def in_keras_order(writer: Writer, tensor: Tensor) -> Tensor:
    """Return a tensor whose axes the runtime has as Keras has them."""
    if not tensor.moved:
        return tensor
    rank = len(tensor.shape) + 1
    return Tensor(writer.transpose(tensor.handle, (0, *range(2, rank), 1)), tensor.shape)


def as_map(writer: Writer, tensor: Tensor, data_format: str) -> Tensor:
    """Return a map that the runtime has channels first."""
    if data_format == "channels_first":
        return in_keras_order(writer, tensor)
    if tensor.moved:
        return tensor
    rank = len(tensor.shape) + 1
    if math.prod(tensor.shape[:-1]) == 1:
        moved = writer.reshape(tensor.handle, (-1, tensor.shape[-1], *tensor.shape[:-1]))
    else:
        moved = writer.transpose(tensor.handle, (0, rank - 1, *range(1, rank - 1)))
    return Tensor(moved, tensor.shape, moved=True)


def map_shape(channels: int, sides: Sequence[int], data_format: str) -> Shape:
    """Return Keras's shape of a map."""
    return (channels, *sides) if data_format == "channels_first" else (*sides, channels)


def along(writer: Writer, tensor: Tensor, axis: int, values: np.ndarray) -> Handle:
    """Emit constants that differ along one axis of a tensor, to be broadcast along the others."""
    shape = [1] * (len(tensor.shape) + 1)
    shape[tensor.axis(axis)] = -1
    return writer.constant(np.asarray(values, np.float32).reshape(shape))


def constant_for(writer: Writer, tensor: Tensor, values: np.ndarray) -> tuple[Tensor, Handle]:
    """Emit constants that NumPy would broadcast against a tensor of Keras; return the tensor in the same order."""
    values = np.asarray(values, np.float32)
    if values.ndim == 0:
        return tensor, writer.constant(values)
    if values.ndim == 1 and tensor.shape and values.shape[0] == tensor.shape[-1]:
        return tensor, along(writer, tensor, -1, values)
    if values.size == 1:
        return tensor, writer.constant(values.reshape([1] * (len(tensor.shape) + 1)))
    return in_keras_order(writer, tensor), writer.constant(values)
