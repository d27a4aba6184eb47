import pytest

from tlkit.architectures.layer_tables import layers_of
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.errors import UsageError
from tlkit.training.freeze import affordable_freeze_point, resolve_freeze_point, resolve_stages

INCEPTION = get_architecture("inceptionv3")
LAYERS = [layer.name for layer in layers_of(INCEPTION, include_top=False)]


def cut(**asked):
    return resolve_freeze_point(INCEPTION, LAYERS, **asked)


def test_172_is_obeyed_and_explained():
    freeze_point = cut(freeze="172")
    assert (freeze_point.frozen, freeze_point.total, freeze_point.last_frozen_layer) == (172, 311, LAYERS[171])
    where, meant = freeze_point.notes
    assert "inside mixed6" in where
    assert "after mixed5 (layer 165)" in where
    assert "5 blocks of 11 train, the first in part" in where
    assert "Keras 1, where 172 was mixed8" in meant
    assert "today mixed8 ends at layer 249" in meant
    assert "--freeze mixed8" in meant


def test_what_172_meant_is_a_name_today():
    assert cut(freeze="mixed8").frozen == 249
    assert cut(freeze="mixed8").notes == ()
    assert cut().frozen == 249  # and the default
    assert cut(freeze="249").notes == ()


@pytest.mark.parametrize(("asked", "frozen"), [("0", 0), ("311", 311), ("mixed10", 311), ("conv2d", 2)])
def test_numbers_and_layers(asked, frozen):
    assert cut(freeze=asked).frozen == frozen


def test_unfreeze_counts_from_the_end():
    assert cut(unfreeze=62).frozen == 249
    assert cut(unfreeze=0).frozen == 311
    assert cut(unfreeze=311).last_frozen_layer is None


def test_blocks_count_from_the_end_too():
    assert cut(unfreeze_blocks=2) == cut(freeze="mixed8")
    assert cut(unfreeze_blocks=0).frozen == 311
    assert cut(unfreeze_blocks=11).last_frozen_layer is None


def test_stages_go_down():
    stages = resolve_stages(INCEPTION, LAYERS, ["mixed9", "mixed8", "200"])
    assert [stage.frozen for stage in stages] == [280, 249, 200]
    for wrong in (["mixed8", "mixed9"], ["mixed8", "249"]):
        with pytest.raises(UsageError, match="trains no more than"):
            resolve_stages(INCEPTION, LAYERS, wrong)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"freeze": "312"}, "312 is out of range: the base of inceptionv3 has 311"),
        ({"freeze": "-1"}, "out of range"),
        ({"unfreeze": 312}, "out of range"),
        ({"freeze": "mixed11"}, "no layer 'mixed11'"),
        ({"freeze": "3", "unfreeze": 3}, "--freeze and --unfreeze contradict each other"),
        ({"unfreeze": 3, "unfreeze_blocks": 3}, "--unfreeze and --unfreeze-blocks"),
        ({"unfreeze_blocks": 12}, "12 is out of range: inceptionv3 has 11 blocks"),
    ],
)
def test_what_is_no_cut_is_refused(asked, says):
    with pytest.raises(UsageError, match=says) as caught:
        cut(**asked)
    if asked.get("freeze") == "mixed11":
        assert "mixed10" in caught.value.hint


def test_the_description_says_what_trains():
    assert cut(freeze="mixed8").description == "layers 1-249 of 311 are frozen (through mixed8)"
    assert cut(freeze="0").description == "all 311 layers of the base train"
    assert cut(unfreeze=0).description == "all 311 layers of the base are frozen"


@pytest.mark.parametrize(
    ("name", "multiplications"),
    [("efficientnetlite0", 0.384e9), ("vgg16", 15.35e9), ("resnet50", 3.86e9), ("mobilenetv2", 0.300e9)],
)
def test_multiplications_are_those_that_were_published(name, multiplications):
    layers = layers_of(get_architecture(name), include_top=False)
    assert sum(layer.multiplications for layer in layers) == pytest.approx(multiplications, rel=0.02)


def affordable(name, images, epochs=15, scale=1.0):
    architecture = get_architecture(name)
    layers = layers_of(architecture, include_top=False)
    return affordable_freeze_point(architecture, layers, images=images, epochs=epochs, scale=scale)


def test_few_images_train_the_whole_base_and_many_what_is_usual():
    few = affordable("efficientnetlite0", 200)
    assert (few.frozen, few.last_frozen_layer) == (0, None)
    assert few.notes == ("--freeze auto: with 200 training images and 15 epochs, the whole base trains.",)
    many = affordable("efficientnetlite0", 1_000_000)
    assert many.last_frozen_layer == get_architecture("efficientnetlite0").freeze
    assert "what is above block5c_add trains" in many.notes[0]


def test_more_images_epochs_or_pixels_cut_further_up():
    cuts = [affordable("inceptionv3", images).frozen for images in (20, 100, 200, 400, 1000, 100_000)]
    assert cuts == sorted(cuts)
    assert len(set(cuts)) >= 4
    assert affordable("inceptionv3", 200, epochs=1).frozen < affordable("inceptionv3", 200).frozen
    assert affordable("inceptionv3", 200, scale=0.1).frozen < affordable("inceptionv3", 200).frozen
