"""Every file in configs/ runs, and its first line states what it is for."""

import json
from pathlib import Path

import pytest

from tlkit.cli.finetune import finetune
from tlkit.config import FinetuneConfig
from tlkit.config_file import read_options
from tlkit.utils.options import options_of

OPTIONS = [max(option.opts, key=len)[2:] for option in finetune.params if option.opts[0].startswith("-")]
ITEMS = {item.flag[2:]: item for item in options_of(FinetuneConfig)}
CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


SLOW = {"inceptionv3-2017.yaml", "thorough.yaml", "vgg16-block5-2016.yaml", "vgg16-bottleneck-2016.yaml"}


@pytest.mark.parametrize(
    "config",
    [pytest.param(path, id=path.name, marks=[pytest.mark.every] if path.name in SLOW else []) for path in CONFIGS],
)
def test_it_runs(config, textures, tlkit, toy, tmp_path):
    assert config.read_text().startswith("# ")
    # small and without downloads; everything else is the file's
    small = ["--size", 75, "--weights", "none"]
    options = read_options(config, OPTIONS)
    small += [] if {"arch", "unfreeze-blocks"} & {*options} else toy
    epochs = min(1, int(options.get("finetune-epochs", 1)))
    small += ["--epochs", 1, "--finetune-epochs", epochs]
    small += ["--augment-copies", 2] if "augment-copies" in options else []
    ran = tlkit("finetune", textures, "--config", config, *small, "-o", tmp_path / "run", "--format", "json")
    assert ran.code == 0, ran.err
    arguments = json.loads((tmp_path / "run" / "run.json").read_text())["arguments"]
    for name, value in options.items():
        if f"--{name}" not in small:
            assert arguments[name.replace("-", "_")] == ITEMS[name].parse(value)
    if config.name == "inceptionv3-2017.yaml":
        assert ran.json["freeze"]["layers"] == 249
    assert [phase["name"] for phase in ran.json["phases"]] == ["head", "finetune"][: 1 + epochs]
