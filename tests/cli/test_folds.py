"""``finetune --folds``: runs on folds of the images measure the run on all of them."""

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import save_noise
from helpers.interrupting import interrupted_in_phase_2

from tlkit.backend import keras
from tlkit.training.cross_validation import CrossValidation, Fold

pytestmark = pytest.mark.usefixtures("toy")

TOY = ("--arch", "toy", "--batch-size", 8, "--format", "json")
FAST = (*TOY, "--recipe", "fast")
BOTH = (*TOY, "--epochs", 3, "--finetune-epochs", 2, "--ema", "--finetune-lr", 1e-2, "--freeze", "block1_add")


@pytest.fixture
def splits():
    """What a run was trained and validated on: the digests of the images of each split."""

    def of(run):
        found = json.loads((run / "images.json").read_text("utf-8"))
        return {name: {*images.values()} for name, images in found.items()}

    return of


@pytest.mark.every
def test_every_image_is_measured_once_by_a_run_that_was_not_trained_on_it(textures, tlkit, tmp_path, splits):
    ran = tlkit("finetune", textures, *FAST, "--folds", 4, "-o", tmp_path / "run")
    found = ran.json
    runs = [tmp_path / "run" / f"fold-{number}" for number in range(1, 5)]
    assert [fold["run"] for fold in found["folds"]] == [str(run) for run in runs]
    held = [splits(run)["validation"] for run in runs]
    everything = splits(tmp_path / "run")
    assert everything.keys() == {"train"}
    assert set.union(*held) == everything["train"]
    assert len(everything["train"]) == 24
    assert all(not one & other for one, other in itertools.combinations(held, 2))
    for run in runs:
        assert splits(run)["train"] == everything["train"] - splits(run)["validation"]
        record = json.loads((run / "run.json").read_text("utf-8"))
        assert record["data"]["validation"] == {"brick": 3, "grass": 3}  # each class in its share
    right = sum(fold["val_accuracy"] * fold["images"] for fold in found["folds"])
    assert found["val_accuracy"] == pytest.approx(right / 24)
    assert found["validation"]["images"] == 24
    assert found["interval"][0] < found["val_accuracy"] <= found["interval"][1]
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "Validation in 4 folds" in page and "fold-4" in page
    assert json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["results"]["folds"] == found["folds"]


@pytest.mark.every
def test_the_run_on_all_images_and_each_fold_predict(textures, tlkit, tmp_path):
    tlkit("finetune", textures, *FAST, "--folds", 2, "-o", tmp_path / "run")
    for run in (tmp_path / "run", tmp_path / "run" / "fold-2"):
        predicted = tlkit("predict", "--model", run, textures / "train" / "grass" / "0.png", "--format", "json").json
        assert predicted[0]["predictions"][0]["label"] == "grass"
        assert predicted[0]["known"]


@pytest.mark.every
def test_folds_validate_every_epoch_of_the_run_on_all_images(textures, tlkit, tmp_path):
    """Its validation loss and accuracy are their means, and the best of these epochs is kept."""
    found = tlkit("finetune", textures, *BOTH, "--folds", 2, "-o", tmp_path / "run").json

    def history(run):
        with (run / "history.csv").open() as file:
            return [{key: float(row[key]) for key in ("val_loss", "val_accuracy")} for row in csv.DictReader(file)]

    mine = history(tmp_path / "run")
    assert len(mine) == 5
    for epoch, one, other in zip(mine, *(history(tmp_path / "run" / f"fold-{n}") for n in (1, 2)), strict=True):
        assert epoch == {key: pytest.approx((one[key] + other[key]) / 2) for key in epoch}  # folds of 12 each
    measured = tlkit("evaluate", tmp_path / "run", textures)
    assert measured.code == 0, measured.err
    assert "was trained on 8 of 8" in measured.err  # its validation images were dealt out too
    best = max(range(5), key=lambda number: (mine[number]["val_accuracy"], -mine[number]["val_loss"]))
    assert found["kept"] == ("head" if best < 3 else "finetune")


