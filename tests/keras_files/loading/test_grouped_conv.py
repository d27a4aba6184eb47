"""Files in which a grouped convolution is a depthwise one and a sum, into networks that have it as one layer."""

from dataclasses import replace

import h5py
import keras
import numpy as np
import pytest
from helpers.cases import one_in
from keras_writers import networks
from keras_writers.building import answer, keras_model, renamed, values
from keras_writers.dialects import (
    Layer,
    Network,
    write_full_keras2,
    write_full_keras3h5,
    write_keras2,
    write_keras3_weights,
    write_keras_archive,
)
from keras_writers.reference import forward
from PIL import Image

from tlkit.architectures.build import build
from tlkit.architectures.layer_tables import expected_layers
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.config import LoadOptions
from tlkit.data.images.normalization import preprocess
from tlkit.errors import WeightsError
from tlkit.keras_files import load_weights

GROUPED = networks.grouped(seed=3)


def old_form(network: Network, *, sums: bool) -> Network:
    """The network as keras-applications had to build it, number by number; with the sum as a layer, or without."""
    layers: list[Layer] = []
    for layer in network:
        groups = layer.config.get("groups", 1)
        if groups == 1:
            layers.append(layer)
            continue
        grouped, filters = layer.weights["kernel"], layer.config["filters"]
        c = filters // groups
        depthwise = np.zeros((*grouped.shape[:2], filters, c), np.float32)
        adds = np.zeros((1, 1, filters * c, filters), np.float32)
        for g, j, m in np.ndindex(groups, c, c):
            depthwise[:, :, g * c + j, m] = grouped[:, :, j, g * c + m]
            adds[0, 0, (g * c + j) * c + m, g * c + m] = 1
        config = {key: value for key, value in layer.config.items() if key not in ("groups", "filters")}
        layers.append(Layer(layer.name, "DepthwiseConv2D", {"kernel": depthwise}, {**config, "depth_multiplier": c}))
        if sums:
            config = {"filters": filters, "kernel_size": (1, 1), "use_bias": False}
            layers.append(Layer(layer.name.replace("_conv", "_gconv"), "Conv2D", {"kernel": adds}, config))
    return tuple(layers)


SUMMED, BARE = old_form(GROUPED, sums=True), old_form(GROUPED, sums=False)
SUMS = ("block1_2_gconv", "block2_2_gconv")


def load(path, model, **options):
    return load_weights(model, path, LoadOptions(**options), verify=False)


def assert_answers(model):
    expected = forward(SUMMED, networks.image(SUMMED))
    np.testing.assert_allclose(answer(model, GROUPED), expected, atol=1e-5)


def test_the_old_form_answers_as_the_grouped_network():
    """Else nothing below would mean anything."""
    picture = networks.image(GROUPED)
    np.testing.assert_allclose(forward(SUMMED, picture), forward(GROUPED, picture), atol=1e-7)


# A Reshape and a Lambda hold no weights, so a full model of that form differs from BARE in its configuration alone.
FILES = {
    "sums": (write_keras2, SUMMED, {"frozen": SUMS, "version": "2.3.1"}),
    "no sums": (write_keras2, BARE, {"version": "2.3.1"}),
    "sums theano": (write_keras2, SUMMED, {"backend": "theano", "version": "2.3.1"}),
    "no sums theano": (write_keras2, BARE, {"backend": "theano", "version": "2.3.1"}),
    "sums split": (write_keras2, SUMMED, {"frozen": SUMS, "split": 3}),
    "sums model": (write_full_keras2, SUMMED, {"frozen": SUMS, "version": "2.3.1"}),
    "no sums model": (write_full_keras2, BARE, {"version": "2.15.0"}),
    "sums nested": (write_keras2, SUMMED, {"nested": "base", "frozen": SUMS}),
    "sums nested frozen": (write_keras2, SUMMED, {"nested": "base", "frozen": ("base",)}),
    "no sums nested": (write_keras2, BARE, {"nested": "base"}),
    "sums model nested": (write_full_keras2, SUMMED, {"nested": "base", "frozen": ("base",)}),
    "sums legacy model": (write_full_keras3h5, SUMMED, {"frozen": SUMS}),
    "no sums legacy model": (write_full_keras3h5, BARE, {}),
    "sums keras3": (write_keras3_weights, SUMMED, {}),
    "no sums keras3": (write_keras3_weights, BARE, {}),
    "sums archive": (write_keras_archive, SUMMED, {}),
}


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("file", one_in(2, FILES))
def test_both_old_forms_load(tmp_path, file, by_name):
    write, network, options = FILES[file]
    path = write(tmp_path / "w.h5", network, **options)
    model = keras_model(GROUPED)
    report = load(path, model, by_name=by_name)
    assert_answers(model)
    assert report.tensors == len(model.get_weights())
    assert not report.left_random
    assert not report.unused
    sums = 2 if network is SUMMED else 0
    assert [count for name, count in report.conversions.items() if "to nothing" in name] == [2] * (sums > 0)
    assert [count for name, count in report.conversions.items() if "to grouped ones" in name] == [2]
    assert not any("not used" in note for note in report.notes)


