"""Full models of every generation, by `tlkit predict --model` and by load_model: SciPy's answers, or the reason."""

import json

import h5py
import keras
import numpy as np
import pytest
from helpers.cases import one_in
from keras_writers import networks
from keras_writers.building import answer, renamed
from keras_writers.dialects import (
    write_full_keras1,
    write_full_keras2,
    write_full_keras3h5,
    write_keras2,
    write_keras3_weights,
    write_keras_archive,
    write_nb_layers,
)
from keras_writers.reference import forward
from PIL import Image

from tlkit.config import LoadOptions
from tlkit.errors import ModelError, WeightsError
from tlkit.keras_files import load_model

SMALL, SQUARE, TWINS, DEPTHWISE = (
    make(seed=4) for make in (networks.small, networks.square, networks.twins, networks.depthwise)
)
SLASHES = renamed(SMALL, {"conv1": "conv1/conv", "bn1": "conv1/bn", "fc1": "head/fc"})
MODELS = {
    "keras1": (write_full_keras1, SMALL, {}),
    "keras1 functional": (write_full_keras1, SQUARE, {"sequential": False}),
    "keras2.1": (write_full_keras2, SMALL, {"version": "2.1.6", "sequential": True}),
    "keras2.1 theano": (write_full_keras2, SMALL, {"version": "2.1.6", "backend": "theano"}),
    "keras2.3 nested": (write_full_keras2, TWINS, {"version": "2.3.1", "nested": "base", "frozen": ("base",)}),
    "keras2.4 nested, partly frozen": (write_full_keras2, TWINS, {"nested": "base", "frozen": ("bn1",)}),
    "keras2.4 depthwise": (write_full_keras2, DEPTHWISE, {}),
    "keras2.11 with slashes": (write_full_keras2, SLASHES, {"version": "2.11.0", "split": 3}),
    "keras2.15 nested in a row": (
        write_full_keras2, TWINS, {"version": "2.15.0", "sequential": True, "nested": "base", "frozen": ("bn2",)}
    ),
    "keras3 legacy": (write_full_keras3h5, SQUARE, {"frozen": ("bn1", "conv2")}),
    "keras3 legacy nested": (write_full_keras3h5, TWINS, {"nested": "base", "frozen": ("bn1",)}),
    "archive": (write_keras_archive, DEPTHWISE, {}),
    "archive nested": (write_keras_archive, TWINS, {"nested": "base", "deflate": True, "names": False}),
    "archive in a row": (write_keras_archive, SMALL, {"sequential": True}),
}  # fmt: skip


def assert_answers(model, network):
    np.testing.assert_allclose(answer(model, network), forward(network, networks.image(network)), atol=1e-5)


def probabilities(ran):
    assert ran.code == 0, ran.err
    assert len(ran.json) == 1
    return {score["label"]: score["probability"] for score in ran.json[0]["predictions"]}


@pytest.fixture
def image(tmp_path, noise):
    """An image of the size that a network takes, and what the network makes of it as values of 0 to 1."""

    def make(network):
        path = noise(tmp_path / "picture.png", 1, network[0].config["shape"][:2])
        return path, forward(network, np.asarray(Image.open(path)) / 255)

    return make


@pytest.fixture
def labels(tmp_path):
    def make(count):
        names = [f"class {number}" for number in range(count)]
        (tmp_path / "names.txt").write_text("\n".join(names) + "\n")
        return tmp_path / "names.txt", names

    return make


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", one_in(2, MODELS))
def test_a_full_model_answers_as_the_reference(tmp_path, kind):
    write, network, options = MODELS[kind]
    assert_answers(load_model(write(tmp_path / "m", network, **options)).model, network)


@pytest.mark.parametrize("kind", ["keras1", "keras2.4 nested, partly frozen", "keras3 legacy", "archive"])
def test_predict_says_what_the_reference_says(tlkit, tmp_path, image, labels, kind):
    write, network, options = MODELS[kind]
    path, expected = image(network)
    file, names = labels(len(expected))
    model = write(tmp_path / "m", network, **options)
    ran = tlkit("predict", "--model", model, path, "--preprocess", "unit", "--labels", file, "--format", "json")
    assert probabilities(ran) == pytest.approx(dict(zip(names, expected, strict=True)), abs=1e-5)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("network", [SMALL, SQUARE], ids=["small", "square"])
