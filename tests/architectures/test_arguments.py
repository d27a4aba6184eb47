"""Arguments of the constructors: widths of MobileNets, number of classes, input size, layout."""

import json

import numpy as np
import pytest
from helpers.statistics import draw_statistics

from tlkit.architectures.build import build
from tlkit.architectures.layer_tables import describe, layers_of
from tlkit.architectures.registry.lookup import all_architectures, get_architecture
from tlkit.backend import keras, keras_scope
from tlkit.config import BuildOptions
from tlkit.data.images.normalization import preprocess
from tlkit.data.images.preprocessor import ImagePreprocessor
from tlkit.errors import ArchitectureError, UsageError, WeightsError
from tlkit.inference.base import run
from tlkit.inference.lazy_model import LazyModel
from tlkit.inference.select import open_engine

FIRST = BuildOptions(data_format="channels_first")


def pixels_of(size):
    return np.random.default_rng(1).integers(0, 256, (2, size, size, 3), dtype=np.uint8)


def in_layout(entry, model_of, size, engine):
    """Return the outputs of a network for fixed pixels; feature maps as channels last."""
    preprocessor = ImagePreprocessor(
        (size, size), entry.preprocessing, data_format="channels_first" if entry.is_channels_first else "channels_last"
    )
    (maps,) = run(open_engine(LazyModel(model_of, preprocessor), engine=engine), pixels_of(size))
    return np.moveaxis(maps, 1, -1) if entry.is_channels_first else maps


def both_layouts(name, size, *, layer=None, engine="keras"):
    """The outputs of one network with the same weights in both layouts."""
    rows = get_architecture(name), get_architecture(name, FIRST)
    last, first = (build(entry, include_top=False, size=(size, size)) for entry in rows)
    draw_statistics(last, preprocess(pixels_of(size), rows[0].preprocessing))
    first.set_weights(last.get_weights())
    ends = [keras.Model(model.input, model.get_layer(layer).output) if layer else model for model in (last, first)]
    return [in_layout(entry, lambda end=end: end, size, engine) for entry, end in zip(rows, ends, strict=True)]


def assert_alike(one, other):
    assert np.abs(one - other).max() <= 1e-4 * max(1.0, np.abs(one).max())


# EfficientNetB0 starts with constants a channel. VGG16 at 64: as wide as it has channels, where Keras goes wrong.
@pytest.mark.every
@pytest.mark.parametrize(
    ("name", "size", "layer", "engine"),
    [
        ("efficientnetlite0", 64, "block2b_add", "openvino"),
        pytest.param("efficientnetb0", 64, "block1a_bn", "openvino", marks=pytest.mark.every),
        ("vgg16", 64, "block2_pool", "keras"),
        ("vgg16", 64, "block2_pool", "openvino"),
        ("mobilenet", 64, "conv_pw_3_relu", "keras"),
    ],
)
def test_both_layouts_give_the_same(name, size, layer, engine):
    assert_alike(*both_layouts(name, size, layer=layer, engine=engine))


@pytest.mark.every
@pytest.mark.parametrize("engine", ["keras", "openvino"])
@pytest.mark.parametrize(
    "entry", [entry for entry in all_architectures() if entry.channels_first], ids=lambda entry: entry.name
)
def test_every_architecture_gives_the_same_in_both_layouts(entry, engine):
    assert_alike(*both_layouts(entry.name, max(entry.min_size, 64), engine=engine))


def test_a_bias_goes_along_the_channels_where_a_map_is_as_wide_as_it_has_channels():
    layer = keras.layers.Conv2D(4, 1, data_format="channels_first", bias_initializer="ones")
    layer.build((None, 3, 2, 4))
    layer.bias.assign([0, 1, 2, 3])
    with keras_scope():
        maps = np.asarray(layer(np.zeros((1, 3, 2, 4), np.float32)))
    np.testing.assert_array_equal(maps[0, :, 0, 0], [0, 1, 2, 3])
    np.testing.assert_array_equal(maps[0, 2], np.full((2, 4), 2))


