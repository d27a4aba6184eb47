"""The registry, against what is published and what Keras ships."""

import ast
import dataclasses
from pathlib import Path

import pytest

from tlkit.architectures.labels import published_labels
from tlkit.architectures.layer_tables import expected_layers, layers_of
from tlkit.architectures.preprocessor import preprocessor_for
from tlkit.architectures.registry.lookup import all_architectures, get_architecture, register
from tlkit.backend import keras
from tlkit.data.modality import MODALITIES
from tlkit.errors import ArchitectureError, UsageError

ARCHITECTURES = all_architectures()
each = pytest.mark.parametrize("entry", ARCHITECTURES, ids=lambda entry: entry.name)

# Totals with the ImageNet top, as published on the Keras Applications page and in keras-applications.
PUBLISHED_PARAMETERS = {
    "xception": 22_910_480, "vgg16": 138_357_544, "vgg19": 143_667_240, "resnet50": 25_636_712,
    "resnet101": 44_707_176, "resnet152": 60_419_944, "resnet50v2": 25_613_800, "resnet101v2": 44_675_560,
    "resnet152v2": 60_380_648, "inceptionv3": 23_851_784, "inceptionresnetv2": 55_873_736,
    "mobilenet": 4_253_864, "mobilenetv2": 3_538_984, "densenet121": 8_062_504, "densenet169": 14_307_880,
    "densenet201": 20_242_984, "nasnetmobile": 5_326_716, "nasnetlarge": 88_949_818, "resnext50": 25_097_128,
    "resnext101": 44_315_560,
}  # fmt: skip


# Published by keras-applications, and not shipped by Keras 3.
RETIRED = {"ResNeXt50": 2048, "ResNeXt101": 2048}


def test_every_network_of_keras_applications_is_registered():
    shipped = {name for name in dir(keras.applications) if name[0].isupper()}
    source = Path(keras.__file__).parent / "src" / "applications" / "applications_test.py"
    tree = ast.parse(source.read_text("utf-8"))
    (listed,) = (
        node.value.elts for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "MODEL_LIST"
    )
    features = {model.elts[0].attr: model.elts[1].value for model in listed}
    assert {*features} == shipped
    registered = {
        entry.title: entry.features
        for entry in ARCHITECTURES
        if entry.modality == "image" and "Lite" not in entry.title
    }
    assert registered == features | RETIRED


@pytest.mark.parametrize("name", PUBLISHED_PARAMETERS)
def test_parameters_are_the_published_ones(name):
    assert get_architecture(name).parameters == PUBLISHED_PARAMETERS[name]


@each
def test_layers_add_up_to_the_entry(entry):
    with_top, base = layers_of(entry, include_top=True), layers_of(entry, include_top=False)
    assert sum(layer.parameters for layer in with_top) == entry.parameters
    assert base[-1].shape[-1] == entry.features
    assert base[0].shape == entry.default_shape


@each
def test_blocks_are_layers_in_order_and_the_default_freeze_point_is_one(entry):
    names = [layer.name for layer in layers_of(entry, include_top=False)]
    positions = [names.index(block) for block in entry.blocks]
    assert positions == sorted(set(positions))
    assert positions[-1] == len(names) - 1
    assert entry.freeze in entry.blocks
    assert set(entry.keras1_freeze.values()) <= set(entry.blocks)


@each
def test_entry_is_sound(entry):
    assert entry.name == entry.title.lower()
    assert entry.modality in MODALITIES
    assert preprocessor_for(entry, entry.input_size(None, include_top=True)).preprocessing == entry.preprocessing
    outputs = next(layer for layer in reversed(layers_of(entry, include_top=True)) if layer.part == "top").shape
    assert outputs == (len(published_labels(entry.labels)),)
    assert entry.min_size <= entry.size
    if entry.labels == "imagenet":
        assert entry.top1 is not None
        assert 0.6 < entry.top1 < 0.9
        assert entry.top5 is None or entry.top1 < entry.top5 < 1
    for file in (entry.weights_file(include_top=True), entry.weights_file(include_top=False)):
        if not file.is_hdf5:
            assert file.digest.startswith("sha256:")
        else:
            assert file.url.startswith("https://")
            # Keras publishes none for these
            assert file.digest or entry.name in ("mobilenet", "mobilenetv2", "musictaggercrnn")


def test_files_are_all_different():
    files = [
        file
        for entry in ARCHITECTURES
        for file in dict.fromkeys(entry.weights_file(include_top=top) for top in (True, False))
    ]
    published = [file for file in files if file.is_hdf5]
    assert len({file.name for file in published}) == len({file.url for file in published}) == len(published)


@pytest.mark.parametrize("typed", ["InceptionV3", "inception_v3", "Inception-V3", "inception v3"])
def test_names_are_found_however_they_are_typed(typed):
    assert get_architecture(typed).name == "inceptionv3"


def test_a_wrong_name_gets_the_closest_right_ones():
    with pytest.raises(UsageError) as caught:
        get_architecture("resnet5")
    assert "'resnet5'" in caught.value.message
    assert "resnet50" in caught.value.hint


@each
def test_min_size_is_enforced(entry):
    if entry.fixed_shape is not None:
        with pytest.raises(ArchitectureError, match=r"--size 200x500 is for images; \w+ takes audio"):
            entry.input_size((200, 500), include_top=False)
        return
    too_small = entry.min_size - 1
    with pytest.raises(ArchitectureError, match=rf"at least {entry.min_size}x{entry.min_size}.* not {too_small}x500"):
        entry.input_size((too_small, 500), include_top=False)
    assert entry.input_size((entry.min_size, 500), include_top=False) == (entry.min_size, 500)


def test_a_flattened_classifier_takes_its_own_size_only():
    with pytest.raises(ArchitectureError, match="takes 224x224 pixels only, not 150x150"):
        get_architecture("vgg16").input_size((150, 150), include_top=True)
    assert get_architecture("vgg16").input_size((150, 150), include_top=False) == (150, 150)
    assert get_architecture("inceptionv3").input_size((224, 224), include_top=True) == (224, 224)


def test_a_registered_architecture_is_found_and_described_until_the_block_ends(tlkit):
    published = get_architecture("efficientnetlite0")
    assert layers_of(published, include_top=True) is layers_of(published, include_top=True)  # read once
    with register(dataclasses.replace(published, name="toynet")) as toy:
        assert get_architecture("Toy-Net") is toy
        assert all_architectures() == (*ARCHITECTURES, toy)
        for include_top in (True, False):
            assert layers_of(toy, include_top=include_top) == layers_of(published, include_top=include_top)
            assert expected_layers(toy, include_top=include_top) == expected_layers(published, include_top=include_top)
        assert tlkit("archs", "toynet").code == 0
        with pytest.raises(ValueError, match="already"), register(toy):
            pass
    assert all_architectures() == ARCHITECTURES
    with pytest.raises(UsageError):
        get_architecture("toynet")
    with pytest.raises(ValueError, match="toynet"), register(dataclasses.replace(published, name="Toy_Net")):
        pass
