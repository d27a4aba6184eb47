"""A run says "I don't know" of images unlike those it was trained on: Lite0 with its real weights."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

SMALL = ("--size", 64, "--recipe", "fast")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """Noise."""
    folder = tmp_path_factory.mktemp("noise")
    random = np.random.default_rng(0)
    for number in range(12):
        Image.fromarray(random.integers(0, 256, (64, 64, 3), dtype="uint8")).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def run(textures, tmp_path_factory, tlkit):
    folder = tmp_path_factory.mktemp("unknown") / "run"
    ran = tlkit("finetune", textures, *SMALL, "-o", folder)
    assert ran.code == 0, ran.err
    return folder


def test_predict_answers_unknown(run, foreign, textures, tlkit):
    images = textures / "validation"
    found = tlkit("predict", foreign, images, "--model", run, "--unknown", "--format", "json").json
    noise, known = found[:12], found[12:]
    assert all(not each["known"] and each["unknown_score"] > 1 and each["predictions"] == [] for each in noise)
    assert sum(each["known"] for each in known) >= len(known) - 1
    assert all(each["predictions"] for each in known if each["known"])
    text = tlkit("predict", foreign / "0.png", "--model", run, "--unknown").out
    assert "unknown (" in text
    without = tlkit("predict", foreign / "0.png", "--model", run, "--format", "json").json[0]
    assert without["predictions"]
    assert without["known"] is False
    rows = tlkit("predict", foreign / "0.png", "--model", run, "--unknown", "--format", "csv").out.splitlines()
    assert rows[0].endswith(",unknown_score")
    assert float(rows[1].split(",")[-1]) == pytest.approx(noise[0]["unknown_score"], abs=1e-3)


@pytest.mark.every
def test_evaluate_measures_it(run, foreign, textures, tlkit, tmp_path):
    ran = tlkit("evaluate", run, textures, "--foreign", foreign, "--format", "json", "--report", tmp_path / "page.html")
    assert ran.code == 0, ran.err
    found = ran.json["foreign"]
    assert (found["images"], found["turned_away"], found["auroc"]) == (12, 1, 1)
    assert found["interval"][0] < 0.8
    assert "foreign images turned away" in (tmp_path / "page.html").read_text()
    text = tlkit("evaluate", run, textures, "--foreign", foreign).out
    assert "12 foreign images: 1.000 [" in text


@pytest.mark.every
@pytest.mark.parametrize("engine", ["keras", "openvino"])
def test_both_engines_and_a_fine_tuned_base_know_it(engine, toy, foreign, textures, tlkit, tmp_path):
    options = ("--epochs", 1, "--finetune-epochs", 1, "--engine", engine)
    ran = tlkit("finetune", textures, *toy, *options, "-o", tmp_path / "run")
    assert ran.code == 0, ran.err
    found = tlkit("predict", foreign, "--model", tmp_path / "run", "--engine", engine, "--format", "json").json
    assert all(each["unknown_score"] > 0 for each in found)


@pytest.mark.every
def test_what_does_not_know_says_so(run, textures, foreign, tlkit, tmp_path):
    image = foreign / "0.png"
    ran = tlkit("predict", image, "--unknown")
    assert (ran.code, "has not learned what its images look like" in ran.err) == (2, True)
    older = shutil.copytree(run, tmp_path / "older")
    (older / "unknown.npz").unlink()
    assert "known" not in tlkit("predict", image, "--model", older, "--format", "json").json[0]
    assert "train one of an older tlkit again" in tlkit("predict", image, "--model", older, "--unknown").err
    assert "train it again" in tlkit("evaluate", older, textures, "--foreign", foreign).err
    (older / "unknown.npz").write_bytes(b"PK nothing")
    ran = tlkit("predict", image, "--model", older)
    assert (ran.code, "unknown.npz cannot be read" in ran.err) == (1, True)
    shutil.copy(run / "unknown.npz", older)
    record = json.loads((older / "run.json").read_text())
    (older / "run.json").write_text(json.dumps({**record, "model_digest": None}))
    assert "is of another run" in tlkit("predict", image, "--model", older).err
