"""Quantize a LiteRT network with AI Edge Quantizer.

TensorFlow's converter quantizes whole networks only, and calibrates again each time. This one reads its float32 file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_quantizer import quantizer, recipe
from ai_edge_quantizer.utils import tfl_flatbuffer_utils

from tlkit.exporting.quantization import Quantizer
from tlkit.utils.quiet import stderr_held_back

_LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")
_SIGNATURE = "serving_default"


class _Samples:
    """The calibration images, as often as they are asked for: the quantizer counts them first."""

    def __init__(self, images: Sequence[np.ndarray]) -> None:
        self._images = images

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return ({"images": self._images[number]} for number in range(len(self._images)))


class LiteRTQuantizer(Quantizer):
    """A :class:`Quantizer` of LiteRT: int8 activations and weights."""

    kind = "litert"

    def __init__(self, network: Path, images: Sequence[np.ndarray]) -> None:
        super().__init__(network, images)
        model = tfl_flatbuffer_utils.read_model(network)
        (graph,) = model.subgraphs
        kinds = {
            tfl_flatbuffer_utils.get_op_scope(operation, graph.tensors): tfl_flatbuffer_utils.TFL_OP_CODE_TO_NAME.get(
                model.operatorCodes[operation.opcodeIndex].builtinCode
            )
            for operation in graph.operators
        }
        names = list(kinds)
        self._layers = [name for name, kind in kinds.items() if kind in _LAYERS]
        self._divide(names, self._layers)
        self._ranges: Any = None

    def write(self, target: Path, in_float: Sequence[str]) -> None:
        """Write the quantized network."""
        quantizing = quantizer.Quantizer(str(self._network), recipe.static_wi8_ai8())
        for name in (*self._around, *in_float):
            quantizing.update_quantization_recipe(f"^{re.escape(name)}$", "*", algorithm_key="no_quantize")
        # it reports on both streams; the JSON document of a program goes to one of them
        with stderr_held_back(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            if self._ranges is None:
                self._ranges = quantizing.calibrate({_SIGNATURE: _Samples(self._images)})
            target.write_bytes(quantizing.quantize(self._ranges).quantized_model)

    def layers(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return layers of Keras: TensorFlow's names are their paths in the graph, which ends on ``_1`` each."""
        return tuple(_keras_name(name) for name in self._layers if name in names)


def _keras_name(scope: str) -> str:
    """Return the layer that a convolution was written for: ``net_1/conv_1`` of ``net_1/relu_1/…;net_1/conv_1/…``."""
    computed = re.search(r"([^/;]+)/(?:convolution|depthwise|MatMul)[^/;]*;", scope)
    return (computed[1] if computed else scope.partition("/")[0]).removesuffix("_1")
