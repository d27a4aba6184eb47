"""Weights of every generation into today's model of the same network: SciPy's outputs, or a question, or a refusal."""

import re
from dataclasses import replace

import h5py
import keras
import numpy as np
import pytest
from helpers.cases import one_in
from keras_writers import networks
from keras_writers.building import answer, keras_model, renamed, values, without
from keras_writers.dialects import (
    Network,
    write_full_keras1,
    write_full_keras2,
    write_full_keras3h5,
    write_keras1,
    write_keras2,
    write_keras3_weights,
    write_keras_archive,
    write_nb_layers,
    write_tf_keras_weights,
)
from keras_writers.reference import forward

from tlkit.architectures.layer_tables import expected_layers
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.config import LoadOptions
from tlkit.errors import WeightsError
from tlkit.keras_files import load_weights, open_file, plan_loading


def load(path, model, **options):
    return load_weights(model, path, LoadOptions(**options), verify=False)


def assert_answers(model, network: Network):
    np.testing.assert_allclose(answer(model, network), forward(network, networks.image(network)), atol=1e-5)


def differs(model, network: Network) -> bool:
    return np.abs(answer(model, network) - forward(network, networks.image(network))).max() > 1e-3


STRAIGHT, TURNED = {"flip_kernels": False}, {"flip_kernels": True}
# The writer, its arguments, and what must be said because such a file does not say it.
DIALECTS = {
    "keras1 tf": (write_keras1, {}, {"layout": "tf"}),
    "keras1 tf sequential": (write_keras1, {"sequential": True}, {"layout": "tf"}),
    "keras1 th": (write_keras1, {"layout": "th"}, {"layout": "th"}),
    "keras1 th theano": (write_keras1, {"layout": "th", "flip": True, "backend": "theano"}, {"layout": "th", **TURNED}),
    "keras1 tf theano": (write_keras1, {"flip": True, "backend": "theano"}, {"layout": "tf", **TURNED}),
    "keras1 th not turned": (write_keras1, {"layout": "th", "backend": "theano"}, {"layout": "th", **STRAIGHT}),
    "keras1 model tf": (write_full_keras1, {}, {}),
    "keras1 model th": (write_full_keras1, {"layout": "th"}, {}),
    "keras1 model th theano": (write_full_keras1, {"layout": "th", "flip": True, "backend": "theano"}, TURNED),
    "keras1 model functional": (write_full_keras1, {"sequential": False}, {}),
    "keras2.0": (write_keras2, {"version": "2.0.8"}, {}),
    "keras2.4": (write_keras2, {}, {}),
    "keras2.12 sequential": (write_keras2, {"version": "2.12.0", "sequential": True}, {}),
    "keras2 split": (write_keras2, {"split": 3}, {}),
    "keras2.1 theano": (write_keras2, {"backend": "theano", "version": "2.1.6"}, {"layout": "tf"}),
    "keras2.3 theano": (write_keras2, {"backend": "theano", "version": "2.3.1"}, {}),
    "keras2 model": (write_full_keras2, {}, {}),
    "keras2 model theano": (write_full_keras2, {"backend": "theano", "version": "2.1.6"}, {}),
    "keras2 model frozen": (write_full_keras2, {"version": "2.11.0", "frozen": ("bn1", "predictions")}, {}),
    "keras2 model split": (write_full_keras2, {"version": "2.15.0", "split": 2, "sequential": True}, {}),
    "keras3 legacy model": (write_full_keras3h5, {}, {}),
    "keras3 legacy model frozen": (write_full_keras3h5, {"frozen": ("bn1",), "sequential": True}, {}),
    "keras3": (write_keras3_weights, {}, {}),
    "keras3 nameless": (write_keras3_weights, {"names": False, "empty": False}, {}),
    "keras3 optimizer": (write_keras3_weights, {"optimizer": True, "sequential": True}, {}),
    "tf_keras 2.13": (write_tf_keras_weights, {"optimizer": True}, {}),
    "tf_keras 2.14": (write_tf_keras_weights, {"version": "2.14.0"}, {}),
    "tf_keras 2.15": (write_tf_keras_weights, {"version": "2.15.0", "sequential": True}, {}),
    "archive": (write_keras_archive, {}, {}),
    "archive deflated nameless": (write_keras_archive, {"deflate": True, "names": False}, {}),
}
NETWORKS = {"small": networks.small, "square": networks.square, "twins": networks.twins}
SMALL, SQUARE, TWINS = (make(seed=3) for make in NETWORKS.values())
# Keras 0 kept a deviation in its BatchNormalization; of that below.
SMALL_0, SQUARE_0 = (without(network, "BatchNormalization") for network in (SMALL, SQUARE))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("dialect", one_in(2, DIALECTS))
def test_the_outputs_are_those_of_the_reference(tmp_path, dialect, network):
    write, options, said = DIALECTS[dialect]
    network = NETWORKS[network](seed=3)
    model = keras_model(network)
    report = load(write(tmp_path / "w.h5", network, **options), model, **said)
    assert_answers(model, network)
    assert report.tensors == len(model.get_weights())
    assert not report.left_random
    assert not report.unused


