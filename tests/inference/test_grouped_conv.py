"""Grouped convolutions: TensorFlow's own, forward and in training, with the numbers that Keras gives through XLA."""

import numpy as np
import pytest

from tlkit.architectures.build import build
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.backend import keras, tf
from tlkit.data.images.normalization import preprocess
from tlkit.data.images.preprocessor import ImagePreprocessor
from tlkit.features.extractor import relative_error
from tlkit.inference import grouped_conv as grouped
from tlkit.inference.base import run
from tlkit.inference.frozen_graph import frozen_graph
from tlkit.inference.lazy_model import LazyModel
from tlkit.inference.select import open_engine

SIZE = (20, 18)
PIXELS = np.random.default_rng(0).integers(0, 256, (5, *SIZE, 3), dtype=np.uint8)


def network_of(model, **preprocessor):
    return LazyModel(lambda: model, ImagePreprocessor(SIZE, "tf", **preprocessor))


@pytest.fixture
def model():
    """Convolutions in 4 and in 8 groups with what stands around them in ResNeXt, inside a model inside a model."""
    keras.utils.set_random_seed(0)
    inner_inputs = keras.Input((None, None, 16))
    x = keras.layers.Conv2D(16, 3, groups=4, use_bias=False, name="grouped")(inner_inputs)
    x = keras.layers.Activation("relu")(keras.layers.BatchNormalization()(x))
    x = keras.layers.Conv2D(24, 3, strides=2, groups=8, name="grouped_with_bias")(x)
    inner = keras.Model(inner_inputs, x, name="inner")
    inputs = keras.Input((*SIZE, 3))
    x = inner(keras.layers.Conv2D(16, 1)(inputs))
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    random = np.random.default_rng(1)
    for layer in model.get_layer("inner").layers:  # a bias of zeros is no part of a graph of constants
        if isinstance(layer, keras.layers.BatchNormalization) or layer.name == "grouped_with_bias":
            layer.set_weights([random.uniform(0.2, 0.9, weight.shape) for weight in layer.get_weights()])
    return model


@pytest.mark.parametrize("engine", ["keras", "openvino"])
def test_both_engines_give_the_numbers_of_keras(model, engine):
    expected = model(preprocess(PIXELS, "tf"), training=False).numpy()
    (got,) = run(open_engine(network_of(model), engine=engine), PIXELS)
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("engine", ["keras", "openvino"])
def test_bfloat16_runs_in_tensorflow_too(model, engine):
    exact = model(preprocess(PIXELS, "tf"), training=False).numpy()
    (less,) = run(open_engine(network_of(model), engine=engine, precision="bfloat16"), PIXELS)
    assert relative_error(less, exact) < 0.05


@pytest.mark.skipif(
    not grouped._runs_in_tensorflow("channels_last", False), reason="TensorFlow runs without oneDNN here"
)
def test_nothing_in_the_frozen_graph_is_closed_to_the_optimizer(model):
    graph = frozen_graph(network_of(model)).graph.as_graph_def()
    assert not graph.library.function
    assert sum(node.op == "Conv2D" for node in graph.node) == 3
    assert not tf.config.functions_run_eagerly()


@pytest.fixture
def without():
    """Say what TensorFlow cannot compute, as it cannot without oneDNN: ``without("NCHW")``, ``without("gradient")``."""
    grouped._runs_in_tensorflow.cache_clear()
    with pytest.MonkeyPatch.context() as patched:

        def refuses(*arguments, **options):
            raise tf.errors.InvalidArgumentError(None, None, "not supported on CPU")

        def without(what):
            if what == "gradient":
                patched.setattr(tf, "gradients", refuses)
                return
            convolve = tf.nn.conv2d
            patched.setattr(
                tf.nn,
                "conv2d",
                lambda *arguments, data_format: (refuses if data_format == what else convolve)(
                    *arguments, data_format=data_format
                ),
            )

        yield without
    grouped._runs_in_tensorflow.cache_clear()


@pytest.mark.parametrize("computes", [True, False])
def test_channels_first_is_left_to_xla_where_tensorflow_cannot(computes, without):
    inputs = keras.Input((4, *SIZE))
    convolution = keras.layers.Conv2D(8, 3, groups=2, data_format="channels_first")
    first = keras.Model(inputs, convolution(inputs))
    pixels = PIXELS[..., [0, 1, 2, 0]]
    preprocessor = ImagePreprocessor(SIZE, "tf", channels=4, data_format="channels_first")
    network = LazyModel(lambda: first, preprocessor)
    if not computes:
        without("NCHW")
        assert frozen_graph(network).graph.as_graph_def().library.function
    (got,) = run(open_engine(network, engine="keras"), pixels)
    last = keras.layers.Conv2D(8, 3, groups=2)
    expected = keras.Sequential([keras.Input((*SIZE, 4)), last])
    last.set_weights(convolution.get_weights())
    np.testing.assert_allclose(got.transpose(0, 2, 3, 1), expected(pixels / 127.5 - 1).numpy(), atol=1e-5)


def test_what_else_xla_compiles_stays_with_it():
    """A convolution of volumes, channels first, beside a grouped one of images."""
    inputs = keras.Input((*SIZE, 4))
    x = keras.layers.Conv2D(4, 3, groups=2)(inputs)
    volume = keras.layers.Conv3D(1, 1, data_format="channels_first")(keras.layers.Reshape((1, *x.shape[1:]))(x))
    model = keras.Model(inputs, volume)
    assert (
        frozen_graph(LazyModel(lambda: model, ImagePreprocessor(SIZE, "tf", channels=4)))
        .graph.as_graph_def()
        .library.function
    )


def losses(make, model, precision="float32"):
    """Of three steps from the same weights."""
    keras.utils.set_random_seed(3)
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    trained = make(copy)
    trained.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
    batch = preprocess(PIXELS, "tf"), np.arange(len(PIXELS)) % 3
    return [float(trained.train_on_batch(*batch)) for _ in range(3)], trained.get_weights()


@pytest.mark.every
def test_training_takes_the_steps_that_keras_takes(model):
    expected, weights = losses(lambda copy: keras.Model(copy.inputs, copy.outputs), model)
    got, ours = losses(grouped.with_native_grouped_conv, model)
    assert expected[2] < expected[0]
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    for left, right in zip(ours, weights, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)


def test_without_gradients_of_tensorflow_training_stays_with_xla(model, without):
    without("gradient")
    graph = (
        tf.function(grouped.with_native_grouped_conv(model)).get_concrete_function(tf.TensorSpec((1, *SIZE, 3))).graph
    )
    assert graph.as_graph_def().library.function


def test_what_has_no_groups_is_trained_as_it_is():
    model = build(get_architecture("mobilenetv2"), include_top=False, size=(32, 32))
    assert type(grouped.with_native_grouped_conv(model)) is type(keras.Model(model.inputs, model.outputs))
