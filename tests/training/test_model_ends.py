"""The ends of models from files: which pixels they take and what their outputs are, against Keras's own outputs."""

import keras
import numpy as np
import pytest
from PIL import Image

import tlkit.training.model_ends as model_ends_module
from tlkit.inference.compiler.read_config import read_config
from tlkit.keras_files import layer_arrays
from tlkit.training.model_ends import ModelEnds


def model_ends(model):
    """The ends of a Keras model, read from its config as from a file."""
    graph = read_config(keras.saving.serialize_keras_object(model))
    run = lambda values: np.asarray(model(values, training=False))  # noqa: E731
    return model_ends_module.model_ends(graph, model.input_shape[1:], lambda: layer_arrays(model), run)


layers, ops = keras.layers, keras.ops
SHAPE = (6, 5, 3)


def network(build, shape=SHAPE):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    return keras.Model(inputs, build(inputs))


def head(tensor, activation=None, classes=4):
    start = keras.initializers.RandomNormal(stddev=2.0, seed=len(tensor.shape) + classes)
    return layers.Dense(classes, activation=activation, kernel_initializer=start)(layers.Flatten()(tensor))


def inner(activation):
    return network(lambda x: head(x, activation))


def spatial(activation):
    return lambda x: layers.Conv2D(4, 3, activation=activation)(x)


OUTPUTS = {
    "softmax": (lambda x: head(x, "softmax"), "probabilities"),
    "then dropout": (lambda x: layers.Dropout(0.5)(head(x, "softmax")), "probabilities"),
    "then a linear activation": (lambda x: layers.Activation("linear")(head(x, "softmax")), "probabilities"),
    "then reshaped": (lambda x: layers.Reshape((4,))(layers.Reshape((1, 4))(head(x, "softmax"))), "probabilities"),
    "averaged": (lambda x: layers.Average()([head(x, "softmax"), head(x, "softmax")]), "probabilities"),
    "pooled": (lambda x: layers.GlobalAveragePooling2D()(spatial("softmax")(x)), "probabilities"),
    "of a layer": (lambda x: layers.Softmax()(head(x)), "probabilities"),
    "of an operation": (lambda x: ops.softmax(head(x)), "probabilities"),
    "of a model inside": (lambda x: layers.Identity()(inner("softmax")(x)), "probabilities"),
    "before a model inside": (
        lambda x: keras.Sequential([layers.Flatten(), layers.Dropout(0.1)])(head(x, "softmax")), "probabilities"),
    "for each row": (
        lambda x: layers.GlobalAveragePooling1D()(layers.TimeDistributed(layers.Dense(4, activation="softmax"))(
            layers.Reshape((6, 15))(x))), "probabilities"),
    "weighted": (lambda x: head(x, "softmax") * 0.3 + head(x, "softmax") * 0.7, "probabilities"),
    "normalized by hand": (lambda x: layers.UnitNormalization(axis=-1)(head(x, "softmax")) ** 2, "probabilities"),
    "sigmoids": (lambda x: head(x, "sigmoid"), "scores"),
    "sigmoids in a row": (lambda x: layers.Concatenate()([head(x, "sigmoid", 1), head(x, "sigmoid", 2)]), "scores"),
    "the larger sigmoid": (lambda x: layers.Maximum()([head(x, "sigmoid"), head(x, "sigmoid")]), "scores"),
    "logits": (lambda x: head(x), "logits"),
    "averaged logits": (lambda x: layers.Average()([head(x), head(x)]), "logits"),
    "added logits": (lambda x: layers.Add()([head(x), head(x)]), "logits"),
    "logits over probabilities": (lambda x: head(head(x, "softmax")), "logits"),
    "logarithms": (lambda x: head(x, "log_softmax"), "logits"),
    "one hyperbolic tangent": (lambda x: head(x, "tanh", 1), "other"),
}  # fmt: skip


PROBED = ("weighted", "normalized by hand", "sigmoids in a row", "the larger sigmoid", "added logits")


@pytest.mark.parametrize("kind", OUTPUTS)
def test_outputs_are_known_through_what_comes_after_them(kind, monkeypatch):
    build, expected = OUTPUTS[kind]
    model, probed = network(build), []
    outputs = model_ends_module._outputs_of_probes
    monkeypatch.setattr(model_ends_module, "_outputs_of_probes", lambda *given: probed.append(kind) or outputs(*given))
    assert model_ends(model).outputs == expected
    assert bool(probed) == (kind in PROBED)


def adapted():
    layer = layers.Normalization()
    layer.adapt(np.random.default_rng(0).uniform(0, 255, (8, *SHAPE)).astype("float32"))
    return layer