@pytest.mark.parametrize(
    ("layout", "turned"), [("th", False), ("th", True), ("tf", False), ("tf", True)], ids=lambda value: str(value)
)
@pytest.mark.parametrize("network", [SMALL_0, SQUARE_0], ids=["small", "square"])
def test_nb_layers_files(tmp_path, network, layout, turned):
    path = write_nb_layers(tmp_path / "w.h5", network, layout=layout, flip=turned)
    model = keras_model(network)
    load(path, model, flip_kernels=turned, **({"layout": layout} if network is SQUARE_0 else {}))
    assert_answers(model, network)


# -- what is not said --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("write", "network", "options", "said", "asked"),
    [
        (write_nb_layers, SMALL_0, {}, {}, ["--flip-kernels"]),
        (write_nb_layers, SQUARE_0, {}, {}, ["--layout th", "--flip-kernels"]),
        (write_nb_layers, SQUARE_0, {}, STRAIGHT, ["--layout th"]),
        (write_nb_layers, SQUARE_0, {}, {"layout": "th"}, ["--flip-kernels"]),
        (write_keras1, SMALL, {"backend": "theano"}, {}, ["--flip-kernels"]),
        (write_keras1, SQUARE, {}, {}, ["--layout th"]),
        (write_full_keras1, SMALL, {"backend": "theano"}, {}, ["--flip-kernels"]),
        (write_keras2, SMALL, {"backend": "theano", "version": "2.1.6"}, {}, ["--layout th"]),
        (write_keras2, SMALL, {"backend": "theano", "version": "2.1.6"}, {"skip_mismatch": True}, ["--layout th"]),
        (write_keras2, SMALL, {"backend": "theano", "version": "2.1.6"}, {"by_name": True}, ["--layout th"]),
    ],
)  # fmt: skip
def test_what_a_file_does_not_say_is_asked(tmp_path, write, network, options, said, asked):
    path = write(tmp_path / "w.h5", network, **options)
    model = keras_model(network)
    before = list(values(model))
    with pytest.raises(WeightsError, match="does not record") as caught:
        load(path, model, **said)
    assert all(option in caught.value.message for option in asked)
    assert ("--layout" in caught.value.message) == ("--layout th" in asked)
    assert list(values(model)) == before


def test_a_wrong_answer_gives_other_outputs(tmp_path):
    """Else the tests above would prove nothing."""
    path = write_nb_layers(tmp_path / "w.h5", SQUARE_0, layout="th", flip=True)
    for said in ({"layout": "th", **STRAIGHT}, {"layout": "tf", **TURNED}, {"layout": "tf", **STRAIGHT}):
        model = keras_model(SQUARE_0)
        load(path, model, **said)
        assert differs(model, SQUARE_0), said