@pytest.mark.parametrize("file", ["sums", "no sums", "sums model"])
def test_other_names_are_matched_by_order(tmp_path, file):
    write, network, options = FILES[file]
    model = keras_model(renamed(GROUPED, "own_{}"))
    assert load(write(tmp_path / "w.h5", network, **options), model).matched_by == "order"
    assert_answers(model)


@pytest.mark.parametrize("write", [write_keras2, write_full_keras2, write_keras3_weights, write_keras_archive])
def test_grouped_kernels_load_as_they_are(tmp_path, write):
    model = keras_model(GROUPED)
    report = load(write(tmp_path / "w.h5", GROUPED), model)
    assert_answers(model)
    assert not report.conversions


@pytest.mark.parametrize("change", ["trained", "another place", "nan"])
@pytest.mark.parametrize("said", [{}, {"by_name": True}, {"skip_mismatch": True}])
def test_a_sum_that_does_more_is_refused_and_nothing_is_set(tmp_path, change, said):
    path = write_keras2(tmp_path / "w.h5", SUMMED, frozen=SUMS)
    with h5py.File(path, "r+") as file:
        kernel = file["block2_2_gconv/block2_2_gconv/kernel:0"]
        values_ = kernel[()]
        if change == "trained":
            values_ += 1e-6
        elif change == "another place":
            values_ = np.roll(values_, 1, axis=-1)
        else:
            values_[0, 0, 5, 1] = np.nan
        kernel[...] = values_
    model = keras_model(GROUPED)
    before = list(values(model))
    with pytest.raises(WeightsError, match=r"w\.h5: layer block2_2_gconv, .* does more than add up"):
        load(path, model, **said)
    assert list(values(model)) == before


def test_kernels_that_only_look_alike_are_refused(tmp_path):
    """A network with the very shapes, 6 channels from kernels 2 deep, but 4 channels in two groups come in."""
    inputs = keras.Input((5, 5, 4))
    model = keras.Model(inputs, keras.layers.Conv2D(6, (2, 3), groups=2, use_bias=False, name="block1_2_conv")(inputs))
    depthwise = next(layer for layer in BARE if layer.kind == "DepthwiseConv2D")
    assert [tuple(weight.shape) for weight in model.weights] == [(2, 3, 2, 6)]
    assert depthwise.weights["kernel"].shape == (2, 3, 6, 2)
    for write in (write_keras2, write_full_keras2):
        path = write(tmp_path / "w.h5", (replace(GROUPED[0], config={"shape": (5, 5, 6)}), depthwise))
        with pytest.raises(WeightsError, match=r"block1_2_conv.*(depthwise_conv2d in the file|\(2, 3, 6, 2\))"):
            load(path, model)


def test_a_network_of_the_old_form_keeps_its_sums(tmp_path):
    """They are layers of it, and may have been trained."""
    trained = tuple(
        replace(layer, weights={"kernel": layer.weights["kernel"] + 0.25}) if layer.name in SUMS else layer
        for layer in SUMMED
    )
    model = keras_model(SUMMED)
    report = load(write_keras2(tmp_path / "w.h5", trained), model)
    np.testing.assert_allclose(answer(model, trained), forward(trained, networks.image(trained)), atol=1e-5)
    assert not report.conversions


def test_a_convolution_of_the_network_is_not_taken_for_a_sum(tmp_path):
    """It has the shape of one: 6 channels from 12, beside 6 channels in 3 groups of 2."""
    random = np.random.default_rng(0)

    def pointwise(name, *width):
        kernel = random.normal(size=(1, 1, *width)).astype(np.float32)
        return Layer(
            name, "Conv2D", {"kernel": kernel}, {"filters": width[1], "kernel_size": (1, 1), "use_bias": False}
        )

    network = (*GROUPED[:3], pointwise("widen", 6, 12), pointwise("narrow", 12, 6), GROUPED[8], GROUPED[9])
    path = write_keras2(tmp_path / "w.h5", old_form(network, sums=False), version="2.3.1")
    model = keras_model(network)
    load(path, model)
    np.testing.assert_allclose(answer(model, network), forward(network, networks.image(network)), atol=1e-5)


