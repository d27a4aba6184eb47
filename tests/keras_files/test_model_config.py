"""Configurations that spell out the values a layer starts with."""

import json

import keras
import numpy as np
import pytest

from tlkit.keras_files.model_config import parse_json


def config(initializer, count):
    values = np.zeros((1, 1, count // 4, 4), np.float32).tolist()
    if initializer == "of tf_keras":
        values = {"class_name": "__numpy__", "config": {"value": values, "dtype": "float32"}}
    layer = {"name": "gconv", "kernel_initializer": {"class_name": "Constant", "config": {"value": values}}, "units": 3}
    mean = {"class_name": "Normalization", "config": {"mean": [0.5, 1e-3, -2.0]}}
    return {"class_name": "Functional", "config": {"layers": [{"class_name": "Conv2D", "config": layer}, mean]}}


@pytest.mark.parametrize("initializer", ["of Keras 2", "of tf_keras"])
def test_start_values_that_fill_megabytes_are_not_kept(initializer, monkeypatch):
    monkeypatch.setattr("tlkit.keras_files.model_config.LONG", 2000)
    short, long = config(initializer, 16), config(initializer, 4000)
    assert parse_json(json.dumps(short), "it") == short
    text = json.dumps(long)
    parsed = parse_json(text, "it")
    start = parsed["config"]["layers"][0]["config"]["kernel_initializer"]
    value = start["config"]["value"]
    assert value == 0 if initializer == "of Keras 2" else value == {
        "class_name": "__numpy__", "config": {"value": 0, "dtype": "float32"}
    }  # fmt: skip
    start["config"]["value"] = long["config"]["layers"][0]["config"]["kernel_initializer"]["config"]["value"]
    assert parsed == long  # nothing else has changed


def test_keras_takes_a_number_where_the_list_was():
    layer = keras.layers.Conv2D(2, 1, kernel_initializer=keras.initializers.Constant(0))
    layer.build((None, 3, 3, 5))
    assert not np.asarray(layer.kernel).any()
