"""Translate the names of layers and weights of ten years of Keras to those of Keras 3."""

from __future__ import annotations

import re

_RECURRENT = {"W": "kernel", "U": "recurrent_kernel", "b": "bias"}
_ROLES = {
    "W": "kernel",
    "b": "bias",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",  # called a deviation, holds the variance
    **{f"{old}_{gate}": f"{new}_{gate}" for old, new in _RECURRENT.items() for gate in "zrhifco"},
    "U": "recurrent_kernel",
}
LORA = "lora_"
"""What the variables of an adapter begin with: ``lora_kernel_a`` and ``lora_kernel_b``."""
_PLAIN = {
    "lora_kernel_a", "lora_kernel_b", "lora_embeddings_a", "lora_embeddings_b",
    "kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance", "depthwise_kernel", "pointwise_kernel",
    "recurrent_kernel", "embeddings", "mean", "variance", "count", "alpha",
}  # fmt: skip
_WORDS = "|".join(sorted({*_ROLES, *_PLAIN}, key=len, reverse=True))
_KERAS1 = re.compile(rf"(?P<owner>.+?)_(?P<role>{_WORDS})(?:_\d+)?")
_CLASSES = {
    "convolution1d": "conv1d", "convolution2d": "conv2d", "convolution3d": "conv3d",
    "separable_convolution2d": "separable_conv2d", "deconvolution2d": "conv2d_transpose",
    "sync_batch_normalization": "batch_normalization", "batch_normalization_v1": "batch_normalization",
    "batch_normalization_v2": "batch_normalization", "cu_dnngru": "gru", "cu_dnnlstm": "lstm",
}  # fmt: skip


def snake_case(kind: str) -> str:
    """Return a class name as Keras 3 names folders: ``BatchNormalization`` as ``batch_normalization``.

    Old class names become those of Keras 3.
    """
    name = re.sub(r"\W+", "", kind)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    return _CLASSES.get(name, name)


def numbered(folder: str) -> tuple[str, int]:
    """Split ``conv2d_17`` into ``("conv2d", 17)``, ``conv2d`` into ``("conv2d", 0)``."""
    match = re.fullmatch(r"(.+?)_(\d{1,9})", folder)
    return (match[1], int(match[2])) if match else (folder, 0)


_AUTOMATIC = {
    "conv2d", "convolution2d", "conv1d", "convolution1d", "conv3d", "batchnormalization", "batch_normalization",
    "dense", "depthwise_conv2d", "separable_conv2d", "separableconvolution2d", "gru", "lstm", "embedding",
    "normalization", "layer_normalization", "conv2d_transpose", "p_re_lu", "prelu", "simple_rnn", "bidirectional",
    "layer", "functional", "sequential", "model", "time_distributed", "timedistributed",
}  # fmt: skip


def is_automatic(name: str) -> bool:
    """Return True for an automatic name (``conv2d_17``): its number depends on what was built before it."""
    return numbered(name.rsplit("/", 1)[-1])[0] in _AUTOMATIC


def owner_and_role(weight: str) -> tuple[str, str | None]:
    """Return the layer that a stored weight name belongs to, and the weight's role in Keras 3's words.

    ``block1_conv1/kernel:0`` gives ``("block1_conv1", "kernel")``, Keras 1's ``bn_running_std:0`` gives
    ``("bn", "moving_variance")``; a name without such words gives ``("", None)``.
    """
    name = weight.removesuffix(":0")
    owner, slash, last = name.rpartition("/")
    if slash:
        plain = last if last in _PLAIN else re.sub(r"_\d+$", "", last)
        if plain in _PLAIN:
            return owner, plain
    match = _KERAS1.fullmatch(last)
    if match and not (slash and match["role"] in _PLAIN and owner.rsplit("/", 1)[-1] != match["owner"]):
        # Keras 1 under TensorFlow may repeat the layer as a scope: conv1/conv1_W:0
        return match["owner"], _ROLES.get(match["role"], match["role"])
    return owner, last if slash else None
