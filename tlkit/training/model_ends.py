"""The two ends of a model from a file: which pixel values its input expects, and what its outputs are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlkit.keras_private import call_arguments, calls, producer

# A network that multiplies its input by less, or subtracts more from it, is made for pixels of 0 to 255.
_LARGEST_SCALE, _LEAST_MEAN = 0.1, 2.0
_PROBES = 4
_TOLERANCE = 0.01  # float16 outputs of 1000 classes
_PROBABILITIES = frozenset({"softmax", "sparsemax"})
_SCORES = frozenset({"sigmoid", "hard_sigmoid", "sparse_sigmoid"})
_OPERATIONS = {"Softmax": "softmax", "Sigmoid": "sigmoid", "HardSigmoid": "hard_sigmoid", "LogSoftmax": "log_softmax"}
_SAME_PIXELS = frozenset({
    "ActivityRegularization", "AlphaDropout", "Cast", "CenterCrop", "Concatenate", "Cropping2D", "Dropout", "Flip",
    "GaussianDropout", "GaussianNoise", "GetItem", "Identity", "InputLayer", "Permute", "Reshape", "Resizing", "Stack",
    "StopGradient", "Swapaxes", "Transpose", "ZeroPadding2D",
})  # fmt: skip
_SAME_OUTPUTS = frozenset({
    "ActivityRegularization", "AlphaDropout", "Average", "Cast", "Dropout", "ExpandDims", "Flatten", "GaussianDropout",
    "GaussianNoise", "Identity", "Permute", "Reshape", "SpatialDropout1D", "SpatialDropout2D", "Squeeze",
    "StopGradient",
    *(f"{kind}{rank}D" for kind in ("AveragePooling", "GlobalAveragePooling", "AdaptiveAveragePooling")
      for rank in (1, 2, 3)),
})  # fmt: skip


@dataclass(frozen=True)
class ModelEnds:
    """What the ends of a model are.

    Attributes:
        scales_pixels: Whether it scales pixels of 0 to 255 by itself.
        outputs: ``probabilities`` (they sum to 1), ``scores`` (each of 0 to 1), ``logits``, or ``other`` numbers.
    """

    scales_pixels: bool
    outputs: str


@np.errstate(divide="ignore", invalid="ignore")
def model_ends(model: Any) -> ModelEnds:
    """Find out what the ends of a model are, from its layers; where those do not tell, from outputs of random images.

    Args:
        model: A ``keras.Model`` of one input ``(batch, height, width, channels)`` and one output ``(batch, classes)``.
    """
    scaled = {id(model.inputs[0]): (1.0, 0.0)}
    first: list[tuple[Any, Any]] = []
    outputs: dict[int, str | None] = {}
    same: dict[int, int] = {}
    for call in _calls(model, same):
        inputs = [same.get(id(tensor), id(tensor)) for tensor in call.input_tensors]
        result = [id(tensor) for tensor in call.outputs]
        outputs.update(dict.fromkeys(result, _outputs(call.operation, [outputs.get(tensor) for tensor in inputs])))
        pixels = [scaled[tensor] for tensor in inputs if tensor in scaled]
        after = _scaled(call, pixels[0]) if pixels and len(pixels) == len(inputs) else None
        if after is None:
            first += pixels
        else:
            scaled.update(dict.fromkeys(result, after))
    end = id(model.outputs[0])
    return ModelEnds(
        bool(first) and all(_of_pixels(*pixels) for pixels in first),
        outputs.get(same.get(end, end)) or _outputs_of_probes(model),
    )


def _calls(model: Any, same: dict[int, int]) -> Iterator[Any]:
    """Yield the calls of a model and of the models in it, inputs first; ``same`` gets tensors that are one another."""
    for call in calls(model):
        inner = call.operation
        if getattr(inner, "layers", None) is None or not hasattr(inner, "get_layer"):
            yield call
            continue
        for tensor, given in zip(inner.inputs, call.input_tensors, strict=False):
            same[id(tensor)] = same.get(id(given), id(given))
        yield from _calls(inner, same)
        for tensor, result in zip(inner.outputs, call.outputs, strict=False):
            same[id(result)] = same.get(id(tensor), id(tensor))


def _scaled(call: Any, pixels: tuple[Any, Any]) -> tuple[Any, Any] | None:
    """Return ``(scale, offset)`` of pixels after a call; None if it does more than scale them."""
    layer, (scale, offset) = call.operation, pixels
    name = type(layer).__name__
    if name in _SAME_PIXELS or name.startswith("Random"):
        return pixels
    if name == "Rescaling":
        return scale * np.asarray(layer.scale), offset * np.asarray(layer.scale) + np.asarray(layer.offset)
    if name == "Normalization" and layer.mean is not None and not layer.invert:
        mean, deviation = np.asarray(layer.mean), np.sqrt(np.asarray(layer.variance)) + 1e-7
        return scale / deviation, (offset - mean) / deviation
    arguments = call_arguments(call)
    numbers = [value for value in arguments if not isinstance(value, list | tuple) and producer(value) is None]
    if len(arguments) != 2 or len(numbers) != 1:
        return None
    number, reversed_ = np.asarray(numbers[0]), arguments[1] is not numbers[0]
    if name == "Multiply":
        return scale * number, offset * number
    if name in ("Divide", "TrueDivide") and not reversed_:
        return scale / number, offset / number
    if name == "Add":
        return scale, offset + number
    if name == "Subtract":
        return (-scale, number - offset) if reversed_ else (scale, offset - number)
    return None


def _of_pixels(scale: Any, offset: Any) -> bool:
    return bool(np.abs(scale).max() < _LARGEST_SCALE or np.abs(offset / scale).max() > _LEAST_MEAN)


def _outputs(layer: Any, inputs: list[str | None]) -> str | None:
    """Return what the outputs of a layer are, given what its inputs are; None where that cannot be told."""
    while hasattr(layer, "layer"):  # TimeDistributed
        layer = layer.layer
    name = type(layer).__name__
    activation = _OPERATIONS.get(name) or getattr(getattr(layer, "activation", None), "__name__", None)
    if name in _SAME_OUTPUTS or (name == "Activation" and activation == "linear"):
        return inputs[0] if len({*inputs}) == 1 else None
    if activation in _PROBABILITIES:
        return "probabilities"
    if activation in _SCORES:
        return "scores"
    if activation in ("linear", "log_softmax"):  # the softmax of logarithms of probabilities is the probabilities
        return "logits"
    return None if activation is None else "other"


def _outputs_of_probes(model: Any) -> str:
    shape = [side or 224 for side in model.input_shape[1:]]
    random = np.random.default_rng(0)
    probes = random.normal(size=(_PROBES, *shape)) * np.array([1, 10, 100, 1000]).reshape(-1, *(1 for _ in shape))
    outputs = np.asarray(model(probes.astype("float32"), training=False), "float64")
    outputs = outputs[np.isfinite(outputs).all(axis=1)]
    if not len(outputs) or outputs.min() < -_TOLERANCE or outputs.max() > 1 + _TOLERANCE:
        return "logits"
    return "probabilities" if np.abs(outputs.sum(axis=1) - 1).max() < _TOLERANCE else "scores"