@pytest.mark.every
def test_features_are_stored_in_the_layout(tlkit, cat, tmp_path):
    for layout in ("channels_last", "channels_first"):
        options = ("--pooling", "none", "--size", "64", "--layer", "block2b_add", "--data-format", layout)
        assert tlkit("extract", cat, *options, "-o", tmp_path / f"{layout}.npy").code == 0
    last, first = (np.load(tmp_path / f"{layout}.npy") for layout in ("channels_last", "channels_first"))
    assert (last.shape, first.shape) == ((1, 16, 16, 24), (1, 24, 16, 16))
    assert_alike(last, np.moveaxis(first, 1, -1))
    pooled = (*options, "--pooling", "max", "-o", tmp_path / "pooled.npy")
    assert tlkit("extract", cat, *pooled).code == 0
    np.testing.assert_allclose(np.load(tmp_path / "pooled.npy"), first.max((2, 3)), rtol=1e-5)
    ran = tlkit("extract", cat, *options[:-2], "-o", tmp_path / "channels_first.npy")
    assert ran.code == 1
    assert "data_format channels_first" in ran.err


@pytest.mark.every
def test_a_run_trains_in_either_layout(tlkit, textures, tmp_path):
    probabilities = []
    for layout in ("channels_last", "channels_first"):
        run_folder = tmp_path / layout
        ran = tlkit(
            "finetune", textures, "--size", "64", "--head", "flatten", "--dropout", "0", "--freeze", "block7a_bn",
            "--lr", "1e-5", "--epochs", "1", "--finetune-epochs", "1", "--label-smoothing", "0.2", "--seed", "3",
            "--data-format", layout, "-o", run_folder, "--format", "json",
        )  # fmt: skip
        assert ran.code == 0, ran.err
        image = textures / "validation" / "grass" / "0.png"
        predictions = tlkit("predict", "--model", run_folder, image, "--format", "json").json[0]["predictions"]
        probabilities.append({score["name"]: score["probability"] for score in predictions})
        record = json.loads((run_folder / "run.json").read_text())
        assert record["data_format"] == layout
        assert ("--data-format channels_first" in record["command"]) == (layout == "channels_first")
    assert 0.01 < probabilities[0]["grass"] < 0.9999
    assert probabilities[0] == pytest.approx(probabilities[1], abs=2e-3)


