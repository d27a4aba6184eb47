"""The reader of old PyTorch files: exact on tensors, deaf to everything else."""

import collections
import os
import pickle
import struct

import numpy as np
import pytest

from tlkit.errors import WeightsError
from tlkit.keras_files.torch_legacy_reader import MAGIC, PROTOCOL, read_torch_stream


class Named:
    """Pickles as a reference to a name, without the name having to exist here."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class TorchWriter(pickle._Pickler):
    """Writes what torch.save wrote before 1.6: references to torch's names and to storages."""

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Named):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
            return None
        if isinstance(obj, Tensor):
            self.save(Named("torch._utils", "_rebuild_tensor_v2"))
            self.save(obj.args)
            self.write(pickle.REDUCE)
            return None
        return super().save(obj, save_persistent_id)

    def persistent_id(self, obj):
        return obj.pid if isinstance(obj, Storage) else None


class Storage:
    def __init__(self, key, length, kind="FloatStorage"):
        self.pid = ("storage", Named("torch", kind), key, "cpu", length, None)


class Tensor:
    def __init__(self, storage, offset, size, stride):
        self.args = (storage, offset, size, stride, False, collections.OrderedDict())


def write(path, tensors, storages):
    with path.open("wb") as file:
        for value in (MAGIC, PROTOCOL, {"little_endian": True}):
            pickle.dump(value, file, protocol=2)
        TorchWriter(file, protocol=2).dump(collections.OrderedDict(tensors))
        pickle.dump(list(storages), file, protocol=2)
        for values in storages.values():
            file.write(struct.pack("<q", values.size) + values.tobytes())
    return path


def test_views_of_a_storage_are_read_with_offset_and_stride(tmp_path):
    values = np.arange(12, dtype="<f4")
    path = write(
        tmp_path / "w.pth",
        {"whole": Tensor(Storage("a", 12), 0, (3, 4), (4, 1)), "turned": Tensor(Storage("a", 12), 1, (4, 2), (1, 4)),
         "count": Tensor(Storage("b", 1, "LongStorage"), 0, (), ())},
        {"a": values, "b": np.array([7], "<i8")},
    )  # fmt: skip
    read = read_torch_stream(path)
    np.testing.assert_array_equal(read["whole"], values.reshape(3, 4))
    np.testing.assert_array_equal(read["turned"], [[1, 5], [2, 6], [3, 7], [4, 8]])
    assert read["count"] == 7


class Attack:
    def __reduce__(self):
        return os.system, ("touch hacked",)


@pytest.mark.parametrize("state", [Attack(), {"w": Attack()}, [1, 2]])
def test_any_other_name_is_refused(tmp_path, monkeypatch, state):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "w.pth"
    with path.open("wb") as file:
        for value in (MAGIC, PROTOCOL, {}, state, []):
            pickle.dump(value, file, protocol=2)
    with pytest.raises(WeightsError, match="cannot|trusted"):
        read_torch_stream(path)
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor(Storage("a", 12), 0, (13,), (1,)),
        Tensor(Storage("a", 12), 8, (2, 3), (4, 1)),
        Tensor(Storage("a", 12), 0, (1_000_000_000, 100), (0, 0)),
        Tensor(Storage("a", 12), -1, (3,), (1,)),
        Tensor(Storage("a", 99), 0, (3,), (1,)),
    ],
    ids=["too long", "past the end", "repeats", "negative", "other length"],
)
def test_a_tensor_cannot_reach_outside_its_storage(tmp_path, tensor):
    path = write(tmp_path / "w.pth", {"t": tensor}, {"a": np.arange(12, dtype="<f4")})
    with pytest.raises(WeightsError):
        read_torch_stream(path)


@pytest.mark.parametrize("length", [0, 1, 30, 200, -1])
def test_a_file_cut_short_is_refused(tmp_path, length):
    whole = write(
        tmp_path / "w.pth", {"t": Tensor(Storage("a", 12), 0, (12,), (1,))}, {"a": np.arange(12, dtype="<f4")}
    )
    cut = tmp_path / "cut.pth"
    cut.write_bytes(whole.read_bytes()[:length])
    with pytest.raises(WeightsError, match=r"cut\.pth"):
        read_torch_stream(cut)