def test_a_model_of_channels_first_answers_as_the_reference(tlkit, tmp_path, image, network, turned):
    """Keras 1 under Theano: channels first, the rows of the Dense too, kernels turned; the last only a person knows."""
    model = write_full_keras1(tmp_path / "m.h5", network, layout="th", flip=turned, backend="theano")
    path, expected = image(network)
    ask = ["predict", "--model", model, path, "--preprocess", "unit", "--format", "json"]
    answers = dict(enumerate(expected))
    said, other = ("--flip-kernels", "--no-flip-kernels")[:: 1 if turned else -1]
    right, wrong = (
        {int(label): value for label, value in probabilities(tlkit(*ask, option)).items()} for option in (said, other)
    )
    assert right == pytest.approx(answers, abs=1e-5)
    assert wrong != pytest.approx(answers, abs=1e-3)

    unsaid = tlkit(*ask)
    assert unsaid.code == 1
    assert "does not record whether its kernels are Theano's (--flip-kernels)" in unsaid.err


def test_a_grey_model_is_given_grey_pictures(tlkit, tmp_path, chelsea):
    network = networks._fill(
        5,
        (
            ("input_1", "InputLayer", {"shape": (64, 64, 1)}),
            ("conv1", "Conv2D", {"filters": 4, "kernel_size": (5, 3), "strides": 3, "activation": "relu"}),
            ("avg", "GlobalAveragePooling2D", {}),
            ("predictions", "Dense", {"units": 3, "activation": "softmax"}),
        ),
    )
    grey = Image.fromarray(chelsea[100:164, 150:214]).convert("L")
    grey.save(tmp_path / "grey.png")
    model = write_full_keras2(tmp_path / "m.h5", network)
    ran = tlkit("predict", "--model", model, tmp_path / "grey.png", "--preprocess", "unit", "--format", "json")
    expected = forward(network, np.asarray(grey)[..., np.newaxis] / 255)
    assert probabilities(ran) == pytest.approx({str(n): value for n, value in enumerate(expected)}, abs=1e-5)
    refused = tlkit("predict", "--model", model, tmp_path / "grey.png", "--preprocess", "caffe")
    assert refused.code == 2
    assert "three channels" in refused.err