@pytest.mark.every
def test_a_run_of_channels_first_predicts_by_itself(tlkit, textures, tmp_path):
    ran = tlkit(
        "finetune", textures, "--size", "32", "--head", "flatten", "--freeze", "top_bn", "--epochs", "2",
        "--finetune-epochs", "1", "--data-format", "channels_first", "-o", tmp_path / "run", "--format", "json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    measured = tlkit("evaluate", tmp_path / "run", textures, "--format", "json").json
    assert measured["accuracy"] == ran.json["val_accuracy"]
    contradicted = tlkit("predict", "--model", tmp_path / "run", textures, "--data-format", "channels_last")
    assert contradicted.code == 2
    assert "--data-format" in contradicted.err


def test_keras_json_decides_the_layout(tlkit, cat, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text('{"image_data_format": "channels_first"}')
    options = ("--layer", "stem_activation", "--pooling", "none", "--size", "32")
    assert tlkit("extract", cat, *options, "-o", tmp_path / "a.npy").code == 0
    assert np.load(tmp_path / "a.npy").shape == (1, 32, 16, 16)
    assert tlkit("extract", cat, *options, "--data-format", "channels_last", "-o", tmp_path / "b.npy").code == 0
    assert np.load(tmp_path / "b.npy").shape == (1, 16, 16, 32)
    ran = tlkit("predict", cat, "--arch", "densenet121", "--weights", "none")
    assert ran.code == 2
    assert "keras.json" in ran.err
    assert "--data-format channels_last" in ran.err
    assert tlkit("archs", "densenet121").code == 0
    assert get_architecture("musictaggercrnn", BuildOptions()).options.data_format is None


@pytest.mark.parametrize(
    "content",
    [
        '{"image_data_format": "sideways"}', '{"image_data_format": ["channels_last"]}', "{broken", "[]", "null", "3",
        '{"floatx": "float99"}', '{"epsilon": 1}', "[" * 10_000,
    ],
)  # fmt: skip
def test_a_keras_json_that_makes_no_sense_is_named(tmp_path, monkeypatch, caplog, content):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text(content)
    assert get_architecture("vgg16", BuildOptions()).options.data_format is None
    assert str(tmp_path / "keras.json") in caplog.text


@pytest.mark.parametrize("name", ["densenet121", "nasnetmobile", "convnexttiny"])
def test_what_keras_cannot_build_channels_first_is_refused(name):
    with pytest.raises(ArchitectureError, match="channels_first"):
        get_architecture(name, FIRST)


@pytest.mark.parametrize(
    ("name", "options", "size", "top", "file"),
    [
        ("mobilenet", {}, None, True, "mobilenet_1_0_224_tf.h5"),
        ("mobilenet", {"alpha": 0.5}, (160, 160), False, "mobilenet_5_0_160_tf_no_top.h5"),
        ("mobilenet", {"alpha": 0.25}, (150, 150), False, "mobilenet_2_5_224_tf_no_top.h5"),
        ("mobilenet", {"alpha": 1.0}, (128, 160), True, "mobilenet_1_0_224_tf.h5"),
        ("mobilenetv2", {"alpha": 0.35}, (96, 96), True,
         "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96.h5"),
        ("mobilenetv2", {"alpha": 1.4}, (96, 96), False,
         "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.4_224_no_top.h5"),
        ("mobilenetv3large", {"alpha": 0.75}, None, True, "weights_mobilenet_v3_large_224_0.75_float.h5"),
    ],
)  # fmt: skip
def test_weights_are_those_of_the_width_and_the_size(name, options, size, top, file):
    entry = get_architecture(name, BuildOptions(**options))
    assert entry.weights_file(include_top=top, size=size).name == file


@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize("entry", all_architectures(), ids=lambda entry: entry.name)
def test_the_default_weights_are_those_of_the_default_variant(entry, top):
    expected = entry.with_top if top or entry.without_top is None else entry.without_top
    assert entry.weights_file(include_top=top).name == expected.name


WIDTHS = [(entry.name, alpha) for entry in all_architectures() for alpha in entry.alphas if alpha != 1]


@pytest.mark.parametrize(
    ("name", "alpha"),
    [pytest.param(*width, marks=[] if width == ("mobilenetv2", 1.3) else [pytest.mark.every]) for width in WIDTHS],
)
def test_keras_builds_what_the_layer_table_of_a_width_lists(name, alpha):
    entry = get_architecture(name, BuildOptions(alpha=alpha))
    for top in (True, False):
        built, expected = describe(build(entry, include_top=top)), layers_of(entry, include_top=top)
        assert {(layer.name, layer.kind, layer.shape, layer.weights) for layer in built} == {
            (layer.name, layer.kind, layer.shape, layer.weights) for layer in expected
        }


@pytest.mark.parametrize(("name", "alpha"), WIDTHS)
def test_blocks_are_the_same_at_every_width(name, alpha):
    entry = get_architecture(name, BuildOptions(alpha=alpha))
    assert {entry.freeze, *entry.blocks} <= {layer.name for layer in layers_of(entry, include_top=False)}


def test_widths_without_weights_say_which_have_some(tlkit, cat):
    ran = tlkit("predict", cat, "--arch", "mobilenet", "--alpha", "0.3")
    assert ran.code == 1
    assert "0.25, 0.5, 0.75, 1" in ran.err
    with pytest.raises(WeightsError, match="--depth-multiplier 2"):
        get_architecture("mobilenet", BuildOptions(depth_multiplier=2)).weights_file(include_top=True)
    with pytest.raises(UsageError, match="takes no --alpha"):
        get_architecture("vgg16", BuildOptions(alpha=0.5))
    with pytest.raises(UsageError, match="takes no --depth-multiplier"):
        get_architecture("mobilenetv2", BuildOptions(depth_multiplier=2))
    with pytest.raises(ArchitectureError, match=r"--alpha 0.001"):
        build(get_architecture("mobilenet", BuildOptions(alpha=0.001)), include_top=False)


@pytest.mark.every
def test_a_narrow_network_predicts_and_gives_features_with_its_own_weights(tlkit, cat, tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_WEIGHTS_MIRROR", str(tmp_path))
    entry = get_architecture("mobilenet", BuildOptions(alpha=0.25))
    model = build(entry, include_top=True, size=(128, 128))
    model.save_weights(tmp_path / "narrow.weights.h5")
    (tmp_path / "narrow.weights.h5").rename(tmp_path / "mobilenet_2_5_128_tf.h5")
    narrow = ("--arch", "mobilenet", "--alpha", "0.25", "--size", "128")
    assert tlkit("predict", cat, *narrow).code == 0
    random = (*narrow, "--weights", "none", "--depth-multiplier", "2")
    assert tlkit("extract", cat, *random, "-o", tmp_path / "a.npy").code == 0
    assert np.load(tmp_path / "a.npy").shape == (1, 256)
    provenance = json.loads((tmp_path / "a.npy.json").read_text())["provenance"]
    assert (provenance["alpha"], provenance["depth_multiplier"]) == (0.25, 2)
    wrong = tlkit("predict", cat, "--arch", "mobilenet", "--alpha", "0.5", "--weights", tmp_path / weights_name(entry))
    assert wrong.code == 1
    assert "does not load into" in wrong.err
    text = tlkit("inspect-h5", tmp_path / weights_name(entry), "--arch", "mobilenet", "--alpha", "0.25").out
    assert "--alpha 0.25" in text


def weights_name(entry):
    return entry.weights_file(include_top=True, size=(128, 128)).name


@pytest.mark.every
def test_the_number_of_classes_can_be_chosen_where_weights_leave_it_open(tlkit, cat, tmp_path):
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    three = ("--classes", "3", "--size", "32")
    ran = tlkit("predict", cat, *three, "--weights", "none", "--labels", tmp_path / "names.txt", "--format", "json")
    assert sorted(score["name"] for score in ran.json[0]["predictions"]) == ["a", "b", "c"]
    ran = tlkit("predict", cat, *three)
    assert ran.code == 1
    assert "1,000 classes" in ran.err
    ran = tlkit("extract", cat, *three, "--weights", "none", "-o", tmp_path / "below.npy")
    assert ran.code == 2
    assert "top_activation lies below it" in ran.err
    ran = tlkit("extract", cat, *three, "--weights", "none", "--layer", "predictions", "-o", tmp_path / "logits.npy")
    assert ran.code == 0
    assert np.load(tmp_path / "logits.npy").shape == (1, 3)


def test_a_dense_after_a_flatten_counts_channels_last_in_both_layouts():
    from tlkit.keras_files.loading.layer_spec import target_layers

    shapes = []
    for layout in ("channels_last", "channels_first"):
        inputs = keras.Input((2, 3, 4) if layout == "channels_last" else (4, 2, 3))
        outputs = keras.layers.Dense(1)(keras.layers.Flatten(data_format=layout)(inputs))
        shapes.append(target_layers(keras.Model(inputs, outputs))[0].spec.flattened)
    assert shapes == [(2, 3, 4), (2, 3, 4)]
