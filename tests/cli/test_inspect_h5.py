"""What `tlkit inspect-h5` says of files of every kind, and what it never does to say it."""

import csv
import io
import json
import os
import re
import shlex
import subprocess
import sys
import unicodedata
import zipfile

import h5py
import numpy as np
import pytest
from helpers.cases import one_in
from keras_writers import networks
from keras_writers.building import renamed
from keras_writers.dialects import (
    write_full_keras1,
    write_full_keras2,
    write_full_keras3h5,
    write_keras1,
    write_keras2,
    write_keras3_weights,
    write_keras_archive,
    write_nb_layers,
    write_tf_keras_weights,
)

from tlkit.architectures.layer_tables import expected_layers
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.commands.inspect_h5 import _inspect, _target
from tlkit.config import InspectConfig
from tlkit.errors import WeightsError

SMALL = networks.small(seed=3)
WITH_WEIGHTS = [layer for layer in SMALL if layer.weights]
NAMES = [layer.name for layer in WITH_WEIGHTS]
BY_CLASS = ["bn1", "conv1", "conv2", "fc1", "predictions"]
COUNTED = ["layer_1", "layer_2", "layer_4", "layer_6", "layer_7"]
FOLDERS = ["batch_normalization", "conv2d", "conv2d_1", "dense", "dense_1"]

DIALECTS = [
    (write_nb_layers, {}, "keras0-weights", None, None, COUNTED),
    (write_keras1, {}, "keras1-weights", None, None, NAMES),
    (write_keras1, {"layout": "th", "backend": "theano"}, "keras1-weights", None, None, NAMES),
    (write_full_keras1, {}, "keras1-model", "1.2.2", None, NAMES),
    (write_full_keras1, {"sequential": False}, "keras1-model", "1.2.2", None, NAMES),
    (write_keras2, {}, "keras2-weights", "2.4.0", "tensorflow", NAMES),
    (write_keras2, {"backend": "theano", "version": "2.1.6"}, "keras2-weights", "2.1.6", "theano", NAMES),
    (write_keras2, {"split": 4, "nested": "base"}, "keras2-weights", "2.4.0", "tensorflow", NAMES),
    (write_full_keras2, {"version": "2.15.0"}, "keras2-model", "2.15.0", "tensorflow", NAMES),
    (write_full_keras2, {"nested": "base", "frozen": ("conv1",)}, "keras2-model", "2.4.0", "tensorflow", NAMES),
    (write_full_keras3h5, {}, "keras3-legacy-model", "3.15.1", "tensorflow", NAMES),
    (write_keras3_weights, {}, "keras3-weights", None, None, BY_CLASS),
    (write_keras3_weights, {"names": False, "optimizer": True}, "keras3-weights", None, None, FOLDERS),
    (write_tf_keras_weights, {"version": "2.14.0"}, "keras3-weights", None, None, FOLDERS),
    (write_keras_archive, {}, "keras-archive", "3.15.1", None, NAMES),
    (write_keras_archive, {"deflate": True, "nested": "base"}, "keras-archive", "3.15.1", None, NAMES),
]
CASES = pytest.mark.parametrize(
    ("write", "options", "dialect", "version", "backend", "names"),
    one_in(2, DIALECTS),
    ids=[f"{dialect}-{number}" for number, (_, _, dialect, *_) in enumerate(DIALECTS)],
)


def write_table_weights(path, architecture, *, include_top=True, seed=0):
    """Weights of a network of the table as Keras 2 wrote them, of values that make sense."""
    random = np.random.default_rng(seed)
    layers = expected_layers(get_architecture(architecture), include_top=include_top)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        file.attrs["keras_version"], file.attrs["backend"] = "2.4.0", "tensorflow"
        for layer in layers:
            group = file.create_group(layer.name)
            group.attrs["weight_names"] = [f"{layer.name}/{role}:0".encode() for role, _ in layer.tensors]
            for role, shape in layer.tensors:
                group[f"{layer.name}/{role}:0"] = random.uniform(0.5, 1.5, shape).astype("f4") / (shape[-1] ** 0.5)
    return path


def one_line(text):
    """The text without the line breaks of 80 columns."""
    return " ".join(text.split())


# -- every dialect -----------------------------------------------------------------------------------------------------


