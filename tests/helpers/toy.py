"""A base of a few layers that builds, converts and trains at once: for tests in which the numbers of a real one don't matter.

It has what the rooms above it rely on: BatchNorm with statistics of its own, a residual connection, two branches (a freeze
point inside ``block2`` cuts several tensors), a classifier of 1000 classes, and weights that load like published ones.
They are random; ``python -m helpers.toy`` in ``tests/`` draws them again and writes ``toy.weights.h5``.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.registry.lookup import register
from tlkit.downloads.weights_file import PackagedFile
from tlkit.utils.hashing import file_digest

WEIGHTS = Path(__file__).with_name("toy.weights.h5")


def Toy(*, input_shape: tuple[int, int, int], include_top: bool = True, weights: None = None, classes: int = 1000) -> Any:
    """Build the toy base; arguments as in ``keras.applications``, pixels from -1 to 1."""
    from tlkit.backend import keras

    layers = keras.layers
    axis = 1 if keras.config.image_data_format() == "channels_first" else -1

    def conv(x: Any, filters: int, size: int, name: str, strides: int = 1) -> Any:
        x = layers.Conv2D(filters, size, strides, padding="same", use_bias=False, name=f"{name}_conv")(x)
        return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(axis, name=f"{name}_bn")(x))

    inputs = keras.Input(input_shape, name="input_layer")
    stem = conv(inputs, 8, 3, "stem", strides=2)
    x = layers.Add(name="block1_add")([stem, conv(stem, 8, 3, "block1")])
    left, right = conv(x, 8, 3, "block2_left", strides=2), conv(x, 8, 1, "block2_right", strides=2)
    x = layers.Concatenate(axis, name="block2_concat")([left, conv(right, 8, 3, "block2_deep")])
    x = layers.Add(name="block3_add")([x, conv(x, 16, 3, "block3")])
    x = conv(x, 16, 1, "top")
    if include_top:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = layers.Dense(classes, activation="softmax", name="predictions")(x)
    return keras.Model(inputs, x, name="toy")


def toy() -> Architecture:
    """Return the registry entry."""
    return Architecture(
        name="toy", title="Toy", builder="helpers.toy:Toy", size=32, least_size=16, preprocessing="tf",
        parameters=21_592, size_mb=0.1, top1=None, top5=None, depth=None, features=16,
        blocks=("block1_add", "block2_concat", "block3_add", "top_relu"), freeze="block2_concat",
        with_top=PackagedFile("toy", "helpers", WEIGHTS.name, file_digest(WEIGHTS)), without_top=None,
    )  # fmt: skip


def registered() -> AbstractContextManager[Architecture]:
    """Register the toy base inside the ``with`` block, under the name ``toy``."""
    return register(toy())


def write_weights() -> None:
    """Draw the weights: He's kernels, and statistics that are not those of a fresh BatchNorm."""
    import numpy as np

    from tlkit.backend import keras

    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    model = Toy(input_shape=(32, 32, 3))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = (weight.shape for weight in layer.weights)
            layer.set_weights([
                random.uniform(0.5, 1.5, gamma), random.normal(0, 0.3, beta), random.normal(0, 0.3, mean),
                random.uniform(0.5, 1.5, variance),
            ])  # fmt: skip
        elif layer.weights:
            kernel, *bias = (weight.shape for weight in layer.weights)
            spread = (2 / np.prod(kernel[:-1])) ** 0.5
            layer.set_weights([random.normal(0, spread, kernel), *map(np.zeros, bias)])
    model.save_weights(WEIGHTS)
    print(f"{model.count_params():,} parameters")


if __name__ == "__main__":
    write_weights()
