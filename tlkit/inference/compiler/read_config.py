"""Read the config of a Keras 3 model as a graph; models inside it are laid out flat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tlkit.inference.compiler.graph import Call, Graph, Ref, Unsupported

_MODELS = {"Sequential", "Functional", "Model"}
_OPERATIONS = "keras.src.ops."
_TENSORS = ("inputs", "sequences", "query", "value", "key")
"""Arguments of layers that may be given by name, in the order of their positions."""
MOST_CALLS = 100_000


def read_config(config: Mapping[str, Any], *, lenient: bool = False) -> Graph:
    """Return the graph of a functional or Sequential model.

    Args:
        config: ``{"class_name": …, "config": …}`` of Keras 3, upgraded where it is older.
        lenient: Leave out what the compiler cannot say of a call (masks, states, all outputs but the first). Such a
            graph shows how layers are connected, and is not to be compiled.

    Raises:
        Unsupported: It has several inputs, or calls that cannot be told.
    """
    reader = _Reader(lenient)
    outputs = reader.model(config, None, ())
    return Graph(tuple(reader.calls), tuple(outputs), reader.models)


class _Reader:
    def __init__(self, lenient: bool) -> None:
        self.lenient = lenient
        self.calls: list[Call] = []
        self.models: dict[str, Ref] = {}

    def model(self, entry: Mapping[str, Any], given: Sequence[Ref] | None, path: tuple[str, ...]) -> list[Ref]:
        """Read a model; ``given`` are the tensors that it is called on, None for the outermost."""
        config = entry["config"]
        if entry["class_name"] == "Sequential":
            return self._sequential(config["layers"], given, path)
        if "input_layers" not in config:
            raise Unsupported(str(config.get("name")), "is a model of its own class", what="model")
        return self._functional(config, given, path)

    def _add(self, call: Call) -> Ref:
        if len(self.calls) == MOST_CALLS:  # a model that calls another twice, which calls a third twice, and so on
            raise Unsupported(call.name, f"is one of more than {MOST_CALLS:,} calls")
        self.calls.append(call)
        return Ref(len(self.calls) - 1)

    def _sequential(self, layers: Any, given: Sequence[Ref] | None, path: tuple[str, ...]) -> list[Ref]:
        current = list(given or ())
        for entry in layers:
            if entry["class_name"] == "InputLayer":
                current = current or [self._input(entry, path)]
                continue
            if not current:
                raise Unsupported(str(entry["config"].get("name")), "has no input shape")
            current = self._call(entry, tuple(current), {}, path)
        return current

    def _functional(self, config: Mapping[str, Any], given: Sequence[Ref] | None, path: tuple[str, ...]) -> list[Ref]:
        layers = config["layers"]
        inputs = [name for name, *_ in references(config["input_layers"])]
        if len(inputs) != 1 or (given is not None and len(given) != 1):
            raise Unsupported(str(config.get("name")), f"takes {len(inputs)} inputs", what="model")
        done: dict[str, list[list[Ref] | None]] = {}
        waiting: list[tuple[int, Any, Any]] = []
        models = {entry["name"] for entry in layers if entry["class_name"] in _MODELS}
        for entry in layers:
            nodes = entry.get("inbound_nodes") or []
            done[entry["name"]] = [None] * max(len(nodes), 1)
            if entry["name"] == inputs[0]:
                done[entry["name"]] = [[given[0] if given else self._input(entry, path)]]
            else:
                waiting += [(number, entry, node) for number, node in enumerate(nodes)]

        def outputs_of(name: str, index: int) -> list[Ref] | None:
            calls = done[name]
            if len(calls) == 1:
                return calls[0]
            # a model inside is called once more than it has nodes: when it was built
            place = index - (name in models and index >= len(calls))
            return calls[place] if 0 <= place < len(calls) else None

        def resolve(value: Any) -> Any:
            if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
                name, index, output = value["config"]["keras_history"]
                outputs = outputs_of(name, index)
                if outputs is None:
                    raise _Later
                return self._output(name, outputs, output)
            if isinstance(value, list | tuple):
                return [resolve(item) for item in value]
            return value

        while waiting:
            left = []
            for number, entry, node in waiting:
                try:
                    arguments = tuple(resolve(item) for item in node["args"])
                    keywords = {key: resolve(value) for key, value in (node.get("kwargs") or {}).items()}
                except _Later:
                    left.append((number, entry, node))
                else:
                    done[entry["name"]][number] = self._call(entry, arguments, keywords, path)
            if len(left) == len(waiting):
                raise Unsupported(str(left[0][1]["name"]), "is called on nothing that the input leads to")
            waiting = left
        found = []
        for name, index, output in references(config["output_layers"]):
            outputs = outputs_of(name, index)
            if outputs is None:
                raise Unsupported(name, "is no output of a call")
            found.append(self._output(name, outputs, output))
        return found

    def _input(self, entry: Mapping[str, Any], path: tuple[str, ...]) -> Ref:
        config = entry["config"]
        shape = config.get("batch_shape") or [None]
        return self._add(Call("InputLayer", config["name"], path, shape=tuple(shape[1:])))

    def _call(
        self, entry: Mapping[str, Any], arguments: tuple[Any, ...], keywords: Mapping[str, Any], path: tuple[str, ...]
    ) -> list[Ref]:
        config = entry.get("config") or {}
        name = str(config.get("name") or entry.get("name"))
        kind = entry["class_name"]
        is_operation = str(entry.get("module") or "").startswith(_OPERATIONS)
        if is_operation:
            return [self._add(Call(kind, name, path, config, arguments, keywords, is_operation=True))]
        given = {
            key: value
            for key, value in keywords.items()
            if key != "training" and value is not None and value is not False
        }
        named = [given.pop(key) for key in _TENSORS if key in given]
        if given and not self.lenient:
            raise Unsupported(name, f"is called with {', '.join(given)}")
        tensors = list(_flat((*arguments, *named)))
        if self.lenient:
            tensors = [tensor for tensor in tensors if isinstance(tensor, Ref)]
        if not all(isinstance(tensor, Ref) for tensor in tensors):
            raise Unsupported(name, "is called on constants")
        if kind in _MODELS:
            outputs = self.model(entry, tensors, (*path, name))
            if len(outputs) == 1:
                self.models[name] = outputs[0]
            return outputs
        return [self._add(Call(kind, name, path, config, tuple(tensors)))]

    def _output(self, name: str, outputs: Sequence[Ref], number: int) -> Ref:
        if number < len(outputs):
            return outputs[number]
        if self.lenient:
            return Ref(outputs[0].call, number)
        raise Unsupported(name, "gives several tensors")


class _Later(Exception):
    """A call takes what has not been read yet."""


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        else:
            yield value


def references(value: Any) -> Iterator[tuple[str, int, int]]:
    """Iterate over ``(layer, call, output)`` in the inputs or outputs of a config, however they are nested."""
    if isinstance(value, list | tuple) and len(value) == 3 and isinstance(value[0], str):
        yield value[0], int(value[1]), int(value[2])
    elif isinstance(value, dict):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from references(item)
