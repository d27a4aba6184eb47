"""Initializers of Keras as data: what the weights of a layer start from, without Keras.

An initializer is a tuple of the name of its Keras function and its arguments: ``("constant", 0.0)``,
``("variance_scaling", 1.0, "fan_avg", "uniform")``, which is ``glorot_uniform``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Initializer = tuple[Any, ...]

_ZEROS, _ONES = ("constant", 0.0), ("constant", 1.0)
_GLOROT_UNIFORM = ("variance_scaling", 1.0, "fan_avg", "uniform")
BY_ROLE: Mapping[str, Initializer] = {
    "kernel": _GLOROT_UNIFORM,
    "depthwise_kernel": _GLOROT_UNIFORM,
    "pointwise_kernel": _GLOROT_UNIFORM,
    "recurrent_kernel": ("orthogonal", 1.0),
    "bias": _ZEROS,
    "gamma": _ONES,
    "beta": _ZEROS,
    "moving_mean": _ZEROS,
    "moving_variance": _ONES,
    "mean": _ZEROS,
    "variance": _ONES,
    "count": _ZEROS,
}
"""The defaults of Keras's layers, by the name of the weight."""


def initializer_of(initializer: Any) -> Initializer:
    """Return a Keras initializer as data; ``("unknown", name of its class)`` if it is none of Keras's.

    Args:
        initializer: A ``keras.initializers.Initializer``, or any other callable.
    """
    name = type(initializer).__name__
    if not type(initializer).__module__.startswith("keras."):
        return ("unknown", getattr(initializer, "__name__", name))
    config = initializer.get_config()
    if hasattr(initializer, "distribution"):  # of VarianceScaling and what derives from it: Glorot, He, LeCun
        axes = (config["input_axes"], config["output_axes"])
        own = (initializer.scale, initializer.mode, initializer.distribution)
        return ("variance_scaling", *own, *(axes if None not in axes else ()))
    match name:
        case "Zeros":
            return _ZEROS
        case "Ones":
            return _ONES
        case "Constant" if isinstance(config["value"], int | float):
            return ("constant", float(config["value"]))
        case "RandomNormal" | "TruncatedNormal":
            kind = "random_normal" if name == "RandomNormal" else "truncated_normal"
            return (kind, config["mean"], config["stddev"])
        case "RandomUniform":
            return ("random_uniform", config["minval"], config["maxval"])
        case "Orthogonal":
            return ("orthogonal", config["gain"])
    return ("unknown", name)
