"""Merge the low-rank adapters that Keras trains beside a kernel (``layer.enable_lora``) into the kernel.

The formats of Keras 3 hold merged kernels; an ``.h5`` holds the frozen kernel and the two matrices of the adapter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tlkit.errors import WeightsError
from tlkit.keras_files.layers import SavedLayer, SavedTensor
from tlkit.keras_files.legacy_names import LORA
from tlkit.keras_files.types import Header


@dataclass(frozen=True)
class Merged:
    """A kernel with its adapter, read when it is used, as a dataset is."""

    values: Any
    a: Any
    b: Any
    factor: float

    def __getattr__(self, name: str) -> Any:
        """Return shape, name, file and the like of the kernel."""
        return getattr(self.values, name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return kernel + alpha / rank * a @ b, as Keras computes it."""
        kernel, a, b = (np.asarray(part) for part in (self.values, self.a, self.b))
        merged: np.ndarray = kernel + self.factor * np.matmul(a, b)
        return merged.astype(dtype or kernel.dtype)


def merge_lora(layers: Sequence[SavedLayer], header: Header) -> list[SavedLayer]:
    """Return the layers of a file, those with adapters as the layers that they are merged into.

    Args:
        layers: The layers with weights.
        header: Its configuration has how strong each adapter is.

    Raises:
        WeightsError: The file does not tell how strong an adapter is, or its matrices do not fit.
    """
    known = {layer.name: layer.options for layer in (header.config.leaves() if header.config else ())}
    return [_merged(layer, known) if _adapter(layer) else layer for layer in layers]


def _adapter(layer: SavedLayer) -> dict[str, SavedTensor]:
    return {tensor.role: tensor for tensor in layer.tensors if tensor.role and tensor.role.startswith(LORA)}


def _merged(layer: SavedLayer, known: Mapping[str, Mapping[str, Any]]) -> SavedLayer:
    parts = _adapter(layer)
    tensors = []
    for tensor in layer.tensors:
        a, b = (parts.get(f"{LORA}{tensor.role}_{side}") for side in "ab")
        if tensor.role in parts:
            continue
        if a and b:
            tensors.append(replace(tensor, values=_with_adapter(layer.name, tensor, a, b, known.get(layer.name))))
        else:
            tensors.append(tensor)
    return replace(layer, tensors=tuple(tensors))


def _with_adapter(
    name: str, tensor: SavedTensor, a: SavedTensor, b: SavedTensor, options: Mapping[str, Any] | None
) -> Any:
    shape, rank = tuple(tensor.values.shape), b.values.shape[0] if b.values.shape else 0
    if tuple(a.values.shape) != (*shape[:-1], rank) or tuple(b.values.shape) != (rank, *shape[-1:]):
        raise WeightsError(
            f"{tensor.values.file.filename}: the adapter (LoRA) of layer {name} does not fit its kernel {shape}."
        )
    alpha = (options or {}).get("lora_alpha")
    if options is None:
        raise WeightsError(
            f"{tensor.values.file.filename} does not record how strong the adapter (LoRA) of layer {name} is: "
            "lora_alpha is part of a full model only.",
            hint="Save the model as .keras or .weights.h5 with Keras: kernels are merged there.",
        )
    return Merged(tensor.values, a.values, b.values, float(alpha or rank) / rank)
