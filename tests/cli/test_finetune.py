"""finetune, from folders of real pictures to a run that predicts."""

import csv
import hashlib
import json
import os
import re
import shutil
import signal

import numpy as np
import pytest
from helpers import program

from tlkit.backend import keras

pytestmark = pytest.mark.usefixtures("toy")

FEW_EPOCHS = ("--epochs", 6, "--finetune-epochs", 1, "--batch-size", 8)
TOY = ("--arch", "toy", *FEW_EPOCHS)


@pytest.fixture(scope="module")
def trained(textures, tmp_path_factory, tlkit):
    """One run on real textures with the real weights of the default base, shared by the tests that only read it."""
    run = tmp_path_factory.mktemp("trained") / "run"
    ran = tlkit("finetune", textures, "--size", 64, *FEW_EPOCHS, "-o", run, "--format", "json")
    assert ran.code == 0, ran.err
    return run, ran.json, ran.err


def test_the_result_says_what_was_trained(trained):
    run, result, notes = trained
    assert result["run"] == str(run)
    assert result["classes"] == ["brick", "grass"]
    assert result["val_accuracy"] >= 0.9
    assert [(phase["name"], phase["epochs"]) for phase in result["phases"]] == [("head", 6), ("finetune", 1)]
    assert result["val_accuracy"] == result["phases"][-1]["val_accuracy"]
    assert result["images"] == {"train": 16, "validation": 8}
    assert result["freeze"]["through"] == "block5c_add"
    assert "layers 1-95 of 141 are frozen (through block5c_add)" in notes
    assert "Training the head and 16 layers: block6a_expand_conv" in notes


def test_the_run_folder_holds_all_that_it_takes(trained, textures):
    run, result, _ = trained
    assert sorted(path.name for path in run.iterdir()) == [
        "calibration.png",
        "confusion.png",
        "history.csv",
        "history.png",
        "images.json",
        "model.keras",
        "report.html",
        "run.json",
        "unknown.npz",
    ]
    record = json.loads((run / "run.json").read_text())
    assert record["architecture"] == "efficientnetlite0"
    assert record["classes"] == ["brick", "grass"]
    assert record["preprocessing"] == "lite"
    assert record["size"] == [64, 64]
    assert record["weights"]["digest"].startswith("sha256:")
    assert record["model_digest"] == f"sha256:{hashlib.sha256((run / 'model.keras').read_bytes()).hexdigest()}"
    assert record["arguments"]["data"] == str(textures)
    assert record["arguments"]["seed"] == 0
    assert {"tlkit", "keras", "tensorflow", "pillow"} <= set(record["versions"])
    assert record["data"] == {"train": {"brick": 8, "grass": 8}, "validation": {"brick": 4, "grass": 4}}
    digests = json.loads((run / "images.json").read_text())
    assert {split: len(files) for split, files in digests.items()} == {"train": 16, "validation": 8}
    for split, files in digests.items():
        for file, digest in files.items():
            assert hashlib.sha256((textures / file).read_bytes()).hexdigest() == digest
            assert file.startswith(f"{split}/")
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["phase"] for row in rows] == ["head"] * 6 + ["finetune"]
    assert float(rows[-1]["val_accuracy"]) == pytest.approx(result["val_accuracy"])


def test_keras_alone_loads_the_model(trained):
    run, *_ = trained
    model = keras.models.load_model(run / "model.keras")
    assert model.input_shape == (None, 64, 64, 3)
    assert model.output_shape == (None, 2)
    # no optimizer state: the file is as small as the weights, and needs no loss of ours
    assert not model.compiled
    assert not model.get_layer("head").compiled


def test_the_run_predicts_by_itself(trained, textures, tlkit, tmp_path):
    run, *_ = trained
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    ran = tlkit("predict", "--model", moved, textures / "validation", "--format", "json")
    assert ran.code == 0
    right = [item["predictions"][0]["name"] == item["input"].split("/")[-2] for item in ran.json]
    assert np.mean(right) >= 0.9
    first = ran.json[0]["predictions"]
    assert [score["rank"] for score in first] == [1, 2]
    assert {score["label"] for score in first} == {"brick", "grass"}
    assert sum(score["probability"] for score in first) == pytest.approx(1, abs=1e-5)