def test_a_depthwise_kernel_is_never_asked_whether_it_is_turned(tmp_path):
    """A file that does not say what computed it leaves that open for other convolutions."""
    inputs = keras.Input((5, 5, 6))
    model = keras.Model(inputs, keras.layers.Conv2D(6, (2, 3), groups=3, use_bias=False, name="block1_2_conv")(inputs))
    depthwise = next(layer for layer in BARE if layer.kind == "DepthwiseConv2D")
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["keras_version"], file.attrs["layer_names"] = "2.3.1", [b"block1_2_conv"]
        group = file.create_group("block1_2_conv")
        group.attrs["weight_names"] = [b"block1_2_conv/depthwise_kernel"]
        group["block1_2_conv/depthwise_kernel"] = depthwise.weights["kernel"]
    load(tmp_path / "w.h5", model)
    np.testing.assert_array_equal(model.get_weights()[0], GROUPED[2].weights["kernel"])


# -- ResNeXt itself, by its structure ----------------------------------------------------------------------------------


def write_structure(path, name, *, include_top, sums, model=None):
    """A file as keras-applications wrote it, in its order, with the kernels of a model.

    Without one there is nothing of the tensors but their shapes.
    """
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = "2.3.1", "tensorflow"
        names = []
        for layer in expected_layers(get_architecture(name), include_top=include_top):
            tensors = dict(layer.tensors)
            if layer.groups > 1:
                height, width, c, filters = tensors["kernel"]
                tensors = {"depthwise_kernel": (height, width, filters, c)}
            parts = [(layer.name, tensors)]
            if layer.groups > 1 and sums:
                parts.append((layer.name.replace("_conv", "_gconv"), {"kernel": (1, 1, filters * c, filters)}))
            for part, shapes in parts:
                names.append(part)
                group = file.create_group(part)
                group.attrs["weight_names"] = [f"{part}/{role}:0".encode() for role in shapes]
                for role, shape in shapes.items():
                    kept = group.create_dataset(f"{part}/{role}:0", shape, "f4")
                    if model is None:
                        continue
                    weights = model.get_layer(layer.name).weights
                    values = {weight.name: np.asarray(weight) for weight in weights}.get(role)
                    if role == "depthwise_kernel":
                        parts = np.split(np.asarray(weights[0]), layer.groups, axis=-1)
                        values = np.concatenate(parts, axis=2)
                    kept[...] = values
        file.attrs["layer_names"] = [part.encode() for part in names]
    return path


@pytest.mark.parametrize("include_top", [True, False])
@pytest.mark.parametrize("sums", [True, False])
@pytest.mark.parametrize(("name", "convolutions"), [("resnext50", 16), ("resnext101", 33)])
@pytest.mark.every
def test_inspect_h5_says_how_the_old_files_of_resnext_load(tmp_path, tlkit, name, convolutions, sums, include_top):
    path = write_structure(tmp_path / "old.h5", name, include_top=include_top, sums=sums)
    ran = tlkit("inspect-h5", path, "--arch", name)
    assert ran.code == 0
    top = "with" if include_top else "without"
    lines = ran.out[ran.out.index(f"Loads into {name} {top} its classifier") :].split("\n\n")[0]
    text = " ".join(lines.split())
    assert f"to grouped ones (height, width, in of a group, out): {convolutions} tensors" in text
    assert (f"give, each checked when loaded, to nothing: {convolutions} tensors" in text) == sums
    assert "not used" not in text
    assert f"--arch {name} --weights" in text


@pytest.mark.every
def test_another_resnet_is_not_taken_for_a_resnext(tmp_path, tlkit):
    path = write_structure(tmp_path / "old.h5", "resnext50", include_top=True, sums=False)
    assert tlkit("inspect-h5", path, "--arch", "resnet50").code == 1
    assert tlkit("inspect-h5", path, "--arch", "resnext101").code == 1
    larger = write_structure(tmp_path / "larger.h5", "resnext101", include_top=True, sums=True)
    assert tlkit("inspect-h5", larger, "--arch", "resnext50").code == 1


@pytest.mark.every
def test_both_engines_predict_with_an_old_file_of_resnext50(tmp_path, tlkit, cat):
    row = get_architecture("resnext50")
    keras.utils.set_random_seed(0)
    model = build(row, include_top=True)
    path = write_structure(tmp_path / "old.h5", row.name, include_top=True, sums=False, model=model)
    pixels = np.asarray(Image.open(cat).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR))
    expected = np.sort(model(preprocess(pixels[None], "torch"), training=False).numpy()[0])[::-1]
    for engine in ("keras", "openvino"):
        ran = tlkit("predict", cat, "--arch", row.name, "--weights", path, "--engine", engine, "--format", "json")
        assert ran.code == 0
        assert "grouped ones (height, width, in of a group, out) (16 tensors)" in ran.err
        said = [found["probability"] for found in ran.json[0]["predictions"]]
        np.testing.assert_allclose(said, expected[:5], rtol=1e-4)
