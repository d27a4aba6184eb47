"""`tlkit find-lr`, and the rates that finetune finds by itself."""

import json
import math

import numpy as np
import pytest
from helpers.interrupting import interrupted_in_phase_2
from PIL import Image
from sklearn.datasets import load_digits

pytestmark = pytest.mark.usefixtures("toy")

TOY = ("--arch", "toy", "--batch-size", 8, "--epochs", 2)


@pytest.mark.every
def test_a_rate_for_phase_2_with_its_curve_and_plot(textures, tlkit, tmp_path):
    ran = tlkit("find-lr", textures, *TOY, "--plot", tmp_path / "rates.png", "--format", "json")
    assert ran.code == 0, ran.err
    found = ran.json
    assert found["phase"] == "finetune"
    assert len(found["rates"]) == len(found["losses"]) > 20
    assert found["rates"] == sorted(found["rates"])
    assert 1e-6 < found["suggested"] < 10
    assert all(map(math.isfinite, found["losses"][:-1]))
    assert Image.open(tmp_path / "rates.png").width > 300
    assert not (tmp_path / "runs").exists()
    text = tlkit("find-lr", textures, *TOY)
    assert text.out == f"--finetune-lr {found['suggested']:g}\n"


@pytest.mark.every
def test_a_rate_for_the_head(textures, tlkit):
    found = tlkit("find-lr", textures, *TOY, "--phase", "head", "--optimizer", "adam", "--format", "json").json
    assert found["phase"] == "head"
    without = tlkit("find-lr", textures, *TOY, "--finetune-epochs", 0, "--optimizer", "adam")
    assert without.out == f"--lr {found['suggested']:g}\n"


@pytest.mark.every
def test_finetune_trains_with_the_rates_that_it_finds(textures, tlkit, tmp_path):
    head = tlkit("find-lr", textures, *TOY, "--phase", "head", "--format", "json").json["suggested"]
    auto = ("--lr", "auto", "--finetune-lr", "auto", "--finetune-epochs", 1)
    ran = tlkit("finetune", textures, *TOY, *auto, "-o", tmp_path / "run", "--format", "json")
    assert ran.code == 0, ran.err
    rates = [phase["learning_rate"] for phase in ran.json["phases"]]
    assert rates[0] == head
    assert 1e-6 < rates[1] < 10
    arguments = json.loads((tmp_path / "run" / "run.json").read_text())["arguments"]
    assert (arguments["lr"], arguments["finetune_lr"]) == ("auto", "auto")
    given = ("--lr", rates[0], "--finetune-lr", rates[1], "--finetune-epochs", 1)
    same = tlkit("finetune", textures, *TOY, *given, "-o", tmp_path / "given", "--format", "json")
    assert same.json["validation"] == ran.json["validation"]  # the test left no trace


@pytest.mark.every
def test_an_interrupted_run_goes_on_with_the_rate_that_it_found(textures, tlkit, tmp_path, monkeypatch):
    options = (*TOY, "--finetune-lr", "auto", "--finetune-epochs", 2)
    whole = tlkit("finetune", textures, *options, "-o", tmp_path / "whole", "--format", "json").json

    with interrupted_in_phase_2(monkeypatch):
        assert tlkit("finetune", textures, *options, "-o", tmp_path / "run").code == 130
    resumed = tlkit("finetune", "--resume", tmp_path / "run", "--format", "json").json
    assert resumed["phases"][1]["learning_rate"] == whole["phases"][1]["learning_rate"]
    assert resumed["validation"] == whole["validation"]


def test_classes_that_cannot_be_told_apart_are_refused_with_the_reason(tlkit, tmp_path):
    for split in ("train", "validation"):
        for name in "ab":
            folder = tmp_path / "same" / split / name
            folder.mkdir(parents=True)
            for number in range(4):
                pixels = np.full((32, 32, 3), 120 + 10 * (split == "train") + number, np.uint8)
                pixels[0, 0] = ord(name) + number
                Image.fromarray(pixels).save(folder / f"{number}.png")
    ran = tlkit("find-lr", tmp_path / "same", *TOY, "--head", "linear", "--unfreeze", 0, "--momentum", 0,
                "--clip-norm", 1e-9)  # fmt: skip
    assert ran.code == 1
    assert "--finetune-lr auto: the loss stays about" in ran.err
    assert "Give --finetune-lr a number" in ran.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--phase", "head", "--head", "linear"), "has no learning rate"),
        (("--phase", "finetune", "--finetune-epochs", 0), "--finetune-epochs is 0"),
        (("--plot", "rates.txt"), "format of the plot"),
        (("--finetune-lr", "automatic"), "expected auto or a number above 0"),
    ],
)
def test_what_cannot_be_is_refused(textures, tlkit, options, says):
    ran = tlkit("find-lr", textures, "--arch", "toy", *options)
    assert ran.code in (1, 2)
    assert says in ran.err


@pytest.mark.every
def test_options_that_it_does_not_use_are_named(textures, tlkit):
    ran = tlkit("find-lr", textures, *TOY, "--finetune-lr", 0.1, "--patience", 3)
    assert "--finetune-lr has no effect" in ran.err
    assert "--patience has no effect" in ran.err


@pytest.mark.every
def test_the_rate_of_few_images_does_not_collapse_a_head_that_fits_them(tlkit, tmp_path):
    digits = load_digits()
    for label in range(5):
        folder = tmp_path / "digits" / str(label)
        folder.mkdir(parents=True)
        for number in np.flatnonzero(digits.target == label)[:25]:
            pixels = (digits.images[number] * 15.9).astype(np.uint8)
            Image.fromarray(pixels).resize((64, 64)).save(folder / f"{number}.png")
    ran = tlkit("finetune", tmp_path / "digits", "--size", 96, "--finetune-lr", "auto", "-o", tmp_path / "run",
                "--format", "json")  # fmt: skip
    assert ran.code == 0, ran.err
    assert "collapsed" not in ran.err
    head, tuned = ran.json["phases"]
    assert tuned["val_accuracy"] >= head["val_accuracy"] - 0.1
