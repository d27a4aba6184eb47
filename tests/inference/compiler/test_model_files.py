"""Layers made of parts, from files: every array reaches the part that it is of."""

import keras
import numpy as np
import pytest
from helpers.cases import one_in

from tlkit.inference.compiler.model_file import read_model_file
from tlkit.inference.compiler.network import run_on_values

layers = keras.layers
NETWORKS = {
    "directions": lambda x: layers.Bidirectional(layers.LSTM(4))(
        layers.Bidirectional(layers.GRU(4, return_sequences=True), merge_mode="sum")(x[:, 0])
    ),
    "a direction of its own": lambda x: layers.Bidirectional(
        layers.SimpleRNN(3), backward_layer=layers.LSTM(3, go_backwards=True)
    )(x[:, 0]),
    "heads": lambda x: layers.MultiHeadAttention(3, 3)(x[:, 0], x[:, 1]),
    "steps": lambda x: layers.TimeDistributed(layers.Bidirectional(layers.LSTM(3)))(
        layers.TimeDistributed(layers.BatchNormalization())(x)
    ),
    "frozen steps": lambda x: layers.TimeDistributed(layers.Conv1D(3, 2), trainable=False)(x),
}


@pytest.mark.parametrize("ending", [pytest.param("h5", marks=pytest.mark.every), "keras"])
@pytest.mark.parametrize("case", one_in(2, NETWORKS))
def test_a_model_file_gives_what_keras_gives(case, ending, tmp_path):
    inputs = keras.Input((6, 5, 3))
    model = keras.Model(inputs, NETWORKS[case](inputs))
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.uniform(0.2, 1.2, weight.shape) * random.choice([1, -1], weight.shape[-1:]) ** (
            weight.name != "moving_variance"
        ))  # fmt: skip
    model.save(tmp_path / f"m.{ending}")
    values = random.normal(size=(2, 6, 5, 3)).astype("float32")
    (got,) = run_on_values(read_model_file(tmp_path / f"m.{ending}").network.select(), values)
    expected = np.asarray(model(values, training=False))
    assert np.linalg.norm(got - expected) < 1e-5 * np.linalg.norm(expected)
    assert np.ptp(expected) > 0
