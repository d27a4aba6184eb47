"""A base of a few layers that builds, converts and trains at once, for tests in which real numbers don't matter.

It has what the rooms above it rely on: BatchNorm with statistics of its own, a residual connection, two branches (a
freeze point inside ``block2`` cuts several tensors), a classifier, and weights that load like published ones. Those
were trained on textures for a minute: ``python -m helpers.toy``, in ``tests/``, writes them and the layer table again.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.registry.lookup import register
from tlkit.downloads.weights_file import WeightsFile
from tlkit.utils.hashing import file_digest

WEIGHTS = Path(__file__).with_name("toy.weights.h5")
TABLE = Path(__file__).with_name("data") / "layers" / "toy.tsv"


def Toy(*, input_shape: tuple[int, int, int], include_top: bool = True, weights: None = None, classes: int = 50) -> Any:
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
    # a kernel of 2: the gradient of a 1x1 convolution of 8 channels with strides, of an odd number of images, crashes
    # TensorFlow 2.21 (oneDNN)
    left, right = conv(x, 8, 3, "block2_left", strides=2), conv(x, 8, 2, "block2_right", strides=2)
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
        name="toy", title="Toy", builder="helpers.toy:Toy", size=32, min_size=16, preprocessing="tf",
        parameters=5_898, size_mb=0.1, top1=None, top5=None, depth=None, features=16,
        blocks=("block1_add", "block2_concat", "block3_add", "top_relu"), freeze="block2_concat",
        keras1_freeze={9: "block2_concat"},
        labels="msd",  # the shortest table of labels
        with_top=WeightsFile(
            WEIGHTS.name, digest=file_digest(WEIGHTS), package="toy", resource=f"helpers/{WEIGHTS.name}",
        ), without_top=None,
        package="helpers",
    )  # fmt: skip


def registered() -> AbstractContextManager[Architecture]:
    """Register the toy base inside the ``with`` block, under the name ``toy``."""
    return register(toy())


def write_files() -> None:
    """Train the base on cut-outs of scikit-image's textures, so that its features tell them apart."""
    import numpy as np
    import skimage.data
    from PIL import Image

    from tlkit.architectures.layer_tables import catalog_lines
    from tlkit.backend import keras

    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    images, labels = [], random.integers(0, 3, 3000)
    for label in labels:
        texture = getattr(skimage.data, ("brick", "grass", "gravel")[label])()
        x, y = random.integers(0, 512 - 96, 2)
        image = Image.fromarray(texture[y : y + 96, x : x + 96]).convert("RGB")
        images.append(np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR)))
    model = Toy(input_shape=(32, 32, 3))
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(np.stack(images) / 127.5 - 1, labels, epochs=5, verbose=2)
    fresh = Toy(input_shape=(32, 32, 3))  # without the state of an optimizer
    fresh.set_weights(model.get_weights())
    fresh.save_weights(WEIGHTS)
    lines = catalog_lines(Toy(input_shape=(32, 32, 3), include_top=False), fresh)
    TABLE.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    write_files()