@CASES
def test_json_of_every_dialect(tlkit, tmp_path, write, options, dialect, version, backend, names):
    path = write(tmp_path / "file", SMALL, **options)
    found = tlkit("inspect-h5", path, "--format", "json").json
    assert (found["dialect"], found["keras_version"], found["backend"]) == (dialect, version, backend)
    assert found["bytes"] == path.stat().st_size
    layers = {layer["name"]: layer for layer in found["layers"] if layer["tensors"]}
    assert list(layers) == names
    by_name = dict(zip(BY_CLASS if names == FOLDERS else NAMES if names == COUNTED else names, names, strict=True))
    for layer in WITH_WEIGHTS:
        tensors = layers[by_name[layer.name]]["tensors"]
        assert len(tensors) == len(layer.weights)
        for tensor, (role, array) in zip(tensors, layer.weights.items(), strict=True):
            assert sorted(tensor["shape"]) == sorted(array.shape)
            assert tensor["role"] in (role, None)
            assert (tensor["dtype"], tensor["stats"]) == ("float32", None)
    sizes = [array.size for layer in WITH_WEIGHTS for array in layer.weights.values()]
    totals = found["totals"]
    assert (totals["layers_with_weights"], totals["tensors"]) == (len(WITH_WEIGHTS), len(sizes))
    assert (totals["parameters"], totals["tensor_bytes"]) == (sum(sizes), 4 * sum(sizes))
    assert found["problems"] == []


@CASES
def test_text_of_every_dialect(tlkit, tmp_path, write, options, dialect, version, backend, names):
    path = write(tmp_path / "file", SMALL, **options)
    lines = tlkit("inspect-h5", path).out.splitlines()
    assert all(len(line) <= 80 for line in lines[1:])
    title = lines[0].removeprefix(f"{path}:") or lines.pop(1)
    generation = dialect.removeprefix("keras")[0]
    assert f"Keras {generation}" in title or (dialect == "keras-archive" and ".keras archive" in title)
    writer = (
        f"Keras {version}{f' on {backend}' if backend else ''}" if version else "a Keras that the file does not name"
    )
    assert lines[1].split(maxsplit=2) == ["written", "by", writer]
    assert "5 layers with weights, 12 tensors, 506 parameters, 2.0 kB of float32" in " ".join(" ".join(lines).split())
    tree = [line.strip("│├└─ ").split() for line in lines[lines.index("") + 1 :]]
    tensors = [cells for cells in tree if cells[-1:] == ["float32"]]
    assert [cells[1] for cells in tensors] == [
        "x".join(map(str, tensor["shape"]))
        for layer in tlkit("inspect-h5", path, "--format", "json").json["layers"]
        for tensor in layer["tensors"]
    ]
    assert [cells[0] for cells in tree if cells and cells[0] in names] == names


@pytest.mark.parametrize(
    ("options", "kernels"), [({"layout": "th"}, "out, in, height, width"), ({}, "height, width, in, out")]
)
def test_the_layout_is_told_where_the_shapes_show_it(tlkit, tmp_path, options, kernels):
    network = tuple(layer for layer in SMALL if layer.name != "bn1")
    path = write_full_keras1(tmp_path / "file", network, **options)
    found = tlkit("inspect-h5", path, "--format", "json").json
    assert found["layout"] == {"data": f"channels_{'first' if options else 'last'}", "kernels": kernels}
    assert f"kernels ({kernels})" in tlkit("inspect-h5", path).out
    square = write_keras1(tmp_path / "square", networks.square(), **options)
    assert tlkit("inspect-h5", square, "--format", "json").json["layout"]["kernels"] is None


def test_inner_models_are_told_by_their_path(tlkit, tmp_path):
    path = write_full_keras2(tmp_path / "m.h5", SMALL, nested="base")
    layers = tlkit("inspect-h5", path, "--format", "json").json["layers"]
    parents = {layer["name"]: layer["parents"] for layer in layers}
    assert (parents["conv2"], parents["predictions"]) == (["base"], [])
    lines = tlkit("inspect-h5", path).out.splitlines()
    start = lines.index("├─ base")
    assert lines[start : start + 8] == [
        "├─ base",
        "│  ├─ conv1  conv2d",
        "│  │  ├─ kernel  3x2x3x5  float32",
        "│  │  └─ bias    5        float32",
        "│  ├─ bn1  batch_normalization",
        "│  │  ├─ gamma            5  float32",
        "│  │  ├─ beta             5  float32",
        "│  │  ├─ moving_mean      5  float32",
    ]


