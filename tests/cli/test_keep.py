"""A run keeps the best model that it saw, in whatever phase."""

import shutil

import numpy as np
import pytest

from tlkit.backend import keras
from tlkit.training.history import Outcome, Phase

pytestmark = pytest.mark.usefixtures("toy")

HEAD = ("--arch", "toy", "--epochs", 6, "--batch-size", 8, "--format", "json")
RUIN = ("--finetune-epochs", 2, "--finetune-lr", 10.0, "--freeze", "block1_add")


def weights_of(run):
    return [weight.numpy() for weight in keras.saving.load_model(run / "model.keras").weights]


@pytest.mark.parametrize(
    "more",
    [
        pytest.param((), marks=pytest.mark.every),
        pytest.param(("--stages", "block2_concat,block1_add", "--finetune-lr", 100), marks=pytest.mark.every),
        pytest.param(
            ("--batchnorm", "train", "--finetune-optimizer", "rmsprop", "--finetune-lr", 1), marks=pytest.mark.every
        ),
    ],
    ids=str,
)
def test_what_fine_tuning_ruins_is_as_the_head_left_it(more, textures, tlkit, tmp_path):
    """Weights of every stage, and the statistics of BatchNormalization, are those before phase 2."""
    alone = tlkit("finetune", textures, *HEAD, "--finetune-epochs", 0, "-o", tmp_path / "alone").json
    options = RUIN[:4] if "--stages" in more else RUIN
    ran = tlkit("finetune", textures, *HEAD, *options, *more, "-o", tmp_path / "both")
    assert ran.json["kept"] == "head"
    assert ran.json["val_accuracy"] == alone["val_accuracy"]
    for one, other in zip(weights_of(tmp_path / "alone"), weights_of(tmp_path / "both"), strict=True):
        np.testing.assert_array_equal(one, other)
    page = (tmp_path / "both" / "report.html").read_text("utf-8")
    assert "Fine-tuning did not help: the head of phase 1 is kept" in page


@pytest.mark.every
def test_the_last_epoch_is_kept_where_that_is_asked_for(textures, tlkit, tmp_path):
    ran = tlkit("finetune", textures, *HEAD, *RUIN, "--keep", "last", "-o", tmp_path / "run")
    assert ran.json["kept"] == "finetune"
    assert ran.json["val_accuracy"] == pytest.approx(ran.json["phases"][-1]["val_accuracy"])


def phase(name, *accuracies, best=None):
    return Phase(name, [{"val_accuracy": value, "val_loss": 1.0, "seconds": 1.0} for value in accuracies], best)


@pytest.mark.parametrize(
    ("phases", "keeps_best", "kept", "line"),
    [
        (
            [phase("head", 0.5, 0.677), phase("finetune", 0.7, 0.752)], True, "finetune",
            "Fine-tuning: 0.677 → 0.752 at the best epochs.",
        ),
        (
            [phase("head", 0.7, 0.6), phase("finetune", 0.65, 0.1)], True, "head",
            "Fine-tuning did not help: the head of phase 1 is kept (0.700, and 0.650 at best after it).",
        ),
        ([phase("head", 0.7, 0.6), phase("finetune", 0.65, 0.1)], False, "finetune", "Fine-tuning: 0.600 → 0.100."),
        ([phase("head", 0.7)], True, "head", None),
        ([phase("finetune", 0.7)], True, "finetune", None),
        (
            [phase("head", 0.7), phase("finetune", 0.8), phase("finetune-2", 0.75)], True, "finetune",
            "Fine-tuning: 0.700 → 0.800 at the best epochs.",
        ),
    ],
)  # fmt: skip
def test_what_fine_tuning_changed_is_said_in_a_line(phases, keeps_best, kept, line):
    outcome = Outcome.of(phases, keeps_best=keeps_best)
    assert (outcome.kept, outcome.line) == (kept, line)


@pytest.mark.parametrize(("last", "warns"), [(0.1, True), (0.3, True), (0.5, False), (0.677, False)])
def test_a_collapse_is_warned_about(last, warns):
    warning = Outcome.of([phase("head", 0.677), phase("finetune", last)], keeps_best=True).collapse(0.1)
    assert (warning is not None) == warns
    if warns:
        assert f"fell from 0.677 to {last:.3f}. Try a lower --finetune-lr" in warning


@pytest.mark.every
def test_much_better_on_training_images_suggests_what_trains_the_base(textures, tlkit, tmp_path):
    """Half of the validation images are in the wrong folder: no head can be right about them."""
    data = tmp_path / "data"
    shutil.copytree(textures, data)
    for name, other in (("brick", "grass"), ("grass", "brick")):
        for number in (0, 1):
            shutil.copy(textures / "validation" / other / f"{number}.png", data / "validation" / name / f"{number}.png")
    quick = ("--arch", "toy", "--epochs", 30, "--lr", 0.01, "--finetune-epochs", 1, "--batch-size", 8)
    ran = tlkit("finetune", data, *quick, "-o", tmp_path / "run")
    assert "`--recipe strong` trains the base itself" in ran.out.splitlines()[-1]
    assert "strong" not in tlkit("finetune", textures, *quick, "-o", tmp_path / "well").out