@pytest.mark.parametrize("layout", ["tf", "th"])
def test_a_layout_that_the_kernels_contradict_is_refused(tmp_path, layout):
    path = write_nb_layers(tmp_path / "w.h5", SMALL_0, layout="th" if layout == "tf" else "tf")
    with pytest.raises(WeightsError):
        load(path, keras_model(SMALL_0), layout=layout, **STRAIGHT)


@pytest.mark.parametrize("layout", ["tf", "th"])
def test_keras_2_under_theano_keeps_its_kernels_in_one_order_and_its_dense_in_another(tmp_path, layout):
    """Until 2.2 the rows of a Dense count what the layout of the pictures had first; only a person knows."""
    network = channels_first_dense(SMALL) if layout == "th" else SMALL
    model = keras_model(SMALL)
    load(write_keras2(tmp_path / "w.h5", network, backend="theano", version="2.1.6"), model, layout=layout)
    assert_answers(model, SMALL)


def channels_first_dense(network: Network) -> Network:
    """``small`` with the rows of its first Dense as a map of 5x2x4 flattened under channels first counts them."""
    fc1 = next(layer for layer in network if layer.name == "fc1")
    rows = [(row * 2 + column) * 4 + channel for channel in range(4) for row in range(5) for column in range(2)]
    stored = replace(fc1, weights={**fc1.weights, "kernel": fc1.weights["kernel"][rows]})
    return tuple(stored if layer is fc1 else layer for layer in network)


def test_the_deviation_of_keras_0_is_not_taken_for_a_variance(tmp_path):
    model = keras_model(SMALL)
    before = list(values(model))
    with pytest.raises(WeightsError, match="bn1.*standard deviation"):
        load(write_nb_layers(tmp_path / "w.h5", SMALL), model, **STRAIGHT)
    assert list(values(model)) == before


# What stands between the Flatten and the Dense must not hide that one follows the other.
BETWEEN = {
    "Dropout": ("Dropout", {"rate": 0.5}),
    "Activation": ("Activation", {"activation": "tanh"}),
    "LeakyReLU": ("LeakyReLU", {"negative_slope": 0.3}),
    "ELU": ("ELU", {}),
    "GaussianNoise": ("GaussianNoise", {"stddev": 0.1}),
    "BatchNormalization": ("BatchNormalization", {}),
}


@pytest.mark.parametrize("between", BETWEEN)
def test_the_dense_is_permuted_through_what_follows_the_flatten(tmp_path, between):
    """The arrays between are the same for every channel and place, so no order of theirs matters."""
    kind, config = BETWEEN[between]
    found = keras_model(SMALL_0)
    expected = found.get_layer("fc1").kernel
    inputs = keras.Input((5, 2, 4))
    tensor = getattr(keras.layers, kind)(name="between", **config)(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(6, name="fc1")(tensor))
    with h5py.File(tmp_path / "w.h5", "w") as file:
        arrays = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
        kernel = np.empty((40, 6), "float32")
        for channel, row, column in np.ndindex(4, 5, 2):
            kernel[(channel * 5 + row) * 2 + column] = expected[(row * 2 + column) * 4 + channel]
        arrays["fc1"] = [kernel, arrays["fc1"][1]]
        file.attrs["layer_names"] = [name.encode() for name in arrays]
        for name, stored in arrays.items():
            group = file.create_group(name)
            roles = ("W", "b") if name == "fc1" else ("gamma", "beta", "running_mean", "running_std")
            group.attrs["weight_names"] = [f"{name}_{role}:0".encode() for role in roles]
            for role, array in zip(roles, stored, strict=True):
                group[f"{name}_{role}:0"] = array
    load(tmp_path / "w.h5", model, layout="th")
    np.testing.assert_array_equal(model.get_layer("fc1").kernel, expected)


