"""evaluate, against numbers counted by hand."""

import csv
import io
import json
import re
import shutil

import pytest
from PIL import Image

pytestmark = pytest.mark.usefixtures("toy")


@pytest.fixture(scope="module")
def run(textures, tmp_path_factory, tlkit, toy):
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    options = ("--head", "linear", "--epochs", 20, "--finetune-epochs", 0, "--lr", 0.05)
    ran = tlkit("finetune", textures, *toy, *options, "-o", folder)
    assert ran.code == 0, ran.err
    return folder


@pytest.fixture
def swapped(textures, tmp_path):
    """Two images of grass among the bricks: two errors of a run that was trained on both."""
    shutil.copytree(textures / "validation", tmp_path / "data")
    for number in (0, 1):
        shutil.move(tmp_path / "data" / "grass" / f"{number}.png", tmp_path / "data" / "brick" / f"grass-{number}.png")
    return tmp_path / "data"


def test_metrics_are_those_counted_by_hand(run, swapped, tlkit, tmp_path):
    ran = tlkit("evaluate", run, swapped, "--format", "json", "--report", tmp_path / "page.html")
    assert ran.code == 0
    assert ran.json["split"] == "all"
    assert ran.json["images"] == 8
    assert ran.json["accuracy"] == 0.75
    assert ran.json["top5_accuracy"] is None
    assert ran.json["confusion"] == [[4, 2], [0, 2]]
    brick, grass = ran.json["classes"]
    assert (brick["name"], brick["images"], brick["precision"]) == ("brick", 6, 1.0)
    assert brick["recall"] == pytest.approx(4 / 6)
    assert (grass["precision"], grass["recall"], grass["predicted"]) == (0.5, 1.0, 4)
    page = (tmp_path / "page.html").read_text().replace("<wbr>", "")  # where a line may break
    assert page.count("data:image/jpeg;base64,") == 2
    assert "grass-0.png" in page
    assert page.count('alt="Where it shows grass"') == 2
    assert "0.750" in page
    command = f"tlkit evaluate {run} {swapped} --report {tmp_path / 'page.html'}"  # absolute: it works anywhere
    assert f">{command}</pre>" in re.sub("</?span>", "", page)


def test_it_agrees_with_the_run_itself(run, textures, tlkit):
    record = json.loads((run / "run.json").read_text())
    ran = tlkit("evaluate", run, textures, "--format", "json")
    assert ran.json["split"] == "validation"
    assert ran.json["accuracy"] == record["results"]["val_accuracy"]
    assert ran.json["confusion"] == record["results"]["validation"]["confusion"]
    for folder, *split in ((textures, "--split", "train"), (textures / "train",)):
        train = tlkit("evaluate", run, folder, *split, "--format", "json")
        assert train.json["images"] == 16
        assert "too optimistic" in train.err
    assert "optimistic" not in tlkit("evaluate", run, textures / "validation").err


def test_images_that_were_trained_on_are_found_wherever_they_lie(run, textures, tlkit, tmp_path):
    shutil.copytree(textures / "validation", tmp_path / "data")
    for number in range(2):
        shutil.copy(textures / "train" / "brick" / f"{number}.png", tmp_path / "data" / "brick" / f"new{number}.png")
    shutil.copy(tmp_path / "data" / "brick" / "0.png", tmp_path / "data" / "grass" / "brick.png")
    ran = tlkit("evaluate", run, tmp_path / "data", "--format", "json", "--report", tmp_path / "page.html")
    copies, trained = ran.json["warnings"]
    assert copies.startswith("1 image is under two classes, byte for byte")
    assert "trained on 2 of 11 evaluated images (brick/new0.png, brick/new1.png)" in trained
    assert trained in ran.err
    assert trained in (tmp_path / "page.html").read_text().replace("<wbr>", "")
    older = tmp_path / "older"
    shutil.copytree(run, older)
    (older / "images.json").unlink()  # a run that has no record of its images
    assert "trained on" not in tlkit("evaluate", older, tmp_path / "data").err
    (older / "images.json").write_text("{")
    ran = tlkit("evaluate", older, tmp_path / "data")
    assert ran.code == 1
    assert "images.json cannot be read" in ran.err


