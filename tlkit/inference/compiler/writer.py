"""The vocabulary in which the tables say what a layer computes; a writer emits it for one runtime.

Tensors are float32 with the batch first. Maps are ``(batch, channels, height, width)`` (one, two or three sides).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

Handle = Any
"""A tensor of the writer's runtime."""

Axes = Sequence[int]


class Writer(Protocol):
    """Emits operations; every method returns the tensor that is computed."""

    def begin_layer(self, name: str) -> None:
        """Tell that what follows is computed by the layer of this name."""
        ...

    def constant(self, values: np.ndarray | np.floating[Any]) -> Handle:
        """Emit values that do not depend on the input."""
        ...

    def unary(self, operation: str, x: Handle) -> Handle:
        """Emit abs, ceil, cos, erf, exp, floor, log, negative, relu, sigmoid, sign, sin, softplus, sqrt or tanh."""
        ...

    def binary(self, operation: str, x: Handle, y: Handle) -> Handle:
        """Emit add, subtract, multiply, divide, maximum, minimum or power, with NumPy's broadcasting."""
        ...

    def clip(self, x: Handle, low: float, high: float) -> Handle:
        """Emit a limit to values from ``low`` to ``high``."""
        ...

    def elu(self, x: Handle, alpha: float) -> Handle:
        """Emit x where it is positive, else ``alpha * (exp(x) - 1)``."""
        ...

    def softmax(self, x: Handle, axis: int) -> Handle:
        """Emit the softmax along an axis."""
        ...

    def matmul(self, x: Handle, y: Handle) -> Handle:
        """Emit the matrix product of the last two axes."""
        ...

    def convolve(
        self, x: Handle, kernel: np.ndarray, strides: Axes, begin: Axes, end: Axes, dilation: Axes, groups: int
    ) -> Handle:
        """Emit a convolution; the kernel is Keras's, ``(*sides, in / groups, out)``, with so many zeros around x."""
        ...

    def convolve_transposed(
        self, x: Handle, kernel: np.ndarray, strides: Axes, begin: Axes, end: Axes, extra: Axes
    ) -> Handle:
        """Emit a transposed convolution; the kernel is Keras's, ``(*sides, out, in)``.

        ``begin`` and ``end`` are cut off the output, ``extra`` zeros are added behind it.
        """
        ...

    def pool(self, how: str, x: Handle, size: Axes, strides: Axes, begin: Axes, end: Axes) -> Handle:
        """Emit ``max`` or ``avg`` pooling; what lies around the map is not counted."""
        ...

    def reduce(self, how: str, x: Handle, axes: Axes, *, keepdims: bool) -> Handle:
        """Emit mean, max, min, sum or prod over axes."""
        ...

    def reshape(self, x: Handle, shape: Sequence[int]) -> Handle:
        """Emit a change of shape; one size may be -1."""
        ...

    def transpose(self, x: Handle, axes: Axes) -> Handle:
        """Emit a permutation of axes."""
        ...

    def concatenate(self, tensors: Sequence[Handle], axis: int) -> Handle:
        """Emit tensors one behind the other."""
        ...

    def pad(self, x: Handle, begin: Axes, end: Axes, mode: str = "constant", value: float = 0.0) -> Handle:
        """Emit values around a tensor: ``constant``, ``reflect`` or ``symmetric``."""
        ...

    def gather(self, x: Handle, indices: Sequence[int], axis: int) -> Handle:
        """Emit entries of an axis, in any order, as often as wanted."""
        ...

    def slice(self, x: Handle, axis: int, start: int, stop: int, step: int = 1) -> Handle:
        """Emit part of an axis, as Python slices it."""
        ...

    def resize(self, x: Handle, size: Axes, how: str) -> Handle:
        """Emit a map of another height and width: ``nearest`` or ``bilinear``, pixels as areas."""
        ...