def test_the_dense_is_permuted_when_the_flatten_ends_an_inner_model(tmp_path):
    path = write_keras1(tmp_path / "w.h5", SMALL, layout="th")
    flat = keras_model(SMALL)
    inner = keras.Model(flat.inputs, flat.get_layer("flatten").output, name="base")
    inputs = keras.Input((9, 7, 3))
    tensor = inner(inputs)
    for layer in SMALL[-2:]:
        tensor = keras.layers.Dense(name=layer.name, **layer.config)(tensor)
    model = keras.Model(inputs, tensor)
    load(path, model)
    assert_answers(model, SMALL)


AUTOMATIC = {
    "conv1": "conv2d", "bn1": "batch_normalization", "conv2": "conv2d_1", "bn2": "batch_normalization_1",
    "fc1": "dense", "predictions": "dense_1",
}  # fmt: skip
OFFSET = {
    "conv1": "conv2d_94", "bn1": "batch_normalization_94", "conv2": "conv2d_95", "bn2": "batch_normalization_95",
    "fc1": "dense_9", "predictions": "dense_10",
}  # fmt: skip

# -- models inside models ----------------------------------------------------------------------------------------------

NESTED = {
    "keras2": (write_keras2, {}),
    "keras2 all frozen": (write_keras2, {"frozen": ("base",), "version": "2.12.0", "split": 3}),
    "keras2 some frozen": (write_keras2, {"frozen": ("conv1", "bn1")}),
    "keras2 one frozen": (write_keras2, {"frozen": ("bn2", "conv2")}),
    "keras2 model all frozen": (write_full_keras2, {"frozen": ("base",)}),
    "keras2 model some frozen": (write_full_keras2, {"frozen": ("bn1",), "version": "2.15.0", "sequential": True}),
    "keras3 legacy all frozen": (write_full_keras3h5, {"frozen": ("base",)}),
    "keras3 legacy some frozen": (write_full_keras3h5, {"frozen": ("bn1",), "sequential": True}),
    "keras3": (write_keras3_weights, {}),
    "keras3 nameless": (write_keras3_weights, {"names": False}),
    "tf_keras 2.13": (write_tf_keras_weights, {}),
    "tf_keras 2.15": (write_tf_keras_weights, {"version": "2.15.0", "sequential": True}),
    "archive nameless": (write_keras_archive, {"names": False}),
}  # fmt: skip


@pytest.mark.parametrize("into", ["base", None], ids=["nested", "flat"])
@pytest.mark.parametrize("network", [SMALL, TWINS], ids=["small", "twins"])
@pytest.mark.parametrize("dialect", one_in(2, NESTED))
def test_a_nested_base_loads_nested_and_flat(tmp_path, dialect, network, into):
    write, options = NESTED[dialect]
    model = keras_model(network, nested=into)
    load(write(tmp_path / "w.h5", network, nested="base", **options), model)
    assert_answers(model, network)


# Keras 2 stored the arrays of an inner model that was partly frozen in another order: first those that train. Equal
# shapes are silent then, and only names tell. The last column: is the order in the file another one than the network's?
PARTLY_FROZEN = [
    (TWINS, ("bn1",), True), (TWINS, ("bn2",), False), (SQUARE, ("conv1",), True), (SQUARE, ("bn1", "conv2"), False),
    (SQUARE_0, ("conv1",), True), (SQUARE_0, ("conv1", "conv2"), False), (SMALL, ("conv2",), False),
]  # fmt: skip


@pytest.mark.parametrize(("network", "frozen", "reordered"), PARTLY_FROZEN)
@pytest.mark.parametrize("names", [AUTOMATIC, OFFSET], ids=["same", "offset"])
@pytest.mark.parametrize("into", ["base", None], ids=["nested", "flat"])
def test_automatic_names_order_a_base_saved_partly_frozen(tmp_path, network, frozen, reordered, names, into):
    frozen = tuple(AUTOMATIC[name] for name in frozen)
    path = write_keras2(tmp_path / "w.h5", renamed(network, AUTOMATIC), nested="base", frozen=frozen)
    model = keras_model(renamed(network, names), nested=into)
    assert load(path, model).matched_by == ("name" if reordered else "order")
    assert_answers(model, network)


