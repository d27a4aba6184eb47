"""Options of phase 2, from the command line to the saved run."""

import csv
import json

import numpy as np
import pytest
from helpers.interrupting import interrupted_in_phase_2

import tlkit.training.trainer as trainer
from tlkit.backend import keras

pytestmark = pytest.mark.usefixtures("toy")

QUICK = ("--arch", "toy", "--epochs", 1, "--finetune-epochs", 2, "--batch-size", 4, "--freeze", "block1_add")
STRONG = (
    "--finetune-lr", 1e-2, "--finetune-schedule", "cosine", "--warmup-epochs", 0.5, "--nesterov", "--clip-norm", 1,
    "--weight-decay", 1e-3, "--layer-decay", 0.5,
)  # fmt: skip


def history(run):
    rows = list(csv.DictReader((run / "history.csv").open()))
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def train(tlkit, data, run, *options):
    ran = tlkit("finetune", data, *QUICK, *options, "-o", run, "--format", "json")
    assert ran.code == 0, ran.err
    return ran


@pytest.mark.every
def test_options_stand_in_the_record_and_in_the_command(textures, tlkit, tmp_path):
    train(tlkit, textures, tmp_path / "run", *STRONG)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    for option, value in zip(STRONG[::2], STRONG[1::2], strict=False):
        if option == "--nesterov":
            break
        assert record["arguments"][option[2:].replace("-", "_")] == value
    assert "--nesterov --warmup-epochs" in record["command"] or "--nesterov" in record["command"]
    assert "--layer-decay 0.5" in record["command"]


EACH = [
    ("--layer-decay", 0.01), ("--ema",), ("--warmup-epochs", 1), ("--weight-decay", 10.0), ("--clip-norm", 1e-6),
    ("--nesterov",), ("--augment", "light", "--mixup", 1), ("--augment", "light", "--cutmix", 1),
]  # fmt: skip


@pytest.mark.parametrize(
    "options", [EACH[0], *(pytest.param(each, marks=pytest.mark.every) for each in EACH[1:])], ids=str
)
@pytest.mark.every
def test_each_changes_what_is_learned(textures, tlkit, tmp_path, options):
    plain = ("--finetune-lr", 1e-2, *options[:2]) if options[0] == "--augment" else ("--finetune-lr", 1e-2)
    train(tlkit, textures, tmp_path / "plain", *plain)
    train(tlkit, textures, tmp_path / "other", "--finetune-lr", 1e-2, *options)
    one, other = history(tmp_path / "plain"), history(tmp_path / "other")
    assert one[0] == other[0]  # phase 1 is as it was
    assert one[-1] != other[-1]


@pytest.mark.every
def test_the_average_of_the_weights_is_validated_and_kept(textures, tlkit, tmp_path):
    options = ("--finetune-lr", 1e-2, "--ema", "--keep", "last")
    ran = train(tlkit, textures, tmp_path / "run", *options)
    assert ran.json["val_accuracy"] == pytest.approx(float(history(tmp_path / "run")[-1]["val_accuracy"]))
    evaluated = tlkit("evaluate", tmp_path / "run", textures, "--engine", "keras", "--format", "json").json
    assert evaluated["accuracy"] == pytest.approx(ran.json["val_accuracy"])
    plain = train(tlkit, textures, tmp_path / "plain", *options[:2], "--keep", "last")
    one, other = history(tmp_path / "run"), history(tmp_path / "plain")
    # the average changes no step: the losses of training are the same, those of validation are not
    assert [row["loss"] for row in one] == [row["loss"] for row in other]
    assert one[-1]["val_loss"] != other[-1]["val_loss"]
    assert plain.json["kept"] == "finetune"