def saved(path, *layers, shape=(9, 7, 3)):
    """A model that Keras itself saves, with weights of some size."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(shape), *layers])
    model.save(path)
    return model


@pytest.mark.parametrize("ending", ["h5", "keras"])
def test_one_sigmoid_is_two_classes(tlkit, tmp_path, image, labels, ending):
    model = saved(tmp_path / f"m.{ending}", keras.layers.Flatten(), keras.layers.Dense(1, activation="sigmoid"))
    path, _ = image(SMALL)
    value = float(model(np.asarray(Image.open(path), "float32")[np.newaxis] / 255)[0, 0])
    assert 0.05 < value < 0.95
    ask = ["predict", "--model", tmp_path / f"m.{ending}", path, "--preprocess", "unit", "--format", "json"]
    assert probabilities(tlkit(*ask)) == pytest.approx({"0": 1 - value, "1": value}, abs=1e-5)
    file, names = labels(2)
    assert probabilities(tlkit(*ask, "--labels", file))[names[1]] == pytest.approx(value, abs=1e-5)
    assert tlkit(*ask, "--labels", labels(1)[0]).code == 2


def test_logits_become_probabilities_with_a_warning(tlkit, tmp_path, image):
    model = saved(tmp_path / "m.keras", keras.layers.Flatten(), keras.layers.Dense(3))
    path, _ = image(SMALL)
    powers = np.exp(model(np.asarray(Image.open(path), "float32")[np.newaxis] / 255)[0])
    ran = tlkit("predict", "--model", tmp_path / "m.keras", path, "--preprocess", "unit", "--format", "json")
    expected = {str(number): value for number, value in enumerate(powers / powers.sum())}
    assert probabilities(ran) == pytest.approx(expected, abs=1e-5)
    assert "Warning" in ran.err
    assert "logits" in ran.err


def test_a_model_that_scales_by_itself_is_not_asked_for_preprocessing(tlkit, tmp_path, image):
    scale, flatten = keras.layers.Rescaling(1 / 255), keras.layers.Flatten()
    model = saved(tmp_path / "m.keras", scale, flatten, keras.layers.Dense(3, activation="softmax"))
    path, _ = image(SMALL)
    expected = np.asarray(model(np.asarray(Image.open(path), "float32")[np.newaxis])[0])
    ran = tlkit("predict", "--model", tmp_path / "m.keras", path, "--format", "json")
    assert probabilities(ran) == pytest.approx({str(n): value for n, value in enumerate(expected)}, abs=1e-5)


@pytest.mark.parametrize("ending", ["h5", "keras"])
def test_query_and_key_do_not_change_places(tmp_path, ending):
    """They have equal shapes; in an archive only the folders of the parts tell them apart."""
    inputs = keras.Input((5, 4))
    attend = keras.layers.MultiHeadAttention(2, 3, name="attend")(inputs, inputs)
    model = keras.Model(inputs, keras.layers.Bidirectional(keras.layers.LSTM(3))(attend))
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=weight.shape) for weight in model.get_weights()])
    model.save(tmp_path / f"m.{ending}")
    again = load_model(tmp_path / f"m.{ending}").model
    given = random.normal(size=(2, 5, 4)).astype("float32")
    np.testing.assert_allclose(again(given), model(given), atol=1e-6)


def test_what_tensorflow_and_keras_2_wrote_changes_no_answer(tlkit, tmp_path, image):
    path = write_full_keras2(tmp_path / "m.h5", SMALL, version="2.2.4-tf")
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            layer["config"]["kernel_initializer"] = {"class_name": "VarianceScaling", "config": {"dtype": "float32"}}
            layer["config"]["bias_initializer"] = "my_own"
        assert config["config"]["layers"][-1]["config"]["activation"] == "softmax"
        config["config"]["layers"][-1]["config"]["activation"] = "softmax_v2"
        file.attrs["model_config"] = json.dumps(config)
    picture, expected = image(SMALL)
    ran = tlkit("predict", "--model", path, picture, "--preprocess", "unit", "--format", "json")
    assert probabilities(ran) == pytest.approx({str(n): value for n, value in enumerate(expected)}, abs=1e-5)
    assert "activation softmax_v2 became softmax" in ran.err


@pytest.mark.parametrize("ending", one_in(2, ["h5", "keras"]))
@pytest.mark.parametrize("layer", ["ReLU", "Conv2D", "BatchNormalization"])
def test_a_layer_in_two_models_answers_as_one(tmp_path, ending, layer):
    make = {"Conv2D": {"filters": 3, "kernel_size": 1}}.get(layer, {})
    shared, outer = getattr(keras.layers, layer)(**make), keras.Input((6, 5, 3))
    start = keras.Input((6, 5, 3))
    base = keras.Model(start, keras.layers.GlobalMaxPooling2D()(shared(start)))
    again = keras.Input((6, 5, 3))
    other = keras.Model(again, keras.layers.Flatten()(shared(keras.layers.Conv2D(3, 3)(again))))
    model = keras.Model(outer, keras.layers.Dense(4)(keras.layers.Concatenate()([base(outer), other(outer)])))
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.1, 1, size=weight.shape) for weight in model.get_weights()])
    model.save(tmp_path / f"m.{ending}")
    given = random.normal(size=(2, 6, 5, 3)).astype("float32")
    loaded = load_model(tmp_path / f"m.{ending}").model
    np.testing.assert_allclose(loaded(given, training=False), model(given, training=False), rtol=1e-5)


# -- questions and refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "--preprocess"),
        (["--preprocess", "unit", "--labels", "FILE"], "names 4 classes, but the network has 3"),
        (["--preprocess", "unit", "--size", "8"], "--size 8x8 contradicts"),
        (["--preprocess", "unit", "--arch", "vgg16"], "--arch contradicts --model"),
        (["--preprocess", "unit", "--weights", "imagenet"], "--weights contradicts --model"),
    ],
)
def test_options_that_are_missing_or_wrong_end_with_2(tlkit, tmp_path, image, labels, options, says):
    model = write_full_keras2(tmp_path / "m.h5", SMALL)
    options = [labels(4)[0] if option == "FILE" else option for option in options]
    ran = tlkit("predict", "--model", model, image(SMALL)[0], *options)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


@pytest.mark.parametrize("ending", ["h5", "keras"])
def test_a_lambda_is_shown_and_never_run(tlkit, tmp_path, image, ending):
    mark, path = tmp_path / "it ran", tmp_path / f"m.{ending}"
    evil = keras.layers.Lambda(lambda x, mark=str(mark): (open(mark, "w").close(), x)[1], output_shape=(9, 7, 3))
    saved(path, evil, keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax"))
    mark.unlink(missing_ok=True)
    ran = tlkit("predict", "--model", path, image(SMALL)[0], "--preprocess", "unit")
    assert (ran.code, ran.out) == (1, "")
    assert "is a Lambda" in ran.err

    shown = tlkit("inspect-h5", path)
    assert shown.code == 0
    assert "Problem: Layer 'lambda" in shown.out
    assert "─ dense" in shown.out
    assert not mark.exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"class_name": "TFSMLayer"}, "is a TFSMLayer"),
        ({"module": "os", "class_name": "Dense"}, "os"),
        ({"class_name": "MyLayer"}, "MyLayer, a layer tlkit does not know"),
    ],
)
def test_a_layer_that_is_not_keras_s_is_shown_and_refused(tlkit, tmp_path, image, change, says):
    path = write_full_keras2(tmp_path / "m.h5", SMALL)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1].update(change)
        file.attrs["model_config"] = json.dumps(config)
    ran = tlkit("predict", "--model", path, image(SMALL)[0], "--preprocess", "unit")
    assert ran.code == 1
    assert ran.err.startswith("Error: ")
    assert says in ran.err
    shown = tlkit("inspect-h5", path)
    assert shown.code == 0
    assert says in shown.out


@pytest.mark.parametrize("write", [write_keras2, write_keras3_weights, write_nb_layers])
def test_weights_without_a_network_are_sent_to_arch(tlkit, tmp_path, image, write):
    ran = tlkit("predict", "--model", write(tmp_path / "w.h5", SMALL), image(SMALL)[0], "--preprocess", "unit")
    assert (ran.code, ran.out) == (1, "")
    assert "holds weights without the network" in ran.err
    assert "Hint: " in ran.err
    assert "--arch NAME --weights FILE" in ran.err


def test_a_model_that_names_no_classes_is_refused(tlkit, tmp_path, image):
    saved(tmp_path / "map.keras", keras.layers.Conv2D(2, 3))
    saved(tmp_path / "vector.keras", keras.layers.Dense(2), shape=(4,))
    saved(tmp_path / "number.keras", keras.layers.Flatten(), keras.layers.Dense(1, activation="tanh"))
    saved(tmp_path / "five.keras", keras.layers.Flatten(), keras.layers.Dense(2), shape=(9, 7, 5))
    for name, says in (("map", "not one number a class"), ("vector", "not one image"),
                       ("number", "no probability"), ("five", "5 channels")):  # fmt: skip
        ran = tlkit("predict", "--model", tmp_path / f"{name}.keras", image(SMALL)[0], "--preprocess", "unit")
        assert ran.code == 1
        assert says in ran.err


@pytest.mark.parametrize("write", one_in(3, [write_full_keras2, write_full_keras1, write_full_keras3h5]))
@pytest.mark.parametrize("damage", ["missing", "shape", "more", "no config", "no JSON"])
def test_weights_that_do_not_fit_their_own_network_are_refused(tmp_path, write, damage):
    path = write(tmp_path / "m.h5", SMALL)
    with h5py.File(path, "r+") as file:
        group = file["model_weights"]
        if damage == "missing":
            group["bn1"].attrs["weight_names"] = group["bn1"].attrs["weight_names"][:3]
        elif damage == "shape":
            name = group["fc1"].attrs["weight_names"][1]
            del group["fc1"][name]
            group["fc1"][name] = np.zeros(7, "float32")
        elif damage == "more":
            group.attrs["layer_names"] = [*map(bytes, np.asarray(group.attrs["layer_names"], "S")), b"extra"]
            group.copy("fc1", "extra")
        elif damage == "no config":
            del file.attrs["model_config"]
        else:
            file.attrs["model_config"] = "{"
    with pytest.raises((ModelError, WeightsError), match=r"m\.h5"):
        load_model(path, LoadOptions())
