"""The table, against what is published and what Keras says of itself."""

import dataclasses
import importlib.util
import re
from pathlib import Path

import pytest

from tlkit.architectures.labels import published_labels
from tlkit.architectures.layer_tables import expected_layers, layers_of
from tlkit.architectures.preprocessor import preprocessor_for
from tlkit.architectures.registry.lookup import all_architectures, get_architecture, register
from tlkit.data.modality import MODALITIES
from tlkit.errors import ArchitectureError, UsageError

ROWS = all_architectures()
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)

# Totals with the ImageNet top, as published on the Keras Applications page and in keras-applications.
PUBLISHED_PARAMETERS = {
    "xception": 22_910_480, "vgg16": 138_357_544, "vgg19": 143_667_240, "resnet50": 25_636_712,
    "resnet101": 44_707_176, "resnet152": 60_419_944, "resnet50v2": 25_613_800, "resnet101v2": 44_675_560,
    "resnet152v2": 60_380_648, "inceptionv3": 23_851_784, "inceptionresnetv2": 55_873_736,
    "mobilenet": 4_253_864, "mobilenetv2": 3_538_984, "densenet121": 8_062_504, "densenet169": 14_307_880,
    "densenet201": 20_242_984, "nasnetmobile": 5_326_716, "nasnetlarge": 88_949_818, "resnext50": 25_097_128,
    "resnext101": 44_315_560,
}  # fmt: skip


def test_every_model_that_keras_ships_has_a_row():
    # Keras's own list, MODEL_LIST, of its applications and the length of their pooled features
    installed = Path(importlib.util.find_spec("keras").origin).parent
    source = (installed / "src" / "applications" / "applications_test.py").read_text()
    features = {title: int(length) for title, length in re.findall(r"\(\w+\.(\w+), (\d+), \w+\)", source)}
    assert len(features) == 40
    ours = {
        row.title: row.features
        for row in ROWS
        if row.with_top.is_hdf5 and row.modality == "image"  # Keras ships none for audio any more
    }
    gone = {"ResNeXt50": 2048, "ResNeXt101": 2048}  # of keras-applications, which Keras 3 followed
    assert ours == features | gone


@pytest.mark.parametrize("name", PUBLISHED_PARAMETERS)
def test_parameters_are_the_published_ones(name):
    assert get_architecture(name).parameters == PUBLISHED_PARAMETERS[name]


@each_row
def test_layers_add_up_to_the_row(row):
    with_top, base = layers_of(row, include_top=True), layers_of(row, include_top=False)
    assert sum(layer.parameters for layer in with_top) == row.parameters
    assert base[-1].shape[-1] == row.features
    assert base[0].shape == row.default_shape


@each_row
def test_blocks_are_layers_in_order_and_the_default_cut_is_one(row):
    names = [layer.name for layer in layers_of(row, include_top=False)]
    positions = [names.index(block) for block in row.blocks]
    assert positions == sorted(set(positions))
    assert positions[-1] == len(names) - 1
    assert row.freeze in row.blocks
    assert set(row.keras1_freeze.values()) <= set(row.blocks)


@each_row
def test_row_is_sound(row):
    assert row.name == row.title.lower()
    assert row.modality in MODALITIES
    assert preprocessor_for(row, row.input_size(None, include_top=True)).preprocessing == row.preprocessing
    outputs = next(layer for layer in reversed(layers_of(row, include_top=True)) if layer.part == "top").shape
    assert outputs == (len(published_labels(row.labels)),)
    assert row.min_size <= row.size
    if row.labels == "imagenet":
        assert row.top1 is not None
        assert 0.6 < row.top1 < 0.9
        assert row.top5 is None or row.top1 < row.top5 < 1
    for file in (row.weights_file(include_top=True), row.weights_file(include_top=False)):
        if not file.is_hdf5:
            assert file.digest.startswith("sha256:")
        else:
            assert file.url.startswith("https://")
            # Keras publishes none for these
            assert file.digest or row.name in ("mobilenet", "mobilenetv2", "musictaggercrnn")


def test_files_are_all_different():
    files = [file for row in ROWS for file in dict.fromkeys(row.weights_file(include_top=top) for top in (True, False))]
    published = [file for file in files if file.is_hdf5]
    assert len({file.name for file in published}) == len({file.url for file in published}) == len(published)


@pytest.mark.parametrize("typed", ["InceptionV3", "inception_v3", "Inception-V3", "inception v3"])
def test_names_are_read_as_people_type_them(typed):
    assert get_architecture(typed).name == "inceptionv3"


def test_a_wrong_name_gets_the_closest_right_ones():
    with pytest.raises(UsageError) as caught:
        get_architecture("resnet5")
    assert "'resnet5'" in caught.value.message
    assert "resnet50" in caught.value.hint


@each_row
def test_min_size_is_enforced(row):
    if row.fixed_shape is not None:
        with pytest.raises(ArchitectureError, match=r"--size 200x500 is for images; \w+ takes audio"):
            row.input_size((200, 500), include_top=False)
        return
    too_small = row.min_size - 1
    with pytest.raises(ArchitectureError, match=rf"at least {row.min_size}x{row.min_size}.* not {too_small}x500"):
        row.input_size((too_small, 500), include_top=False)
    assert row.input_size((row.min_size, 500), include_top=False) == (row.min_size, 500)


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
        assert all_architectures() == (*ROWS, toy)
        for include_top in (True, False):
            assert layers_of(toy, include_top=include_top) == layers_of(published, include_top=include_top)
            assert expected_layers(toy, include_top=include_top) == expected_layers(published, include_top=include_top)
        assert tlkit("archs", "toynet").code == 0
        with pytest.raises(ValueError, match="already"), register(toy):
            pass
    assert all_architectures() == ROWS
    with pytest.raises(UsageError):
        get_architecture("toynet")
    with pytest.raises(ValueError, match="toynet"), register(dataclasses.replace(published, name="Toy_Net")):
        pass