@pytest.mark.parametrize(
    ("network", "frozen"), [(network, frozen) for network, frozen, reordered in PARTLY_FROZEN if not reordered]
)
@pytest.mark.parametrize("into", ["base", None], ids=["nested", "flat"])
def test_unknown_names_in_the_order_of_the_network_load_with_a_note(tmp_path, network, frozen, into):
    path = write_keras2(tmp_path / "w.h5", network, nested="base", frozen=frozen)
    model = keras_model(renamed(network, "own_{}"), nested=into)
    assert any("matched by order" in note for note in load(path, model).notes)
    assert_answers(model, network)


@pytest.mark.parametrize(
    ("network", "frozen", "reason"),
    [(TWINS, ("bn1",), "3 layers of it have no match"), (SQUARE, ("conv1",), r"own_conv1 \(in the file bn1\)")],
)
@pytest.mark.parametrize("into", ["base", None], ids=["nested", "flat"])
def test_unknown_names_in_another_order_are_refused_where_the_file_shows_it(tmp_path, network, frozen, reason, into):
    path = write_keras2(tmp_path / "w.h5", network, nested="base", frozen=frozen)
    model = keras_model(renamed(network, "own_{}"), nested=into)
    before = list(values(model))
    with pytest.raises(WeightsError, match=reason):
        load(path, model)
    assert list(values(model)) == before


@pytest.mark.parametrize("into", ["base", None], ids=["nested", "flat"])
def test_unknown_names_of_equal_convolutions_are_matched_by_order_with_a_note(tmp_path, into):
    """Nothing in such a file tells that a part was frozen, so the two are swapped; the note is all that can be said."""
    path = write_keras2(tmp_path / "w.h5", SQUARE_0, nested="base", frozen=("conv1",))
    model = keras_model(renamed(SQUARE_0, "own_{}"), nested=into)
    assert any("matched by order" in note for note in load(path, model).notes)
    assert differs(model, SQUARE_0)


@pytest.mark.parametrize(
    ("write", "options", "into"),
    [
        (write_keras2, {}, None),
        (write_keras2, {"nested": "base", "frozen": ("base",)}, "base"),
        (write_full_keras2, {"nested": "base", "frozen": ("bn1",)}, None),
        (write_full_keras1, {"layout": "th"}, None),
        (write_full_keras3h5, {}, None),
        (write_keras3_weights, {"nested": "base"}, None),
        (write_keras_archive, {}, None),
        (write_keras_archive, {"nested": "base"}, None),
    ],
)
def test_the_base_of_a_full_model_loads_and_the_head_is_left_over(tmp_path, write, options, into):
    base = SMALL[: [layer.name for layer in SMALL].index("flatten")]
    model = keras_model(base)
    report = load(write(tmp_path / "m.h5", SMALL, **options), model)
    assert_answers(model, base)
    assert {name.rsplit("/", 1)[-1] for name in report.unused} in ({"fc1", "predictions"}, {"dense", "dense_1"})
    assert not report.left_random


# -- names -------------------------------------------------------------------------------------------------------------


def reorder(path, order):
    with h5py.File(path, "r+") as file:
        names = list(file.attrs["layer_names"])
        file.attrs["layer_names"] = [names[position] for position in order(len(names))]
    return path


@pytest.mark.parametrize("by_name", [False, True])
def test_named_layers_in_another_order_are_matched_by_name(tmp_path, by_name):
    path = reorder(write_keras2(tmp_path / "w.h5", SQUARE), lambda count: reversed(range(count)))
    model = keras_model(SQUARE)
    assert load(path, model, by_name=by_name).matched_by == "name"
    assert_answers(model, SQUARE)


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("write", [write_keras2, write_keras1, write_keras3_weights])
def test_automatic_names_count_from_anywhere(tmp_path, write, by_name):
    model = keras_model(renamed(SQUARE, AUTOMATIC))
    path = write(tmp_path / "w.h5", renamed(SQUARE, OFFSET))
    load(path, model, by_name=by_name, **({"layout": "tf"} if write is write_keras1 else {}))
    assert_answers(model, SQUARE)


