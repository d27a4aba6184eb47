"""Change pictures at random, as a camera might have: Keras layers, at the network's input size."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tlkit.backend import keras, tf

layers = keras.layers

VERSION = 1
"""Raised when the same kind and seed give other pictures."""


def _light() -> list[Any]:
    return [
        layers.RandomFlip("horizontal"),
        layers.RandomTranslation(0.05, 0.05, fill_mode="nearest"),
        layers.RandomZoom(0.1, fill_mode="nearest"),
    ]


def _recipe2017() -> list[Any]:
    """The settings of ``ImageDataGenerator`` in the recipes of 2017."""
    return [
        layers.RandomRotation(30 / 360, fill_mode="nearest"),
        layers.RandomTranslation(0.2, 0.2, fill_mode="nearest"),
        layers.RandomShear(x_factor=0.2, fill_mode="nearest"),
        layers.RandomZoom(0.2, 0.2, fill_mode="nearest"),
        layers.RandomFlip("horizontal"),
    ]


def _randaugment() -> list[Any]:
    """RandAugment, Cubuk et al. 2019 (arXiv:1909.13719), after a flip."""
    return [layers.RandomFlip("horizontal"), layers.RandAugment(value_range=(0, 255), num_ops=2, factor=0.5)]


MODALITIES: dict[str, Callable[[], list[Any]]] = {
    "light": _light,
    "recipe2017": _recipe2017,
    "randaugment": _randaugment,
}


class Augmenter:
    """One kind of augmentation; what becomes of a picture depends on the picture and the seed alone.

    Args:
        kind: A key of :data:`MODALITIES`.
    """

    def __init__(self, kind: str) -> None:
        self._layers = MODALITIES[kind]()
        self._generators = list(_generators(self._layers))
        self._change = tf.function(self._run, reduce_retracing=True)
        self._one_at_a_time = threading.Lock()

    def __call__(self, pixels: np.ndarray, seed: Sequence[int]) -> np.ndarray:
        """A changed picture.

        Args:
            pixels: ``(height, width, 3)`` uint8.
            seed: Any numbers.

        Returns:
            ``(height, width, 3)`` uint8.
        """
        start = zlib.crc32(np.asarray(seed, np.int64).tobytes())
        with self._one_at_a_time:  # the seeds live in the layers
            for number, generator in enumerate(self._generators):
                # each draw adds 1, and no two layers may draw the same
                generator.state.assign(np.array([start, number << 16], np.uint32))
            return np.asarray(self._change(pixels[np.newaxis]).numpy()[0])

    def _run(self, pixels: Any) -> Any:
        x = keras.ops.cast(pixels, "float32")
        for layer in self._layers:
            x = layer(x, training=True)
        return keras.ops.cast(keras.ops.clip(keras.ops.round(x), 0, 255), "uint8")


def _generators(members: Sequence[Any]) -> Any:
    """Every generator of random numbers in layers and the layers inside them."""
    for layer in members:
        for inner in layer._flatten_layers():
            generator = getattr(inner, "generator", None)
            if generator is not None:
                yield generator


class AugmentedCopies:
    """Augmented variants of a picture that may be kept: each depends on the picture's bytes, its number and the seed.

    Args:
        kind: A key of :data:`MODALITIES`.
        count: How many a picture.
        seed: Draws them.
    """

    def __init__(self, kind: str, count: int, seed: int) -> None:
        self.count = count
        self.provenance = {
            "kind": kind,
            "seed": seed,
            "version": VERSION,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
        }
        self._seed = seed
        self._augmenter = Augmenter(kind)

    def make(self, pixels: np.ndarray, digest: bytes, variant: int) -> np.ndarray:
        """Variant ``variant`` of pixels ``(height, width, 3)`` uint8 of a file with this digest."""
        return self._augmenter(pixels, (self._seed, int.from_bytes(digest[:7], "big"), variant))