def test_training_and_predicting_agree_on_the_validation_pictures(trained, textures, tlkit):
    run, result, _ = trained
    ran = tlkit("predict", "--model", run, textures / "validation", "--format", "json")
    right = [item["predictions"][0]["name"] == item["input"].split("/")[-2] for item in ran.json]
    assert np.mean(right) == pytest.approx(result["val_accuracy"])


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--arch", "vgg16"), "--arch vgg16 contradicts the run"),
        (("--size", "96"), "--size 96x96 contradicts the run .* trained with 64x64"),
        (("--resize", "crop"), "--resize crop contradicts"),
        (("--weights", "none"), "--weights contradicts --model"),
        (("--labels", "x.txt"), "--labels contradicts --model"),
        (("--alpha", "0.5"), "Error: --alpha contradicts --model"),
        (("--data-format", "channels_first"), "Error: --data-format contradicts --model"),
    ],
)
def test_flags_that_contradict_the_run_are_refused(trained, tlkit, cat, flags, says):
    ran = tlkit("predict", "--model", trained[0], cat, *flags)
    assert ran.code == 2
    assert re.search(says, ran.err)
    assert "Hint: Leave" in ran.err


def test_flags_that_agree_with_the_run_are_fine(trained, tlkit, cat):
    ran = tlkit(
        "predict",
        "--model",
        trained[0],
        cat,
        "--arch",
        "EfficientNet-Lite0",
        "--size",
        64,
        "--resize",
        "squash",
    )
    assert ran.code == 0


