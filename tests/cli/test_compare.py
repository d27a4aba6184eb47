"""compare: which base separates these classes best, and is it really better?"""

import csv
import io
import shutil

import numpy as np
import pytest
from PIL import Image

FOLDS = ("--folds", 3, "--repeats", 2)


@pytest.fixture(scope="module")
def compared(textures, tlkit, toy, tmp_path_factory):
    page = tmp_path_factory.mktemp("compared") / "page.html"
    options = ("--archs", "toy,efficientnetlite0", "--size", 64, *FOLDS, "--report", page)
    ran = tlkit("compare", textures, *options, "--format", "json")
    assert ran.code == 0, ran.err
    return ran.json, page.read_text()


def test_rows_are_ranked_with_interval_and_cost(compared):
    found, page = compared
    rows = found["rows"]
    assert {row["arch"] for row in rows} == {"toy", "efficientnetlite0"}
    assert found["best"] == rows[0]["arch"]
    assert found["images"] == 24
    assert rows[0]["accuracy"] >= rows[1]["accuracy"]
    assert rows[0]["equal_to_best"] is True
    for row in rows:
        low, high = row["interval"]
        assert 0 <= low <= row["accuracy"] <= high <= 1
        assert row["ms_per_image"] > 0
        assert row["size"] == [64, 64]
    assert "Accuracy and cost" in page
    assert 'content="tlkit compare"' in page


@pytest.mark.every
def test_bases_that_are_equal_are_said_to_be_equal(textures, tlkit, toy):
    options = ("--archs", "toy", "--size", "32,64", "--layer", "top_relu,block3_add", *FOLDS)
    ran = tlkit("compare", textures, *options)
    assert ran.code == 0, ran.err
    assert "toy top_relu 32x32" in ran.out
    assert "take them for equal" in ran.out.splitlines()[-1]
    rows = list(csv.DictReader(io.StringIO(tlkit("compare", textures, *options, "--format", "csv").out)))
    assert len(rows) == 4
    assert {row["layer"] for row in rows} == {"top_relu", "block3_add"}


def test_one_that_cannot_see_the_difference_is_worse(tlkit, toy, tmp_path):
    """Stripes that 16 pixels an image cannot show, on blots that they can."""
    random = np.random.default_rng(0)
    for name, contrast in (("striped", 24), ("plain", 0)):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        for number in range(40):
            blots = np.kron(random.integers(60, 196, (8, 8)), np.ones((16, 16)))
            stripes = np.where(np.arange(128) % 4 < 2, contrast, -contrast)
            Image.fromarray((blots + stripes).astype("uint8")).save(folder / f"{number}.png")
    ran = tlkit("compare", tmp_path / "data", "--archs", "toy", "--size", "16,128", *FOLDS, "--format", "json")
    best, other = ran.json["rows"]
    assert best["size"] == [128, 128]
    assert best["accuracy"] > other["accuracy"] + 0.1
    assert not other["equal_to_best"]
    assert "is better than all others" in ran.json["verdict"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--archs", "toy", "--layer", "nothing"), "toy has no layer 'nothing' in its base"),
        (("--archs", "toy", "--size", "0"), "size is '0'"),
        (("--archs", "toy", "--size", "8"), "16"),
        (("--archs", "toy", "--folds", 20), "fewer than --folds 20"),
        (("--archs", "toyy"), "toy"),
        (("--archs", "toy,musictaggercrnn"), "for images and for audio"),
    ],
)
def test_what_cannot_be_compared_is_refused(textures, toy, tlkit, options, says):
    ran = tlkit("compare", textures, *options)
    assert ran.code in (1, 2)
    assert says in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.every
def test_a_base_without_weights_is_left_out_by_name(textures, toy, tlkit, monkeypatch, tmp_path):
    monkeypatch.setenv("TLKIT_WEIGHTS_MIRROR", str(tmp_path))
    ran = tlkit("compare", textures, "--archs", "toy,vgg16", *FOLDS, "--format", "json")
    assert ran.code == 3
    assert [row["arch"] for row in ran.json["rows"]] == ["toy"]
    assert ran.json["left_out"][0]["arch"] == "vgg16"


def test_test_images_stay_unseen(textures, toy, tlkit, tmp_path):
    root = shutil.copytree(textures, tmp_path / "data")
    shutil.copytree(root / "validation", root / "test")
    assert tlkit("compare", root, "--archs", "toy", *FOLDS, "--format", "json").json["images"] == 24