def test_what_is_no_file_of_keras_is_listed(tlkit, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a/b"] = np.arange(6).reshape(2, 3)
        file["a"].attrs["unit"] = "mm"
        file["text"] = "words"
    found = tlkit("inspect-h5", tmp_path / "other.h5", "--format", "json").json
    assert (found["dialect"], found["layers"]) == ("hdf5", [])
    objects = {item["path"]: item for item in found["objects"]}
    assert list(objects) == ["/", "/a", "/a/b", "/text"]
    assert (objects["/a/b"]["shape"], objects["/a/b"]["dtype"]) == ([2, 3], "int64")
    assert objects["/a"]["attributes"][0] == {"name": "unit", "dtype": "string", "shape": [], "value": "mm"}
    text = tlkit("inspect-h5", tmp_path / "other.h5").out
    assert text.split("\n\n")[1].splitlines() == [
        "├─ a", "│  ├─ @unit  mm", "│  └─ b      2x3  int64", "└─ text  1  string"
    ]  # fmt: skip


def test_features_are_told(tlkit, tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.attrs["tlkit_features"] = 1
    assert tlkit("inspect-h5", tmp_path / "f.h5", "--format", "json").json["dialect"] == "tlkit-features"


# -- statistics --------------------------------------------------------------------------------------------------------

ODD = {
    "plain": np.random.default_rng(0).normal(size=(7, 5, 3)).astype("f4"),
    "nan": np.array([[1, np.nan, -2], [0, np.nan, 0]], "f4"),
    "infinite": np.array([1, np.inf, -np.inf, 4, np.nan, 0]),
    "only infinite": np.array([np.inf, np.inf]),
    "only nan": np.full((2, 2), np.nan, "f4"),
    "half": np.full(3000, 60000, "f2"),
    "whole": np.array([[-3, 0], [7, 9]], "i4"),
    "bytes": np.arange(256, dtype="u1"),
    "one": np.float64(2.5),
}


@pytest.mark.parametrize("pieces", [2**22, 4])
@pytest.mark.parametrize("packed", [False, True])
def test_statistics_are_those_of_numpy(tmp_path, monkeypatch, pieces, packed):
    monkeypatch.setattr("tlkit.keras_files.hdf5.tensor_stats.PIECE", pieces)
    with h5py.File(tmp_path / "s.h5", "w") as file:
        for name, array in ODD.items():
            options = {"chunks": (2,) * array.ndim, "compression": "gzip"} if packed and array.ndim else {}
            file.create_dataset(name, data=array, **options)
    found = _inspect(str(tmp_path / "s.h5"), with_stats=True).to_dict()
    stats = {item["path"].strip("/"): item["stats"] for item in found["objects"] if item["kind"] == "dataset"}
    for name, array in ODD.items():
        values = array.astype("f8").ravel()
        real, finite = values[~np.isnan(values)], values[np.isfinite(values)]
        got = stats[name]
        assert got["note"] is None
        assert (got["nan"], got["infinite"], got["zero"]) == (
            np.isnan(values).sum(), np.isinf(values).sum(), (values == 0).sum()
        )  # fmt: skip
        for key, expected in (("min", np.min), ("max", np.max)):
            assert got[key] is None if not real.size else float(got[key]) == expected(real), (name, key)
        assert got["mean"] is None if not finite.size else got["mean"] == pytest.approx(finite.mean(), rel=1e-9)


def test_statistics_of_layers(tlkit, tmp_path):
    path = write_full_keras2(tmp_path / "m.h5", SMALL)
    found = tlkit("inspect-h5", path, "--stats", "--format", "json").json
    stats = {tensor["path"]: tensor["stats"] for layer in found["layers"] for tensor in layer["tensors"]}
    assert len(stats) == 12
    for layer in WITH_WEIGHTS:
        for role, array in layer.weights.items():
            got = stats[f"/model_weights/{layer.name}/{layer.name}/{role}:0"]
            assert (got["min"], got["max"]) == (array.min(), array.max())
            assert got["mean"] == pytest.approx(array.mean(dtype="f8"))
    text = tlkit("inspect-h5", path, "--stats").out
    fc1 = next(layer for layer in SMALL if layer.name == "fc1").weights["kernel"]
    low, high, mean = (f"{value:.4g}" for value in (fc1.min(), fc1.max(), fc1.mean(dtype="f8")))
    assert f"├─ kernel  40x6  float32  min {low}  max {high}  mean {mean}\n" in text


def test_what_is_not_read_says_why(tlkit, tmp_path):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["words"] = ["a", "b"]
        file["record"] = np.zeros(2, [("a", "f4"), ("b", "i1")])
        file["none"] = np.zeros((0, 3))
        file.create_dataset("empty", dtype="f4")
        file.create_dataset("unwritten", (10, 10), "f4", fillvalue=3)
        file.create_dataset("bomb", (2**20, 2**12), "f4", chunks=(2**10, 2**12), compression="gzip")[0, 0] = 1
    found = tlkit("inspect-h5", tmp_path / "s.h5", "--stats", "--format", "json").json
    notes = {item["path"]: item["stats"]["note"] for item in found["objects"] if "stats" in item}
    assert len(notes) == 6
    assert all(notes.values())
    assert "3.0" in notes["/unwritten"]
    assert f"{2**34:,}" in notes["/bomb"]


def test_csv_has_a_line_a_tensor(tlkit, tmp_path):
    path = write_keras2(tmp_path / "w.h5", SMALL)
    rows = list(csv.DictReader(io.StringIO(tlkit("inspect-h5", path, "--stats", "--format", "csv").out)))
    expected = [(layer.name, role, array) for layer in WITH_WEIGHTS for role, array in layer.weights.items()]
    assert [(row["layer"], row["tensor"]) for row in rows] == [(name, role) for name, role, _ in expected]
    for row, (name, role, array) in zip(rows, expected, strict=True):
        assert row["path"] == f"/{name}/{name}/{role}:0"
        assert (row["shape"], row["dtype"]) == ("x".join(map(str, array.shape)), "float32")
        assert float(row["min"]) == array.min()
        assert (row["nan"], row["infinite"], row["zero"]) == ("0", "0", "0")
    bare = csv.DictReader(io.StringIO(tlkit("inspect-h5", path, "--format", "csv").out))
    assert {row["min"] for row in bare} == {""}


# -- does it load? -----------------------------------------------------------------------------------------------------


def test_the_printed_command_works(tlkit, tmp_path, cat):
    """The file has a name that a shell would take apart."""
    path = write_table_weights(tmp_path / "it's mine; $HOME.h5", "mobilenetv2")
    ran = tlkit("inspect-h5", path, "--arch", "mobilenetv2")
    assert ran.code == 0
    assert "Loads into mobilenetv2 with its classifier: by order, all 262 tensors of 105 layers." in one_line(ran.out)
    command = next(line for line in ran.out.splitlines() if line.startswith("  tlkit predict"))
    program, *arguments = shlex.split(command)
    assert (program, arguments.pop(1)) == ("tlkit", "IMAGES")
    told = tlkit(*arguments, cat, "--size", 32, "--format", "json")
    assert told.code == 0, told.err
    assert len(told.json[0]["predictions"]) == 5


def test_without_the_classifier_the_command_is_to_finetune(tlkit, tmp_path):
    path = write_table_weights(tmp_path / "w.h5", "mobilenetv2", include_top=False)
    ran = tlkit("inspect-h5", path, "--arch", "mobilenetv2", "--format", "json")
    with_top, without = ran.json["loading"]["ways"]
    assert ran.code == 0
    assert (with_top["loads"], without["loads"], ran.json["loading"]["loads"]) == (False, True, True)
    assert with_top["missing"] == [
        {
            "layer": "predictions",
            "tensors": [{"role": "kernel", "shape": [1280, 1000]}, {"role": "bias", "shape": [1000]}],
        }
    ]
    assert without["commands"] == [f"tlkit finetune DATA --arch mobilenetv2 --weights {path}"]


def test_a_file_that_does_not_load_ends_with_1_and_says_what_is_missing_and_what_differs(tlkit, tmp_path):
    path = write_table_weights(tmp_path / "w.h5", "mobilenetv2", include_top=False)
    with h5py.File(path, "r+") as file:
        del file["Conv1/Conv1/kernel:0"]
        file["Conv1/Conv1/kernel:0"] = np.zeros((3, 3, 4, 32), "f4")
    ran = tlkit("inspect-h5", path, "--arch", "mobilenetv2")
    assert ran.code == 1
    assert ran.err == ""
    assert "Does not load into mobilenetv2 without its classifier: 103 of its 104 layers match" in one_line(ran.out)
    assert "Conv1: kernel is (3, 3, 4, 32) in the file and (3, 3, 3, 32) here" in ran.out
    assert "missing predictions: kernel 1280x1000, bias 1000" in ran.out
    assert "tlkit predict" not in ran.out

    partly = tlkit("inspect-h5", path, "--arch", "mobilenetv2", "--skip-mismatch", "--format", "json")
    assert partly.code == 0
    assert partly.json["loading"]["ways"][1]["commands"] == [
        f"tlkit finetune DATA --arch mobilenetv2 --weights {path} --skip-mismatch"
    ]


def write_vgg16_of_2016(path):
    """The Sequential with ZeroPadding2D, Theano's order of axes; nothing is stored."""
    wanted = {layer.name: layer for layer in expected_layers(get_architecture("vgg16"), include_top=True)}
    places = [1, 3, 6, 8, 11, 13, 15, 18, 20, 22, 25, 27, 29, 32, 34, 36]
    with h5py.File(path, "w") as file:
        file.attrs["nb_layers"] = 37
        holders = dict(zip(places, wanted.values(), strict=True))
        for number in range(37):
            group = file.create_group(f"layer_{number}")
            tensors = holders[number].tensors if number in holders else ()
            group.attrs["nb_params"] = len(tensors)
            for index, (_, shape) in enumerate(tensors):
                shape = tuple(shape[axis] for axis in (3, 2, 0, 1)) if len(shape) == 4 else shape
                group.create_dataset(f"param_{index}", shape, "f4")
    return path


def test_what_the_file_leaves_open_gives_a_command_for_each_answer(tlkit, tmp_path):
    path = write_vgg16_of_2016(tmp_path / "vgg16.h5")
    ran = tlkit("inspect-h5", path, "--arch", "vgg16")
    assert ran.code == 0
    start = f"  tlkit predict IMAGES --arch vgg16 --weights {path}"
    assert [line for line in ran.out.splitlines() if line.startswith("  tlkit predict")] == [
        f"{start} --no-flip-kernels", f"{start} --flip-kernels"
    ]  # fmt: skip
    way = tlkit("inspect-h5", path, "--arch", "vgg16", "--format", "json").json["loading"]["ways"][0]
    assert (way["questions"], way["layers"], way["unused"]) == (["flip_kernels"], 16, [])
    assert sorted(way["conversions"].values()) == [1, 13]

    said = tlkit("inspect-h5", path, "--arch", "vgg16", "--flip-kernels", "--format", "json").json["loading"]["ways"][0]
    assert said["commands"] == [f"{start.strip()} --flip-kernels"]
    assert sorted(said["conversions"].values()) == [1, 13, 13]


def test_a_wrong_architecture_is_a_usage_error(tlkit, tmp_path):
    ran = tlkit("inspect-h5", write_keras2(tmp_path / "w.h5", SMALL), "--arch", "vgg61")
    assert ran.code == 2
    assert "vgg16" in ran.err


# -- what it never does ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [write_full_keras2, write_keras_archive, write_nb_layers])
def test_neither_tensorflow_nor_keras_is_imported_and_h5py_only_in_the_other_process(tmp_path, write):
    path = write(tmp_path / "m", networks.twins())
    (tmp_path / "modules").mkdir()
    for name in ("tensorflow", "keras", "PIL", "matplotlib"):
        (tmp_path / "modules" / f"{name}.py").write_text(f"raise AssertionError('{name} is imported')")
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(tmp_path / 'modules')!r})\n"  # also where the other process imports from
        "from tlkit.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print({'h5py', 'numpy', 'pooch'} & {*sys.modules}, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "inspect-h5", str(path), "--stats", "--arch", "mobilenetv2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert done.stderr == "set()\n"
    assert "Does not load into mobilenetv2" in done.stdout


