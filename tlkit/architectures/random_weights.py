"""Random weights, drawn by NumPy from the distributions of Keras's initializers: the same for every engine.

The draw of a weight depends on the seed, on the names of its layer and of the weight, and on its shape; not on other
layers, so a base starts with the same weights with and without a classifier.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tlkit.architectures.initializers import BY_ROLE, Initializer
from tlkit.errors import ArchitectureError

if TYPE_CHECKING:
    from tlkit.keras_files import LayerSpec

DRAW = 1
"""Version of the draw, part of the provenance: increment when the same seed gives other weights."""

_TRUNCATED_STDDEV = 0.87962566103423978
"""Standard deviation of the standard normal distribution, cut off at two."""


def describe_draw(seed: int) -> str:
    """Return what decides random weights, beside the architecture: for provenance."""
    return f"seed {seed}, draw {DRAW}, numpy {np.__version__}"  # NumPy may change its distributions


def draw_layer(layer: LayerSpec, initializers: Mapping[str, Initializer], seed: int) -> dict[str, np.ndarray]:
    """Draw the weights of a layer.

    Args:
        layer: The layer.
        initializers: ``{role: initializer}`` of weights that have another than
            :data:`tlkit.architectures.initializers.BY_ROLE` gives them.
        seed: Random seed.

    Returns:
        ``{role: array}``, float32.

    Raises:
        ArchitectureError: An initializer is none of Keras's.
    """
    arrays = {}
    for role, shape in layer.tensors:
        initializer = initializers.get(role) or BY_ROLE.get(role) or ("unknown", "of no kind that is known")
        name = "/".join((*layer.path, layer.name, role))
        digest = hashlib.sha256(name.encode()).digest()
        random = np.random.Generator(np.random.SFC64([seed, int.from_bytes(digest)]))
        if initializer[0] == "unknown":
            raise ArchitectureError(
                f"The initializer of {name} is {initializer[1]}, from which tlkit cannot draw random weights; it "
                "draws from those of keras.initializers.",
                hint="Give a file with --weights PATH.",
            )
        arrays[role] = draw(initializer, shape, random)
    return arrays


def draw(initializer: Initializer, shape: Sequence[int], random: np.random.Generator) -> np.ndarray:
    """Draw one weight: float32, of that shape.

    Args:
        initializer: What to draw from.
        shape: Of the weight, as in Keras 3.
        random: Draws.
    """
    kind, *arguments = initializer
    match kind:
        case "constant":
            return np.full(shape, arguments[0], np.float32)
        case "random_uniform":
            low, high = arguments
            return _uniform(shape, low, high, random)
        case "random_normal":
            return _scaled(random.standard_normal(shape, np.float32), *arguments)
        case "truncated_normal":
            return _scaled(_truncated_normal(shape, random), *arguments)
        case "orthogonal":
            return _orthogonal(shape, arguments[0], random)
        case "variance_scaling":
            return _variance_scaling(shape, *arguments, random=random)
    raise ValueError(f"no such initializer: {initializer}")


def _variance_scaling(
    shape: Sequence[int],
    scale: float,
    mode: str,
    distribution: str,
    input_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
    *,
    random: np.random.Generator,
) -> np.ndarray:
    fan_in, fan_out = _fans(shape, input_axes, output_axes)
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
    deviation = math.sqrt(scale / max(1.0, fan))
    if distribution == "uniform":
        limit = math.sqrt(3) * deviation
        return _uniform(shape, -limit, limit, random)
    if distribution == "untruncated_normal":
        return _scaled(random.standard_normal(shape, np.float32), 0, deviation)
    return _scaled(_truncated_normal(shape, random), 0, deviation / _TRUNCATED_STDDEV)


def _fans(
    shape: Sequence[int], input_axes: Sequence[int] | None, output_axes: Sequence[int] | None
) -> tuple[float, float]:
    """Return the input and output units of a weight, as Keras counts them: a depthwise kernel has few outputs."""
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[axis] for axis in input_axes), math.prod(shape[axis] for axis in output_axes)
    if len(shape) < 2:
        return math.prod(shape), math.prod(shape)
    field = math.prod(shape[:-2])
    return field * shape[-2], field * shape[-1]


def _uniform(shape: Sequence[int], low: float, high: float, random: np.random.Generator) -> np.ndarray:
    return _scaled(random.random(shape, np.float32), low, high - low)


def _scaled(values: np.ndarray, offset: float, scale: float) -> np.ndarray:
    values = np.asarray(values)  # NumPy draws a number, not an array, for the shape ()
    values *= np.float32(scale)
    if offset:
        values += np.float32(offset)
    return values


def _truncated_normal(shape: Sequence[int], random: np.random.Generator) -> np.ndarray:
    """Draw from the standard normal distribution, and again where that is more than two from 0."""
    values = random.standard_normal(math.prod(shape), np.float32)
    outside = np.flatnonzero(np.abs(values) > 2)
    while outside.size:
        values[outside] = random.standard_normal(outside.size, np.float32)
        outside = outside[np.abs(values[outside]) > 2]
    return values.reshape(shape)


def _orthogonal(shape: Sequence[int], gain: float, random: np.random.Generator) -> np.ndarray:
    rows, columns = math.prod(shape[:-1]), shape[-1]
    normal = random.standard_normal((max(rows, columns), min(rows, columns)), np.float32)
    q, r = np.linalg.qr(normal)
    q *= np.sign(np.diag(r))  # else some matrices would be likelier than others
    return _scaled(np.ascontiguousarray(q.T if rows < columns else q).reshape(shape), 0, gain)
