"""Preprocessing, against Keras's own."""

import importlib

import numpy as np
import pytest

from tlkit.architectures.registry.lookup import all_architectures
from tlkit.data.images.normalization import MODES, preprocess

KERAS_ROWS = [row for row in all_architectures() if row.builder.startswith("keras.applications:")]


@pytest.mark.parametrize("row", KERAS_ROWS, ids=lambda row: row.name)
def test_equals_keras(row):
    from tlkit.backend import keras

    builder = getattr(keras.applications, row.title)
    module = importlib.import_module(builder.__module__)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3)).astype(np.float32)
    expected = np.asarray(module.preprocess_input(pixels.copy()))
    np.testing.assert_allclose(preprocess(pixels, row.preprocessing), expected, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_input_is_not_changed(mode, dtype):
    pixels = np.arange(12, dtype=dtype).reshape(1, 2, 2, 3)
    before = pixels.copy()
    result = preprocess(pixels, mode)
    np.testing.assert_array_equal(pixels, before)
    assert result.dtype == np.float32
    assert not np.shares_memory(result, pixels)


def test_lite_is_the_published_scaling():
    np.testing.assert_array_equal(preprocess(np.array([[[0, 127, 255]]]), "lite"), [[[-127 / 128, 0, 1]]])
