"""MusicTaggerCRNN and its files of Keras 1, against NumPy; nothing here shares code with the network."""

import numpy as np
import pytest
from keras_writers.tagger import BLOCKS, old_weights, write

from tlkit.architectures import pretrained
from tlkit.architectures.build import build
from tlkit.architectures.labels import published_labels
from tlkit.architectures.pretrained import build_pretrained
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.backend import keras
from tlkit.keras_files import load_weights

ROW = get_architecture("musictaggercrnn")


def hard_sigmoid(values):
    """That of Keras 1 and 2."""
    return np.clip(0.2 * values + 0.5, 0, 1)


def gru(steps, p, name):
    """Keras 1's GRU; every state."""
    state, states = np.zeros(32), []
    for x in steps:
        z, r = (hard_sigmoid(x @ p[f"{name}_W_{g}"] + state @ p[f"{name}_U_{g}"] + p[f"{name}_b_{g}"]) for g in "zr")
        new = np.tanh(x @ p[f"{name}_W_h"] + (r * state) @ p[f"{name}_U_h"] + p[f"{name}_b_h"])
        state = z * state + (1 - z) * new
        states.append(state)
    return np.array(states)


def normalize(x, p, name, axis):
    shape = [1, 1, 1]
    shape[axis] = -1
    gamma, beta, mean, variance = (
        p[f"{name}_{key}"].reshape(shape) for key in ("gamma", "beta", "running_mean", "running_std")
    )
    return gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta


def maps(x, layers):
    """Return the output ``(15, 128)`` of the four blocks for ``(96, 1366, 1)``."""
    x = normalize(np.pad(x, ((0, 0), (37, 37), (0, 0))), layers["bn_0_freq"], "bn_0_freq", axis=1)
    for number, (_, filters, pool) in enumerate(BLOCKS, start=1):
        kernel = layers[f"conv{number}"][f"conv{number}_W"]
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0))).astype("float32")
        height, width = x.shape[:2]
        x = sum(
            padded[entry : entry + height, column : column + width] @ kernel[entry, column]
            for entry, column in np.ndindex(3, 3)
        )
        x = normalize(x + layers[f"conv{number}"][f"conv{number}_b"], layers[f"bn{number}"], f"bn{number}", axis=2)
        x = np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
        height, width = height // pool, width // pool
        x = x[: height * pool, : width * pool].reshape(height, pool, width, pool, filters).max(axis=(1, 3))
    return x[0]


@pytest.fixture(scope="module")
def layers():
    return old_weights()


@pytest.fixture(scope="module")
def clip():
    return np.random.default_rng(1).normal(-60, 30, size=(96, 1366, 1)).astype("float32")


@pytest.fixture(scope="module")
def mapped(clip, layers):
    return maps(clip, layers)


@pytest.mark.parametrize("theano_axes", [False, True], ids=["tf", "th"])
@pytest.mark.every
def test_the_file_of_keras_1_gives_what_keras_1_gave(tmp_path, layers, clip, mapped, theano_axes):
    path = write(tmp_path / "old.h5", layers, theano_axes=theano_axes)
    model = build(ROW, include_top=True)
    report = pretrained.load_weights(model, path, ROW)
    assert report.conversions["gates from the hard sigmoid of Keras 1 and 2 to that of Keras 3 (times 1.2)"] == 6
    outputs = keras.Model(model.input, [model.get_layer(name).output for name in ("reshape", "gru2", "output")])
    reshaped, states, tags = (np.asarray(array)[0] for array in outputs(clip[None], training=False))
    np.testing.assert_allclose(reshaped, mapped, atol=1e-4)
    expected = gru(gru(reshaped, layers["gru1"], "gru1"), layers["gru2"], "gru2")[-1]
    np.testing.assert_allclose(states, expected, atol=1e-5)
    logits = expected @ layers["output"]["output_W"] + layers["output"]["output_b"]
    np.testing.assert_allclose(tags, 1 / (1 + np.exp(-logits)), atol=1e-5)


def test_the_published_file_serves_without_its_top_and_needs_no_word_on_kernels(tmp_path, layers, monkeypatch):
    monkeypatch.setenv("TLKIT_WEIGHTS_MIRROR", str(tmp_path))
    write(
        tmp_path / ROW.with_top.name, layers, ends=""
    )  # as under Theano: nothing in the file tells that kernels are TensorFlow's
    base = build_pretrained(ROW, include_top=False).model
    np.testing.assert_array_equal(np.asarray(base.get_layer("conv2").kernel), layers["conv2"]["conv2_W"])
    gates = {"z": 1.2, "r": 1.2, "h": 1}
    kernel = np.concatenate([layers["gru2"][f"gru2_W_{gate}"] * scale for gate, scale in gates.items()], axis=1)
    np.testing.assert_allclose(np.asarray(base.get_layer("gru2").cell.kernel), kernel, rtol=1e-6)


@pytest.mark.parametrize("ending", [".weights.h5", ".keras", ".h5"])
def test_what_keras_3_saved_is_taken_as_it_is(tmp_path, ending):
    inputs = keras.Input((5, 4))
    model = keras.Model(inputs, keras.layers.GRU(3, recurrent_activation="hard_sigmoid", reset_after=False)(inputs))
    save = model.save_weights if ending == ".weights.h5" else model.save
    save(tmp_path / f"new{ending}")
    before = [array.copy() for array in model.get_weights()]
    model.set_weights([0 * array for array in before])
    load_weights(model, tmp_path / f"new{ending}", verify=False)
    for array, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_the_tags_are_those_of_the_original():
    tags = [name for _, name in published_labels("msd")]
    assert len(set(tags)) == 50
    # from audio_conv_utils.py of Keras 1.2.2, its capitals too
    expected = {
        0: "rock",
        5: "female vocalists",
        7: "00s",
        17: "Mellow",
        33: "Hip-Hop",
        43: "Progressive rock",
        49: "happy",
    }
    assert {number: tags[number] for number in expected} == expected


def test_inspect_says_that_it_loads(tlkit, tmp_path, layers):
    path = write(tmp_path / "old.h5", layers)
    inspected = tlkit("inspect-h5", path, "--arch", "musictaggercrnn", "--format", "json")
    assert inspected.code == 0
    ways = inspected.json["loading"]["ways"]
    assert [way["loads"] for way in ways] == [True, True]
    assert all(any("hard sigmoid" in name for name in way["conversions"]) for way in ways)
    assert [way["unused"] for way in ways] == [[], ["output"]]
