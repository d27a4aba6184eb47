"""ResNeXt's blocks against the forms that keras-applications built them in, before Keras had grouped convolutions."""

import gc

import numpy as np
import pytest
from helpers.cases import one_in

from tlkit.architectures.build import build
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.backend import keras

layers = keras.layers
GROUPS = 32


@pytest.fixture(scope="module")
def resnext():
    """ResNeXt-50 without top for 64x64, its statistics and offsets no longer those of a fresh BatchNorm."""
    keras.utils.set_random_seed(0)
    model = build(get_architecture("resnext50"), include_top=False, size=(64, 64))
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    yield model
    gc.collect()


def sum_by_convolution(x, filters, name):
    """keras-applications after 1.0.8: a 1x1 convolution of zeros and ones that does not train."""
    c = filters // GROUPS
    kernel = np.zeros((1, 1, filters * c, filters), np.float32)
    for out in range(filters):
        start = (out // c) * c * c + out % c
        kernel[:, :, start : start + c * c : c, out] = 1
    convolution = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_2_gconv")
    y = convolution(x)
    convolution.set_weights([kernel])
    return y


def sum_by_reshape(x, filters, name):
    """keras-applications 1.0.7 and 1.0.8, tf.keras: a Reshape, a Lambda that adds up, a Reshape."""
    c = filters // GROUPS
    y = layers.Reshape((*x.shape[1:3], GROUPS, c, c))(x)
    y = sum(y[:, :, :, :, number] for number in range(c))
    return layers.Reshape((*x.shape[1:3], filters))(y)


def old_block(block, name, filters, stride, add_up):
    """The block in the old form, its depthwise kernel filled from the grouped one number by number."""

    def conv(x, unit, width, strides=1):
        x = layers.Conv2D(width, 1, strides=strides, use_bias=False, name=f"{name}_{unit}_conv")(x)
        return norm(x, unit)

    def norm(x, unit):
        return layers.BatchNormalization(epsilon=1.001e-5, name=f"{name}_{unit}_bn")(x)

    c = filters // GROUPS
    inputs = keras.Input(block.input_shape[1:])
    shortcut = conv(inputs, 0, 2 * filters, stride) if name.endswith("block1") else inputs
    x = layers.Activation("relu")(conv(inputs, 1, filters))
    x = layers.ZeroPadding2D(1)(x)
    depthwise = layers.DepthwiseConv2D(3, stride, depth_multiplier=c, use_bias=False, name=f"{name}_2_conv")
    x = layers.Activation("relu")(norm(add_up(depthwise(x), filters, name), 2))
    x = layers.Activation("relu")(layers.Add()([shortcut, conv(x, 3, 2 * filters)]))
    model = keras.Model(inputs, x)
    for layer in model.layers:
        if layer.weights and layer is not depthwise and not layer.name.endswith("gconv"):
            layer.set_weights(block.get_layer(layer.name).get_weights())
    grouped = block.get_layer(depthwise.name).get_weights()[0]
    kernel = np.zeros((3, 3, filters, c), np.float32)
    for g, j, m in np.ndindex(GROUPS, c, c):
        kernel[:, :, g * c + j, m] = grouped[:, :, j, g * c + m]
    depthwise.set_weights([kernel])
    return model


@pytest.mark.parametrize("add_up", one_in(2, [sum_by_convolution, sum_by_reshape]))
@pytest.mark.parametrize(
    ("name", "before", "filters", "stride"),
    [
        ("conv2_block1", "pool1_pool", 128, 1),  # its shortcut widens
        ("conv3_block1", "conv2_block3_out", 256, 2),
        ("conv4_block6", "conv4_block5_out", 512, 1),
    ],
)
def test_a_block_answers_as_its_old_form(resnext, name, before, filters, stride, add_up):
    block = keras.Model(resnext.get_layer(before).output, resnext.get_layer(f"{name}_out").output)
    assert block.get_layer(f"{name}_2_conv").groups == GROUPS
    pixels = np.random.default_rng(1).normal(size=(2, *block.input_shape[1:])).astype(np.float32)
    expected = old_block(block, name, filters, stride, add_up)(pixels, training=False).numpy()
    got = block(pixels, training=False).numpy()
    assert got.shape == expected.shape
    assert expected.std() > 0.1
    np.testing.assert_allclose(got, expected, atol=1e-5, rtol=1e-5)
