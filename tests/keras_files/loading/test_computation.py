"""What a file computes, beside its shapes: compared where the file says it, whatever the form it is written in."""

import json

import numpy as np
import pytest
from helpers.cases import one_in

import tlkit
from tlkit import keras_files
from tlkit.architectures.architecture import Architecture
from tlkit.architectures.build import build
from tlkit.architectures.keras_config import network_config
from tlkit.architectures.layer_tables import describe, expected_layers, layers_of
from tlkit.architectures.pretrained import build_pretrained
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.architectures.weights_compatibility import preprocess_of
from tlkit.backend import keras
from tlkit.config import BuildOptions, LoadOptions
from tlkit.errors import WeightsError
from tlkit.keras_files.loading.computation import differences
from tlkit.keras_files.loading.steps import read_network

L = keras.layers
pytestmark = pytest.mark.usefixtures("toy")


def network(
    *,
    strides=2,
    padding="same",
    dilation=1,
    activation="relu",
    epsilon=1e-3,
    pool=L.MaxPooling2D,
    pool_size=2,
    pool_padding="valid",
    merge=L.Add,
    norm=1e-3,
    scale=None,
    end="softmax",
    turned=False,
    size=24,
):
    """A small network with every kind of layer that has options; the arguments leave the shapes of weights alone."""
    inputs = keras.Input((size, size, 3))
    x = inputs if scale is None else L.Rescaling(*scale)(inputs)
    x = L.Conv2D(8, 3, strides, padding=padding, name="stem")(x)
    x = L.BatchNormalization(epsilon=epsilon, name="norm")(x)
    x = L.Activation(activation)(x)
    deep = L.DepthwiseConv2D(3, padding="same", dilation_rate=dilation, name="deep")(x)
    x = merge()([x, deep])
    x = pool(pool_size, 2, padding=pool_padding)(x)
    x = L.LayerNormalization(epsilon=norm, name="layer_norm")(x)
    left, right = L.Conv2D(8, 1, name="left")(x), L.Conv2D(8, 1, name="right")(x)
    x = L.Concatenate()([right, left] if turned else [left, right])
    x = L.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, L.Dense(4, activation=end, name="predictions")(x))


OTHERS = {
    "strides": ({"strides": 1}, "layer stem has strides 1 in the file and 2 here"),
    "padding": ({"padding": "valid"}, "layer stem pads by 0, 0 in the file and by same here"),
    "dilation": ({"dilation": 2}, "layer deep has dilation_rate 2 in the file and 1 here"),
    "epsilon": ({"epsilon": 1e-5}, "layer norm has epsilon 1e-05 in the file and 0.001 here"),
    "layer epsilon": ({"norm": 1e-6}, "layer layer_norm has epsilon 1e-06 in the file and 0.001 here"),
    "activation": ({"activation": "relu6"}, "has activation relu6 in the file and relu here"),
    "swish": ({"activation": "silu"}, "has activation silu in the file and relu here"),
    "pooling": ({"pool": L.AveragePooling2D}, "the file has AveragePooling2D .*, and the network MaxPooling2D"),
    "pool size": ({"pool_size": 3, "pool_padding": "same"}, "has pool_size 3, 3 in the file and 2, 2 here"),
    "merge": ({"merge": L.Average}, "the file has Average .*, and the network Add"),
    "scaling": ({"scale": (1 / 255,)}, "before layer stem the file scales pixels by Rescaling"),
    "order": ({"turned": True}, "the file has Conv2D right, and the network Conv2D left"),
    "end": ({"end": "sigmoid"}, "has activation sigmoid in the file and softmax here"),
}


@pytest.mark.parametrize("extension", [".keras", ".h5"])
@pytest.mark.parametrize(("options", "words"), one_in(2, OTHERS.values()), ids=OTHERS)
def test_weights_of_another_computation_are_refused(tmp_path, options, words, extension):
    path = tmp_path / f"other{extension}"
    network(**options).save(path)
    model = network()
    before = model.get_weights()
    words = words.replace("0, 0", r"\(0, 0\)").replace("3, 3", r"\(3, 3\)").replace("2, 2", r"\(2, 2\)")
    with pytest.raises(WeightsError, match=rf"computes in another way .*{words}") as refused:
        keras_files.load_weights(model, path, verify=False)
    assert refused.value.hint == f"--model {path} computes what the file describes."
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    weights = tmp_path / "only.weights.h5"  # without a config there is nothing to compare
    network(**options).save_weights(weights)
    keras_files.load_weights(model, weights, verify=False)


def rewritten():
    """The network with everything written in another form: the numbers are the same."""
    inputs = keras.Input((24, 24, 3))
    x = L.RandomFlip()(inputs)
    x = L.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = L.Conv2D(8, 3, 2, name="stem")(x)
    x = L.Dropout(0.5)(L.BatchNormalization(name="norm", momentum=0.5)(x))
    x = L.ReLU()(x)
    deep = L.DepthwiseConv2D(3, name="deep", activation="linear")(L.ZeroPadding2D(1)(x))
    x = L.Add()([deep, x])
    x = L.MaxPooling2D(padding="same")(x)
    x = L.Reshape((6, 6, 8))(L.LayerNormalization(name="layer_norm")(x))
    left, right = L.Conv2D(8, 1, name="left")(x), L.Conv2D(8, 1, name="right")(x)
    x = L.Flatten()(L.AveragePooling2D(6)(L.Concatenate()([left, right])))
    return keras.Model(inputs, L.Softmax()(L.Dense(4, name="predictions")(x)))


