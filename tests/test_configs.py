"""Every file in configs/ is one that finetune takes, and says in its first line what it is for."""

import json
from pathlib import Path

import pytest

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.name)
def test_it_runs(config, textures, tlkit, tmp_path):
    assert config.read_text().startswith("# ")
    # small and without downloads; everything else is the file's
    small = ("--size", 75, "--weights", "none", "--epochs", 1)
    ran = tlkit("finetune", textures, "--config", config, *small, "-o", tmp_path / "run", "--format", "json")
    assert ran.code == 0, ran.err
    arguments = json.loads((tmp_path / "run" / "run.json").read_text())["arguments"]
    if config.name == "inceptionv3-2017.yaml":
        assert arguments["architecture"] == "inceptionv3"
        assert ran.json["freeze"]["layers"] == 249
