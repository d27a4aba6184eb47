"""The two ends of a model from a file: which pixel values its input expects, and what its outputs are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlkit.inference.compiler.activations import activation_name
from tlkit.inference.compiler.emit import Arrays
from tlkit.inference.compiler.graph import Call, Graph, Ref, constant_value

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
def model_ends(
    graph: Graph | None,
    shape: Sequence[int | None],
    read_arrays: Callable[[], Arrays],
    run: Callable[[np.ndarray], np.ndarray],
) -> ModelEnds:
    """Find out what the ends of a model are, from its layers; where those do not tell, from outputs of random images.

    Args:
        graph: The model, of one input and one output ``(batch, classes)``; None where its layers are not known.
        shape: Of one input; sides may be None.
        read_arrays: Read its weights.
        run: Return the outputs for a batch of inputs.
    """
    if graph is None:
        return ModelEnds(scales_pixels=False, outputs=_outputs_of_probes(shape, run))
    scaled: dict[int, tuple[Any, Any]] = {}
    first: list[tuple[Any, Any]] = []
    outputs: dict[int, str | None] = {}
    for number, call in enumerate(graph.calls):
        if call.kind == "InputLayer" and call.shape is not None:
            scaled[number] = (1.0, 0.0)
            continue
        inputs = [ref.call for ref in call.refs()]
        outputs[number] = _outputs(call.kind, call.settings, [outputs.get(source) for source in inputs])
        pixels = [scaled[source] for source in inputs if source in scaled]
        after = _scaled(call, pixels[0], read_arrays) if pixels and len(pixels) == len(inputs) else None
        if after is None:
            first += pixels
        else:
            scaled[number] = after
    return ModelEnds(
        bool(first) and all(_of_pixels(*pixels) for pixels in first),
        outputs.get(graph.outputs[0].call) or _outputs_of_probes(shape, run),
    )


def _scaled(call: Call, pixels: tuple[Any, Any], read_arrays: Callable[[], Arrays]) -> tuple[Any, Any] | None:
    """Return ``(scale, offset)`` of pixels after a call; None if it does more than scale them."""
    settings, (scale, offset), name = call.settings, pixels, call.kind
    if name in _SAME_PIXELS or name.startswith("Random"):
        return pixels
    if name == "Rescaling":
        factor = np.asarray(settings["scale"])
        return scale * factor, offset * factor + np.asarray(settings.get("offset") or 0.0)
    if name == "Normalization" and not settings.get("invert"):
        moments = settings if settings.get("mean") is not None else read_arrays().get(call.layer, {})
        if "mean" not in moments or "variance" not in moments:
            return None
        mean, deviation = np.asarray(moments["mean"]), np.sqrt(np.asarray(moments["variance"])) + 1e-7
        return scale / deviation, (offset - mean) / deviation
    arguments = [*call.arguments, *call.keywords.values()]
    numbers = [value for value in arguments if not isinstance(value, list | tuple | Ref)]
    number = constant_value(numbers[0]) if len(numbers) == 1 and len(arguments) == 2 else None
    if number is None:
        return None
    reversed_ = arguments[1] is not numbers[0]
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


def _outputs(name: str, settings: Any, inputs: list[str | None]) -> str | None:
    """Return what the outputs of a layer are, given what its inputs are; None where that cannot be told."""
    while isinstance(settings.get("layer"), dict):  # TimeDistributed
        name, settings = settings["layer"]["class_name"], settings["layer"]["config"]
    activation = _OPERATIONS.get(name) or (
        activation_name(settings["activation"]) if "activation" in settings else None
    )
    if name in _SAME_OUTPUTS or (name == "Activation" and activation == "linear"):
        return inputs[0] if len({*inputs}) == 1 else None
    if activation in _PROBABILITIES:
        return "probabilities"
    if activation in _SCORES:
        return "scores"
    if activation in ("linear", "log_softmax"):  # the softmax of logarithms of probabilities is the probabilities
        return "logits"
    return None if activation is None else "other"


def _outputs_of_probes(shape: Sequence[int | None], run: Callable[[np.ndarray], np.ndarray]) -> str:
    sides = [side or 224 for side in shape]
    random = np.random.default_rng(0)
    probes = random.normal(size=(_PROBES, *sides)) * np.array([1, 10, 100, 1000]).reshape(-1, *(1 for _ in sides))
    outputs = np.asarray(run(probes.astype("float32")), "float64")
    outputs = outputs[np.isfinite(outputs).all(axis=1)]
    if not len(outputs) or outputs.min() < -_TOLERANCE or outputs.max() > 1 + _TOLERANCE:
        return "logits"
    return "probabilities" if np.abs(outputs.sum(axis=1) - 1).max() < _TOLERANCE else "scores"