def inside():
    """The network as a model inside a Sequential."""
    return keras.Sequential([keras.Input((24, 24, 3)), L.GaussianNoise(0.1), network()])


@pytest.mark.parametrize("extension", [".keras", ".h5"])
@pytest.mark.parametrize("make", [network, rewritten, inside])
def test_the_same_computation_in_another_form_loads(tmp_path, make, extension):
    other, model = make(), network()
    other.save(tmp_path / f"same{extension}")
    keras_files.load_weights(model, tmp_path / f"same{extension}", verify=False)
    pixels = np.random.default_rng(0).uniform(-1, 1, (2, 24, 24, 3)).astype("float32")
    assert np.allclose(model.predict(pixels, verbose=0), other.predict(pixels, verbose=0), atol=1e-6)


def test_a_file_of_another_size_loads(tmp_path):
    network(size=32).save(tmp_path / "large.keras")
    keras_files.load_weights(network(size=24), tmp_path / "large.keras", verify=False)


def test_logits_are_said(tmp_path):
    network(end=None).save(tmp_path / "logits.keras")
    report = keras_files.load_weights(network(), tmp_path / "logits.keras", verify=False)
    assert any("logits" in note for note in report.notes)


def with_toy(tmp_path, *before, epsilon=None, classes=5):
    model = build(get_architecture("toy", BuildOptions(classes=classes)), include_top=True)
    inputs = keras.Input((32, 32, 3))
    x = inputs
    for layer in before:
        x = layer(x)
    if epsilon:
        config = json.loads(model.to_json())
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "BatchNormalization":
                layer["config"]["epsilon"] = epsilon
        model = keras.models.model_from_json(json.dumps(config))
    path = tmp_path / "whole.keras"
    keras.Model(inputs, model(x)).save(path)
    return path


@pytest.mark.parametrize(
    ("before", "loads"),
    [
        ([], True),
        ([L.Rescaling(1 / 127.5, -1)], True),  # the preprocessing of the toy, inside the model
        ([L.Resizing(32, 32), L.Rescaling(1 / 127.5, offset=-1.0)], True),
        ([L.Normalization(mean=[127.5] * 3, variance=[127.5**2] * 3)], True),
        ([lambda x: x / 127.5, lambda x: x - 1.0], True),
        ([L.Rescaling(1 / 255)], False),
        ([lambda x: x[..., ::-1]], False),
    ],
    ids=["none", "rescaling", "resizing", "normalization", "operations", "other", "bgr"],
)
def test_scaling_at_the_input_is_compared_with_the_preprocessing(tmp_path, before, loads):
    path = with_toy(tmp_path, *before)
    found = tlkit.inspect_h5(str(path), arch="toy", classes=5).to_dict()["loading"]
    assert found["loads"] is loads
    assert [bool(way["commands"]) for way in found["ways"]] == [loads, loads]
    assert [bool(way["differences"]) for way in found["ways"]] == [not loads, not loads]


def test_no_command_is_recommended_that_gives_other_numbers(tmp_path):
    path = with_toy(tmp_path, epsilon=1e-5)
    for way in tlkit.inspect_h5(str(path), arch="toy", classes=5).to_dict()["loading"]["ways"]:
        assert way["commands"] == []
        assert way["differences"][0] == "layer stem_bn has epsilon 1e-05 in the file and 0.001 here"
    with pytest.raises(WeightsError, match="epsilon"):
        build_pretrained(get_architecture("toy"), weights=str(path), include_top=False)


@pytest.mark.parametrize(
    "name", ["toy", *(pytest.param(name, marks=pytest.mark.every) for name in ("mobilenetv3small", "convnexttiny"))]
)
@pytest.mark.parametrize("include_top", [True, False])
def test_tables_say_what_keras_builds(name, include_top):
    entry: Architecture = get_architecture(name)
    built = read_network(json.loads(build(entry, include_top=include_top).to_json()), keras_version="3.15.1")
    table = read_network(
        network_config(entry, include_top=include_top), keras_version="3", preprocess=preprocess_of(entry)
    )
    layers = expected_layers(entry, include_top=include_top)
    pairs = [(built.find(layer.path, layer.name), table.find(layer.path, layer.name)) for layer in layers]
    assert all(step for pair in pairs for step in pair)
    assert differences(built, table, pairs, whole=True) == ((), ())


# --- hints -------------------------------------------------------------------------------------------------------


