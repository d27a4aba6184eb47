"""Rewrite the connections of a functional model, in every form that Keras has used, in that of Keras 3.

A connection names a layer, which of its calls is meant, and which output of that call. Keras 1 and 2 wrote
``["conv1", 0, 0]``, later ``["conv1", 0, 0, {arguments of the call}]``; Keras 3 writes the arguments of the call with
tensors in them that contain ``"keras_history": ["conv1", 0, 0]``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tlkit.keras_files.upgrade import allowlist
from tlkit.keras_files.upgrade.layers import refusal

_CONSTANT = "_CONSTANT_VALUE"  # how Keras 2 wrote the 1 of `1 - x`
_TAKES_STATES = frozenset(
    {"LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Bidirectional"}
)


@dataclass(frozen=True)
class Nodes:
    """The connections inside one model.

    Attributes:
        keras: Major version of the Keras that wrote them.
        first: Name of each layer in the file to the number its first call has there. Keras 3 starts at 0; before,
            a model inside a model had a call of its own, so others started at 1.
        sequentials: The layers that are Sequential models.
        rename: Old name of a layer to its new one.
    """

    keras: int
    first: dict[str, int]
    sequentials: frozenset[str]
    rename: Callable[[Any], Any]

    def call(self, node: Any, entry: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
        """Return one call of a layer as ``{"args": …, "kwargs": …}``.

        Args:
            node: The call as the file has it.
            entry: The layer as the file has it.
            layer: The layer as upgraded; an operation gets some arguments of its call as config.
        """
        if isinstance(node, dict):
            node = self._renamed(node)
            if "module" not in entry and len(node["args"]) > 1 and allowlist.operations_module(layer["class_name"]):
                # An .h5 of Keras 3 has just "Add", which is a layer of a list or an operation of two tensors.
                layer["module"] = allowlist.operations_module(layer["class_name"])
            return {"args": node["args"], "kwargs": node["kwargs"]}
        if not node:
            return {"args": [], "kwargs": {}}
        references = [node] if isinstance(node[0], str) else node
        tensors = [self._tensor(reference) for reference in references]
        kwargs: dict[str, Any] = next((reference[3] for reference in references if len(reference) > 3), {})
        kwargs = {key: self._nested(value) for key, value in kwargs.items()}
        if entry["class_name"] in allowlist.TRANSLATED_OP_LAYERS:
            return _operation_call(entry["config"]["function"], layer, tensors, kwargs)
        if layer["class_name"] in _TAKES_STATES and len(tensors) > 1:
            return {"args": tensors[:1], "kwargs": {**kwargs, "initial_state": tensors[1:]}}
        return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": kwargs}

    def ends(self, tensors: Any, *, top: bool = True) -> Any:
        """Rewrite the inputs or outputs of the model: ``["conv1", 0, 0]``, a list or a dictionary of such."""
        if isinstance(tensors, dict):
            return {key: self.ends(item, top=False) for key, item in tensors.items()}
        if not isinstance(tensors, list):
            raise TypeError("a model ends in tensors")
        if len(tensors) == 3 and isinstance(tensors[0], str):
            name, index, output = tensors
            # Here Keras 3 still counts the calls of a functional model from 1, but those of a Sequential from 0.
            return [self.rename(name), index - (self.first[name] if name in self.sequentials else 0), output]
        if top and self.keras < 3 and len(tensors) == 1:
            return self.ends(tensors[0])  # one tensor, as it was then, and not a list of one
        return [self.ends(item, top=False) for item in tensors]

    def _tensor(self, reference: list[Any]) -> Any:
        name, index, output = reference[:3]
        return output if name == _CONSTANT else _tensor(self.rename(name), index - self.first[name], output)

    def _nested(self, value: Any) -> Any:
        """Rewrite arguments of a call: ``["conv1", 0, 0]`` among them is a tensor."""
        if isinstance(value, list):
            if len(value) == 3 and isinstance(value[0], str) and (value[0] in self.first or value[0] == _CONSTANT):
                return self._tensor(value)
            return [self._nested(item) for item in value]
        if isinstance(value, dict):
            return {key: self._nested(item) for key, item in value.items()}
        return value

    def _renamed(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._renamed(item) for item in value]
        if not isinstance(value, dict):
            return value
        if value.get("class_name") == "__keras_tensor__":
            name, index, output = value["config"]["keras_history"]
            return _tensor(self.rename(name), index, output)
        return {key: self._renamed(item) for key, item in value.items()}


def _tensor(name: Any, index: int, output: int) -> dict[str, Any]:
    # Keras replaces it by the tensor of that history: shape and type are never looked at.
    config = {"shape": [], "dtype": "float32", "keras_history": [name, index, output]}
    return {"class_name": "__keras_tensor__", "config": config}


def _operation_call(function: str, layer: dict[str, Any], tensors: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the call of a translated TensorFlow op: some arguments are config in Keras 3, others are positional."""
    kwargs.pop("name", None)
    for old, new in allowlist.TRANSLATED_OPS[function][1].items():
        if old in kwargs:
            layer["config"][new] = kwargs.pop(old)
    args = [tensors] if layer["class_name"] == "Concatenate" else tensors
    if kwargs.get("data_format") == "NHWC":  # of tf.nn.bias_add
        del kwargs["data_format"]
    args = [*args, *(kwargs.pop(key) for key in ("y", "bias") if key in kwargs)]
    if layer["class_name"] == "GetItem":
        args.append([_slice(part) for part in kwargs.pop("slice_spec")])
    else:
        args = [_constant(value) for value in args]
    left = [key for key, value in kwargs.items() if value is not None]
    if left:
        raise refusal(layer["config"]["name"], "TFOpLambda", f"it calls tf.{function} with {', '.join(left)}")
    return {"args": args, "kwargs": {}}


def _slice(part: Any) -> Any:
    """Rewrite one part of ``x[..., ::-1]``: a slice, an ellipsis or a number."""
    if isinstance(part, dict) and set(part) == {"start", "stop", "step"}:
        return {"class_name": "__slice__", "config": part}
    return {"class_name": "__ellipsis__", "config": {}} if isinstance(part, dict) else part


def _constant(value: Any) -> Any:
    """Rewrite numbers in a list, such as the means of three channels, as an array; anything else is returned."""
    numbers = isinstance(value, list) and value and all(isinstance(item, int | float) for item in value)
    return {"class_name": "__numpy__", "config": {"value": value, "dtype": "float32"}} if numbers else value
