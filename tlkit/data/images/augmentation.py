"""Random image augmentation: Keras preprocessing layers, at the network's input size."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from tlkit.backend import NAME, compiled, keras, keras_scope
from tlkit.keras_private import flatten_layers

layers = keras.layers

VERSION = 1
"""Version of the policies, part of the provenance: increment when the same policy and seed give other images."""


def _light() -> list[Any]:
    return [
        layers.RandomFlip("horizontal"),
        layers.RandomTranslation(0.05, 0.05, fill_mode="nearest"),
        layers.RandomZoom(0.1, fill_mode="nearest"),
    ]


def _recipe2017() -> list[Any]:
    """Return the ``ImageDataGenerator`` settings of the 2017 fine-tuning recipes, as layers."""
    return [
        layers.RandomRotation(30 / 360, fill_mode="nearest"),
        layers.RandomTranslation(0.2, 0.2, fill_mode="nearest"),
        layers.RandomShear(x_factor=0.2, fill_mode="nearest"),
        layers.RandomZoom(0.2, 0.2, fill_mode="nearest"),
        layers.RandomFlip("horizontal"),
    ]


def _randaugment() -> list[Any]:
    """Return a random flip, then RandAugment (Cubuk et al. 2019, arXiv:1909.13719)."""
    return [layers.RandomFlip("horizontal"), layers.RandAugment(value_range=(0, 255), num_ops=2, factor=0.5)]


POLICIES: dict[str, Callable[[], list[Any]]] = {
    "light": _light,
    "recipe2017": _recipe2017,
    "randaugment": _randaugment,
}


class Augmenter:
    """An augmentation policy whose result depends on the image and the seed alone. Safe to call from several threads.

    Args:
        policy: A key of :data:`POLICIES`.
    """

    def __init__(self, policy: str) -> None:
        with keras_scope():  # the layers take their data format from Keras's settings
            self._layers = POLICIES[policy]()
        self._generators = list(_generators(self._layers))
        self._augment = compiled(self._run)
        self._lock = threading.Lock()

    def __call__(self, pixels: np.ndarray, seed: Sequence[int]) -> np.ndarray:
        """Augment one image.

        Args:
            pixels: ``(height, width, 3)`` uint8, 0 to 255. Not modified.
            seed: Integers; equal seeds give equal results.

        Returns:
            ``(height, width, 3)`` uint8, 0 to 255.
        """
        start = zlib.crc32(np.asarray(seed, np.int64).tobytes())
        # each draw adds 1; the shift separates the streams of the layers
        seeds = np.array([[start, number << 16] for number in range(len(self._generators))], np.uint32)
        with self._lock:  # one trace at a time: the layers are state
            (augmented,) = np.asarray(self._augment(pixels[np.newaxis], seeds))
        return np.asarray(augmented)

    @keras_scope()  # while it is traced
    def _run(self, pixels: Any, seeds: Any) -> Any:
        x = keras.ops.cast(pixels, "float32")
        states = [(generator.state, seeds[number]) for number, generator in enumerate(self._generators)]
        with keras.StatelessScope(states):
            for layer in self._layers:
                x = layer(x, training=True)
        return keras.ops.cast(keras.ops.clip(keras.ops.round(x), 0, 255), "uint8")


def _generators(members: Sequence[Any]) -> Any:
    """Yield the seed generators of layers and of the layers nested in them."""
    for layer in members:
        for inner in flatten_layers(layer):
            generator = getattr(inner, "generator", None)
            if generator is not None:
                yield generator


class AugmentedCopies:
    """Augmented variants whose features can be cached: each depends on the file's bytes, its number and the seed.

    Args:
        policy: A key of :data:`POLICIES`.
        count: Variants of each image.
        seed: Random seed.

    Attributes:
        provenance: What determines the variants besides the image, as JSON values.
    """

    def __init__(self, policy: str, count: int, seed: int) -> None:
        self.count = count
        self.provenance = {
            "kind": policy,
            "seed": seed,
            "version": VERSION,
            "keras": keras.__version__,
            NAME: version(NAME),
        }
        self._seed = seed
        self._augmenter = Augmenter(policy)

    def make(self, pixels: np.ndarray, digest: bytes, variant: int) -> np.ndarray:
        """Make one variant.

        Args:
            pixels: ``(height, width, 3)`` uint8, 0 to 255.
            digest: SHA-256 of the image file.
            variant: Its number, from 0.

        Returns:
            ``(height, width, 3)`` uint8, 0 to 255.
        """
        return self._augmenter(pixels, (self._seed, int.from_bytes(digest[:7], "big"), variant))
