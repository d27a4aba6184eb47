"""``--part`` and ``--merge``: the result of many machines is that of one, to the byte."""

import json
import os
import shutil

import numpy as np
import pytest
from helpers.cases import one_in
from helpers.web import serving

import tlkit as api
from tlkit.distributed import shares
from tlkit.features.extractor import FeatureExtractor

pytestmark = pytest.mark.usefixtures("toy")


@pytest.fixture
def images(tmp_path, noise):
    """Ten images, one of them a copy, one that cannot be read and one that does not exist."""
    folder = tmp_path / "images"
    files = [noise(folder / f"{number}.png", number) for number in range(9)]
    shutil.copy(files[1], folder / "copy.png")
    (folder / "4.png").write_text("not an image")
    return [folder, tmp_path / "missing.png"]


def compute_parts(tlkit, count, *command, order=None):
    for number in order or range(1, count + 1):
        assert tlkit(*command, "--part", f"{number}/{count}").code in (0, 3)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("ending", one_in(4, ["npy", "h5", "csv", "parquet"]))
def test_features_of_parts_are_those_of_one_machine(tlkit, toy, images, tmp_path, ending):
    results = []
    for name in ("one", "many"):
        (tmp_path / name).mkdir()
        command = ["extract", *images, *toy, "-o", tmp_path / name / f"f.{ending}", "--format", "json"]
        if name == "many":
            compute_parts(tlkit, 3, *command, order=[3, 1, 2])
            command.append("--merge")
        ran = tlkit(*command)
        assert ran.code == 3
        results.append({**ran.json, "output": None})
    assert results[0] == results[1]
    assert [item["input"] for item in results[0]["skipped"]] == [str(images[0] / "4.png"), str(images[1])]
    assert contents(tmp_path / "one") == contents(tmp_path / "many")


@pytest.mark.parametrize("command", ["extract", "bottleneck"])
def test_what_is_finished_is_not_computed_again(tlkit, toy, textures, noise, tmp_path, command):
    data = shutil.copytree(textures, tmp_path / "data")
    job = [command, data, *toy, "-o", tmp_path / ("f.npy" if command == "extract" else "f")]
    as_json = ["--json"] if command == "bottleneck" else ["--format", "json"]
    assert tlkit(*job).code == 0
    noise(data / "train" / "brick" / "new.png")
    parts = [tlkit(*job, "--part", f"{number}/2", *as_json).json for number in (1, 2)]
    assert [part["computed"] for part in parts] in ([1, 0], [0, 1])
    assert sum(part["images"] for part in parts) == 25
    assert tlkit(*job, "--merge").code == 0


@pytest.mark.parametrize("form", one_in(3, ["npy", "hdf5", "parquet"]))
def test_bottleneck_features(tlkit, toy, textures, tmp_path, form):
    data = shutil.copytree(textures, tmp_path / "data")
    (data / "train" / "brick" / "bad.png").write_text("not an image")
    results = []
    for name in ("one", "many"):
        command = ["bottleneck", data, *toy, "-o", tmp_path / name, "--format", form, "--json"]
        if name == "many":
            compute_parts(tlkit, 2, *command)
            command.append("--merge")
        results.append(tlkit(*command).out.replace(str(tmp_path / name), ""))
    assert results[0] == results[1]
    assert contents(tmp_path / "one") == contents(tmp_path / "many")


def test_a_check(tlkit, toy, textures, tmp_path, monkeypatch):
    data = shutil.copytree(textures, tmp_path / "data")
    (data / "train" / "brick" / "bad.png").write_text("not an image")
    shutil.copy(data / "train" / "grass" / "0.png", data / "validation" / "grass" / "copy.png")
    command = ["check", data, *toy, "--format", "json"]
    compute_parts(tlkit, 3, *command)
    merged = tlkit(*command, "--merge")
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "another"))
    assert merged.out == tlkit(*command).out
    assert merged.json["duplicates"]
    assert merged.json["unreadable"]


@pytest.fixture(scope="module")
def run(tmp_path_factory, textures):
    folder = tmp_path_factory.mktemp("runs") / "run"
    api.finetune(textures, arch="toy", epochs=2, finetune_epochs=0, output=folder)
    return folder


@pytest.mark.parametrize("options", one_in(2, [[], ["--tta", "--batch-size", 3]]))
def test_predictions(tlkit, images, run, options):
    command = ["predict", *images, "--model", run, *options, "--format", "json"]
    compute_parts(tlkit, 2, *command)
    merged, one = tlkit(*command, "--merge"), tlkit(*command)
    assert (merged.code, merged.out) == (one.code, one.out)
    assert "unknown_score" in one.json[0]


def test_predictions_of_a_model_file(tlkit, cat, run):
    command = ["predict", cat, cat, "--model", shutil.copy(run / "model.keras", cat.parent), "--preprocess", "tf"]
    compute_parts(tlkit, 2, *command)
    assert tlkit(*command, "--merge").out == tlkit(*command).out