@pytest.mark.parametrize("write", [write_keras2, write_full_keras1, write_keras3_weights, write_keras_archive])
def test_no_tensor_is_read_unless_asked(tmp_path, monkeypatch, write):
    path = write(tmp_path / "w", SMALL)

    def refuse(*_):
        raise RuntimeError("a tensor was read")

    for name in ("__getitem__", "__array__", "read_direct", "astype"):
        monkeypatch.setattr(h5py.Dataset, name, refuse)
    target = _target(InspectConfig(file=str(path), arch="mobilenetv2"))
    assert _inspect(str(path), target=target).tensors
    with pytest.raises(WeightsError, match="a tensor was read"):
        _inspect(str(path), with_stats=True)


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.every
def test_no_line_is_wider_than_the_terminal(tlkit, tmp_path, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.chdir(tmp_path)
    long = "a_layer_with_a_name_of_more_than_eighty_characters_as_tensorflow_hub_and_others_write"
    path = write_keras2("w.h5", renamed(SMALL, {"conv1": long}))
    with h5py.File("deep.h5", "w") as file:
        group = file
        for depth in range(60):
            group.attrs["unit"] = "mm" * 40
            group = group.create_group(f"group{depth}")
        group["soft"] = h5py.SoftLink("/a long path" * 20)
    for file in (path, "deep.h5"):
        for more in ((), ("--stats",)):
            text = tlkit("inspect-h5", file, *more).out
            assert max(map(len, text.splitlines())) <= columns
            letters = "".join(char for char in text if char not in "│├└─… \n")
            assert (long if file == path else "group59") in letters
    assert "/alongpath" * 20 in letters


EVIL = "a\x1b[31m\n\r\u202eb\u2028\x07"


def safe(text):
    """No newline of a name's own, and nothing else that moves the cursor or turns the text round."""
    return "[31m\n" not in text and not any(
        unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") for char in text.replace("\n", "")
    )


@pytest.mark.every
def test_names_and_attributes_cannot_reach_the_terminal(tlkit, tmp_path):
    path = tmp_path / "w\x1b[2J.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"], file.attrs["keras_version"] = [EVIL.encode()], f"2.4{EVIL}"
        file.attrs["backend"], file.attrs[EVIL] = EVIL, [EVIL, EVIL]
        file.create_group(EVIL).attrs["weight_names"] = [f"{EVIL}/{EVIL}:0".encode()]
        file[EVIL][f"{EVIL}/{EVIL}:0"] = np.ones(3)
        file["soft"], file["out"] = h5py.SoftLink(EVIL), h5py.ExternalLink(EVIL, EVIL)
    for more in ((), ("--stats",), ("--arch", "vgg16"), ("--format", "csv")):
        ran = tlkit("inspect-h5", path, *more)
        assert ran.out
        assert safe(ran.out + ran.err), more
    found = tlkit("inspect-h5", path, "--arch", "vgg16", "--format", "json").json
    assert found["layers"][0]["name"] == EVIL
    assert found["backend"] == EVIL
    assert safe(tlkit("inspect-h5", path, "--format", "json").out)

    with h5py.File(path, "w") as file:  # no layers: the table of objects
        file[EVIL] = np.ones(3)
        file["soft"], file["out"] = h5py.SoftLink(EVIL), h5py.ExternalLink(EVIL, EVIL)
    for more in ((), ("--stats",), ("--format", "csv"), ("--format", "json")):
        assert safe(tlkit("inspect-h5", path, *more).out), more


