"""A .keras archive carries the CRC-32 of its bytes: a flipped bit is damage, not another number."""

import io
import os
import shutil
import zipfile

import h5py
import numpy as np
import pytest
from keras_writers import networks
from keras_writers.building import keras_model
from keras_writers.dialects import write_keras_archive

from tlkit.errors import WeightsError
from tlkit.keras_files import load_model, load_weights, open_file, verify
from tlkit.keras_files.hdf5 import keras_archive
from tlkit.utils import findings

SMALL = networks.small(seed=3)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_keras_archive(tmp_path_factory.mktemp("archive") / "m.keras", SMALL)


def flipped(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0x42
    path.write_bytes(data)
    return path


def in_a_weight(path):
    """Where a value of a kernel is, in an archive that is not compressed."""
    with zipfile.ZipFile(path) as opened:
        weights = opened.read("model.weights.h5")
    places = []
    with h5py.File(io.BytesIO(weights)) as file:
        file.visititems(lambda _, item: places.append(item.id.get_offset()) if isinstance(item, h5py.Dataset) else None)
    return path.read_bytes().find(weights[:64]) + places[-1] + 3


@pytest.mark.parametrize("deflate", [False, True])
def test_what_is_wrong_with_the_content_names_the_archive(tlkit, tmp_path, deflate):
    path = write_keras_archive(tmp_path / "m ü.keras", SMALL, deflate=deflate)
    with zipfile.ZipFile(path) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    content = io.BytesIO(members["model.weights.h5"])
    with h5py.File(content, "a") as file:
        names = []
        file.visit(names.append)
        kernel = next(name for name in names if name.endswith("vars/0"))
        del file[kernel]
        file[kernel] = h5py.ExternalLink("elsewhere.h5", "/values")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED) as written:
        for name, data in members.items():
            written.writestr(name, content.getvalue() if name == "model.weights.h5" else data)
    ran = tlkit("predict", "--model", path, "image.png")
    assert ran.code == 1
    message = rf"m \xfc.keras: /{kernel} is a link (external) to elsewhere.h5:/values, which is not followed."
    assert message in ran.err
    assert message in " ".join(tlkit("inspect-h5", path).out.split())


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("member", ["model.weights.h5", "config.json", "metadata.json", "assets/words.txt"])
def test_a_flipped_byte_of_any_member_is_damage(tmp_path, member, deflate):
    path = write_keras_archive(tmp_path / "m.keras", SMALL, deflate=deflate)
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr("assets/words.txt", b"words " * 50)
        info = opened.getinfo(member)
    header = 30 + len(info.filename)
    flipped(path, info.header_offset + header + info.compress_size // 2)
    for read in (
        load_model,
        lambda path: load_weights(keras_model(SMALL), path),
        lambda path: open_file(path).__enter__(),
    ):
        with pytest.raises(WeightsError, match="damaged") as caught:
            read(path)
        assert str(path) in caught.value.message


def test_every_command_refuses_a_weight_with_a_flipped_byte(tlkit, toy, archive, tmp_path, cat):
    path = shutil.copy(archive, tmp_path / "m.keras")
    flipped(path, in_a_weight(path))
    for command in (
        ("inspect-h5", path),
        ("inspect-h5", path, "--format", "json"),
        ("predict", cat, "--model", path, "--preprocess", "unit"),
        ("predict", cat, *toy, "--weights", path),
        ("convert-h5", path, tmp_path / "out.weights.h5", *toy),
    ):
        ran = tlkit(*command)
        assert (ran.code, ran.out) == (1, "")
        assert "is damaged: the bytes of model.weights.h5 do not match their CRC-32" in ran.err


def test_a_byte_that_means_nothing_is_no_damage(archive, tmp_path):
    """The date of a member, in its own header and in the list at the end."""
    path = shutil.copy(archive, tmp_path / "m.keras")
    with zipfile.ZipFile(path) as opened:
        flipped(path, opened.getinfo("model.weights.h5").header_offset + 10)
    one, other = load_model(archive).model, load_model(path).model
    assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_an_archive_found_whole_is_not_read_again(archive, tmp_path, monkeypatch):
    path = shutil.copy(archive, tmp_path / "m.keras")
    monkeypatch.setattr(findings, "SETTLED_NS", -(10**9))  # it counts as old
    compared = []
    compare = keras_archive.compare_crc
    monkeypatch.setattr(keras_archive, "compare_crc", lambda path: compared.append(path) or compare(path))

    def read():
        monkeypatch.setattr(verify, "_whole", {})  # what a new process remembers
        monkeypatch.setattr(findings, "_recalled", {})
        with open_file(path) as file:
            return len(file.layers)

    assert read() == read() > 0
    assert len(compared) == 1
    status = path.stat()
    flipped(path, in_a_weight(path))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(WeightsError, match="CRC-32"):
        read()


def test_one_that_unpacks_to_very_much_is_refused_before(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(keras_archive, "MAX_UNPACKED", 10_000)
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as bomb, zipfile.ZipFile(archive) as whole:
        for name in whole.namelist():
            bomb.writestr(name, whole.read(name))
        bomb.writestr("assets/zeros", b"\0" * 10**6)
    with pytest.raises(WeightsError, match="too many"), open_file(tmp_path / "m.keras"):
        pass
