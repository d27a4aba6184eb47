"""``--multi-label``: several labels an image, from a table to predictions and the page."""

import csv
import json

import numpy as np
import pytest
import skimage.data
from PIL import Image

pytestmark = pytest.mark.usefixtures("toy")

TOY = ("--arch", "toy", "--batch-size", 8, "--multi-label")
FAST = (*TOY, "--recipe", "fast")
NAMES = ("brick", "grass", "gravel")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Images of two halves, and the textures in each: ``[(file, names)]``; some show one texture, some two."""
    folder, random = tmp_path_factory.mktemp("halves"), np.random.default_rng(0)
    rows = []
    for number in range(48):
        halves = [NAMES[number % 3], NAMES[number // 3 % 3]]
        pixels = []
        for name in halves:
            y, x = random.integers(0, 512 - 64, 2)
            pixels.append(getattr(skimage.data, name)()[y : y + 64, x : x + 32])
        Image.fromarray(np.concatenate(pixels, axis=1)).save(folder / f"{number:02}.png")
        rows.append((f"{number:02}.png", sorted({*halves})))
    return folder, rows


def write(folder, rows, separator="|", name="table.csv"):
    with (folder / name).open("w", newline="") as file:
        csv.writer(file).writerows([("path", "labels"), *((path, separator.join(labels)) for path, labels in rows)])
    return folder / name


@pytest.fixture(scope="module")
def trained(images, tlkit, tmp_path_factory):
    """A run, and what it printed as JSON."""
    run = tmp_path_factory.mktemp("several") / "run"
    ran = tlkit("finetune", write(*images, name="trained.csv"), *FAST, "-o", run, "--format", "json")
    assert ran.code == 0, ran.err
    return run, ran.json


def test_a_run_gives_every_label_that_an_image_shows(trained, images, tlkit):
    run, _ = trained
    folder, rows = images
    predicted = tlkit("predict", "--model", run, folder, "--format", "json").json
    right = sum({*each["labels"]} == {*labels} for each, (_, labels) in zip(predicted, rows, strict=True))
    assert right >= 0.8 * len(rows)
    sums = [sum(score["probability"] for score in each["predictions"]) for each in predicted]
    assert max(sums) > 1.5  # each label has a probability of its own


def test_metrics_are_those_of_the_labels(trained, images, tlkit):
    run, found = trained
    validation = found["validation"]
    assert found["images"] == {"train": 48 - validation["images"], "validation": validation["images"]}
    assert 8 <= validation["images"] <= 12
    low, high = validation["mean_average_precision_interval"]
    assert 0 <= low <= validation["mean_average_precision"] <= high <= 1
    assert [each["name"] for each in validation["classes"]] == list(NAMES)
    assert [each["threshold"] for each in validation["classes"]] == pytest.approx(found["thresholds"])
    folder, rows = images
    table = write(folder, rows, ", ", "evaluated.csv")
    measured = tlkit("evaluate", run, table, "--format", "json").json
    predicted = tlkit("predict", "--model", run, *(folder / path for path, _ in rows), "--format", "json").json
    right = [{*each["labels"]} == {*labels} for each, (_, labels) in zip(predicted, rows, strict=True)]
    assert measured["accuracy"] == pytest.approx(sum(right) / len(rows))
    assert measured["classes"][0]["images"] == sum("brick" in labels for _, labels in rows)
    assert "confusion" not in measured
    text = tlkit("evaluate", run, table).out
    assert "mean average precision" in text and "threshold" in text


@pytest.mark.every
def test_the_page_shows_labels_with_their_thresholds(trained, images, tlkit, tmp_path):
    run, _ = trained
    pages = [run / "report.html", tmp_path / "page.html"]
    folder, rows = images
    wrong = [(path, [*labels, "brick"]) for path, labels in rows]
    tlkit("evaluate", run, write(folder, wrong, name="wrong.csv"), "--report", pages[1])
    for page in pages:
        text = page.read_text("utf-8")
        assert "average precision" in text and "threshold" in text
        assert "Confusion matrix" not in text
    assert "with a wrong label" in pages[1].read_text("utf-8")


def test_uncalibrated_answers_are_the_same(trained, images, tlkit, tmp_path):
    """The thresholds move with the probabilities."""
    run, _ = trained
    record = json.loads((run / "run.json").read_text("utf-8"))
    record |= {"temperature": 3.0, "thresholds": [0.3, 0.6, 0.8]}
    (tmp_path / "run").mkdir()
    for file in run.iterdir():
        (tmp_path / "run" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    given = []
    for more in ((), ("--uncalibrated",)):
        predicted = tlkit("predict", "--model", tmp_path / "run", images[0], *more, "--format", "json").json
        given.append([each["labels"] for each in predicted])
    assert given[0] == given[1]
    record["temperature"] = 1.0  # and with that alone they would not be
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    predicted = tlkit("predict", "--model", tmp_path / "run", images[0], "--format", "json").json
    assert given[0] != [each["labels"] for each in predicted]


def test_what_an_image_is_given_is_listed_whatever_is_more_probable(trained, images, tlkit, tmp_path):
    run, _ = trained
    record = json.loads((run / "run.json").read_text("utf-8"))
    record["thresholds"] = [0.0, 1.1, 1.1]
    (tmp_path / "run").mkdir()
    for file in run.iterdir():
        (tmp_path / "run" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    predicted = tlkit("predict", "--model", tmp_path / "run", images[0], "--top", 1, "--format", "json").json
    assert all(each["labels"] == ["brick"] for each in predicted)
    assert all("brick" in [score["name"] for score in each["predictions"]] for each in predicted)
    assert {len(each["predictions"]) for each in predicted} == {1, 2}


def test_csv_and_text_tell_the_labels(trained, images, tlkit):
    run, _ = trained
    file = images[0] / images[1][1][0]
    labels = images[1][1][1]
    rows = list(csv.DictReader(tlkit("predict", "--model", run, file, "--format", "csv").out.splitlines()))
    assert sorted(row["name"] for row in rows if row["given"] == "1") == labels
    assert f"labels: {', '.join(labels)}" in tlkit("predict", "--model", run, file).out


@pytest.mark.every
@pytest.mark.parametrize(
    "options",
    [
        ("--epochs", 4, "--finetune-epochs", 2, "--finetune-lr", 1e-2, "--freeze", "block1_add"),
        ("--epochs", 2, "--finetune-epochs", 2, "--augment", "light", "--mixup", 0.4, "--label-smoothing", 0.1),
        ("--recipe", "fast", "--folds", 2),
        ("--recipe", "fast", "--label-smoothing", 0.1),
    ],
    ids=lambda options: options[-2],
)
def test_it_goes_with_what_training_can_do(options, images, tlkit, tmp_path):
    ran = tlkit("finetune", write(*images), *TOY, *options, "-o", tmp_path / "run", "--format", "json")
    assert ran.code == 0, ran.err
    assert ran.json["validation"]["mean_average_precision"] > 0.7
    predicted = tlkit("predict", "--model", tmp_path / "run", images[0] / "00.png", "--format", "json").json
    assert isinstance(predicted[0]["labels"], list)


@pytest.mark.parametrize("separator", ["|", ";", ", ", " "])
def test_the_separator_is_found(separator, images, tlkit, tmp_path):
    ran = tlkit("finetune", write(*images, separator), *FAST, "-o", tmp_path / "run")
    assert f"separates the labels of an image by {separator.strip() or ' '!r}" in ran.err
    assert "3 classes: brick, grass, gravel." in ran.err


@pytest.mark.every
def test_the_separator_can_be_said(images, tlkit, tmp_path):
    folder, rows = images
    table = write(folder, [(path, [f"old {name}" for name in labels]) for path, labels in rows], "/")
    options = ("--label-separator", "/", "-o", tmp_path / "run", "--format", "json")
    assert tlkit("finetune", table, *FAST, *options).json["classes"] == [f"old {name}" for name in NAMES]
    assert tlkit("evaluate", tmp_path / "run", table, "--format", "json").json["images"] == len(rows)


@pytest.mark.every
@pytest.mark.parametrize("kind", ["lists", "lists as text", "rows"])
def test_labels_may_be_lists_or_stand_in_rows_of_their_own(kind, images, tlkit, tmp_path):
    folder, rows = images
    if kind == "lists":
        table = folder / "table.jsonl"
        lines = [{"image": path, "labels": labels if number else []} for number, (path, labels) in enumerate(rows)]
        table.write_text("\n".join(map(json.dumps, lines)))
    elif kind == "lists as text":
        table = write(folder, [(path, [str(labels)]) for path, labels in rows], name="text.csv")
    else:
        table = write(folder, [(path, [label]) for path, labels in rows for label in labels], name="rows.csv")
    found = tlkit("finetune", table, *FAST, "-o", tmp_path / "run", "--format", "json").json
    assert found["classes"] == list(NAMES)
    assert sum(found["images"].values()) == len(rows)


def test_the_rarest_label_is_on_both_sides(images, tlkit, tmp_path):
    folder, rows = images
    rare = [(path, [*labels, "rare"] if number in (5, 20) else labels) for number, (path, labels) in enumerate(rows)]
    for seed in range(2):
        run = tmp_path / f"run-{seed}"
        options = ("--seed", seed, "-o", run, "--format", "json")
        assert tlkit("finetune", write(folder, rare), *FAST, *options).code == 0
        counts = json.loads((run / "run.json").read_text("utf-8"))["data"]
        assert counts["train"]["rare"] == counts["validation"]["rare"] == 1


@pytest.mark.parametrize(
    ("rows", "options", "says"),
    [
        (["a.png,brick|grass", "b.png,"], (), "line 3 is skipped: it has no labels"),
        (["a.png,brick|grass,more"], (), "line 2 is skipped: it has more cells than columns: more"),
        (["a.png,brick|grass"], ("--class-weight", "auto"), "an image has several"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(rows, options, says, images, tlkit, tmp_path):
    folder, good = images
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes((folder / "00.png").read_bytes())
    table = folder / "bad.csv"
    table.write_text("\n".join(["path,labels", *rows, *(f"{path},{'|'.join(labels)}" for path, labels in good)]))
    ran = tlkit("finetune", table, *FAST, *options, "-o", tmp_path / "run")
    assert says in ran.err


def test_class_folders_hold_one_label_an_image(textures, tlkit, tmp_path):
    ran = tlkit("finetune", textures, *FAST, "-o", tmp_path / "run")
    assert ran.code == 1 or ran.code == 2
    assert "only in a table an image has several labels" in ran.err
