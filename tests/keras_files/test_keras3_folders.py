"""Keras 3's folders where they are not named ``layers``: on Windows of Keras 2.12 to 2.14, and of subclassed models."""

import io
import zipfile

import h5py
import keras
import numpy as np
import pytest
from helpers.cases import one_in
from keras_writers import networks
from keras_writers.building import keras_model, values
from keras_writers.dialects import write_keras3_weights, write_keras_archive, write_tf_keras_weights

from tlkit.commands.inspect_h5 import _inspect
from tlkit.keras_files import load_model, load_weights, open_file

SMALL, TWINS = networks.small(seed=3), networks.twins(seed=3)


def of_windows(source, target):
    """The same groups under the names that ``os.path.join`` gave there: one group a layer, with its whole path."""

    def put(name, item):
        outer, vars_, last = name.partition("vars")
        if isinstance(item, h5py.Dataset):
            target[f"{outer.strip('/').replace('/', chr(92))}/{vars_}{last}".lstrip("/")] = item[()]
        elif vars_ and not last:
            target.require_group(f"{outer.strip('/').replace('/', chr(92))}/{vars_}".lstrip("/"))

    source.visititems(put)


@pytest.mark.parametrize("nested", one_in(2, ["base", None]))
@pytest.mark.parametrize("network", [SMALL, TWINS], ids=["small", "twins"])
def test_an_archive_of_windows_is_that_of_linux(tmp_path, network, nested):
    linux = write_keras_archive(tmp_path / "linux.keras", network, nested=nested)
    with zipfile.ZipFile(linux) as source, zipfile.ZipFile(tmp_path / "windows.keras", "w") as target:
        for name in source.namelist():
            data = io.BytesIO(source.read(name))
            if name.endswith(".h5"):
                made = io.BytesIO()
                with h5py.File(data) as weights, h5py.File(made, "w") as file:
                    of_windows(weights, file)
                    assert not {"layers"} & set(file)
                    assert any(name.startswith("layers\\") for name in file)
                data = made
            target.writestr(name, data.getvalue())
    one, other = load_model(linux).model, load_model(tmp_path / "windows.keras").model
    assert list(values(one)) == list(values(other))


@pytest.mark.parametrize("version", one_in(2, ["2.13.1", "2.14.0"]))
@pytest.mark.parametrize("nested", [None, "base"])
def test_weights_of_windows_are_those_of_linux(tmp_path, version, nested):
    linux = write_tf_keras_weights(tmp_path / "linux.weights.h5", SMALL, version=version, nested=nested, optimizer=True)
    windows = tmp_path / "windows.weights.h5"
    with h5py.File(linux) as source, h5py.File(windows, "w") as target:
        of_windows(source, target)
    models = [keras_model(SMALL, nested=nested, seed=seed) for seed in (1, 2)]
    for model, path in zip(models, (linux, windows), strict=True):
        load_weights(model, path)
    assert list(values(models[0])) == list(values(models[1]))
    with open_file(linux) as one, open_file(windows) as other:
        assert other.header.dialect == "keras3-weights"
        assert [(layer.name, layer.path) for layer in one.layers] == [
            (layer.name, layer.path) for layer in other.layers
        ]


def test_a_backslash_stays_one_where_there_is_a_layers_folder(tmp_path):
    path = write_keras3_weights(tmp_path / "w.weights.h5", SMALL)
    before = _inspect(str(path)).totals
    with h5py.File(path, "a") as file:
        file["layers"].move("dense", "den\\se")
    after = _inspect(str(path))
    assert after.totals == before
    assert next(node.path for node in after.objects if "\\" in node.path) == "/layers/den\\se"


# -- subclassed models -------------------------------------------------------------------------------------------------

layers = keras.layers


class Block(layers.Layer):
    def __init__(self):
        super().__init__()
        self.project, self.norm = layers.Dense(3), layers.BatchNormalization()

    def build(self, shape):
        self.project.build(shape)
        self.norm.build((None, 3))
        self.scale = self.add_weight(shape=(3,), name="scale")


