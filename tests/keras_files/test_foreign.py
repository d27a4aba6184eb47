"""What people have instead of a Keras file is named, with the next step; what is one, is read."""

import io
import json
import os
import zipfile

import h5py
import numpy as np
import pytest
from keras_writers import networks
from keras_writers.dialects import write_keras2, write_keras3_weights, write_keras_archive

from tlkit.cli.tree import draw
from tlkit.commands.inspect_h5 import _inspect
from tlkit.errors import RunError, WeightsError
from tlkit.keras_files import check_is_file, open_file, structure_problem, verify_readable
from tlkit.training.run_folder import read_run

SMALL = networks.small(seed=3)


def zipped(*names):
    with io.BytesIO() as buffer:
        with zipfile.ZipFile(buffer, "w") as archive:
            for name in names:
                archive.writestr(name, b"x")
        return buffer.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345678\n"
FILES = {
    "lfs.h5": (LFS, "a Git LFS pointer", "12,345,678 bytes"),
    "lfs.keras": (LFS, "a Git LFS pointer", "git lfs pull"),
    "page.h5": (b"\n<!DOCTYPE html><html><title>Google Drive", "a web page", "Download"),
    "head.h5": (b"\xef\xbb\xbf<HTML><head>", "a web page", "Download"),
    "denied.keras": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', "error message", "Download"),
    "m.tflite": (b"\x1c\0\0\0TFL3" + b"\0" * 64, "a TensorFlow Lite model", "running only"),
    "m.onnx": (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0" + b"\0" * 64, "an ONNX model", "running only"),
    "renamed.h5": (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0" + b"\0" * 64, "an ONNX model", "running only"),
    "saved_model.pb": (b"\x08\x01\x12\xa3\x9d\x03\x0a\x0cabc", "SavedModel", "tf_keras"),
    "graph.pb": (b"\x0a\x2a\x0a\x05input\x12\x0bPlaceholder", "a frozen TensorFlow graph", "running only"),
    "net.xml": (b'<?xml version="1.0"?>\n<net name="m" version="11">', "an OpenVINO model", "running only"),
    "new.pth": (zipped("archive/data.pkl", "archive/version"), "a PyTorch file", "PyTorch"),
    "old.pt": (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", "a PyTorch file", "PyTorch"),
    "model.safetensors": ((2).to_bytes(8, "little") + b"{}", "a safetensors file", "PyTorch"),
    "clf.pkl": (b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x07sklearn", "a Python pickle", "save"),
    "a.npz": (zipped("arr_0.npy"), "an archive of NumPy arrays", "layers"),
    "a.npy": (b"\x93NUMPY\x01\0", "a NumPy array", "layers"),
    "converted.zip": (zipped("keras_model.h5", "labels.txt"), "that holds keras_model.h5", "Unpack"),
    "packed.keras": (zipped("m/config.json", "m/model.weights.h5"), "a folder that holds an unpacked", "at the top"),
    "shards.keras": (zipped("config.json", "model.weights.json"), "split over several files", "one file"),
    "tfjs.json": (b'{"format": "layers-model", "modelTopology": {}}', "TensorFlow.js layers", "_converter"),
    "graph.json": (b'{"format": "graph-model", "modelTopology": {}}', "TensorFlow.js graph", "running only"),
    "arch.json": (b'{"class_name": "Sequential", "config": {}}', "without its weights", "model_from_json"),
    "m.weights.json": (b'{"weight_map": {"/a": ["m_00000.weights.h5"]}}', "split", "load_weights"),
    "ckpt.index": (b"\0" * 40 + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", "a TensorFlow checkpoint", "load_weights"),
    "checkpoint": (b'model_checkpoint_path: "ckpt-1"', "a TensorFlow checkpoint", "load_weights"),
    "m.h5.gz": (b"\x1f\x8b\x08\0", "compressed with gzip", "gunzip"),
    "m.tar": (b"a.h5".ljust(257, b"\0") + b"ustar\0" + b"\0" * 300, "a tar archive", "Unpack"),
    "cat.h5": (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG image", "IMAGES"),
    "note.h5": (b"These are not weights.", "a text file", "Keras"),
    "zeros.h5": (b"\0" * 3000, "nothing but zeros", "again"),
    "nothing.h5": (b"", "empty", "again"),
    "noise.h5": (b"\xa7\x01\x02\xfe" * 400, "not an HDF5 file", "Keras"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_kind_is_named_with_the_next_step(tmp_path, name):
    content, what, hint = FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError) as caught, open_file(tmp_path / name):
        pass
    assert name in caught.value.message
    assert what in caught.value.message
    assert hint in caught.value.hint
    assert "damaged" not in caught.value.message
    assert structure_problem(tmp_path / name)


def test_every_command_that_takes_a_model_names_it(tlkit, toy, tmp_path, cat):
    (tmp_path / "m.pth").write_bytes(FILES["new.pth"][0])
    (tmp_path / "unpacked").mkdir()
    for name in ("config.json", "metadata.json", "model.weights.h5"):
        (tmp_path / "unpacked" / name).write_text("{}")
    for path, what in ((tmp_path / "m.pth", "a PyTorch file"), (tmp_path / "unpacked", "an unpacked .keras model")):
        for command in (
            ("inspect-h5", path),
            ("predict", cat, "--model", path),
            ("predict", cat, *toy, "--weights", path),
            ("convert-h5", path, tmp_path / "out.weights.h5", *toy),
        ):
            ran = tlkit(*command)
            assert (ran.code, ran.out) == (1, "")
            assert what in ran.err
            assert [line.partition(":")[0] for line in ran.err.splitlines()] == ["Error", "Hint"]


FOLDERS = {
    "unpacked": ({"config.json": "{}", "metadata.json": '{"keras_version": "3.15.1"}', "model.weights.h5": ""},
                 "an unpacked .keras model", "python -m zipfile -c unpacked.keras"),
    "preset": ({"config.json": '{"registered_name": "keras_hub>ResNetBackbone"}', "metadata.json": "{}",
                "model.weights.h5": ""}, "a preset of KerasHub", "keras_hub"),
    "sharded": ({"config.json": "{}", "model.weights.json": "{}"}, "split over several files", "one file"),
    "savedmodel": ({"saved_model.pb": "", "variables": None}, "a TensorFlow SavedModel", "tf_keras"),
    "tfjs": ({"model.json": '{"format": "layers-model"}'}, "a TensorFlow.js layers model", "tensorflowjs_converter"),
    "hub": ({"pytorch_model.bin": "", "config.json": "{}"}, "a PyTorch model", "PyTorch"),
    "checkpoints": ({"checkpoint": "", "ckpt-1.index": ""}, "a TensorFlow checkpoint", "load_weights"),
    "onnx": ({"m.onnx": "\x08\x07"}, "a folder with an ONNX model", "running only"),
    "files": ({"a.h5": "", "b.keras": ""}, "a folder", "a.h5, or another of its 2"),
    "teachable": ({"keras_model.h5": "", "labels.txt": ""}, "a folder", "keras_model.h5"),
    "images": ({"cat": None}, "a folder", "model"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_is_named_with_the_file_to_give(tmp_path, name):
    files, what, hint = FOLDERS[name]
    folder = tmp_path / name
    folder.mkdir()
    for file, text in files.items():
        (folder / file).mkdir() if text is None else (folder / file).write_text(text)
    with pytest.raises(WeightsError) as caught:
        check_is_file(folder)
    assert what in caught.value.message
    assert hint in caught.value.hint
    with pytest.raises(RunError, match="not a finished run") as caught:
        read_run(folder)
    assert name == "images" or hint in caught.value.hint


def test_what_is_advised_for_an_unpacked_model_gives_the_model(tmp_path):
    path = write_keras_archive(tmp_path / "m.keras", SMALL)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")
    with pytest.raises(WeightsError) as caught:
        check_is_file(tmp_path / "unpacked")
    command = caught.value.hint.split("`")[1]
    assert os.system(f"cd {tmp_path} && {command}") == 0
    with open_file(path) as one, open_file(tmp_path / "unpacked.keras") as other:
        assert [layer.name for layer in one.layers] == [layer.name for layer in other.layers]


# -- what HDF5 allows and Keras does not write -------------------------------------------------------------------------


@pytest.mark.parametrize("size", [512, 1024, 8192])
@pytest.mark.parametrize("write", [write_keras2, write_keras3_weights])
def test_a_user_block_is_looked_past(tmp_path, write, size):
    plain = write(tmp_path / "plain.h5", SMALL)
    data = plain.read_bytes()
    with h5py.File(tmp_path / "block.h5", "w", userblock_size=size) as file, h5py.File(plain) as source:
        for name, value in source.attrs.items():
            file.attrs[name] = value
        for name in source:
            source.copy(name, file)
    with (tmp_path / "block.h5").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(size))
    assert (tmp_path / "block.h5").read_bytes()[:8] != data[:8]
    with open_file(plain) as one, open_file(tmp_path / "block.h5") as other:
        assert [layer.name for layer in one.layers] == [layer.name for layer in other.layers] != []
        for left, right in zip(one.layers, other.layers, strict=True):
            for a, b in zip(left.tensors, right.tensors, strict=True):
                assert np.array_equal(a.values, b.values)
    with (tmp_path / "block.h5").open("r+b") as file:
        file.truncate(plain.stat().st_size // 2)
    with pytest.raises(WeightsError, match="cut short"), open_file(tmp_path / "block.h5"):
        pass


def test_empty_attributes_are_empty(tlkit, tmp_path):
    with h5py.File(tmp_path / "e.h5", "w") as file:
        file.attrs["scale"], file.attrs["units"] = h5py.Empty("f4"), h5py.Empty("S1")
        file.attrs["none"], file.attrs["names"] = np.zeros((0, 3), "i4"), np.array([], "S1")
        file.attrs["blank"], file.attrs["fixed"] = "", np.bytes_("")
    root = tlkit("inspect-h5", tmp_path / "e.h5", "--format", "json").json["objects"][0]
    found = {item["name"]: (item["dtype"], item["value"], item.get("note")) for item in root["attributes"]}
    assert found == {
        "scale": ("float32", None, "empty"), "units": ("string", None, "empty"), "none": ("int32", [], None),
        "names": ("string", [], None), "blank": ("string", "", None), "fixed": ("string", "", None),
    }  # fmt: skip


def test_a_layer_whose_list_of_weights_is_empty_has_none(tmp_path):
    path = write_keras2(tmp_path / "w.h5", SMALL)
    with h5py.File(path, "a") as file:
        file.create_group("flat").attrs["weight_names"] = h5py.Empty("S1")
        file.attrs["layer_names"] = [*file.attrs["layer_names"], b"flat"]
    with open_file(path) as file:
        assert [layer.tensors for layer in file.layers if layer.name == "flat"] == [()]


def packed(file, name, array, code=32015, *, left_out=False):
    """Values as a filter that is not here would leave them; an optional one may have been left out."""
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk(array.shape)
    made.set_filter(code, h5py.h5z.FLAG_OPTIONAL, ())
    space = h5py.h5s.create_simple(array.shape)
    dataset = h5py.h5d.create(file.id, name.encode(), h5py.h5t.IEEE_F32LE, space, made)
    dataset.write_direct_chunk((0,) * array.ndim, array.tobytes() if left_out else b"\x28\xb5\x2f\xfd", int(left_out))


@pytest.mark.parametrize(("code", "name"), [(32015, "zstd (32015)"), (32004, "lz4 (32004)"), (40000, "(40000)")])
def test_a_filter_that_is_not_installed_is_named_and_not_called_damage(tmp_path, code, name):
    path = write_keras2(tmp_path / "w.h5", SMALL)
    where = "fc1/fc1/kernel:0"
    with h5py.File(path, "a") as file:
        array = file[where][()]
        del file[where]
        packed(file, where, array, code)
    with pytest.raises(WeightsError, match=r"packed with the HDF5 filter .*It is not damaged") as caught:
        verify_readable(path)
    assert name in caught.value.message
    assert "hdf5plugin" in caught.value.hint
    with (
        pytest.raises(WeightsError, match="packed with an HDF5 filter that is not installed"),
        open_file(path) as file,
    ):  # whoever reads all the same is not told of damage either
        file.root[where][()]
    shown = _inspect(str(path), with_stats=True).to_dict()
    assert shown["totals"]["layers_with_weights"] == 5  # the structure can be read
    assert name in shown["problems"][0]
    notes = {tensor["path"]: tensor["stats"]["note"] for layer in shown["layers"] for tensor in layer["tensors"]}
    assert {path for path, note in notes.items() if note} == {f"/{where}"}


def test_a_filter_that_was_left_out_is_not_missed(tmp_path):
    path = write_keras2(tmp_path / "w.h5", SMALL)
    with h5py.File(path, "a") as file:
        where = "fc1/fc1/kernel:0"
        array = file[where][()]
        del file[where]
        packed(file, where, array, left_out=True)
    verify_readable(path)
    with open_file(path) as file:
        fc1 = next(layer for layer in file.layers if layer.name == "fc1")
        assert np.array_equal(fc1.tensors[0].values, array)


# -- names of any length -----------------------------------------------------------------------------------------------

LONG = 300_000


def long_names(file):
    file["a" * LONG] = np.zeros(3)
    group = file.create_group("b" * LONG)
    group["c"] = np.zeros(2)
    group.attrs["d" * 60_000] = 1
    group.attrs["text"] = "e" * 4 * LONG
    file["soft"], file["away"] = h5py.SoftLink("f" * LONG), h5py.ExternalLink("g" * 60_000, "/h")
    file.attrs["keras_version"] = "9" * LONG


def long_layer(file):
    file.attrs["layer_names"], file.attrs["keras_version"] = [("k" * 2000).encode()], "2" * LONG


def long_folder(file):
    file["layers/" + "l" * LONG + "/vars/0"] = np.zeros(3)


def long_configuration(file):
    name = "m" * LONG
    layers = [{"class_name": name, "config": {"name": name}}]
    file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"name": name, "layers": layers}})
    file.create_group("model_weights").attrs["layer_names"] = [b"x"]


@pytest.mark.parametrize("make", [long_names, long_layer, long_folder, long_configuration])
def test_a_name_that_nobody_can_read_is_shown_by_its_beginning_and_length(tmp_path, make):
    path = tmp_path / "long.h5"
    with h5py.File(path, "w", libver="latest") as file:
        make(file)
    found = _inspect(str(path), with_stats=True)
    shown = found.to_dict()
    for node in shown["objects"]:
        node.pop("attributes", None)  # whose values, such as a configuration, are whole up to a megabyte
    assert len(json.dumps(shown)) < 20_000
    assert len("".join(draw(found.tree, 80))) < 20_000
    if make is long_names:
        assert f"({LONG:,} characters)" in shown["keras_version"]
        attributes = {item.name[:5]: item for item in next(n for n in found.objects if n.path[:2] == "/b").attributes}
        assert (attributes["text"].value, attributes["text"].note) == (None, "1,200,000 characters; not shown")
        assert len(attributes["ddddd"].name) < 1100
    elif make is not long_configuration:
        assert "characters" in found.problems[0]


def test_messages_are_no_longer_than_a_screen(tlkit, tmp_path, cat):
    with h5py.File(tmp_path / "long.h5", "w", libver="latest") as file:
        long_configuration(file)
    ran = tlkit("predict", cat, "--model", tmp_path / "long.h5")
    assert ran.code == 1
    assert len(ran.err) < 9000


def test_the_files_that_hold_the_values_are_named(tlkit, tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_dataset("raw", (4,), "f4", external=[("weights.raw", 0, 8), ("more.raw", 0, 8)])
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("parts", (10,), "f4", external=[(f"{part}.raw", 0, 4) for part in range(10)])
    found = tlkit("inspect-h5", tmp_path / "w.h5", "--format", "json").json["objects"]
    targets = {item["path"]: item["target"] for item in found if item["kind"] == "dataset"}
    assert targets == {
        "/raw": "weights.raw, more.raw", "/virtual": "other.h5", "/parts": "0.raw, 1.raw, 2.raw and 7 more",
    }  # fmt: skip
    text = tlkit("inspect-h5", tmp_path / "w.h5").out
    assert "external: weights.raw, more.raw" in text
    assert "virtual: other.h5" in text
