"""fastai's ``vision_learner`` and ``fine_tune`` on a Keras base: what `accuracy.py` beside this file compares with.

Its head (average and maximum pooling, BatchNormalization, Dropout, Dense 512); one epoch with the base frozen but for
its BatchNormalization; then all of it, one cycle of Adam with decoupled weight decay at rates that rise from 1/100 at
the input, in the three groups that fastai makes of a network. Source: fastai 2.7, ``learner.py``,
``callback/schedule.py`` and ``vision/learner.py``.

    python fastai_fine_tune.py DATA ARCH SIZE EPOCHS SEED MODEL
"""

import os
import sys
from typing import ClassVar

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tlkit.architectures.pretrained import build_pretrained
from tlkit.architectures.registry.lookup import get_architecture

BATCH, BASE_LR, WEIGHT_DECAY = 32, 2e-3, 0.01


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Half a cosine up from ``peak / div``, and one down to ``peak / 1e5``."""

    def __init__(self, peak, steps, warm, div):
        self.peak, self.steps, self.warm, self.div = peak, steps, warm, div

    def __call__(self, step):
        ops = keras.ops
        at = ops.cast(step, "float32") / self.steps

        def half_cosine(start, end, share):
            return start + (1 - ops.cos(np.pi * share)) * (end - start) / 2

        up = half_cosine(self.peak / self.div, self.peak, ops.minimum(at / self.warm, 1))
        down = half_cosine(self.peak, self.peak / 1e5, ops.minimum((at - self.warm) / max(1 - self.warm, 1e-6), 1))
        return ops.where(at < self.warm, up, down)


class Discriminative(keras.optimizers.AdamW):
    """A rate for each group of layers: ``factors`` by the path of a variable; 1 for the others."""

    factors: ClassVar[dict[str, float]] = {}

    def build(self, variables):
        self._of_each = [self.factors.get(variable.path, 1.0) for variable in variables]
        super().build(variables)

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, learning_rate * self._of_each[self._get_variable_index(variable)])


def main(data, arch, size, epochs, seed, path):
    keras.utils.set_random_seed(seed)
    base = build_pretrained(get_architecture(arch), include_top=False, size=(size, size)).model
    train, validation = (
        keras.utils.image_dataset_from_directory(
            f"{data}/{split}",
            image_size=(size, size),
            batch_size=BATCH,
            shuffle=split == "train",
            seed=seed,
            verbose=False,
        )
        for split in ("train", "validation")
    )
    classes, steps = len(train.class_names), len(train)
    inputs = keras.Input((size, size, 3))
    maps = base(keras.layers.Rescaling(1 / 128, -127 / 128)(inputs))
    pooled = keras.layers.Concatenate()(
        [keras.layers.GlobalMaxPooling2D()(maps), keras.layers.GlobalAveragePooling2D()(maps)]
    )
    x = keras.layers.Dropout(0.25)(keras.layers.BatchNormalization(momentum=0.9)(pooled))
    x = keras.layers.Dense(512, activation="relu", use_bias=False, kernel_initializer="he_normal")(x)
    x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization(momentum=0.9)(x))
    x = keras.layers.Dense(classes, activation="softmax", use_bias=False, kernel_initializer="he_normal")(x)
    model = keras.Model(inputs, x)

    trained = [layer for layer in base.layers if layer.weights]
    for layer in trained:
        layer.trainable = isinstance(layer, keras.layers.BatchNormalization)
        if layer.trainable:
            layer.momentum = 0.9  # PyTorch's 0.1
    fit(model, train, validation, 1, OneCycle(BASE_LR, steps, 0.99, 25), {})
    for layer in trained:
        layer.trainable = True
    # the body is cut in two, and its rates are spread evenly in the logarithm: 1/100, 1/10; the head has 1
    half = len(trained) // 2
    factors = {
        variable.path: factor
        for layers, factor in ((trained[:half], 0.01), (trained[half:], 0.1))
        for layer in layers
        for variable in layer.trainable_variables
    }
    fit(model, train, validation, epochs, OneCycle(BASE_LR / 2, steps * epochs, 0.3, 5), factors)
    keras.Model(model.inputs, model.outputs).save(path)  # without the optimizer


def fit(model, train, validation, epochs, rate, factors):
    optimizer = Discriminative(rate, weight_decay=WEIGHT_DECAY, beta_1=0.9, beta_2=0.99, epsilon=1e-5)
    optimizer.factors = factors
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(train, validation_data=validation, epochs=epochs, verbose=0)
    print("val_accuracy", history.history["val_accuracy"][-1])


if __name__ == "__main__":
    if len(sys.argv) != 7:
        raise SystemExit(__doc__)
    data, arch, size, epochs, seed, path = sys.argv[1:]
    main(data, arch, int(size), int(epochs), int(seed), path)
