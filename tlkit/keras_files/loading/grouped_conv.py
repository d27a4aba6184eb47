"""Read grouped convolutions from files of a Keras that had none.

Until Keras had ``Conv2D(groups=…)``, a convolution in groups of ``c`` channels was a DepthwiseConv2D with ``c`` outputs
for every channel, and behind it a sum over the channels of a group: without weights (a Reshape and a Lambda;
keras-applications 1.0.7 and 1.0.8, tf.keras) or as a 1x1 convolution of zeros and ones that does not train
(keras-applications after 1.0.8, called ``…_gconv``). With channel ``j`` of group ``g`` counted ``g * c + j``, the
kernel of both is ``K[:, :, j, g * c + m] = depthwise[:, :, g * c + j, m]``.

No file has its depthwise kernels turned: Keras 2 turned them back itself when Theano computed (``theano_backend.py``
of Keras 2.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tlkit.errors import WeightsError
from tlkit.keras_files.layers import SavedLayer
from tlkit.keras_files.loading.layer_spec import LayerSpec, Shape
from tlkit.keras_files.loading.transforms import Conversion

CHECKED = "1x1 kernels that only add up what depthwise ones give, each checked when loaded, to nothing"
"""What happens to a sum, for reports."""
_ROWS = 4096
"""Rows of a sum to read at a time: 16 MB where it gives 1024 channels."""


def group_kernel(groups: int) -> Conversion:
    """Return the conversion of a depthwise kernel, whose outputs are summed in groups, to one grouped kernel."""

    def regroup(kernel: np.ndarray) -> np.ndarray:
        height, width, channels, times = kernel.shape
        parts = kernel.reshape(height, width, groups, times, times)
        return parts.transpose(0, 1, 3, 2, 4).reshape(height, width, times, channels)

    return Conversion(
        "depthwise kernels (height, width, in, times), summed by group, to grouped ones "
        "(height, width, in of a group, out)",
        regroup,
    )


def is_depthwise_form(saved: SavedLayer, expected: LayerSpec) -> bool:
    """Return True if a layer of a file is the depthwise part of a grouped convolution of the network."""
    if expected.kind != "Conv2D" or expected.groups < 2 or len(expected.tensors) != 1:
        return False
    height, width, group, filters = expected.tensors[0][1]
    return group * expected.groups == filters and _depthwise_shape(saved) == (height, width, filters, group)


def without_sums(
    saved: Sequence[SavedLayer], expected: Sequence[LayerSpec]
) -> tuple[list[SavedLayer], list[SavedLayer]]:
    """Remove the 1x1 convolutions that only sum the outputs of depthwise kernels.

    They are recognised by their shape, and only where the network has a grouped convolution in place of the depthwise
    one and no convolution of that shape itself.

    Returns:
        The other layers, and those; :func:`check_sums` must see them before anything is set.
    """
    grouped = [place for place in expected if place.groups > 1]
    converted = [place.tensors[0][1] for place in grouped if any(is_depthwise_form(layer, place) for layer in saved)]
    shapes = {(1, 1, filters * group, filters) for _, _, group, filters in converted if group > 1}
    shapes -= {shape for place in expected for _, shape in place.tensors}
    sums = [layer for layer in saved if _kernel_shape(layer) in shapes]
    return [layer for layer in saved if not any(layer is other for other in sums)], sums


def check_sums(sums: Sequence[SavedLayer]) -> None:
    """Read the 1x1 convolutions and check that each sums the channels of a group and does nothing else.

    Raises:
        WeightsError: One does something else, which no grouped convolution computes.
    """
    for layer in sums:
        kernel = layer.tensors[0].values
        rows, filters = kernel.shape[2:]
        times = rows // filters
        for start in range(0, rows, _ROWS):
            found = np.asarray(kernel[0, 0, start : start + _ROWS])
            row = np.arange(start, start + len(found))
            expected_rows = np.zeros_like(found)
            expected_rows[row - start, row // times**2 * times + row % times] = 1
            if not np.array_equal(found, expected_rows):
                raise WeightsError(
                    f"{kernel.file.filename}: layer {layer.name}, a 1x1 convolution behind a "
                    "depthwise one, does more than add up the channels of a group; it was trained, or is damaged. No "
                    "grouped convolution computes that.",
                    hint="It loads into the network that it was saved from: --model, where the file describes it.",
                )


def _depthwise_shape(layer: SavedLayer) -> Shape | None:
    """Return the shape of a layer's depthwise kernel, if that is its only tensor."""
    if len(layer.tensors) != 1:
        return None
    tensor: Any = layer.tensors[0]
    is_depthwise = layer.kind == "depthwise_conv2d" or (layer.kind is None and tensor.role == "depthwise_kernel")
    return tuple(tensor.values.shape) if is_depthwise else None


def _kernel_shape(layer: SavedLayer) -> Shape | None:
    """Return the shape of a layer's kernel, if that is its only tensor."""
    if len(layer.tensors) != 1 or layer.kind not in (None, "conv2d") or layer.tensors[0].role not in (None, "kernel"):
        return None
    return tuple(layer.tensors[0].values.shape)
