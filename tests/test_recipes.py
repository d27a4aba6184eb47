"""Every recipe of tlkit, and the example in configs/, runs; its first line states what it is for."""

import json
import typing
from pathlib import Path

import pytest

from tlkit.config import FinetuneConfig, Recipe
from tlkit.config_file import read_options
from tlkit.utils.options import options_of

ROOT = Path(__file__).parents[1]
RECIPES = typing.get_args(Recipe)
ITEMS = {item.flag[2:]: item for item in options_of(FinetuneConfig)}
SLOW = {"2016", "2017", "classic", "strong"}


def file_of(recipe):
    return ROOT / "tlkit" / "recipes" / f"{recipe}.yaml"


def options_in(path):
    return {
        ITEMS[name].name: ITEMS[name].check(ITEMS[name].parse(text)) for name, text in read_options(path, ITEMS).items()
    }


def test_each_recipe_is_a_file_and_each_file_a_recipe():
    assert {path.stem for path in (ROOT / "tlkit" / "recipes").iterdir()} == {*RECIPES}
    for recipe in RECIPES:
        assert file_of(recipe).read_text("utf-8").startswith("# ")


@pytest.mark.parametrize(
    "recipe", [pytest.param(name, marks=[pytest.mark.every] if name in SLOW else []) for name in RECIPES]
)
def test_it_runs_with_the_options_of_its_file(recipe, textures, tlkit, toy, tmp_path):
    own = options_in(file_of(recipe))
    # small and without downloads; everything else is the recipe's
    small = ["--weights", "none", "--size", 75]
    phases = ["head", *(["finetune"] if own.get("finetune_epochs", 1) else [])]
    epochs = 1 + int(own.get("warmup_epochs", 0))  # more than it warms up for
    small += ["--finetune-epochs", epochs] if len(phases) == 2 else []
    small += ["--epochs", 1] if own.get("head") != "linear" else []  # L-BFGS has none
    small += [] if "arch" in own else toy
    ran = tlkit("finetune", textures, "--recipe", recipe, *small, "-o", tmp_path / "run", "--format", "json")
    assert ran.code == 0, ran.err
    assert "has no effect" not in ran.err
    assert ran.json["recipe"] == recipe
    assert [phase["name"] for phase in ran.json["phases"]] == phases
    arguments = json.loads((tmp_path / "run" / "run.json").read_text())["arguments"]
    assert arguments["recipe"] == recipe
    for name, value in own.items():
        if value != "auto" and f"--{name.replace('_', '-')}" not in small:
            assert arguments[name] == value
    if recipe == "2017":
        assert ran.json["freeze"]["through"] == "mixed8"
    if recipe == "2016":
        assert ran.json["freeze"]["through"] == "block4_pool"
    assert recipe in (tmp_path / "run" / "report.html").read_text("utf-8")


def test_any_option_wins_over_a_recipe():
    config = FinetuneConfig.of({"data": "data", "recipe": 2016, "arch": "resnet50", "epochs": 7, "keep": "best"})
    assert (config.recipe, config.arch, config.epochs, config.keep) == ("2016", "resnet50", 7, "best")
    assert config.finetune_epochs == 50
    assert config.words() == ["data", "--recipe", "2016", "--arch", "resnet50", "--epochs", "7", "--keep", "best"]


def test_the_default_of_an_option_wins_too_and_stands_in_the_command():
    """What was asked for must be asked for again, though it is what tlkit would do without a recipe."""
    config = FinetuneConfig.of({"data": "data", "recipe": "fast", "finetune_epochs": 5})
    assert config.words() == ["data", "--recipe", "fast", "--finetune-epochs", "5"]


def test_a_recipe_in_a_file_is_started_from(textures, tlkit, toy, tmp_path):
    (tmp_path / "c.yaml").write_text("recipe: fast\nclass-weight: auto\n")
    ran = tlkit("finetune", textures, "--config", tmp_path / "c.yaml", *toy, "-o", tmp_path / "run", "--format", "json")
    assert ran.json["recipe"] == "fast"
    assert [phase["name"] for phase in ran.json["phases"]] == ["head"]


@pytest.mark.every
def test_the_example_of_ones_own_runs(textures, tlkit, tmp_path):
    small = (
        "--size",
        75,
        "--weights",
        "none",
        "--epochs",
        1,
        "--finetune-epochs",
        1,
        "--arch",
        "mobilenet",
        "--alpha",
        0.25,
    )
    config = ROOT / "configs" / "own-recipe.yaml"
    ran = tlkit("finetune", textures, "--config", config, *small, "-o", tmp_path / "run", "--format", "json")
    assert ran.code == 0, ran.err
    arguments = json.loads((tmp_path / "run" / "run.json").read_text())["arguments"]
    assert (arguments["head_units"], arguments["class_weight"], arguments["patience"]) == (256, "auto", 4)


def test_a_recipe_that_there_is_not(textures, tlkit):
    ran = tlkit("finetune", textures, "--recipe", "strng")
    assert ran.code == 2
    assert "Did you mean strong?" in ran.err


def test_a_freeze_point_replaces_that_of_a_recipe(monkeypatch):
    monkeypatch.setattr("tlkit.config.read_options", lambda path, known: {"unfreeze-blocks": "9", "epochs": "2"})
    config = FinetuneConfig.of({"data": "data", "recipe": "strong", "freeze": "mixed8"})
    assert (config.freeze, config.unfreeze_blocks, config.epochs) == ("mixed8", None, 2)