INPUTS = {
    "divided": (lambda x: x / 127.5 - 1, True),
    "shifted first": (lambda x: (x - 127.5) / 127.5, True),
    "multiplied": (lambda x: x * (1 / 255), True),
    "turned round": (lambda x: 1 - x / 255, True),
    "means of channels": (lambda x: x - np.array([103.9, 116.8, 123.7], "float32"), True),
    "preprocess_input, caffe": (keras.applications.vgg16.preprocess_input, True),
    "preprocess_input, torch": (keras.applications.densenet.preprocess_input, True),
    "preprocess_input, tf": (keras.applications.mobilenet_v2.preprocess_input, True),
    "after resizing": (lambda x: layers.Rescaling(1 / 255)(layers.Resizing(4, 4)(x)), True),
    "a scale a channel": (lambda x: layers.Rescaling([1 / 255, 1 / 250, 1 / 245])(x), True),
    "normalized": (lambda x: adapted()(x), True),
    "normalized by constants": (lambda x: layers.Normalization(mean=[120.0] * 3, variance=[3600.0] * 3)(x), True),
    "in a model inside": (
        lambda x: keras.Sequential([layers.RandomFlip(), layers.RandomZoom(0.1)])(x) / 127.5 - 1, True),
    "in each branch": (lambda x: layers.Concatenate()([layers.Conv2D(1, 3)(x / 255), layers.Conv2D(1, 3)(x / 127)]),
                       True),
    "in one branch only": (lambda x: layers.Concatenate()([layers.Conv2D(1, 3)(x / 255), layers.Conv2D(1, 3)(x)]),
                           False),
    "not at all": (lambda x: layers.Conv2D(2, 3)(x), False),
    "of 0 to 1": (lambda x: x * 2 - 1, False),
    "normalized values of 0 to 1": (lambda x: layers.Normalization(mean=0.48, variance=0.05)(x), False),
    "scaled later": (lambda x: layers.Rescaling(1 / 255)(layers.Conv2D(2, 3)(x)), False),
    "up, from -1 to 1": (lambda x: layers.Rescaling(127.5, offset=127.5)(x) / 255, False),
}  # fmt: skip


@pytest.mark.parametrize("kind", INPUTS)
def test_a_model_that_scales_pixels_itself_is_known(kind):
    build, expected = INPUTS[kind]
    model = network(lambda x: head(layers.Conv2D(1, 1)(build(x)), "softmax"))
    assert model_ends(model) == ModelEnds(expected, "probabilities")


@pytest.fixture
def image(tmp_path, chelsea):
    pixels = chelsea[100:106, 150:155]
    Image.fromarray(pixels).save(tmp_path / "image.png")
    return tmp_path / "image.png", pixels[np.newaxis].astype("float32")


@pytest.mark.parametrize(("kind", "ending"), [("averaged", "h5"), ("then reshaped", "keras"), ("weighted", "h5")])
def test_predict_gives_the_probabilities_of_the_model(tlkit, tmp_path, image, kind, ending):
    model = network(lambda x: OUTPUTS[kind][0](x / 127.5 - 1))
    model.save(tmp_path / f"m.{ending}")
    ran = tlkit("predict", "--model", tmp_path / f"m.{ending}", image[0], "--format", "json", "--engine", "keras")
    assert (ran.code, "Warning" in ran.err) == (0, False), ran.err
    got = {int(score["label"]): score["probability"] for score in ran.json[0]["predictions"]}
    expected = model.predict(image[1], verbose=0)[0]
    assert 0.01 < expected.max() < 0.999
    assert got == pytest.approx(dict(enumerate(expected)), abs=1e-5)


def test_one_logit_is_two_classes_with_a_warning(tlkit, tmp_path, image):
    model = network(lambda x: head(layers.GlobalAveragePooling2D()(x / 127.5 - 1), classes=1))
    model.save(tmp_path / "m.keras")
    ran = tlkit("predict", "--model", tmp_path / "m.keras", image[0], "--format", "json", "--engine", "keras")
    got = {score["label"]: score["probability"] for score in ran.json[0]["predictions"]}
    expected = float(keras.ops.sigmoid(model.predict(image[1], verbose=0))[0, 0])
    assert 0.001 < expected < 0.999
    assert got == pytest.approx({"1": expected, "0": 1 - expected}, abs=1e-5)
    assert "Warning" in ran.err
    assert "ends in one number without a sigmoid" in ran.err


def test_scaling_before_a_model_that_scales_is_warned_about(tlkit, tmp_path, image):
    network(lambda x: head(x / 127.5 - 1, "softmax")).save(tmp_path / "m.keras")
    ask = ["predict", "--model", tmp_path / "m.keras", image[0], "--engine", "keras", "--preprocess"]
    assert "scales pixels of 0 to 255 itself, and --preprocess tf scales them before it" in tlkit(*ask, "tf").err
    assert "Warning" not in tlkit(*ask, "none").err