@pytest.mark.every
def test_only_a_classifier_is_left_out_by_advice(tmp_path):
    other = with_toy(tmp_path, classes=7)
    with pytest.raises(WeightsError) as refused:
        build_pretrained(get_architecture("toy", BuildOptions(classes=5)), weights=str(other), include_top=True)
    assert "--classes 7 loads it; --skip-mismatch" in refused.value.hint
    headless = tmp_path / "headless.weights.h5"
    base = build(get_architecture("toy"), include_top=False)
    base.save_weights(headless)
    with pytest.raises(WeightsError) as refused:
        build_pretrained(get_architecture("toy"), weights=str(headless), include_top=True)
    assert "--skip-mismatch takes all but the classifier" in refused.value.hint
    cut = keras.Model(base.inputs, base.get_layer("block2_concat").output)
    cut.save_weights(headless)
    for include_top in (True, False):
        with pytest.raises(WeightsError) as refused:
            build_pretrained(get_architecture("toy"), weights=str(headless), include_top=include_top)
        assert "--skip-mismatch" not in refused.value.hint


def test_a_million_classes_are_refused_before_anything_is_built(tmp_path, monkeypatch):
    path = with_toy(tmp_path)
    monkeypatch.setattr("tlkit.architectures.build.build", lambda *_, **__: pytest.fail("built"))
    with pytest.raises(WeightsError, match=r"predictions.*16, 5.*16, 1000000"):
        build_pretrained(get_architecture("toy", BuildOptions(classes=1_000_000)), weights=str(path), include_top=True)


@pytest.mark.parametrize("name", ["toy", *(pytest.param(n, marks=pytest.mark.every) for n in ("mobilenet", "vgg16"))])
def test_layers_with_other_classes_are_those_that_keras_builds(name):
    entry = get_architecture(name, BuildOptions(classes=7))
    built = describe(build(entry, include_top=True))
    assert {(layer.name, layer.shape, layer.weights) for layer in layers_of(entry, include_top=True)} == {
        (layer.name, layer.shape, layer.weights) for layer in built
    }


# --- what a file lacks or has in another form --------------------------------------------------------------------

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.mark.parametrize("saved", ["model.keras", "model.h5", "only.weights.h5"])
def test_a_missing_normalization_is_that_of_imagenet(tmp_path, saved):
    def conv(inputs, x):
        x = L.BatchNormalization(name="stem_bn")(L.Conv2D(4, 3, name="stem_conv")(x))
        return keras.Model(inputs, L.GlobalAveragePooling2D()(x))

    inputs, other = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    scaled = L.Normalization(name="normalization")(L.Rescaling(1 / 255)(inputs))
    model = conv(inputs, L.Rescaling((1 / np.sqrt(DEVIATION)).tolist())(scaled))
    package = conv(other, other)
    (package.save_weights if "weights" in saved else package.save)(tmp_path / saved)
    report = keras_files.load_weights(
        model, tmp_path / saved, constants=get_architecture("efficientnetb0").constants, verify=False
    )
    assert "ImageNet" in " ".join(report.notes)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype("float32")
    reference = package.predict(((pixels / 255 - MEAN) / DEVIATION).astype("float32"), verbose=0)
    assert np.allclose(model.predict(pixels, verbose=0), reference, atol=1e-5)


@pytest.mark.parametrize("alpha", [None, 3])
@pytest.mark.parametrize("extension", [".keras", ".h5"])
@pytest.mark.every
def test_adapters_are_merged(tmp_path, extension, alpha):
    random = np.random.default_rng(0)
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), L.Conv2D(4, 3, name="conv"), L.GlobalAveragePooling2D(), L.Dense(5, name="dense")]
    )
    for layer in model.layers:
        if layer.weights:
            layer.enable_lora(2, **({} if alpha is None else {"lora_alpha": alpha}))
            layer.set_weights([random.normal(0, 1, weight.shape) for weight in layer.get_weights()])
    model.save(tmp_path / f"lora{extension}")
    pixels = random.uniform(0, 1, (2, 8, 8, 3)).astype("float32")
    expected = model.predict(pixels, verbose=0)
    loaded = keras_files.load_model(tmp_path / f"lora{extension}").model
    assert np.allclose(loaded.predict(pixels, verbose=0), expected, atol=1e-5)
    plain = keras.Sequential(
        [keras.Input((8, 8, 3)), L.Conv2D(4, 3, name="conv"), L.GlobalAveragePooling2D(), L.Dense(5, name="dense")]
    )
    keras_files.load_weights(plain, tmp_path / f"lora{extension}", LoadOptions(by_name=True), verify=False)
    assert np.allclose(plain.predict(pixels, verbose=0), expected, atol=1e-5)


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
@pytest.mark.every
def test_quantized_models_are_refused(tmp_path, mode):
    def make():
        return keras.Sequential([keras.Input((8,)), L.Dense(6, name="dense"), L.Dense(4, name="end")])

    model = make()
    model.quantize(mode)
    model.save(tmp_path / "q.keras")
    model.save_weights(tmp_path / "q.weights.h5")
    with pytest.raises(tlkit.TlkitError, match="quantized by Keras"):
        keras_files.load_model(tmp_path / "q.keras")
    with pytest.raises(WeightsError, match="dense: it .*in the file"):
        keras_files.load_weights(make(), tmp_path / "q.weights.h5", verify=False)