def test_a_part_that_is_missing_is_named(tlkit, toy, images, tmp_path):
    command = ["extract", *images, *toy, "-o", tmp_path / "f.npy"]
    compute_parts(tlkit, 4, *command, order=[1, 2, 4])
    ran = tlkit(*command, "--merge")
    assert ran.code == 1
    assert "Part 3/4 is missing" in ran.err
    assert str(images[0] / "5.png") in ran.err
    assert not (tmp_path / "f.npy").exists()
    compute_parts(tlkit, 4, *command, order=[3])
    assert tlkit(*command, "--merge").code == 3


def test_without_any_part(tlkit, toy, images, tmp_path):
    ran = tlkit("extract", *images, *toy, "-o", tmp_path / "f.npy", "--merge")
    assert ran.code == 1
    assert "--part K/N" in ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]


def test_more_parts_than_images(tlkit, toy, cat, tmp_path):
    command = ["extract", cat, *toy, "-o", tmp_path / "f.npy"]
    compute_parts(tlkit, 3, *command)
    assert tlkit(*command, "--merge").code == 0
    assert len(np.load(tmp_path / "f.npy")) == 1


def test_a_part_that_was_interrupted_computes_only_what_it_lacks(toy, images, tmp_path, monkeypatch):
    def extract():
        return api.extract(images, output=tmp_path / "f.npy", arch="toy", part="1/1")

    monkeypatch.setattr(shares, "LARGEST_SHARD", 4)
    compute, calls = FeatureExtractor.compute_missing, []

    def interrupted(self, *given, **options):
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return compute(self, *given, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(FeatureExtractor, "compute_missing", interrupted)
        extract()
    result = extract()
    assert (result.part, result.images, result.computed) == ("1/1", 11, 6)
    assert extract().computed == 2  # what cannot be read is tried again


def test_an_image_that_changed_afterwards_is_computed_again(tlkit, toy, images, noise, tmp_path):
    command = ["extract", *images, *toy, "-o", tmp_path / "f.npy", "--format", "json"]
    compute_parts(tlkit, 2, *command)
    noise(images[0] / "4.png", 44)
    ran = tlkit(*command, "--merge")
    assert (ran.code, "4.png" in ran.err) == (1, True)
    assert tlkit(*command, "--part", "1/2").json["computed"] == 1
    assert [item["input"] for item in tlkit(*command, "--merge").json["skipped"]] == [str(images[1])]


def test_parts_that_were_computed_differently_are_refused(tlkit, toy, images, tmp_path):
    command = ["extract", *images, *toy, "-o", tmp_path / "f.npy"]
    compute_parts(tlkit, 2, *command, order=[1])
    compute_parts(tlkit, 2, *command, "--precision", "bfloat16", order=[2])
    ran = tlkit(*command, "--merge")
    assert ran.code == 1
    assert "precision bfloat16, not float32" in ran.err


def test_a_damaged_part_is_computed_again(tlkit, toy, images, tmp_path):
    command = ["extract", *images, *toy, "-o", tmp_path / "f.npy", "--format", "json"]
    compute_parts(tlkit, 1, *command)
    (part,) = (tmp_path / "f.npy.parts").glob("*.h5")
    os.truncate(part, 2000)
    assert tlkit(*command, "--part", "1/1").json["computed"] == 10
    assert tlkit(*command, "--merge").code == 3


def test_urls_are_fetched_once(tlkit, toy, cat, tmp_path):
    files = {"/cat.png": ("image/png", cat.read_bytes()), "/bad.png": ("image/png", b"no image")}
    with serving(files) as (url, asked):
        command = [f"{url}/cat.png", f"{url}/bad.png", *toy, "--allow-private", "-o", tmp_path / "f.npy"]
        compute_parts(tlkit, 2, "extract", *command)
        before = sorted(asked)
        assert tlkit("extract", *command, "--merge").code == 3
    assert sorted(asked) == before == ["/bad.png", "/cat.png"]
    assert json.loads((tmp_path / "f.npy.json").read_text())["files"] == [f"{url}/cat.png"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "2"], "--ray local"),
        (["--part", "0/3"], "parts 1 to 3"),
        (["--part", "4/3"], "parts 1 to 3"),
        (["--part", "three"], "K/N"),
        (["--part", "1/2", "--merge"], "exclude each other"),
        (["--ray", "local", "--merge"], "exclude each other"),
        (["--part", "1/2", "--plot", "p.png"], "--plot"),
    ],
)
def test_options_that_contradict_each_other(tlkit, cat, options, message):
    ran = tlkit("predict", cat, *options)
    assert ran.code == 2
    assert message in ran.err


def test_standard_input_stays_on_one_machine(tlkit, cat):
    ran = tlkit("predict", "-", "--part", "1/2", input=cat.read_bytes())
    assert (ran.code, "standard input" in ran.err) == (2, True)
