"""The published weights of EfficientNet-Lite, from PyTorch's names and layout to Keras's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tlkit.errors import WeightsError
from tlkit.keras_files import LayerSpec


def keras_layout(expected: Sequence[LayerSpec], torch_arrays: Mapping[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Convert the arrays of the published PyTorch file to ``{Keras layer name: arrays in the layer's order}``.

    PyTorch stores a convolution as (out, in, height, width) and a depthwise one as (channels, 1, height, width);
    Keras uses (height, width, in, out) and (height, width, channels, 1). Both are correlations: no flip.

    Args:
        expected: The layers with weights of an EfficientNet-Lite; their names tell which tensors belong together.
        torch_arrays: The state dict; ``num_batches_tracked`` is ignored, the classifier may go unused.

    Raises:
        WeightsError: A tensor that a layer needs is not in the file.
    """
    blocks: dict[str, int] = {}  # "block2a" -> position in PyTorch's flat list of blocks

    def torch_name(layer: str) -> str:
        stem, _, part = layer.partition("_")
        if not stem.startswith("block"):
            return {
                "stem_conv": "_conv_stem", "stem_bn": "_bn0", "top_conv": "_conv_head", "top_bn": "_bn1",
                "predictions": "_fc",
            }[layer]  # fmt: skip
        position = blocks.setdefault(stem, len(blocks))
        tensor = {
            "expand_conv": "_expand_conv", "expand_bn": "_bn0", "dwconv": "_depthwise_conv", "bn": "_bn1",
            "project_conv": "_project_conv", "project_bn": "_bn2",
        }[part]  # fmt: skip
        return f"_blocks.{position}.{tensor}"

    def get(key: str) -> np.ndarray:
        try:
            return torch_arrays[key]
        except KeyError:
            raise WeightsError(
                f"The PyTorch file has no tensor {key!r}, which the network needs.",
                hint="Is it the file of another EfficientNet-Lite?",
            ) from None

    result: dict[str, list[np.ndarray]] = {}
    for layer in expected:
        name = torch_name(layer.name)
        if layer.kind == "BatchNormalization":
            parts = ("weight", "bias", "running_mean", "running_var")
            result[layer.name] = [get(f"{name}.{part}") for part in parts]
        elif layer.kind == "DepthwiseConv2D":
            result[layer.name] = [get(f"{name}.weight").transpose(2, 3, 0, 1)]
        elif layer.kind == "Conv2D":
            result[layer.name] = [get(f"{name}.weight").transpose(2, 3, 1, 0)]
        else:
            result[layer.name] = [get(f"{name}.weight").T, get(f"{name}.bias")]
    return result