MIXED = (
    "--augment", "light", "--mixup", 0.4, "--cutmix", 1, "--class-weight", "auto", "--label-smoothing", 0.1, "--ema"
)  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        pytest.param((*STRONG, "--ema"), id="strong", marks=pytest.mark.every),
        pytest.param(MIXED, marks=pytest.mark.every, id="mixed"),
        pytest.param(("--batchnorm", "train", "--ema"), marks=pytest.mark.every, id="batchnorm"),
    ],
)
def test_an_interrupted_phase_ends_as_if_it_was_not(textures, tlkit, tmp_path, monkeypatch, options):
    train(tlkit, textures, tmp_path / "whole", *options)

    with interrupted_in_phase_2(monkeypatch):
        assert tlkit("finetune", textures, *QUICK, *options, "-o", tmp_path / "run").code == 130
    assert tlkit("finetune", "--resume", tmp_path / "run").code == 0
    assert history(tmp_path / "run") == history(tmp_path / "whole")
    one, other = (keras.saving.load_model(tmp_path / name / "model.keras").weights for name in ("run", "whole"))
    for mine, yours in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine.numpy(), yours.numpy())


@pytest.mark.every
def test_the_time_of_an_epoch_is_told_before_it_and_changes_nothing(textures, tlkit, tmp_path, monkeypatch):
    monkeypatch.setattr("tlkit.training.forecast._LEAST", 8)
    options = ("--batch-size", 2, "--finetune-optimizer", "adam", "--finetune-lr", 1e-3, "--batchnorm", "train",
               "--dropout", 0.5, "--augment", "light")  # fmt: skip
    ran = train(tlkit, textures, tmp_path / "told", *options)
    lines = ran.err.splitlines()
    (told,) = (number for number, line in enumerate(lines) if line.startswith("An epoch takes about"))
    (first,) = (number for number, line in enumerate(lines) if line.startswith("finetune 1/2"))
    assert told < first
    assert "(8 batches)" in lines[told]
    monkeypatch.setattr(trainer, "report_epoch_time", lambda *_: None)
    train(tlkit, textures, tmp_path / "plain", *options)
    assert history(tmp_path / "told") == history(tmp_path / "plain")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--warmup-epochs", 2), "leaves nothing of phase 2, which has 2 epochs."),
        (("--mixup", 0.2), "Add --augment light"),
        (("--cutmix", 0.2, "--augment", "light", "--augment-copies", 2), "--cutmix mixes images that are augmented"),
        (("--layer-decay", 1.5), "layer_decay is 1.5"),
        (("--clip-norm", 0), "clip_norm is 0"),
        (("--weight-decay", -1), "weight_decay is -1"),
    ],
)
def test_what_cannot_be_is_refused(textures, tlkit, tmp_path, options, says):
    ran = tlkit("finetune", textures, *QUICK, *options, "-o", tmp_path / "run")
    assert ran.code == 2
    assert says in ran.err


@pytest.mark.every
def test_without_phase_2_they_have_no_effect_and_say_so(textures, tlkit, tmp_path):
    ran = tlkit("finetune", textures, *QUICK, *STRONG, "--ema", "--finetune-epochs", 0, "-o", tmp_path / "run")
    assert ran.code == 0
    for option in ("--warmup-epochs", "--weight-decay", "--layer-decay", "--clip-norm", "--ema", "--nesterov"):
        assert f"{option} has no effect" in ran.err


@pytest.mark.every
def test_statistics_of_batchnorm_are_those_of_the_training_images(textures, tlkit, tmp_path):
    """After a few steps, what is right in training mode is right in inference mode."""
    options = ("--batchnorm", "train", "--freeze", 0, "--finetune-epochs", 8, "--finetune-optimizer", "adam",
               "--finetune-lr", 1e-3, "--keep", "last")  # fmt: skip
    train(tlkit, textures, tmp_path / "run", *options)
    (in_training,) = (float(row["accuracy"]) for row in history(tmp_path / "run")[-1:])
    evaluated = tlkit("evaluate", tmp_path / "run", textures, "--split", "train", "--format", "json").json
    assert evaluated["accuracy"] >= in_training - 0.1
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    norms = [layer for layer in model.layers[1].layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {layer.momentum for layer in norms} == {0.99}


@pytest.mark.every
def test_freeze_auto_counts_the_images(textures, tlkit, tmp_path):
    ran = train(tlkit, textures, tmp_path / "run", "--freeze", "auto")
    assert ran.json["freeze"]["layers"] == 0
    assert "--freeze auto: with 16 training images and 2 epochs, the whole base trains." in ran.err
    assert tlkit("finetune", textures, "--arch", "toy", "--freeze", "auto", "--unfreeze", 3).code == 2
