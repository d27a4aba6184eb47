"""MusicTaggerCRNN in Keras 3, of built-in layers only, so that saved models load without tlkit.

Source: Keras 1.2.2, ``applications/music_tagger_crnn.py``. Its GRUs applied the reset gate before the matrix product,
and its hard sigmoid was clip(0.2·x + 0.5). That of Keras 3 is clip(x/6 + 0.5), the same function of 1.2·x;
:mod:`tlkit.keras_files.loading.layout` scales weights of older Keras accordingly.
"""

from __future__ import annotations

from typing import Any

from tlkit.backend import keras

layers = keras.layers

_BLOCKS = ((64, 2), (128, 3), (128, 4), (128, 4))
"""Filters and pool size of each."""


def MusicTaggerCRNN(
    *,
    input_shape: tuple[int, int, int],
    include_top: bool = True,
    weights: None = None,
    classes: int = 50,
) -> Any:
    """Build MusicTaggerCRNN; arguments as in ``keras.applications``.

    The input is a mel-spectrogram in decibels, ``(batch, 96, 1366, 1)`` float32. The output is ``(batch, classes)``, a
    sigmoid per tag; without the top ``(batch, 32)``, the output of the second GRU.
    """
    if weights is not None:
        raise ValueError("weights are assigned after building; pass weights=None")
    inputs = keras.Input(input_shape, name="input_layer")
    x = layers.ZeroPadding2D((0, 37), name="pad")(inputs)
    x = layers.BatchNormalization(axis=2, epsilon=1e-3, name="bn_0_freq")(x)  # over time, whatever it is called
    for number, (filters, pool) in enumerate(_BLOCKS, start=1):
        x = layers.Conv2D(filters, 3, padding="same", name=f"conv{number}")(x)
        x = layers.BatchNormalization(epsilon=1e-3, name=f"bn{number}")(x)
        x = layers.ELU(name=f"elu{number}")(x)
        x = layers.MaxPooling2D(pool, name=f"pool{number}")(x)
    x = layers.Reshape((15, 128), name="reshape")(x)
    x = _gru(32, return_sequences=True, name="gru1")(x)
    x = _gru(32, return_sequences=False, name="gru2")(x)
    if include_top:
        x = layers.Dense(classes, activation="sigmoid", name="output")(x)
    return keras.Model(inputs, x, name="musictaggercrnn")


def _gru(units: int, *, return_sequences: bool, name: str) -> Any:
    return layers.GRU(
        units,
        recurrent_activation="hard_sigmoid",
        reset_after=False,
        return_sequences=return_sequences,
        name=name,
    )
