"""check, on textures in which faults were planted, with Lite0's real weights."""

import csv
import io
import shutil

import numpy as np
import pytest
from PIL import Image, ImageOps

SMALL = ("--size", 64)


@pytest.fixture(scope="module")
def planted(textures, tmp_path_factory):
    """Brick and grass with a fault of every kind."""
    root = shutil.copytree(textures, tmp_path_factory.mktemp("planted") / "data")
    train, validation = root / "train", root / "validation"
    shutil.copy(train / "brick" / "0.png", train / "brick" / "again.png")
    with Image.open(train / "grass" / "1.png") as image:
        ImageOps.mirror(image).save(validation / "grass" / "mirrored.png")
        image.convert("RGBA").save(train / "grass" / "transparent.png")
    with Image.open(train / "grass" / "2.png") as image:
        image.convert("RGB").save(train / "brick" / "lawn.jpg", quality=40)
    shutil.move(train / "brick" / "5.png", train / "grass" / "wall.png")
    (train / "brick" / "empty.png").write_bytes(b"")
    (train / "brick" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    Image.new("RGB", (20, 20), "red").save(train / "grass" / "tiny.png")
    return root


@pytest.fixture(scope="module")
def found(planted, tlkit):
    ran = tlkit("check", planted, *SMALL, "--format", "json")
    assert ran.code == 0, ran.err
    return ran.json


def groups(found, relation):
    return [set(group["files"]) for group in found["duplicates"] if group["relation"] == relation]


def test_unreadable_files_are_findings(found):
    assert {each["file"]: each["error"] for each in found["unreadable"]}.keys() == {
        "train/brick/empty.png",
        "train/brick/broken.jpg",
    }
    assert "it is empty" in [each["error"] for each in found["unreadable"]]
    assert found["images"] == 24 + 5


def test_copies_are_grouped_by_what_they_spoil(found):
    assert groups(found, "within class") == [{"train/brick/0.png", "train/brick/again.png"}]
    assert groups(found, "across classes") == [{"train/brick/lawn.jpg", "train/grass/2.png"}]
    assert groups(found, "across splits") == [
        {"validation/grass/mirrored.png", "train/grass/1.png", "train/grass/transparent.png"}
    ]
    exact = [group for group in found["duplicates"] if group["kind"] == "exact"]
    assert [group["files"] for group in exact] == [["train/brick/0.png", "train/brick/again.png"]]
    assert all(group["similarity"] > 0.9 for group in found["duplicates"])


def test_wrong_labels_name_the_class_that_is_meant(found):
    errors = {each["file"]: (each["label"], each["suggested"]) for each in found["label_errors"]}
    assert errors["train/grass/wall.png"] == ("grass", "brick")
    assert errors["train/brick/lawn.jpg"] == ("brick", "grass")
    assert errors.keys() <= {"train/grass/wall.png", "train/brick/lawn.jpg", "train/grass/tiny.png"}


def test_the_leak_is_measured(found):
    leak = found["leakage"]
    assert leak["images"] == 1
    assert 0.8 < leak["accuracy_with"] <= 1
    assert leak["interval_with"][0] < leak["accuracy_with"]
    assert 0.8 < leak["accuracy_without"] <= 1


def test_odd_images_and_small_classes_are_said(found):
    assert {each["file"]: each["reason"] for each in found["unusual"]} == {
        "train/grass/tiny.png": "it has only 20x20 pixels",
        "train/grass/transparent.png": "it is transparent, shown over white",
    }
    assert {each["name"]: (each["train"], each["validation"], each["test"]) for each in found["classes"]} == {
        "brick": (9, 4, 0),
        "grass": (11, 5, 0),
    }
    assert any("Fewer than 10 validation images" in warning for warning in found["warnings"])


def test_text_csv_and_page(planted, tlkit, tmp_path):
    page = tmp_path / "page.html"
    text = tlkit("check", planted, *SMALL, "--report", page).out
    assert "1 group of copies across splits\n" in text
    assert "1 of 9 validation or test images has a copy in train. The accuracy of a small classifier:" in text
    assert "train/grass/wall.png: grass, probably brick" in text
    rows = list(csv.DictReader(io.StringIO(tlkit("check", planted, *SMALL, "--format", "csv").out)))
    assert {row["kind"] for row in rows} >= {"unreadable", "duplicate", "label error", "unusual", "warning"}
    written = page.read_text()
    assert written.count("data:image/jpeg;base64,") >= 10
    assert 'src="http' not in written
    assert 'name="generator" content="tlkit check"' in written
    assert tlkit("check", planted, *SMALL, "--report", page).code == 0  # its own page
    shutil.copy(planted / "train" / "brick" / "0.png", page)
    assert tlkit("check", planted, *SMALL, "--report", page).code == 2


def test_strict_is_an_exit_code(planted, textures, tlkit):
    assert tlkit("check", planted, *SMALL, "--strict").code == 1


def test_what_is_excluded_is_no_finding(tlkit, tmp_path, noise):
    data, listed = tmp_path / "data", tmp_path / "list.txt"
    for number in range(64):
        split, name = "validation" if number < 32 else "train", "ab"[number % 2]
        noise(data / split / name / f"{number}.png", number, (64, 64))
    (data / "train" / "a" / "bad.png").write_bytes(b"not an image")
    found = tlkit("check", data, *SMALL, "--strict", "--write-list", listed)
    assert found.code == 1 and "\n1 unreadable\n" in found.out
    again = tlkit("check", data, *SMALL, "--strict", "--exclude", listed)
    assert (again.code, again.out.splitlines()[-1]) == (0, "Nothing was found.")
    assert f"Left out, named in {listed}: " in again.err
    listed.write_text("train/a/gone.png\n")
    again = tlkit("check", data, *SMALL, "--strict", "--exclude", listed)
    assert again.code == 1 and f"{listed} names 1 file that {data} does not hold: train/a/gone.png." in again.out


@pytest.mark.every
def test_what_is_listed_can_be_left_out(planted, tlkit, tmp_path):
    listed = tmp_path / "odd.txt"
    assert tlkit("check", planted, *SMALL, "--write-list", listed).code == 0
    names = {line.split("\t")[0] for line in listed.read_text().splitlines()[1:]}
    assert {"train/brick/empty.png", "train/brick/lawn.jpg", "train/grass/2.png", "train/grass/wall.png"} <= names
    assert len(names & {"train/brick/0.png", "train/brick/again.png"}) == 1
    assert "validation/grass/mirrored.png" not in names  # the copies in train are
    assert {"train/grass/1.png", "train/grass/transparent.png"} <= names
    again = tlkit("check", planted, *SMALL, "--exclude", listed, "--format", "json").json
    assert (again["unreadable"], again["duplicates"], again["label_errors"]) == ([], [], [])
    ran = tlkit(
        "finetune", planted, *SMALL, "--recipe", "fast", "--exclude", listed, "-o", tmp_path / "run", "--format", "json"
    )
    assert ran.json["images"]["train"] == again["classes"][0]["train"] + again["classes"][1]["train"]
    assert f"Left out, named in {listed}: {len(names)} images." in ran.err
    assert tlkit("check", planted, *SMALL, "--write-list", listed).code == 2  # it exists
    assert tlkit("check", planted, *SMALL, "--write-list", listed, "--force").code == 0


def test_lists_that_name_other_files_say_so(planted, toy, tlkit, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("train/brick/0.png\n./train/brick/1.png\tlooks odd\nnothing/here.png\n")
    ran = tlkit("bottleneck", planted, *toy, "--exclude", listed, "-o", tmp_path / "features")
    assert f"Left out, named in {listed}: 2 images." in ran.err
    assert "nothing/here.png" in ran.err
    missing = tlkit("bottleneck", planted, *toy, "--exclude", tmp_path / "no.txt", "-o", tmp_path / "other")
    assert (missing.code, "Cannot read the list" in missing.err) == (1, True)
    listed.write_bytes(b"\xff\xfe\x00")
    assert "it is not UTF-8 text" in tlkit("check", planted, *SMALL, "--exclude", listed).err


@pytest.mark.every
def test_class_folders_alone_have_no_splits_to_leak_between(textures, tlkit, tmp_path):
    root = shutil.copytree(textures / "train", tmp_path / "data")
    with Image.open(root / "grass" / "0.png") as image:
        image.convert("RGB").save(root / "grass" / "copy.jpg", quality=50)
    found = tlkit("check", root, *SMALL, "--format", "json").json
    assert groups(found, "within class") == [{"grass/0.png", "grass/copy.jpg"}]
    assert found["leakage"]["images"] == 0


def test_networks_for_audio_are_refused(textures, tlkit):
    ran = tlkit("check", textures, "--arch", "musictaggercrnn")
    assert (ran.code, "musictaggercrnn takes audio" in ran.err) == (2, True)


@pytest.mark.every
def test_a_thousand_images_without_a_copy_have_none(tlkit, tmp_path):
    """Noise, gradients and shapes, which are alike."""
    random = np.random.default_rng(0)
    for number in range(1000):
        folder = tmp_path / "data" / ("one", "other")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        coarse = random.integers(0, 256, (8, 8, 3), dtype="uint8")
        Image.fromarray(coarse).resize((64, 64), Image.BICUBIC).save(folder / f"{number}.png")
    assert tlkit("check", tmp_path / "data", *SMALL, "--format", "json").json["duplicates"] == []


def test_a_class_of_which_nothing_can_be_read_is_reported_with_the_rest(textures, toy, tlkit, tmp_path):
    for name in ("brick", "grass"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).symlink_to(textures / "train" / name)
    (tmp_path / "data" / "torn").mkdir()
    for number in range(4):
        (tmp_path / "data" / "torn" / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes([number]))
    found = tlkit("check", tmp_path / "data", *toy, "--format", "json").json
    assert len(found["unreadable"]) == 4
    assert found["classes"][2] == {"name": "torn", "train": 0, "validation": 0, "test": 0}
    assert "No image of torn in train can be read: nothing of it can be learned." in found["warnings"]