def test_slashes_in_names_have_become_underscores(tmp_path):
    """DenseNet's conv1/conv is conv1_conv since Keras 3; the order is turned round so that only names can tell."""
    old = renamed(SQUARE, {"conv1": "conv1/conv", "bn1": "conv1/bn", "conv2": "conv2_block1/1_conv"})
    path = reorder(write_keras2(tmp_path / "w.h5", old), lambda count: reversed(range(count)))
    names = {"conv1": "conv1_conv", "bn1": "conv1_bn", "conv2": "conv2_block1_1_conv"}
    model = keras_model(renamed(SQUARE, names))
    load(path, model)
    assert_answers(model, SQUARE)


def test_by_name_takes_no_layer_of_another_name(tmp_path):
    path = write_keras2(tmp_path / "w.h5", SMALL)
    model = keras_model(renamed(SMALL, {"conv2": "mine"}))
    before = list(values(model))
    with pytest.raises(WeightsError, match="has no match.*mine"):
        load(path, model, by_name=True)
    assert list(values(model)) == before

    report = load(path, model, by_name=True, skip_mismatch=True)
    assert (report.left_random, report.unused) == (("mine",), ("conv2",))
    for layer in SMALL:
        if layer.weights:
            loaded = layer.name != "conv2"
            kept = model.get_layer("mine" if layer.name == "conv2" else layer.name).get_weights()
            assert loaded == all(map(np.array_equal, kept, layer.weights.values())), layer.name


@pytest.mark.parametrize("said", [{"by_name": True}, {"by_name": True, "skip_mismatch": True}])
def test_no_name_in_common_is_refused(tmp_path, said):
    model = keras_model(renamed(SMALL, "own_{}"))
    before = list(values(model))
    with pytest.raises(WeightsError, match="the file holds 5 layers with weights, the network 5.*5 layers"):
        load(write_keras2(tmp_path / "w.h5", SMALL), model, **said)
    assert list(values(model)) == before


@pytest.mark.parametrize("write", [write_keras2, write_full_keras2, write_keras3_weights, write_keras_archive])
def test_what_does_not_fit_is_left_out_when_that_is_asked_for(tmp_path, write):
    other = tuple(
        replace(layer, config={**layer.config, "units": 7}) if layer.name == "predictions" else layer for layer in SMALL
    )
    model = keras_model(other)
    path = write(tmp_path / "w.h5", SMALL)
    before = list(values(model))
    with pytest.raises(WeightsError, match=r"predictions.*\(6, 3\) in the file and \(6, 7\) here"):
        load(path, model)
    assert list(values(model)) == before

    assert load(path, model, skip_mismatch=True).left_random == ("predictions",)
    assert list(values(model))[-2:] == before[-2:]
    fc1 = next(layer for layer in SMALL if layer.name == "fc1")
    np.testing.assert_array_equal(model.get_layer("fc1").kernel, fc1.weights["kernel"])


def test_nothing_that_fits_is_refused_even_so(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="one"), keras.layers.Dense(9, name="two")])
    for write in (write_keras2, write_keras3_weights, write_nb_layers):
        with pytest.raises(WeightsError, match="does not load into"):
            load(write(tmp_path / "w.h5", TWINS), model, skip_mismatch=True, flip_kernels=False, layout="tf")


# -- the networks of the table, by their structure alone ---------------------------------------------------------------


