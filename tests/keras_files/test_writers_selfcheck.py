"""Keras 3 itself reads what stands in for its files, and answers what SciPy does."""

import h5py
import keras
import numpy as np
import pytest
from keras_writers import networks
from keras_writers.dialects import write_full_keras3h5, write_keras3_weights, write_keras_archive
from keras_writers.reference import forward


def answer(model, network):
    pixels = networks.image(network)
    return np.asarray(model(pixels[None].astype("float32")))[0], forward(network, pixels)


@pytest.mark.parametrize("make", [networks.small, networks.square, networks.twins, networks.depthwise])
@pytest.mark.parametrize("nested", [None, "base"])
def test_keras_3_reads_the_archive_the_legacy_file_and_the_weights_files(tmp_path, make, nested):
    network = make(seed=2)
    model = keras.saving.load_model(write_keras_archive(tmp_path / "m.keras", network, nested=nested))
    np.testing.assert_allclose(*answer(model, network), atol=1e-6)

    legacy = write_full_keras3h5(tmp_path / "m.h5", network, nested=nested, frozen=("bn1", "bn_dw"))
    np.testing.assert_allclose(*answer(keras.saving.load_model(legacy), network), atol=1e-6)

    for seed, options in enumerate(({}, {"names": False}), start=3):
        other = make(seed)
        model.load_weights(write_keras3_weights(tmp_path / "m.weights.h5", other, nested=nested, **options))
        np.testing.assert_allclose(*answer(model, other), atol=1e-6)


def test_the_weights_file_has_the_groups_and_names_keras_gives_it(tmp_path):
    network = networks.depthwise()
    model = keras.saving.load_model(write_keras_archive(tmp_path / "m.keras", network, nested="base"))
    model.save_weights(tmp_path / "real.weights.h5")
    ours = write_keras3_weights(tmp_path / "ours.weights.h5", network, nested="base")
    assert listing(tmp_path / "real.weights.h5") == listing(ours)


def listing(path) -> dict:
    found = {}

    def note(name, item):
        found[name] = dict(item.attrs), item[()].tobytes() if isinstance(item, h5py.Dataset) else None

    with h5py.File(path) as file:
        file.visititems(note)
    return found
