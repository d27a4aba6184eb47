"""Pillow's antialiased bilinear resize as operations of an exported network: two products with matrices of weights."""

from __future__ import annotations

from typing import Any, Protocol

from tlkit.data.images.resize import CROP_FRACTION


class ResizeOperations(Protocol):
    """The operations that this takes, of a graph in which height and width are open; numbers are float32."""

    def constant(self, values: Any) -> Any:
        """Return a number or an array as a tensor."""
        ...

    def side(self, x: Any, axis: int) -> Any:
        """Return the length of an axis, a tensor of one number."""
        ...

    def count_to(self, length: Any) -> Any:
        """Return 0, 1, 2 and so on below a length, a vector."""
        ...

    def unary(self, operation: str, x: Any) -> Any:
        """Return abs, floor or relu of x."""
        ...

    def binary(self, operation: str, x: Any, y: Any) -> Any:
        """Return add, subtract, multiply, divide, maximum or minimum of x and y, with broadcasting."""
        ...

    def matmul(self, x: Any, y: Any) -> Any:
        """Return the matrix product of the last two axes, with broadcasting of the others."""
        ...

    def reshape(self, x: Any, shape: tuple[int, ...]) -> Any:
        """Return x in another shape."""
        ...

    def transpose(self, x: Any, axes: tuple[int, ...]) -> Any:
        """Return x with its axes in another order."""
        ...

    def reduce(self, how: str, x: Any, axes: tuple[int, ...], *, keepdims: bool) -> Any:
        """Return the sum over axes."""
        ...


def resize_images(images: Any, size: tuple[int, int], mode: str, operations: ResizeOperations) -> Any:
    """Emit the resize of :func:`tlkit.data.images.resize.resize`, with its rounding to whole levels after each axis.

    Args:
        images: ``(batch, any height, any width, channels)`` float32, 0 to 255.
        size: Target height and width.
        mode: ``squash`` or ``crop``.
        operations: Of the runtime.

    Returns:
        ``(batch, height, width, channels)`` float32, whole numbers of 0 to 255.
    """
    ops = operations
    height, width = ops.side(images, 1), ops.side(images, 2)
    if mode == "crop":
        aspect = ops.constant(size[1] / size[0])
        wide = ops.binary("minimum", width, ops.binary("multiply", height, aspect))
        wide = ops.binary("multiply", wide, ops.constant(CROP_FRACTION))
        used = ops.binary("divide", wide, aspect), wide
    else:
        used = height, width
    rows, columns = (
        _weights(side, part, count, ops) for side, part, count in zip((height, width), used, size, strict=True)
    )
    maps = ops.transpose(images, (0, 3, 1, 2))
    across = _rounded(ops.matmul(maps, ops.transpose(columns, (1, 0))), ops)
    return ops.transpose(_rounded(ops.matmul(rows, across), ops), (0, 2, 3, 1))


def _weights(side: Any, used: Any, count: int, ops: ResizeOperations) -> Any:
    """Return how much each pixel of a side counts for each of the target, ``(count, side)``; rows have the sum 1.

    A triangle around the middle of each target pixel, as wide as two of them, or as two of the source if it enlarges.
    """
    scale = ops.binary("divide", used, ops.constant(float(count)))
    start = ops.binary("multiply", ops.binary("subtract", side, used), ops.constant(0.5))
    half = ops.constant(0.5)
    targets = ops.reshape(ops.count_to(ops.constant(float(count))), (-1, 1))
    centers = ops.binary("add", start, ops.binary("multiply", ops.binary("add", targets, half), scale))
    pixels = ops.reshape(ops.binary("add", ops.count_to(side), half), (1, -1))
    reach = ops.binary("maximum", scale, ops.constant(1.0))
    distance = ops.unary("abs", ops.binary("divide", ops.binary("subtract", pixels, centers), reach))
    weights = ops.unary("relu", ops.binary("subtract", ops.constant(1.0), distance))
    return ops.binary("divide", weights, ops.reduce("sum", weights, (1,), keepdims=True))


def _rounded(x: Any, ops: ResizeOperations) -> Any:
    return ops.unary("floor", ops.binary("add", x, ops.constant(0.5)))