def test_text_and_csv(run, swapped, tlkit):
    text = tlkit("evaluate", run, swapped).out
    assert text.splitlines()[0] == "8 images (all): accuracy 0.750 [0.409, 0.929]"
    assert "true \\ predicted  brick  grass" in text
    rows = list(csv.DictReader(io.StringIO(tlkit("evaluate", run, swapped, "--format", "csv").out)))
    assert [row["class"] for row in rows] == ["brick", "grass"]
    assert rows[1]["precision"] == "0.5"


def test_unreadable_files_unknown_classes_and_missing_folders(run, swapped, tlkit, textures, tmp_path):
    (swapped / "brick" / "broken.png").write_text("not an image")
    ran = tlkit("evaluate", run, swapped, "--format", "json")
    assert ran.code == 3
    assert [item["input"].split("/")[-1] for item in ran.json["skipped"]] == ["broken.png"]
    assert ran.json["images"] == 8
    (swapped / "gras").mkdir()
    shutil.copy(swapped / "grass" / "2.png", swapped / "gras")
    ran = tlkit("evaluate", run, swapped)
    assert ran.code == 1
    assert "classes that the run was not trained on: gras" in ran.err
    assert "Did you mean grass" in ran.err
    assert "no test folder" in tlkit("evaluate", run, textures, "--split", "test").err
    assert "no data folder" in tlkit("evaluate", run, tmp_path / "nothing").err
    assert "no folder" in tlkit("evaluate", run, textures, "--report", tmp_path / "nothing" / "page.html").err
    assert "no run folder" in tlkit("evaluate", tmp_path / "nothing", textures).err
    (tmp_path / "one" / "brick").mkdir(parents=True)
    assert "No image of" in tlkit("evaluate", run, tmp_path / "one").err
    shutil.copy(swapped / "brick" / "2.png", tmp_path / "one" / "brick")
    ran = tlkit("evaluate", run, tmp_path / "one", "--format", "json")
    assert ran.code == 0
    assert "No images for grass: its accuracy cannot be measured" in ran.err
    assert ran.json["classes"][1]["recall"] is None


@pytest.mark.every
def test_a_report_replaces_a_report_and_nothing_else(run, swapped, tlkit, tmp_path):
    image = swapped / "brick" / "2.png"
    (tmp_path / "notes.html").write_text("precious")
    theirs = [image, tmp_path / "notes.html", run / "report.html", run / "run.json", run / "model.keras"]
    before = [path.read_bytes() for path in theirs]
    for path in theirs:
        ran = tlkit("evaluate", run, swapped, "--report", path)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith(f"Error: {path} ")
    assert tlkit("evaluate", run, swapped, "--report", run / "report.html", "--force").code == 2
    assert [path.read_bytes() for path in theirs] == before
    assert tlkit("evaluate", run, swapped, "--report", tmp_path / "notes.html", "--force").code == 0
    assert "generator" in (tmp_path / "notes.html").read_text()
    inside = run / "evaluation.html"
    assert tlkit("evaluate", run, swapped, "--report", inside).code == 0
    assert tlkit("evaluate", run, swapped, "--report", inside).code == 0  # its own
    assert "--force has no effect" in tlkit("evaluate", run, swapped, "--force").err


