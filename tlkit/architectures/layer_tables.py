"""The layers of every architecture as data: listing them, and matching files to them, needs no TensorFlow.

``data/layers/NAME.tsv`` holds one layer per line: where it occurs (``both``, ``base`` only without the classifier,
``top`` only with it), name, kind, output shape at the default size, its weights with their shapes in the layer's own
order, and what else decides how files load: ``groups=32`` of a convolution, ``recurrent_activation=hard_sigmoid`` of a
recurrent layer. ``python -m tlkit.architectures.layer_tables [NAMES]`` writes the files again from the installed Keras;
tests compare them with what it builds.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlkit.config import BuildOptions
from tlkit.keras_files import LayerSpec, groups_of, recurrent_activation_of

if TYPE_CHECKING:
    from tlkit.architectures.architecture import Architecture

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerInfo:
    """One layer.

    Attributes:
        part: ``both``, ``base`` or ``top``.
        name: The layer's name in a freshly built model.
        kind: The Keras class.
        shape: Output shape without the batch, at the architecture's default input size.
        weights: ``(name, shape)`` of each weight; in a layer that is a model itself, ``layer/name``.
        recurrent_activation: Of a GRU or LSTM; empty for all others.
        groups: Of a convolution.
    """

    part: str
    name: str
    kind: str
    shape: Shape
    weights: tuple[tuple[str, Shape], ...]
    recurrent_activation: str = ""
    groups: int = 1

    @property
    def parameters(self) -> int:
        """Number of parameters, including non-trainable ones."""
        return sum(math.prod(shape) for _, shape in self.weights)

    def line(self) -> str:
        """Return the line of a table."""
        weights = " ".join(f"{name}:{_cross(shape)}" for name, shape in self.weights)
        extra = [f"groups={self.groups}"] if self.groups > 1 else []
        extra += [f"recurrent_activation={self.recurrent_activation}"] if self.recurrent_activation else []
        return "\t".join((self.part, self.name, self.kind, _cross(self.shape), weights, *extra))

    @classmethod
    def from_line(cls, line: str) -> LayerInfo:
        """Parse a line of a table."""
        part, name, kind, shape, weights, *extra = line.split("\t")
        pairs = (item.split(":") for item in weights.split(" ") if item)
        fields = dict(item.split("=") for item in extra)
        return cls(
            part, name, kind, _uncross(shape), tuple((key, _uncross(value)) for key, value in pairs),
            fields.get("recurrent_activation", ""), int(fields.get("groups", 1)),
        )  # fmt: skip


def _cross(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "-"


def _uncross(text: str) -> Shape:
    return () if text == "-" else tuple(map(int, text.split("x")))


@cache
def layers_of(architecture: Architecture, *, include_top: bool) -> tuple[LayerInfo, ...]:
    """Return the layers of an architecture in the order of ``model.layers``; the index is the position.

    Where no table is shipped (arguments that no weights were published for, a registered architecture), the network is
    built and described, which takes seconds the first time.
    """
    table = _table(architecture)
    if table is None or (include_top and architecture.options.classes):
        return _describe_built(architecture, include_top)
    other = "base" if include_top else "top"
    return tuple(
        layer for layer in map(LayerInfo.from_line, table.read_text("utf-8").splitlines()) if layer.part != other
    )


def _table(architecture: Architecture) -> Traversable | None:
    """Return the shipped table of an architecture; None if there is none."""
    alpha, file = architecture.options.alpha, None
    if architecture.options.depth_multiplier is None and (alpha is None or alpha in architecture.alphas):
        file = resources.files("tlkit.architectures") / "data" / "layers" / _file_name(architecture)
    return file if file is not None and file.is_file() else None


def _file_name(architecture: Architecture) -> str:
    """``mobilenet.tsv``, ``mobilenet-0.5.tsv``."""
    alpha = architecture.options.alpha
    return f"{architecture.name}.tsv" if alpha is None else f"{architecture.name}-{alpha:g}.tsv"


def _describe_built(architecture: Architecture, include_top: bool) -> tuple[LayerInfo, ...]:
    from tlkit.architectures.build import build

    options = dataclasses.replace(architecture.options, data_format="channels_last")  # as in the shipped tables
    architecture = dataclasses.replace(architecture, options=options)
    layers = describe(build(architecture, include_top=include_top))
    if not include_top:
        return layers
    base = {layer.name for layer in layers_of(architecture, include_top=False)}
    return tuple(dataclasses.replace(layer, part="both" if layer.name in base else "top") for layer in layers)


def describe(model: Any, part: str = "both") -> tuple[LayerInfo, ...]:
    """Return the layers of a built Keras model, all marked as ``part``."""

    def shape(layer: Any) -> Shape:
        output = layer.output[0] if isinstance(layer.output, list) else layer.output
        return tuple(output.shape[1:])

    return tuple(
        LayerInfo(
            part, layer.name, type(layer).__name__, shape(layer),
            tuple((_weight_name(layer, weight), tuple(weight.shape)) for weight in layer.weights),
            recurrent_activation_of(layer), groups_of(layer),
        )
        for layer in model.layers
    )  # fmt: skip


def _weight_name(layer: Any, weight: Any) -> str:
    """``kernel``; in a layer that is a model itself ``layer/kernel``."""
    for inner in getattr(layer, "layers", ()):
        if any(weight is own for own in inner.weights):
            return f"{inner.name}/{weight.name}"
    return str(weight.name)


def expected_layers(architecture: Architecture, *, include_top: bool) -> list[LayerSpec]:
    """Return the layers that an architecture expects in a weights file, from its table: no model is built."""
    expected: list[LayerSpec] = []
    flattened: Shape | None = None
    before: Shape = ()
    for layer in layers_of(architecture, include_top=include_top):
        if layer.kind == "Flatten":
            flattened = before
        inner: dict[str, list[tuple[str, Shape]]] = {}
        for name, shape in layer.weights:
            owner, _, role = name.rpartition("/")
            inner.setdefault(owner, []).append((role, shape))
        for owner, tensors in inner.items():
            if owner:  # the models inside ConvNeXt are made of these two
                kind = "LayerNormalization" if tensors[0][0] == "gamma" else "Conv2D"
                expected.append(LayerSpec(owner, kind, tuple(tensors), (layer.name,)))
            else:
                map_shape = flattened if layer.kind == "Dense" and len(flattened or ()) == 3 else None
                expected.append(
                    LayerSpec(
                        layer.name,
                        layer.kind,
                        tuple(tensors),
                        (),
                        map_shape,
                        recurrent_activation=layer.recurrent_activation,
                        groups=layer.groups,
                    )
                )
        if layer.weights:
            flattened = None
        before = layer.shape
    return expected


def catalog_lines(base: Any, whole: Any) -> list[str]:
    """Return the table of an architecture, given the models without and with its classifier."""
    without, with_top = describe(base), describe(whole)
    shared = {layer.name for layer in without} & {layer.name for layer in with_top}
    lines = [LayerInfo("both" if layer.name in shared else "base", *_rest(layer)).line() for layer in without]
    return lines + [LayerInfo("top", *_rest(layer)).line() for layer in with_top if layer.name not in shared]


def _rest(layer: LayerInfo) -> tuple[Any, ...]:
    return layer.name, layer.kind, layer.shape, layer.weights, layer.recurrent_activation, layer.groups


def _write(names: Sequence[str]) -> None:
    from tlkit.architectures.build import build
    from tlkit.architectures.registry.lookup import all_architectures, get_architecture

    folder = Path(__file__).parent / "data" / "layers"
    for default in map(get_architecture, names) if names else all_architectures():
        for alpha in default.alphas or (None,):
            architecture = default.configured(BuildOptions(alpha=alpha, data_format="channels_last"))
            lines = catalog_lines(build(architecture, include_top=False), build(architecture, include_top=True))
            (folder / _file_name(architecture)).write_text("\n".join(lines) + "\n", "utf-8")
            print(_file_name(architecture), len(lines), flush=True)


if __name__ == "__main__":
    _write(sys.argv[1:])