@pytest.mark.every
def test_images_of_a_group_and_copies_are_in_one_fold(tlkit, tmp_path, splits):
    rows = ["path,label,plant"]
    for number in range(16):
        save_noise(tmp_path / f"{number}.png", seed=number // 2)  # two copies of each
        rows.append(f"{number}.png,{'ab'[number % 4 // 2]},plant-{number // 4}")
    (tmp_path / "table.csv").write_text("\n".join(rows))
    tlkit("finetune", tmp_path / "table.csv", *FAST, "--folds", 2, "--group", "plant", "-o", tmp_path / "run")
    record = json.loads((tmp_path / "run" / "fold-1" / "images.json").read_text("utf-8"))
    plants = {split: {int(name.removesuffix(".png")) // 4 for name in files} for split, files in record.items()}
    assert len(plants["train"]) == len(plants["validation"]) == 2
    assert not plants["train"] & plants["validation"]


@pytest.mark.every
def test_test_images_are_in_no_fold(textures, tlkit, tmp_path, splits):
    (tmp_path / "data").mkdir()
    for split, source in (("train", "train"), ("test", "validation")):
        (tmp_path / "data" / split).symlink_to(textures / source)
    ran = tlkit("finetune", tmp_path / "data", *FAST, "--folds", 2, "-o", tmp_path / "run")
    assert ran.json["images"] == {"train": 16, "test": 8}
    assert ran.json["test"]["images"] == 8
    assert splits(tmp_path / "run" / "fold-1").keys() == {"train", "validation"}


@pytest.mark.every
def test_an_image_that_cannot_be_read_is_named_once(textures, tlkit, tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("brick", "grass"):
        (tmp_path / "data" / name).mkdir()
        for file in (textures / "train" / name).iterdir():
            (tmp_path / "data" / name / file.name).symlink_to(file)
    (tmp_path / "data" / "brick" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    ran = tlkit("finetune", tmp_path / "data", *FAST, "--folds", 3, "-o", tmp_path / "run")
    assert ran.err.count("bad.png is skipped") == 1
    assert [each["input"] for each in ran.json["skipped"]] == [str(tmp_path / "data" / "brick" / "bad.png")]
    assert ran.json["validation"]["images"] == ran.json["images"]["train"] == 16


@pytest.mark.every
def test_a_class_of_two_images_of_which_one_is_torn_trains_always(textures, tlkit, tmp_path):
    for name, count in (("brick", 8), ("grass", 8), ("torn", 1)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(count):
            source = textures / "train" / ("brick" if name == "torn" else name) / f"{number}.png"
            (tmp_path / "data" / name / f"{number}.png").write_bytes(source.read_bytes() + bytes(name == "torn"))
    (tmp_path / "data" / "torn" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    ran = tlkit("finetune", tmp_path / "data", *FAST, "--folds", 2, "-o", tmp_path / "run")
    assert ran.code == 3
    assert ran.json["validation"]["images"] == 16
    assert ran.json["images"] == {"train": 17}
    assert any("1 image of torn, which cannot be divided, always trains" in each for each in ran.json["warnings"])


def test_a_fold_that_stopped_early_stands_at_its_best_epoch():
    def fold(*accuracies):
        epochs = [{"val_loss": 1 - value, "val_accuracy": value} for value in accuracies]
        return Fold(Path("fold"), ("a",), [0], [[1.0]], 1.0, {"head": epochs}, chosen=True, skipped=())

    found = CrossValidation((fold(0.2, 0.6, 0.4), fold(0.2, 0.4, 0.4, 0.4, 0.8))).epochs("head")
    assert [epoch["val_accuracy"] for epoch in found] == pytest.approx([0.2, 0.5, 0.4, 0.5, 0.7])


@pytest.mark.every
@pytest.mark.parametrize("when", ["in a fold", "after the folds"])
def test_an_interrupted_run_resumes(when, textures, tlkit, tmp_path, monkeypatch):
    """Folds that are complete are not trained again."""
    expected = tlkit("finetune", textures, *BOTH, "--folds", 2, "-o", tmp_path / "whole").json
    with monkeypatch.context() as patch:
        if when == "in a fold":
            with interrupted_in_phase_2(patch):
                ran = tlkit("finetune", textures, *BOTH, "--folds", 2, "-o", tmp_path / "run")
        else:
            patch.setattr("tlkit.training.folds.CrossValidation", _interrupt)
            ran = tlkit("finetune", textures, *BOTH, "--folds", 2, "-o", tmp_path / "run")
    assert ran.code == 130
    assert ran.err.count("To resume") == 1
    assert f"tlkit finetune --resume {tmp_path / 'run'}\n" in ran.err + "\n"
    resumed = tlkit("finetune", "--resume", tmp_path / "run", "--format", "json")
    assert ("Fold 2" in resumed.err) is (when == "in a fold")
    assert resumed.json["validation"] == expected["validation"]
    one, other = (keras.saving.load_model(tmp_path / name / "model.keras").weights for name in ("whole", "run"))
    for mine, yours in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine, yours)
    assert not (tmp_path / "run" / ".folds").exists()


def _interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--folds", 30), "24 images of 2 classes cannot be dealt out to so many folds.\nHint: Use 24 at most."),
        (("--folds", 1), "from 2 to 100"),
        (("--folds", 3, "--features", "."), "deals the images out again"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(options, says, textures, tlkit, tmp_path):
    ran = tlkit("finetune", textures, *FAST, *options, "-o", tmp_path / "run")
    assert ran.code in (1, 2)
    assert says in ran.err
    assert not (tmp_path / "run").exists()
