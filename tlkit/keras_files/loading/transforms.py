"""Convert tensors between the layouts of ten years of Keras, with NumPy alone.

Two things are independent of each other: the *layout* (which axis is which) and the *flip* (Theano convolved, so a
kernel trained there is rotated by 180 degrees against one of TensorFlow, which correlates).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Conversion:
    """One step from a saved tensor to that of Keras 3.

    Attributes:
        name: In words, for reports.
        apply: The step; takes and gives one array.
    """

    name: str
    apply: Callable[[np.ndarray], np.ndarray]


def transpose(name: str, axes: Shape) -> Conversion:
    """Return the conversion that permutes axes."""
    return Conversion(name, partial(np.transpose, axes=axes))


TO_TF = {
    4: transpose("kernels from (out, in, height, width) to (height, width, in, out)", (2, 3, 1, 0)),
    5: transpose("kernels from (out, in, depth, height, width) to (depth, height, width, in, out)", (2, 3, 4, 1, 0)),
}
"""Theano's order of a kernel's axes to TensorFlow's, by the number of axes."""
TRANSPOSED_TF = transpose(
    "transposed convolutions from (height, width, in, out) to (height, width, out, in)", (0, 1, 3, 2)
)
TRANSPOSED_TH = transpose(
    "transposed convolutions from (in, out, height, width) to (height, width, out, in)", (2, 3, 0, 1)
)
CONV1D = Conversion("one-dimensional kernels without the axis of length 1", lambda kernel: kernel[:, 0])
CONV1D_TH = Conversion(
    "one-dimensional kernels from (out, in, length, 1) to (length, in, out)",
    lambda kernel: np.transpose(kernel, (2, 3, 1, 0))[:, 0],
)


def flip(spatial: int) -> Conversion:
    """Return the conversion that rotates a kernel by 180 degrees over its first ``spatial`` axes; its own inverse."""
    return Conversion(
        "kernels by a rotation of 180 degrees (Theano convolves, TensorFlow correlates)",
        lambda kernel: kernel[(slice(None, None, -1),) * spatial],
    )


def dense_after_flatten(map_shape: Shape) -> Conversion:
    """Return the conversion that reorders the rows of a Dense kernel after the Flatten of a feature map.

    Args:
        map_shape: Of the map, ``(height, width, channels)``. The saved rows are in channels-first order.
    """
    height, width, channels = map_shape

    def reorder(kernel: np.ndarray) -> np.ndarray:
        rows = kernel.reshape(channels, height, width, -1)
        return rows.transpose(1, 2, 0, 3).reshape(kernel.shape)

    return Conversion(f"the Dense after the Flatten from channels first to last ({height}x{width}x{channels})", reorder)


HARD_SIGMOID_GATES: dict[str, tuple[bool, ...]] = {"gru": (True, True, False), "lstm": (True, True, False, True)}
"""Which of today's gates (z r h, i f c o) the recurrent activation is for, by the kind of the layer."""


def old_hard_sigmoid(gates: tuple[bool, ...]) -> Conversion:
    """Return the conversion that scales recurrent gates from the hard sigmoid of Keras 1 and 2 to that of Keras 3.

    clip(0.2·x + 0.5, 0, 1) is clip(y/6 + 0.5, 0, 1) of y = 1.2·x, and x is linear in kernel, recurrent kernel and bias.

    Args:
        gates: For each gate along the last axis, whether it computes that.
    """

    def scale(values: np.ndarray) -> np.ndarray:
        factors = np.where(gates, 1.2, 1.0).astype(values.dtype)
        return np.asarray(values * np.repeat(factors, values.shape[-1] // len(gates)))

    return Conversion("gates from the hard sigmoid of Keras 1 and 2 to that of Keras 3 (times 1.2)", scale)


# The positions, in an old file, of the gates that today are one tensor: kernel, recurrent kernel and bias each.
GATES: dict[str, tuple[Shape, Shape, Shape]] = {
    "gru": ((0, 3, 6), (1, 4, 7), (2, 5, 8)),
    "lstm": ((0, 6, 3, 9), (1, 7, 4, 10), (2, 8, 5, 11)),  # i c f o in the file, i f c o today
}
GATE_NAMES = {"gru": "zrh", "lstm": "icfo"}
"""The gates in the order that Keras 1 wrote them."""
