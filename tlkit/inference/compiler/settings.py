"""The settings of a layer, read so that none is passed over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tlkit.inference.compiler.graph import Unsupported

_WITHOUT_EFFECT = frozenset({
    "activity_regularizer", "autocast", "batch_input_shape", "batch_shape", "build_config", "build_input_shape",
    "fused", "implementation", "input_dtype", "input_shape", "lora_alpha", "lora_rank", "momentum", "name",
    "noise_shape", "optional", "quantization_config", "rate", "renorm", "renorm_clipping", "renorm_momentum", "seed",
    "shape", "sparse", "ragged", "stateful", "synchronized", "trainable", "unroll", "use_cudnn",
    "virtual_batch_size",
})  # fmt: skip
"""Settings without an influence on what a layer computes for inference."""
_INITIAL = ("_initializer", "_regularizer", "_constraint")


class Settings:
    """The settings of one layer.

    Args:
        layer: Its name, for messages.
        values: Its config.
    """

    def __init__(self, layer: str, values: Mapping[str, Any]) -> None:
        self.layer = layer
        self._values = dict(values)
        self._unread = {key for key in values if key not in _WITHOUT_EFFECT and not key.endswith(_INITIAL)}
        dtype = self.get("dtype")
        if isinstance(dtype, dict):
            dtype = dtype.get("config", {}).get("name")
        if dtype not in (None, "float32"):
            raise self.unsupported(f"computes in {dtype}")

    def get(self, key: str, default: Any = None) -> Any:
        """Return a setting; the default where it is not there or null."""
        self._unread.discard(key)
        value = self._values.get(key)
        return default if value is None else value

    def has(self, key: str) -> bool:
        """Return True if a setting is there, null included."""
        return key in self._values

    def sides(self, key: str, default: Any, rank: int) -> tuple[int, ...]:
        """Return a setting that has one value for each side of a map, or one for all."""
        value = self.get(key, default)
        values = tuple(value) if isinstance(value, list | tuple) else (value,) * rank
        if len(values) == 1:
            values *= rank
        if len(values) != rank or not all(isinstance(item, int) for item in values):
            raise self.unsupported(f"{key} is {value!r}")
        return values

    def margins(self, key: str, rank: int) -> tuple[tuple[int, int], ...]:
        """Return what is padded or cropped before and behind each side."""
        value = self.get(key, 1)
        values = value if isinstance(value, list | tuple) else [value] * rank
        if rank == 1 and len(values) == 2 and all(isinstance(item, int) for item in values):
            values = [values]
        pairs = tuple(tuple(item) if isinstance(item, list | tuple) else (item, item) for item in values)
        if len(pairs) != rank or any(len(pair) != 2 for pair in pairs):
            raise self.unsupported(f"{key} is {value!r}")
        return tuple((int(before), int(behind)) for before, behind in pairs)

    def choice(self, key: str, default: str, *known: str) -> str:
        """Return a setting that is one of some words."""
        value = self.get(key, default)
        if value not in known:
            raise self.unsupported(f"{key} is {value!r}")
        return str(value)

    def only(self, key: str, *known: Any) -> None:
        """Refuse all values of a setting but these; null is always one of them."""
        if (value := self.get(key)) is not None and value not in known:
            raise self.unsupported(f"{key} is {value!r}")

    def skip(self, *keys: str) -> None:
        """Pass over settings that have no influence in this kind of layer, or that shapes of weights tell."""
        self._unread.difference_update(keys)

    def finish(self) -> None:
        """Refuse what was not read."""
        if self._unread:
            key = min(self._unread)
            raise self.unsupported(f"{key} is {self._values[key]!r}")

    def unsupported(self, reason: str) -> Unsupported:
        """Return the exception that says why."""
        return Unsupported(self.layer, reason)
