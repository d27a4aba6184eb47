import pytest

from tlkit.architectures.layer_tables import layers_of
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.errors import UsageError
from tlkit.training.freeze import resolve_freeze_point, resolve_stages

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
