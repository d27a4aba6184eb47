"""BatchNorm statistics for networks without trained weights."""

import numpy as np

from tlkit.backend import keras


def draw_statistics(model, inputs):
    """Give every BatchNorm statistics under which outputs depend on the inputs, and rounding stays rounding.

    Initial statistics leave BatchNorm untested. Those of a batch make deep networks chaotic: a difference of 1e-6 at
    the input grows to one of 1 at the output, and two right computations differ. Larger variances calm a network down,
    until its outputs are the same for all inputs; the smallest that are large enough are taken.
    """
    normalizations = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if not normalizations:
        return
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    momenta = [layer.momentum for layer in normalizations]
    for layer in normalizations:
        layer.momentum = 0.0
    model(inputs, training=True)
    squares = []
    for layer, momentum in zip(normalizations, momenta, strict=True):
        layer.momentum = momentum
        squares.append(float(np.mean(np.square(layer.moving_mean) + layer.moving_variance)))
    close = (inputs * (1 + 1e-6 * np.random.default_rng(2).standard_normal(inputs.shape))).astype(np.float32)
    for spread in (1.0, 1.2, 1.5, 2.0):
        random = np.random.default_rng(1)
        for layer, square in zip(normalizations, squares, strict=True):
            shape = layer.moving_mean.shape
            layer.moving_mean.assign(random.normal(0, 0.1 * square**0.5, shape))
            layer.moving_variance.assign(spread * square * random.uniform(0.8, 1.2, shape))
        outputs, others = (model(values, training=False).numpy() for values in (inputs, close))
        if np.abs(outputs - others).max() < 3e-6 * np.abs(outputs).max():
            return
    raise AssertionError(f"{model.name} is chaotic")