def test_configurations_and_problems_cannot_reach_the_terminal(tlkit, tmp_path):
    path = tmp_path / "m.keras"
    layer = {"class_name": f"Lambda{EVIL}", "config": {"name": EVIL}, "name": EVIL}
    with zipfile.ZipFile(write_keras_archive(path, SMALL)) as archive:
        weights = archive.read("model.weights.h5")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": EVIL}))
        archive.writestr(
            "config.json", json.dumps({"class_name": "Functional", "config": {"name": EVIL, "layers": [layer]}})
        )
        archive.writestr("model.weights.h5", weights)
    ran = tlkit("inspect-h5", path)
    assert ran.code == 0
    assert "Problem: " in ran.out
    assert safe(ran.out)


def test_names_that_are_no_text_are_valid_json(tlkit, tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file[b"caf\xe9"] = np.ones(3)
    ran = tlkit("inspect-h5", tmp_path / "w.h5", "--format", "json")
    assert ran.json["objects"][1]["path"] == "/caf\udce9"
    assert "\\udce9" in tlkit("inspect-h5", tmp_path / "w.h5").out
    assert "\\udce9" in tlkit("inspect-h5", tmp_path / "w.h5", "--format", "csv").out


def run(*arguments):
    """The program in a process of its own; the last line on stderr is the most megabytes that it took."""
    code = (
        "import resource, sys; from tlkit.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: code = end.code\n"
        "used = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))\n"
        "print(used // 1024, file=sys.stderr); sys.exit(code)"
    )
    # Linux counts what a process took before it became another program; the shell took little.
    command = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", code, "inspect-h5", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "400"}  # so that no path is split
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("keras", [False, True])
@pytest.mark.every
def test_links_are_shown_and_never_opened(tmp_path, keras):
    """Whoever opens a named pipe waits for a writer that does not come."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    path = write_keras2(tmp_path / "w.h5", SMALL) if keras else tmp_path / "other.h5"
    with h5py.File(path, "a") as file:
        group = file.require_group("more")
        group["soft"], group["dangling"] = h5py.SoftLink("/more"), h5py.SoftLink("/nowhere/at all")
        group["through"], group["away"] = h5py.SoftLink("/more/away/x"), h5py.ExternalLink(str(pipe), "/x")
        group.create_dataset("raw", (4,), "f4", external=[(str(pipe), 0, 16)])
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource(str(pipe), "x", (4,))
        group.create_virtual_dataset("virtual", layout)
        if keras:
            names = [*map(bytes, file.attrs["layer_names"]), b"more"]
            file.attrs["layer_names"] = names
            group.attrs["weight_names"] = [b"raw", b"virtual", b"away", b"soft/raw"]
    for more in ((), ("--stats",), ("--arch", "vgg16")):
        done = run(path, *more)
        assert done.returncode == (1 if "--arch" in more else 0), done.stderr
        for name, target in (("soft", "/more"), ("dangling", "/nowhere/at all"), ("away", f"{pipe}:/x")):
            assert re.search(rf"{name} +{'external' if name == 'away' else 'soft'} link to {target}\n", done.stdout)
    found = json.loads(run(path, "--stats", "--format", "json").stdout)
    kinds = {item["path"]: item.get("storage", item["kind"]) for item in found["objects"] if "/more/" in item["path"]}
    assert kinds == {
        "/more/soft": "soft link", "/more/dangling": "soft link", "/more/through": "soft link",
        "/more/away": "external link", "/more/raw": "external", "/more/virtual": "virtual",
    }  # fmt: skip
    assert bool(found["problems"]) == keras


# -- hostile and damaged -----------------------------------------------------------------------------------------------


def huge(file):
    file.create_dataset("d", (50_000_000, 50_000_000), "f4", chunks=(1000, 1000))


def large(file):
    """3.9 GiB that are really in the file, and take no room on the disk."""
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    made.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple((int(3.9 * 2**28),))
    h5py.h5d.create(file.id, b"d", h5py.h5t.IEEE_F32LE, space, made)


def many(file):
    for number in range(20_000):
        h5py.h5g.create(file.id, b"%d" % number)


def deep(file):
    group = file.id
    for _ in range(2_000):
        group = h5py.h5g.create(group, b"g")


def cycle(file):
    file["a/b/c"] = np.ones(3)
    file["a/b/again"] = file["a"]
    file["self"] = file["/"]
    file["a/twin"] = file["a/b/c"]


@pytest.mark.parametrize("make", [huge, large, pytest.param(many, marks=pytest.mark.every), deep, cycle])
def test_hostile_files_end_soon_and_in_little_memory(tmp_path, make):
    path = tmp_path / "hostile.h5"
    with h5py.File(path, "w", libver="latest") as file:
        make(file)
    for more in ((), ("--format", "json", "--stats") if make is not large else ("--format", "json")):
        done = run(path, *more)
        assert done.returncode == 0, done.stderr
        assert int(done.stderr.split()[-1]) < 200
        assert len(done.stderr.splitlines()) == 1
    objects = json.loads(done.stdout)["objects"]
    assert len(objects) > 1
    if make is cycle:
        assert {item["path"]: item["target"] for item in objects if item["kind"] == "hard link"} == {
            "/self": "/", "/a/b/again": "/a", "/a/twin": "/a/b/c"
        }  # fmt: skip
    if make is deep:
        assert "deeper" in objects[-1]["target"]


def whole():
    with io.BytesIO() as buffer:
        with h5py.File(buffer, "w") as file:
            file["x"] = np.zeros(1000)
        return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"words\n", b"<!DOCTYPE html>", whole()[:2000], whole()[:100], whole()[:8], b"PK\x03\x04",
     b"PK\x03\x04" * 99],
    ids=["empty", "text", "web page", "cut short", "cut very short", "signature", "zip signature", "zip nonsense"],
)  # fmt: skip
@pytest.mark.parametrize("output", one_in(2, ["text", "json"]))
def test_what_is_damaged_or_no_hdf5_is_one_line(tlkit, tmp_path, content, output):
    (tmp_path / "w.h5").write_bytes(content)
    ran = tlkit("inspect-h5", tmp_path / "w.h5", "--format", output)
    assert (ran.code, ran.out) == (1, "")
    assert [line.partition(":")[0] for line in ran.err.splitlines()] in (["Error"], ["Error", "Hint"])
    assert "w.h5" in ran.err
    assert "bug of tlkit" not in ran.err


@pytest.mark.parametrize("name", ["nothing.h5", ".", "w.h5/inside"])
def test_what_is_no_file_is_one_line(tlkit, tmp_path, name):
    write_keras2(tmp_path / "w.h5", SMALL)
    ran = tlkit("inspect-h5", tmp_path / name)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("Error: ")
    assert "bug of tlkit" not in ran.err


@pytest.mark.parametrize("cut", [True, False])
@pytest.mark.parametrize("part", ["model.weights.h5", "config.json"])
def test_an_archive_that_lacks_a_part_or_has_it_cut_is_one_line(tlkit, tmp_path, part, cut):
    path = write_keras_archive(tmp_path / "m.keras", SMALL)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            if name != part:
                archive.writestr(name, data)
            elif cut:
                archive.writestr(name, data[: len(data) // 2])
    ran = tlkit("inspect-h5", path)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("Error: ")
    assert "bug of tlkit" not in ran.err


@pytest.mark.parametrize("command", [["inspect-h5"], ["predict", "cat.png", "--model"], ["convert-h5"]])
def test_a_pipe_is_refused_at_once(tlkit, tmp_path, command):
    os.mkfifo(tmp_path / "pipe")
    rest = [tmp_path / "out.weights.h5", "--arch", "vgg16"] if command == ["convert-h5"] else []
    ran = tlkit(*command, tmp_path / "pipe", *rest)
    assert ran.code == 1
    assert "is a pipe, not a file" in ran.err


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"), (b"\x1f\x8b\x08\0", "gunzip"),
     (b"<html>", "web page"), (b"PK\x03\x04" + b"\0" * 99, "cut short")],
)  # fmt: skip
def test_what_people_have_instead_of_a_weights_file_is_named(tlkit, tmp_path, content, says):
    (tmp_path / "w.h5").write_bytes(content)
    ran = tlkit("inspect-h5", tmp_path / "w.h5")
    assert (ran.code, ran.out) == (1, "")
    assert says in ran.err


def test_a_configuration_that_is_no_json_is_a_problem_and_the_weights_are_shown(tlkit, tmp_path):
    path = write_full_keras2(tmp_path / "m.h5", networks.small())
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = "{nope"
    ran = tlkit("inspect-h5", path, "--format", "json")
    assert ran.code == 0
    assert "not JSON" in ran.json["problems"][0]
    assert ran.json["totals"]["tensors"] > 4
    assert tlkit("predict", "--model", path, "cat.png").code == 1


def test_how_to_load_needs_where_to(tlkit, tmp_path):
    path = write_keras2(tmp_path / "w.h5", networks.small())
    assert tlkit("inspect-h5", path, "--by-name").code == 2
    assert tlkit("inspect-h5", path, "--arch", "").code != 0


def test_infinite_values_are_counted(tlkit, tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["values"] = np.array([np.inf, 1, 3], "float32")
    assert (
        "└─ values  3  float32  min 1  max inf  mean 2  infinite 1\n"
        in tlkit("inspect-h5", tmp_path / "w.h5", "--stats").out
    )