def test_long_names_are_shortened_on_screen_alone(run, tlkit, tmp_path, textures):
    """A run whose classes have names of 240 characters."""
    shutil.copytree(run, tmp_path / "run")
    names = [f"{letter * 239}{number}" for number, letter in enumerate("bg")]
    record = json.loads((run / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps({**record, "classes": names}))
    for name, folder in zip(names, ("brick", "grass"), strict=True):
        shutil.copytree(textures / "validation" / folder, tmp_path / "data" / name)
    ran = tlkit("evaluate", tmp_path / "run", tmp_path / "data")
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "bbb…bbb" in ran.out
    text = tlkit("predict", "--model", tmp_path / "run", textures / "validation" / "brick" / "0.png").out
    assert max(map(len, text.splitlines()[1:])) <= 80
    ran = tlkit("evaluate", tmp_path / "run", tmp_path / "data", "--format", "json")
    assert [row["name"] for row in ran.json["classes"]] == names


@pytest.fixture(scope="module")
def worse(textures, tmp_path_factory, tlkit, toy):
    """A run that learned from swapped labels."""
    folder = tmp_path_factory.mktemp("worse")
    for split in ("train", "validation"):
        for name, other in (("brick", "grass"), ("grass", "brick")):
            shutil.copytree(textures / split / name, folder / "data" / split / other)
    options = ("--head", "linear", "--finetune-epochs", 0)
    assert tlkit("finetune", folder / "data", *toy, *options, "-o", folder / "run").code == 0
    return folder / "run"


def test_two_runs_are_compared_on_the_same_images(run, worse, textures, tlkit, tmp_path):
    ran = tlkit("evaluate", run, worse, textures, "--split", "train", "--format", "json")
    assert ran.code == 0, ran.err
    assert ran.json["accuracy"] == 1
    found = ran.json["comparison"]
    assert (found["run_b"], found["accuracy_b"]) == (str(worse), 0)
    assert found["interval_b"][0] == 0
    assert found["interval_b"][1] > 0.1
    assert found["p_value"] == pytest.approx(2 / 2**16)
    text = tlkit("evaluate", run, worse, textures, "--split", "train", "--report", tmp_path / "page.html").out
    assert "accuracy 1.000 [0.806, 1.000]" in text
    assert (
        f"{run} is better than {worse}: such a difference comes by chance alone with p = 3.1e-05 (McNemar's test)."
        in text
    )
    assert "is better than" in (tmp_path / "page.html").read_text().replace("<wbr>", "")
    same = tlkit("evaluate", run, run, textures).out
    assert "Neither is shown to be better: such a difference comes by chance alone with p = 1 (McNemar's test)." in same


@pytest.mark.every
def test_runs_that_cannot_be_compared_are_refused(run, toy, textures, tlkit, tmp_path):
    shutil.copytree(textures, tmp_path / "data")
    for split in ("train", "validation"):
        (tmp_path / "data" / split / "grass").rename(tmp_path / "data" / split / "lawn")
    options = ("--head", "linear", "--finetune-epochs", 0)
    assert tlkit("finetune", tmp_path / "data", *toy, *options, "-o", tmp_path / "other").code == 0
    ran = tlkit("evaluate", run, tmp_path / "other", textures)
    assert ran.code == 2
    assert "only one of them knows grass, lawn" in ran.err
    ran = tlkit("evaluate", run, run, run, textures)
    assert (ran.code, "unexpected extra argument" in ran.err) == (2, True)
    assert "Missing argument 'DATA'" in tlkit("evaluate", run).err


def test_probabilities_of_a_run_are_calibrated(toy, textures, tlkit, tmp_path):
    """A head that learned from smoothed labels is right more often than it says."""
    for number in range(3):  # enough validation images
        for name in ("brick", "grass"):
            for file in (textures / "validation" / name).iterdir():
                target = tmp_path / "data" / "validation" / name / f"{number}-{file.name}"
                target.parent.mkdir(parents=True, exist_ok=True)
                with Image.open(file) as image:
                    image.rotate(90 * number).save(target)
    shutil.copytree(textures / "train", tmp_path / "data" / "train")
    options = ("--head", "linear", "--label-smoothing", 0.5, "--finetune-epochs", 0)
    ran = tlkit("finetune", tmp_path / "data", *toy, *options, "-o", tmp_path / "run", "--format", "json")
    temperature = ran.json["temperature"]
    assert 0 < temperature < 0.7, ran.err
    before, after = (ran.json["validation"]["calibration"][key] for key in ("error_uncalibrated", "error"))
    assert after < before
    assert f"a temperature of {temperature:.2f}, fitted on 24 validation images" in ran.err
    assert f"before calibration (temperature {temperature:.2f})" in (tmp_path / "run" / "report.html").read_text()
    images = tmp_path / "data" / "validation"
    raw, calibrated = (
        [each["predictions"] for each in tlkit("predict", images, "--model", tmp_path / "run", *options).json]
        for options in (("--format", "json", "--uncalibrated"), ("--format", "json"))
    )
    assert [each[0]["label"] for each in raw] == [each[0]["label"] for each in calibrated]
    for one, other in zip(raw, calibrated, strict=True):
        odds = [each[0]["probability"] / each[1]["probability"] for each in (one, other)]
        assert odds[1] == pytest.approx(odds[0] ** (1 / temperature), rel=1e-3)
    evaluated = tlkit("evaluate", tmp_path / "run", tmp_path / "data", "--format", "json").json
    assert evaluated["calibration"]["temperature"] == temperature
    assert evaluated["calibration"]["error"] == pytest.approx(after, abs=1e-6)
    assert evaluated["chosen_on_validation"] is False  # one epoch leaves no choice