class Own(keras.Model):
    """Layers as attributes, in lists and dictionaries, a model of layers, a layer of parts.

    Keras saves attributes by name; at ``layers``, all that come after it: the file has some under their own names, and
    the others there.
    """

    def __init__(self):
        super().__init__()
        self.stem, self.blocks = layers.Conv2D(4, 3, name="my_stem"), [Block(), Block()]
        self.heads = {"a": layers.Dense(2), "b": layers.Dense(5)}
        self.base = keras.Sequential([keras.Input((4,)), layers.Dense(4), layers.BatchNormalization()])
        self.memory, self.early_memory, self.attention = layers.GRU(3), layers.GRU(3), layers.MultiHeadAttention(2, 3)
        self.dropout = layers.Dropout(0.5)
        self.stem.build((None, 8, 8, 3))
        for block in self.blocks:
            block.build((None, 4))
        for head in self.heads.values():
            head.build((None, 3))
        self.memory.build((None, 5, 3))
        self.early_memory.build((None, 5, 3))
        self.attention.build((None, 5, 3), (None, 5, 3))
        self.built = True


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    model = Own()
    path = tmp_path_factory.mktemp("own") / "own.weights.h5"
    model.save_weights(path)
    return model, path


def test_weights_of_a_subclassed_model_are_weights_of_keras_3(own):
    model, path = own
    found = _inspect(str(path))
    assert (found.header.dialect, found.header.generation) == ("keras3-weights", 3)
    assert found.title == "weights of Keras 3 (.weights.h5)"
    assert found.totals["parameters"] == model.count_params()
    assert found.totals["tensors"] == len(model.weights)
    held = {(layer.parents, layer.name): len(layer.tensors) for layer in found.layers if layer.tensors}
    given = [layer.name for layer in model.base.layers]
    assert held == {
        ((), "my_stem"): 2,
        (("blocks",), "block"): 1, (("blocks", "block"), "project"): 2, (("blocks", "block"), "norm"): 4,
        (("blocks",), "block_1"): 1, (("blocks", "block_1"), "project"): 2, (("blocks", "block_1"), "norm"): 4,
        (("heads",), "dense"): 2, (("heads",), "dense_1"): 2,
        (("base",), given[0]): 2, (("base",), given[1]): 4,
        ((), model.memory.name): 3, ((), "early_memory"): 3, ((), model.attention.name): 8,
    }  # fmt: skip
    kinds = {layer.name: layer.kind for layer in found.layers}
    assert (kinds["early_memory"], kinds["norm"], kinds["my_stem"]) == ("gru", "batch_normalization", "conv2d")
    with h5py.File(path) as file:
        assert {"layers", "attention", "blocks"} <= set(file)
    drawn = {tree.name: [child.name for child in tree.children] for tree in found.tree.children}
    assert drawn["blocks"] == ["block", "block_1"]  # each once, though it has weights of its own and layers


def test_values_are_those_of_the_model(own):
    model, path = own
    expected = {
        ((), "my_stem"): model.stem, (("blocks", "block_1"), "norm"): model.blocks[1].norm,
        ((), "early_memory"): model.early_memory, (("heads",), "dense_1"): model.heads["b"],
    }  # fmt: skip
    with open_file(path) as file:
        held = {(layer.path, layer.name): [item.values[()] for item in layer.tensors] for layer in file.layers}
    for key, layer in expected.items():
        assert all(np.array_equal(a, b) for a, b in zip(held[key], layer.get_weights(), strict=True)), key


def test_without_names_too_and_without_the_optimizer(own, tmp_path):
    model, path = own
    with h5py.File(path) as source, h5py.File(tmp_path / "old.weights.h5", "w") as target:
        for name in source:
            source.copy(name, target)
        target.visititems(lambda _, item: item.attrs.pop("name", None) and None)
        target["optimizer/vars/0"] = np.zeros(7)
    found = _inspect(str(tmp_path / "old.weights.h5"))
    assert found.header.dialect == "keras3-weights"
    assert found.totals["parameters"] == model.count_params()


def test_a_functional_model_with_layers_of_its_own_shows_them_too(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2)(inputs))
    model.extra = layers.Dense(7)
    model.extra.build((None, 4))
    model.save_weights(tmp_path / "f.weights.h5")
    model.save(tmp_path / "f.keras")
    assert _inspect(str(tmp_path / "f.weights.h5")).totals["parameters"] == model.count_params() == 45
    rebuilt = load_model(tmp_path / "f.keras").model  # which Keras gives without them
    assert np.array_equal(rebuilt.get_weights()[0], model.layers[-1].get_weights()[0])


@pytest.mark.parametrize(
    "made",
    [{"vars/words": "text"}, {"vars/0": np.zeros(3), "x": np.zeros(3)}, {"a/b/c": np.zeros(3)}, {"vars/0": b"s"}, {}],
)
def test_files_of_other_programs_stay_what_they_are(tmp_path, made):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        for name, data in made.items():
            file[name] = data
        file.create_group("empty")
    assert _inspect(str(tmp_path / "other.h5")).header.dialect == "hdf5"