def test_a_record_that_does_not_fit_the_model_is_refused(trained, tlkit, cat, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(trained[0], broken)
    record = json.loads((broken / "run.json").read_text())
    record["classes"] = ["a", "b", "c"]
    (broken / "run.json").write_text(json.dumps(record))
    ran = tlkit("predict", "--model", broken, cat)
    assert ran.code == 1
    assert "3 classes" in ran.err
    (broken / "model.keras").write_bytes((broken / "model.keras").read_bytes()[:5000])
    ran = tlkit("predict", "--model", broken, cat)
    assert ran.code == 1
    assert "is a damaged archive" in ran.err


@pytest.mark.every
def test_a_bad_picture_is_named_and_the_rest_is_trained_on(textures, tlkit, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(textures, data)
    (data / "train" / "brick" / "broken.jpg").write_text("not a picture")
    (data / "train" / "brick" / "drawing.svg").write_text("<svg/>")
    (data / "train" / "brick" / "notes.txt").touch()
    shutil.copy(data / "train" / "grass" / "0.png", data / "train" / "brick" / "download")
    os.remove(data / "train" / "grass" / "0.png")
    (data / "test" / "brick").mkdir(parents=True)
    (data / "test" / "grass").mkdir()
    for name in ("brick", "grass"):
        shutil.copy(data / "validation" / name / "0.png", data / "test" / name)
    ran = tlkit("finetune", data, *TOY, "-o", tmp_path / "run", "--format", "json")
    assert ran.code == 3
    assert "broken.jpg is skipped: it is not an image" in ran.err
    assert [item["input"].split("/")[-1] for item in ran.json["skipped"]] == ["drawing.svg", "broken.jpg"]
    assert "Left out, not images: 1 .txt." in ran.err
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["left_out"] == ran.json["left_out"] == {".txt": 1}
    assert record["skipped"] == ran.json["skipped"]
    assert ran.json["images"] == {"train": 16, "validation": 8, "test": 2}
    assert 0 <= ran.json["test_accuracy"] <= 1


@pytest.mark.every
def test_copies_are_warned_about_wherever_the_run_is_read(textures, tlkit, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(textures, data)
    for number in range(3):
        shutil.copy(data / "train" / "brick" / f"{number}.png", data / "validation" / "brick" / f"copy{number}.png")
    shutil.copy(data / "train" / "grass" / "7.png", data / "train" / "brick" / "grass.png")
    ran = tlkit(
        "finetune", data, *TOY, "--epochs", 1, "--finetune-epochs", 0, "-o", tmp_path / "run", "--format", "json"
    )
    assert ran.code == 0
    page = (tmp_path / "run" / "report.html").read_text().replace("<wbr>", "")
    for text in (
        "3 of 11 validation images are also in train, byte for byte: the validation accuracy is too optimistic. "
        "Copies: validation/brick/copy0.png = train/brick/0.png",
        "1 image is under two classes, byte for byte: at most one label is right. Copy: train/brick/grass.png = "
        "train/grass/7.png",
    ):
        assert ran.err.count(text) == 1
        assert page.count(text) == 1
        for document in (ran.json, json.loads((tmp_path / "run" / "run.json").read_text())):
            assert len([warning for warning in document["warnings"] if text in warning]) == 1
    evaluated = tlkit("evaluate", tmp_path / "run", data, "--format", "json")
    assert "was trained on 3 of 11 evaluated images (validation/brick/copy0.png, " in " ".join(
        evaluated.json["warnings"]
    )
    features = tlkit("bottleneck", data, "--arch", "toy", "-o", tmp_path / "features", "--json")
    assert "3 of 11 validation images are also in train" in " ".join(features.json["warnings"])


@pytest.mark.every
def test_a_class_of_bad_pictures(textures, tlkit, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(textures, data)
    for path in (data / "validation" / "grass").iterdir():
        path.write_text("not a picture")
    ran = tlkit("finetune", data, *TOY, "--finetune-epochs", 0, "-o", tmp_path / "run", "--format", "json")
    assert ran.code == 3
    assert "No image of grass in validation can be read" in " ".join(ran.json["warnings"])
    for path in (data / "train" / "grass").iterdir():
        path.write_text("not a picture")
    ran = tlkit("finetune", data, *TOY, "-o", tmp_path / "other")
    assert ran.code == 1
    assert "Error: No image of grass in train can be read" in ran.err
    assert not (tmp_path / "other").exists()


def test_a_test_split_that_cannot_be_read_is_found_before_training(textures, tlkit, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(textures, data)
    for name in ("brick", "grass"):
        (data / "test" / name).mkdir(parents=True)
        (data / "test" / name / "0.png").write_text("not a picture")
    ran = tlkit("finetune", data, *TOY, "-o", tmp_path / "run")
    assert ran.code == 1
    assert "in test can be read" in ran.err
    assert "Phase 1" not in ran.err


@pytest.mark.every
def test_phase_1_leaves_the_base_as_it_came(textures, tlkit, tmp_path):
    from tlkit.architectures.pretrained import build_pretrained
    from tlkit.architectures.registry.lookup import get_architecture

    ran = tlkit("finetune", textures, *TOY, "--finetune-epochs", 0, "-o", tmp_path / "run")
    assert ran.code == 0
    saved = keras.models.load_model(tmp_path / "run" / "model.keras").get_layer("toy")
    fresh = build_pretrained(get_architecture("toy"), include_top=False).model
    for left, right in zip(saved.weights, fresh.weights, strict=True):
        assert left.numpy().tobytes() == right.numpy().tobytes()


def test_a_training_that_comes_apart_is_an_error(textures, tlkit, tmp_path):
    ran = tlkit("finetune", textures, *TOY, "--lr", "1e30", "-o", tmp_path / "run")
    assert ran.code == 1
    assert "Training diverged in the" in ran.err
    assert "lower --lr" in ran.err
    assert not (tmp_path / "run").exists()
    assert tlkit("finetune", textures, "--lr", "nan").code == 2


@pytest.mark.every
def test_without_room_the_frozen_part_runs_in_every_epoch_and_comes_to_the_same(textures, tlkit, tmp_path):
    losses = []
    for name, limit in (("kept", "1GB"), ("passing", "1kB")):
        arguments = (*TOY, "--epochs", 2, "--finetune-epochs", 2, "--cache-limit", limit, "-o", tmp_path / name)
        ran = tlkit("finetune", textures, *arguments)
        assert ran.code == 0
        assert ("it is recomputed every epoch" in ran.err) == (name == "passing")
        with (tmp_path / name / "history.csv").open() as file:
            losses.append([(float(row["loss"]), float(row["val_loss"])) for row in csv.DictReader(file)])
    assert "Caching the output of the base through block2_concat for 24 images needs 98.3 kB" in ran.err
    assert "but only 1.0 kB is allowed (--cache-limit)" in ran.err
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert tlkit("finetune", textures, "--cache-limit", "much").code == 2


@pytest.mark.every
def test_copies_without_room_come_to_the_same(textures, tlkit, tmp_path):
    losses = []
    for name, limit in (("kept", "1GB"), ("passing", "1kB")):
        options = ("--epochs", 3, "--finetune-epochs", 0, "--augment", "light", "--augment-copies", 2)
        ran = tlkit("finetune", textures, *TOY, *options, "--cache-limit", limit, "-o", tmp_path / name)
        assert ran.code == 0, ran.err
        with (tmp_path / name / "history.csv").open() as file:
            losses.append([(float(row["loss"]), float(row["val_loss"])) for row in csv.DictReader(file)])
    np.testing.assert_allclose(*losses, rtol=1e-3)


@pytest.mark.every
def test_cuts_between_which_nothing_trains_are_one(textures, tlkit, tmp_path):
    options = ("--epochs", 1, "--stages", "block3_add,block3_relu")  # between these two lies an addition alone
    ran = tlkit("finetune", textures, *TOY, *options, "-o", tmp_path / "run", "--format", "json")
    assert ran.code == 0, ran.err
    assert len(ran.json["phases"]) == 3


def test_weights_that_changed_are_not_gone_on_with(textures, tlkit, tmp_path, monkeypatch):
    from tlkit.architectures.build import build
    from tlkit.architectures.registry.lookup import get_architecture
    from tlkit.training.trainer import Trainer

    base = build(get_architecture("toy"), include_top=False)
    base.save_weights(tmp_path / "w.weights.h5")

    def interrupted(self, *arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train", interrupted)
        options = ("--arch", "toy", "--weights", tmp_path / "w.weights.h5")
        ran = tlkit("finetune", textures, *options, "-o", tmp_path / "run")
    assert ran.code == 130
    assert "tlkit finetune --resume" in ran.err
    base.set_weights([2 * weight for weight in base.get_weights()])
    base.save_weights(tmp_path / "w.weights.h5")
    ran = tlkit("finetune", "--resume", tmp_path / "run")
    assert ran.code == 1
    assert "are not those that the run started with" in ran.err


@pytest.mark.every
def test_all_of_the_base_can_train(textures, tlkit, tmp_path):
    ran = tlkit("finetune", textures, *TOY, "--epochs", 1, "--freeze", 0, "-o", tmp_path / "run", "--format", "json")
    assert ran.code == 0
    assert "No layer with weights is frozen" in ran.err
    assert len(ran.json["trained"]) == 7


def test_an_old_run_is_not_written_into(trained, textures, tlkit):
    ran = tlkit("finetune", textures, *TOY, "-o", trained[0])
    assert ran.code == 1
    assert "exists and is not empty" in ran.err


@pytest.mark.every
def test_a_layer_count_of_keras_1_is_obeyed_and_explained(textures, tlkit, tmp_path):
    ran = tlkit("finetune", textures, *TOY, "--epochs", 1, "--freeze", 9, "-o", tmp_path / "run", "--format", "json")
    assert ran.code == 0
    assert ran.json["freeze"]["layers"] == 9
    assert "inside block2_concat" in ran.err
    assert "--freeze block2_concat" in ran.err


@pytest.mark.every
def test_172_on_inceptionv3_is_obeyed_and_explained(textures, tlkit, tmp_path):
    ran = tlkit(
        "finetune", textures, "--arch", "inceptionv3", "--freeze", 172, "--weights", "none", "--size", 75,
        "--epochs", 1, "--finetune-epochs", 1, "-o", tmp_path / "run", "--format", "json",
    )  # fmt: skip
    assert ran.code == 0
    assert ran.json["freeze"]["layers"] == 172
    assert "inside mixed6" in ran.err
    assert "--freeze mixed8" in ran.err


@pytest.mark.every
@pytest.mark.parametrize("head", [pytest.param("linear", marks=pytest.mark.every), "flatten"])
def test_other_heads(textures, tlkit, tmp_path, head):
    options = ("--head", head, "--finetune-epochs", 0)
    ran = tlkit("finetune", textures, *TOY, *options, "-o", tmp_path / "run", "--format", "json")
    assert ran.code == 0
    layers = keras.models.load_model(tmp_path / "run" / "model.keras").get_layer("head").layers
    assert ("flatten" in [layer.name for layer in layers]) == (head == "flatten")


@pytest.mark.every
def test_phases_can_be_left_out(textures, tlkit, tmp_path):
    one = tlkit("finetune", textures, *TOY, "--finetune-epochs", 0, "-o", tmp_path / "a", "--format", "json").json
    assert [phase["name"] for phase in one["phases"]] == ["head"]
    assert one["trained"] == []
    none = tlkit("finetune", textures, "--epochs", 0, "--finetune-epochs", 0)
    assert none.code == 2
    assert "nothing to train" in none.err


@pytest.mark.every
def test_a_flag_wins_over_its_opposite_in_a_file(textures, tlkit, tmp_path):
    (tmp_path / "c.yaml").write_text("freeze: block2_concat\nformat: json\n")
    quick = ("--arch", "toy", "--epochs", 1, "--finetune-epochs", 1)
    arguments = ("finetune", textures, *quick, "--config", tmp_path / "c.yaml", "-o", tmp_path / "run")
    assert tlkit(*arguments, "--unfreeze", 9).json["freeze"]["layers"] == 25 - 9
    assert tlkit(*arguments, "--unfreeze", 9, "--freeze", 3).code == 2


def test_options_can_stand_in_a_file_and_a_flag_wins(textures, tlkit, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("arch: Toy\nsize: 64\nepochs: 2\nfinetune-epochs: 0\nhead: linear\n")
    ran = tlkit("finetune", textures, "--config", config, "--epochs", 1, "-o", tmp_path / "run", "--format", "json")
    assert ran.code == 0
    assert ran.json["phases"][0]["epochs"] == 1
    arguments = json.loads((tmp_path / "run" / "run.json").read_text())["arguments"]
    assert arguments["head"] == "linear"
    assert arguments["size"] == "64x64"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("epoch: 3", "unknown option 'epoch'"),
        ("epochs: many", "epochs is 'many'; expected a whole number"),
        ("epochs: [1, 2]", "epochs takes one value"),
        ("- epochs", "must contain lines of `option: value`"),
        ("epochs: !!python/object/apply:os.system ['touch hacked']", "not plain YAML"),
        ("epochs: 1\nepochs: 2", "epochs is given twice"),
        ("epochs: 2.9", "epochs is 2.9; expected a whole number"),
        ("seed: true", "seed is 'true'; expected a whole number"),
        ("val-split: .nan", "val_split is '.nan'; expected a number"),
        ("output_format: json", "unknown option"),
    ],
)
def test_a_bad_configuration_is_refused(textures, tlkit, tmp_path, monkeypatch, content, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(content)
    ran = tlkit("finetune", textures, "--config", "c.yaml")
    assert ran.code == 2
    assert says in ran.err
    assert not (tmp_path / "hacked").exists()
    if content.startswith("epoch: "):
        assert "Did you mean epochs" in ran.err


@pytest.mark.every
def test_every_choice_at_once_goes_on_after_kill_and_ends_where_a_second_run_does(textures, tlkit, tmp_path):
    """Stages, copies, schedules, weights and Dropout; killed twice on the way, equal to the last bit in the end."""
    options = (
        "--arch", "toy", "--batch-size", 4, "--epochs", 2, "--finetune-epochs", 2,
        "--stages", "block3_add,block2_concat",
        "--augment", "recipe2017", "--augment-copies", 2, "--dropout", 0.3, "--head-units", 32, "--optimizer", "adam",
        "--schedule", "cosine", "--finetune-optimizer", "sgd", "--class-weight", "auto", "--label-smoothing", 0.1,
        "--patience", 9, "--seed", 5,
    )  # fmt: skip
    whole = tlkit("finetune", textures, *options, "-o", tmp_path / "whole", "--format", "json")
    assert whole.code == 0, whole.err
    assert [phase["name"] for phase in whole.json["phases"]] == ["head", "finetune-1", "finetune-2"]

    killed = ["finetune", textures, *options, "-o", tmp_path / "killed"]
    for after in ("head 1/2", "finetune-1 1/2"):
        with program.start(*killed) as process:
            for line in process.stderr:
                if line.startswith(after):
                    process.kill()
        assert process.returncode == -signal.SIGKILL
        again = tlkit("finetune", textures, *options, "-o", tmp_path / "killed")
        assert again.code == 1
        assert "interrupted" in again.err
        killed = ["finetune", "--resume", tmp_path / "killed"]
    assert tlkit("predict", "--model", tmp_path / "killed", textures).code == 1
    shutil.copytree(tmp_path / "killed", tmp_path / "moved")
    resumed = tlkit(*killed, "--threads", 1, "--format", "json")  # the number of threads may be another
    assert resumed.code == 0
    assert "after epoch" in resumed.err

    def told(name):
        record = json.loads((tmp_path / name / "run.json").read_text())
        phases = [{**phase, "seconds": 0} for phase in record["results"].pop("phases")]
        return record["classes"], phases, record["results"], record["freeze"]

    assert told("killed") == told("whole")
    one, other = (keras.models.load_model(tmp_path / name / "model.keras") for name in ("killed", "whole"))
    for left, right in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(left.numpy(), right.numpy())
    assert "nothing to resume" in tlkit("finetune", "--resume", tmp_path / "killed").err

    data = tmp_path / "data"
    shutil.copytree(textures, data)
    (data / "train" / "grass" / "0.png").unlink()
    other_data = tlkit("finetune", data, "--resume", tmp_path / "moved")
    assert other_data.code == 1
    assert "are not those that the run started with" in other_data.err
    assert tlkit("finetune", "--resume", tmp_path / "moved", "--epochs", 9).code == 2


def test_the_page_of_a_run_needs_nothing_else(trained, textures):
    run, result, _ = trained
    page = re.sub("</?span>|<wbr>", "", (run / "report.html").read_text())  # where lines may and may not break
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    for says in ("brick", "Confusion matrix", "Calibration", "finetune", "tensorflow", "--finetune-epochs 1"):
        assert says in page, says
    record = json.loads((run / "run.json").read_text())
    assert f">{record['command']}</pre>" in page
    assert str(run) in record["command"]
    assert str(textures) in record["command"]
    options = dict(re.findall(r"<code>(.*?)</code></td><td[^>]*>(.*?)</td>", page))
    assert (options["DATA"], options["--size"], options["--head-units"]) == (str(textures), "64x64", "1024")
    assert "None" not in options.values()
    assert record["results"]["validation"]["confusion"] == result["validation"]["confusion"]


@pytest.mark.every
def test_augmentation_without_copies_changes_training_images_only(textures, tlkit, tmp_path):
    """A rate that moves no weight leaves losses that differ by the images alone."""
    rows = {}
    for name, options in (("plain", ()), ("augmented", ("--augment", "light"))):
        still = ("--lr", 1e-30, "--epochs", 2, "--finetune-epochs", 0)
        assert tlkit("finetune", textures, *TOY, *still, *options, "-o", tmp_path / name).code == 0
        with (tmp_path / name / "history.csv").open() as file:
            rows[name] = list(csv.DictReader(file))

    def losses(name, key):
        return np.array([float(row[key]) for row in rows[name]])

    np.testing.assert_allclose(losses("augmented", "val_loss"), losses("plain", "val_loss"), rtol=1e-4)
    assert np.ptp(losses("plain", "loss")) < 1e-5
    assert np.ptp(losses("augmented", "loss")) > 1e-3  # another change in each epoch
    assert np.abs(losses("augmented", "loss") - losses("plain", "loss")).min() > 1e-3


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--augment-copies", 3), "--augment is none"),
        (("--augment", "light", "--features", "x"), "Leave one of them out"),
        (("--stages", "block6d_add", "--freeze", 3), "--stages has freeze points of its own"),
        (("--stages", ","), "names no layer"),
        (("--stages", "block5c_add,block6d_add"), "trains no more than"),
        (("--head", "linear", "--head-units", 3), "no hidden layer"),
        (("--unfreeze-blocks", 99), "out of range"),
    ],
)
def test_choices_that_contradict_each_other_are_refused(textures, tlkit, flags, says):
    ran = tlkit("finetune", textures, *flags)
    assert ran.code == 2
    assert says in ran.err