def planned(path, layers, into, **options):
    """The plan for a Keras 2 file with these ``(name, tensors)`` in this order; nothing of it is ever read."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = "2.0.8", "tensorflow"
        file.attrs["layer_names"] = [name.encode() for name, _ in layers]
        for name, tensors in layers:
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{role}:0".encode() for role, _ in tensors]
            for role, shape in tensors:
                group.create_dataset(f"{name}/{role}:0", shape, "f4")
    row = get_architecture(into)
    with open_file(path) as file:
        expected = expected_layers(row, include_top=False)
        plan = plan_loading(file, expected, LoadOptions(**options), old_names=row.old_names)
    return plan, {layer.expected.name: layer.saved.name for layer in plan.layers}


def layers_of(name):
    return [(layer.name, layer.tensors) for layer in expected_layers(get_architecture(name), include_top=False)]


@pytest.mark.parametrize("by_name", [False, True])
def test_the_old_resnet50_swaps_no_layers(tmp_path, by_name):
    """Its shortcut stood after the convolution of the same shape; today it stands first."""
    shapes = dict(layers_of("resnet50"))

    def old(*pairs):
        return [(name, shapes[today]) for name, today in pairs]

    layers = old(("conv1", "conv1_conv"), ("bn_conv1", "conv1_bn"))
    for stage, blocks in zip((2, 3, 4, 5), (3, 4, 6, 3), strict=True):
        for number in range(1, blocks + 1):
            letter, today = "abcdef"[number - 1], f"conv{stage}_block{number}"
            for branch, unit in (("2a", 1), ("2b", 2)):
                layers += old((f"res{stage}{letter}_branch{branch}", f"{today}_{unit}_conv"),
                              (f"bn{stage}{letter}_branch{branch}", f"{today}_{unit}_bn"))  # fmt: skip
            last = [("2c", 3)] + ([("1", 0)] if number == 1 else [])
            layers += old(*((f"res{stage}{letter}_branch{branch}", f"{today}_{unit}_conv") for branch, unit in last))
            layers += old(*((f"bn{stage}{letter}_branch{branch}", f"{today}_{unit}_bn") for branch, unit in last))
    plan, pairs = planned(tmp_path / "w.h5", layers, "resnet50", by_name=by_name)
    assert plan.complete
    assert shapes["conv2_block1_0_conv"] == shapes["conv2_block1_3_conv"]
    assert {name: pairs[name] for name in list(pairs)[:12]} == {
        "conv1_conv": "conv1", "conv1_bn": "bn_conv1",
        "conv2_block1_1_conv": "res2a_branch2a", "conv2_block1_1_bn": "bn2a_branch2a",
        "conv2_block1_2_conv": "res2a_branch2b", "conv2_block1_2_bn": "bn2a_branch2b",
        "conv2_block1_0_conv": "res2a_branch1", "conv2_block1_3_conv": "res2a_branch2c",
        "conv2_block1_0_bn": "bn2a_branch1", "conv2_block1_3_bn": "bn2a_branch2c",
        "conv2_block2_1_conv": "res2b_branch2a", "conv2_block2_1_bn": "bn2b_branch2a",
    }  # fmt: skip
    assert pairs["conv5_block1_0_conv"] == "res5a_branch1"
    assert pairs["conv4_block6_3_bn"] == "bn4f_branch2c"


def test_the_old_densenet_121_loads(tmp_path):
    """Until TensorFlow 2.15 its stem was ``conv1/conv`` and ``conv1/bn``."""
    layers = [(name.replace("conv1_", "conv1/", 1) if name.startswith("conv1_") else name, tensors)
              for name, tensors in layers_of("densenet121")]  # fmt: skip
    assert ("conv1/conv", dict(layers_of("densenet121"))["conv1_conv"]) in layers
    plan, pairs = planned(tmp_path / "w.h5", layers, "densenet121")
    assert plan.complete
    assert pairs["conv1_bn"] == "conv1/bn"


@pytest.mark.parametrize("by_name", [False, True])
def test_inception_built_second_in_its_process_loads(tmp_path, by_name):
    """Its layers are named by counting, here from 94 on; the order in which they stand is not that of the numbers."""
    layers = [
        (f"{stem}_{94 + int(number or 0)}", tensors)
        for name, tensors in layers_of("inceptionv3")
        for stem, number in [re.fullmatch(r"(.+?)(?:_(\d+))?", name).groups()]
    ]
    plan, pairs = planned(tmp_path / "w.h5", layers, "inceptionv3", by_name=by_name)
    assert plan.complete
    assert pairs["conv2d"] == "conv2d_94"
    assert all(pairs[f"conv2d_{number}"] == f"conv2d_{94 + number}" for number in range(1, 94))


@pytest.mark.parametrize(
    ("file", "into"),
    one_in(2, [("vgg19", "vgg16"), ("resnet101", "resnet50"), ("efficientnetb0", "efficientnetlite0"),
               ("efficientnetb1", "efficientnetb0"), ("efficientnetv2b1", "efficientnetv2b0"),
               ("resnet152v2", "resnet101v2")]),
)  # fmt: skip
def test_a_larger_relative_is_not_taken_for_a_smaller_one(tmp_path, file, into):
    """All names of the smaller are in the larger, with the same shapes; what it computed with them is another thing."""
    plan, _ = planned(tmp_path / "w.h5", layers_of(file), into)
    assert not plan.complete


# -- all or nothing ----------------------------------------------------------------------------------------------------


def damage_shape(file):
    del file["predictions/predictions/bias:0"]
    file["predictions/predictions/bias:0"] = np.zeros(4, "float32")


def damage_missing(file):
    del file["predictions/predictions/bias:0"]


def damage_packed(file):
    """Whole to every look at its structure; what is packed inside is not."""
    del file["predictions/predictions/kernel:0"]
    file.create_dataset("predictions/predictions/kernel:0", (6, 3), "f4", chunks=(3, 3), compression="gzip")
    chunks = file["predictions/predictions/kernel:0"].id
    chunks.write_direct_chunk((0, 0), b"no such stream")
    chunks.write_direct_chunk((3, 0), b"no such stream")


@pytest.mark.parametrize("damage", [damage_shape, damage_missing, damage_packed])
def test_a_load_that_fails_leaves_every_array_as_it_was(tmp_path, damage):
    path = write_keras2(tmp_path / "w.h5", SMALL)
    with h5py.File(path, "r+") as file:
        damage(file)
    model = keras_model(SMALL)
    before = list(values(model))
    with pytest.raises(WeightsError, match=r"w\.h5"):
        load(path, model)
    assert list(values(model)) == before


# -- layers made of parts ----------------------------------------------------------------------------------------------


def attention():
    inputs = keras.Input((5, 4))
    return keras.Model(inputs, keras.layers.MultiHeadAttention(2, 4, name="attend")(inputs, inputs))


def of(*layers, shape=(5, 4)):
    return lambda: keras.Sequential([keras.Input(shape), *(layer() for layer in layers)])


PARTS = {
    "attention": attention,
    "bidirectional": of(lambda: keras.layers.Bidirectional(keras.layers.GRU(3))),
    "time distributed": of(lambda: keras.layers.TimeDistributed(keras.layers.Dense(4))),
    "separable": of(lambda: keras.layers.SeparableConv2D(4, 3), shape=(6, 6, 4)),
    "normalisations": of(keras.layers.LayerNormalization, keras.layers.BatchNormalization, keras.layers.PReLU),
}


@pytest.mark.parametrize("ending", ["weights.h5", "h5", "keras"])
@pytest.mark.parametrize("kind", PARTS)
def test_layers_made_of_parts_load_from_what_keras_itself_writes(tmp_path, kind, ending):
    saved, model = PARTS[kind](), PARTS[kind]()
    random = np.random.default_rng(0)
    saved.set_weights([random.uniform(0.2, 1, weight.shape) for weight in saved.get_weights()])
    path = tmp_path / f"m.{ending}"
    saved.save_weights(path) if ending == "weights.h5" else saved.save(path)
    load(path, model)
    assert list(values(model)) == list(values(saved))
