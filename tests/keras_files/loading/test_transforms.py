"""Conversions against SciPy, NumPy and loops written out: nothing here shares code with what is tested."""

import itertools

import h5py
import keras
import numpy as np
import pytest
from scipy.signal import convolve, correlate

from tlkit.keras_files import load_weights
from tlkit.keras_files.loading.transforms import (
    CONV1D,
    CONV1D_TH,
    TO_TF,
    TRANSPOSED_TF,
    TRANSPOSED_TH,
    dense_after_flatten,
    flip,
)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("extent", [(3,), (3, 2), (2, 3, 4)])
def test_a_flipped_kernel_correlates_as_the_kernel_convolved(extent):
    picture, kernel = numbers(7, 6, 5)[(slice(None),) * len(extent) + (0,) * (3 - len(extent))], numbers(*extent, 2, 3)
    flipped = flip(len(extent)).apply(kernel)
    for channel, out in np.ndindex(2, 3):
        expected = convolve(picture, kernel[..., channel, out], "valid", "direct")
        np.testing.assert_allclose(correlate(picture, flipped[..., channel, out], "valid", "direct"), expected)
        assert not np.allclose(correlate(picture, kernel[..., channel, out], "valid", "direct"), expected)
    np.testing.assert_array_equal(flip(len(extent)).apply(flipped), kernel)


def test_theano_kernels_become_those_of_tensorflow():
    flat, deep = numbers(5, 4, 3, 2), numbers(6, 5, 4, 3, 2)
    for out, channel, row, column in np.ndindex(flat.shape):
        assert TO_TF[4].apply(flat)[row, column, channel, out] == flat[out, channel, row, column]
    for out, channel, *place in np.ndindex(deep.shape):
        assert TO_TF[5].apply(deep)[(*place, channel, out)] == deep[(out, channel, *place)]


def test_the_one_dimensional_kernels_of_keras_1():
    straight, first = numbers(5, 1, 3, 2), numbers(2, 3, 5, 1)
    for step, channel, out in np.ndindex(5, 3, 2):
        assert CONV1D.apply(straight)[step, channel, out] == straight[step, 0, channel, out]
        assert CONV1D_TH.apply(first)[step, channel, out] == first[out, channel, step, 0]


def test_transposed_kernels_have_the_outputs_before_the_inputs():
    last, first = numbers(5, 4, 3, 2), numbers(2, 3, 5, 4)
    for row, column, channel, out in np.ndindex(last.shape):
        assert TRANSPOSED_TF.apply(last)[row, column, out, channel] == last[row, column, channel, out]
        assert TRANSPOSED_TH.apply(first)[row, column, out, channel] == first[out, channel, row, column]


def test_the_rows_of_a_dense_after_a_flatten_go_from_channels_first_to_last():
    height, width, channels, units = 2, 3, 4, 5
    picture, kernel = numbers(height, width, channels), numbers(height * width * channels, units, seed=1)
    by_hand = np.empty_like(kernel)
    flattened_by_theano, flattened_today = [], picture.reshape(-1)
    for channel, row, column in itertools.product(range(channels), range(height), range(width)):
        by_hand[(row * width + column) * channels + channel] = kernel[len(flattened_by_theano)]
        flattened_by_theano.append(picture[row, column, channel])
    converted = dense_after_flatten((height, width, channels)).apply(kernel)
    np.testing.assert_array_equal(converted, by_hand)
    np.testing.assert_allclose(flattened_today @ converted, np.array(flattened_by_theano) @ kernel)


# -- recurrent layers: one array a gate until Keras 1, one tensor since Keras 2 ----------------------------------------

STEPS, FEATURES, UNITS = 4, 3, 2


def gate_arrays(gates):
    """What Keras 1 kept, in its order: W, U, b of one gate after another."""
    random = np.random.default_rng(1)
    shapes = {"W": (FEATURES, UNITS), "U": (UNITS, UNITS), "b": (UNITS,)}
    return {f"{kind}_{gate}": random.normal(size=shapes[kind]).astype("float32") for gate in gates for kind in "WUb"}


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def gru(x, p):
    """Keras 1's GRU with the reset before the product, as its ``step`` has it."""
    state = np.zeros(UNITS)
    for step in x:
        z = sigmoid(step @ p["W_z"] + state @ p["U_z"] + p["b_z"])
        r = sigmoid(step @ p["W_r"] + state @ p["U_r"] + p["b_r"])
        candidate = np.tanh(step @ p["W_h"] + (r * state) @ p["U_h"] + p["b_h"])
        state = z * state + (1 - z) * candidate
    return state


def lstm(x, p):
    state, carry = np.zeros(UNITS), np.zeros(UNITS)
    for step in x:
        i, c, f, o = (step @ p[f"W_{gate}"] + state @ p[f"U_{gate}"] + p[f"b_{gate}"] for gate in "icfo")
        carry = sigmoid(f) * carry + sigmoid(i) * np.tanh(c)
        state = sigmoid(o) * np.tanh(carry)
    return state


def write_keras1(path, name, arrays):
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode()]
        group = file.create_group(name)
        group.attrs["weight_names"] = [f"{name}_{key}:0".encode() for key in arrays]
        for key, array in arrays.items():
            group[f"{name}_{key}:0"] = array


def write_keras1_backwards(path, name, arrays):
    """Names tell which gate is which, whatever their order."""
    write_keras1(path, name, dict(reversed(arrays.items())))


def write_keras0(path, name, arrays):
    with h5py.File(path, "w") as file:
        file.attrs["nb_layers"] = 1
        group = file.create_group("layer_0")
        group.attrs["nb_params"] = len(arrays)
        for number, array in enumerate(arrays.values()):
            group[f"param_{number}"] = array


@pytest.mark.parametrize("write", [write_keras0, write_keras1, write_keras1_backwards])
@pytest.mark.parametrize(
    ("gates", "reference", "make"),
    [
        ("zrh", gru, lambda: keras.layers.GRU(UNITS, reset_after=False, name="recurrent_1")),
        ("icfo", lstm, lambda: keras.layers.LSTM(UNITS, name="recurrent_1")),
    ],
    ids=["gru", "lstm"],
)
def test_the_gates_of_a_recurrent_layer_become_one_tensor(tmp_path, write, gates, reference, make):
    arrays = gate_arrays(gates)
    write(tmp_path / "w.h5", "recurrent_1", arrays)
    model = keras.Sequential([keras.Input((STEPS, FEATURES)), make()])
    report = load_weights(model, tmp_path / "w.h5", verify=False)
    assert report.tensors == 3
    x = numbers(STEPS, FEATURES, seed=2)
    np.testing.assert_allclose(np.asarray(model(x[None]))[0], reference(x, arrays), atol=1e-6)
