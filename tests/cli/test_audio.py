"""Audio from the command line: everything that works with images, and what differs."""

import io
import json
from importlib.util import find_spec

import numpy as np
import pytest
import soundfile
from helpers.web import serving
from keras_writers.tagger import old_weights, write
from PIL import Image

ARCH = ("--arch", "musictaggercrnn")


def tone(hertz, *, rate=12_000, seconds=30, seed=0):
    t = np.arange(rate * seconds) / rate
    return 0.3 * np.sin(2 * np.pi * hertz * t) + 0.01 * np.random.default_rng(seed).normal(size=t.size)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write(tmp_path_factory.mktemp("weights") / "old.h5", old_weights())


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    """Class folders of low and high tones: 4 audio clips for training and 2 for validation."""
    root = tmp_path_factory.mktemp("tones")
    random = np.random.default_rng(0)
    for split, count in (("train", 4), ("validation", 2)):
        for name, (lowest, highest) in {"low": (200, 240), "high": (3000, 3600)}.items():
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                path = root / split / name / f"{number}.{'flac' if number % 2 else 'wav'}"
                soundfile.write(path, tone(random.uniform(lowest, highest), seed=number), 12_000)
    (root / "train" / "low" / "bad.wav").write_text("not audio")
    Image.new("RGB", (4, 4)).save(root / "train" / "low" / "cover.png")  # no audio: ignored
    return root


def by_labels(row):
    return {tag["label"]: tag["probability"] for tag in row["predictions"]}


@pytest.mark.every
def test_tags_and_both_engines_agree(tlkit, tones, weights):
    folder = tones / "validation"
    answers = [
        tlkit("predict", folder, *ARCH, "--weights", weights, "--engine", engine, "--top", 50, "--format", "json")
        for engine in ("keras", "openvino")
    ]
    assert [answer.code for answer in answers] == [0, 0]
    documents = [answer.json for answer in answers]
    names = ["high/0.wav", "high/1.flac", "low/0.wav", "low/1.flac"]
    assert [row["input"] for row in documents[0]] == [str(folder / name) for name in names]
    found = [
        np.array([[by_label[label] for label in sorted(by_label)] for by_label in map(by_labels, document)])
        for document in documents
    ]
    np.testing.assert_allclose(*found, atol=1e-4)
    first = documents[0][0]["predictions"][0]
    assert first["label"] == first["name"]
    assert found[0][0].sum() > 1.5  # each tag by itself
    assert np.ptp(found[0], axis=0).max() > 1e-3


@pytest.mark.every
def test_features_of_any_layer(tlkit, tmp_path, tones, weights):
    folder = tones / "train" / "low"
    done = tlkit("extract", folder, folder / "cover.png", *ARCH, "--weights", weights, "-o", tmp_path / "a.npy",
                 "--format", "json")  # fmt: skip
    assert done.code == 3
    assert done.json["shape"] == [4, 32]
    assert {item["input"]: item["error"] for item in done.json["skipped"]} == {
        str(folder / "bad.wav"): "it is not an audio clip in a supported format",
        str(folder / "cover.png"): "it is an image, but the network takes audio clips",
    }
    provenance = done.json["provenance"]
    assert (provenance["layer"], provenance["size"]) == ("gru2", [96, 1366])
    assert (provenance["preprocessing"], provenance["resize"]) == ("melspectrogram", "middle")
    assert "libsndfile" in provenance["decoder"]
    assert "soxr" in provenance["decoder"]
    one = tlkit("extract", folder / "2.wav", *ARCH, "--weights", weights, "-o", tmp_path / "b.npy")
    assert one.code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy")[0], np.load(tmp_path / "a.npy")[2])
    layer = ("--layer", "pool4")
    assert tlkit("extract", folder / "2.wav", *ARCH, "--weights", weights, *layer, "-o", tmp_path / "c.npy").code == 0
    assert np.load(tmp_path / "c.npy").shape == (1, 128)
    again = tlkit(
        "extract", folder / "2.wav", *ARCH, "--weights", weights, "--pooling", "avg", "-o", tmp_path / "d.npy"
    )
    assert again.code == 2
    assert "--pooling avg applies to feature maps, and gru2 does not output one" in again.err


@pytest.fixture(scope="module")
def run(tmp_path_factory, tones, weights, tlkit):
    """A run on the tones."""
    folder = tmp_path_factory.mktemp("runs") / "tones"
    return folder, tlkit(
        "finetune", tones, *ARCH, "--weights", weights, "-o", folder, "--epochs", 8, "--finetune-epochs", 1,
        "--lr", 0.005, "--head-units", 64, "--format", "json",
    )  # fmt: skip


@pytest.mark.every
def test_a_classifier_of_audio_clips(tlkit, tmp_path, tones, run):
    folder, done = run
    assert done.code == 3, done.err
    result = done.json
    assert result["val_accuracy"] == 1.0
    assert result["images"] == {"train": 8, "validation": 4}
    assert [item["input"].rsplit("/", 1)[-1] for item in result["skipped"]] == ["bad.wav"]
    assert "train 9 audio clips" in done.err
    assert "images" not in done.err
    record = json.loads((folder / "run.json").read_text())
    assert (record["modality"], record["size"], record["preprocessing"]) == ("audio", [96, 1366], "melspectrogram")
    page = (folder / "report.html").read_text()
    assert "4 audio clips, " in page
    assert "images" not in page.lower()

    high = tones / "validation" / "high" / "1.flac"
    named, wrong = tlkit(
        "predict", "--model", folder, high, tones / "train" / "low" / "cover.png", "--format", "json"
    ).json
    assert named["predictions"][0]["label"] == "high"
    assert wrong["error"] == "it is an image, but the network takes audio clips"

    swapped = tmp_path / "swapped"
    swapped.mkdir()
    (swapped / "low").symlink_to(tones / "validation" / "high")
    (swapped / "high").symlink_to(tones / "validation" / "low")
    measured = tlkit("evaluate", folder, swapped, "--report", tmp_path / "page.html")
    assert measured.code == 0
    assert measured.out.startswith("4 audio clips (all): accuracy 0.000")
    page = (tmp_path / "page.html").read_text()
    assert page.count("data:image/jpeg") == 4  # the spectrograms of the mistakes
    assert "images" not in page.lower()


@pytest.mark.every
def test_bottleneck_features_are_written_and_trained_on(tlkit, tmp_path, tones, weights):
    out = tmp_path / "features"
    command = ("bottleneck", tones, "-o", out, *ARCH, "--weights", weights, "--json")
    done = tlkit(*command)
    assert done.code == 3
    assert done.json["computed"] == 12
    assert {name: split["shape"] for name, split in done.json["splits"].items()} == {
        "train": [8, 32], "validation": [4, 32],
    }  # fmt: skip
    assert tlkit(*command).json["computed"] == 0
    assert np.load(out / "bottleneck_labels_train.npy").tolist() == [0] * 4 + [1] * 4
    trained = tlkit("finetune", tones, *ARCH, "--weights", weights, "--features", out, "-o", tmp_path / "run",
                    "--epochs", 1, "--finetune-epochs", 0, "--head", "linear")  # fmt: skip
    assert trained.code == 3


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("predict", ("--size", "128"), "--size 128x128 is for images; musictaggercrnn takes audio"),
        ("predict", ("--resize", "squash"), "--resize is for images, and musictaggercrnn takes audio"),
        ("predict", ("--plot", "a.png"), "--plot is for images, and musictaggercrnn takes audio"),
        ("predict", ("--preprocess", "tf"), "--preprocess applies to a model FILE; musictaggercrnn has its own"),
        ("extract", ("--resize", "crop"), "--resize is for images"),
        ("extract", ("--pooling", "avg"), "--pooling avg applies to feature maps, and gru2 does not output one"),
        ("bottleneck", ("--resize", "crop"), "--resize is for images"),
        ("bottleneck", ("--pooling", "max"), "--pooling max applies to feature maps, and gru2 does not output one"),
        ("finetune", ("--augment", "light"), "--augment is for images"),
        ("finetune", ("--resize", "squash"), "--resize is for images"),
        ("finetune", ("--size", "96"), "--size 96x96 is for images"),
        ("finetune", ("--pooling", "avg"), "--pooling avg applies to feature maps, and this base outputs one vector"),
    ],
)
def test_options_for_images_are_refused(tlkit, tmp_path, monkeypatch, tones, command, options, message):
    monkeypatch.chdir(tmp_path)
    out = {"predict": (), "extract": ("-o", "a.npy"), "bottleneck": ("-o", "f"), "finetune": ("-o", "r")}[command]
    ran = tlkit(command, tones, *ARCH, "--weights", "none", *options, *out)
    assert ran.code in (1, 2)
    assert message in ran.err
    assert "Hint: Leave" in ran.err
    assert not list(tmp_path.iterdir())


@pytest.mark.every
def test_options_for_images_are_refused_with_a_run_too(tlkit, tmp_path, tones, run):
    ran = tlkit("predict", "--model", run[0], tones / "validation", "--plot", tmp_path / "a.png")
    assert ran.code == 2
    assert "--plot is for images" in ran.err


@pytest.mark.every
def test_audio_clips_for_a_network_that_takes_images(tlkit, tones):
    clip = tones / "train" / "low" / "0.wav"
    ran = tlkit("predict", clip, tones / "train" / "low" / "1.flac", "--format", "json")
    assert ran.code == 3
    assert {row["error"] for row in ran.json} == {"it is an audio clip, but the network takes images"}
    folder = tlkit("predict", tones / "validation" / "low")
    assert "it is a folder of audio clips, but the network takes images" in folder.err
    data = tlkit("finetune", tones / "validation")
    assert data.code == 1
    assert "have no image" in data.err
    assert "It holds audio clips, but the network takes images" in data.err


def test_without_the_extra(tlkit, tones, monkeypatch):
    monkeypatch.setattr(
        "tlkit.utils.extras.find_spec", lambda name: None if name in ("soundfile", "soxr") else find_spec(name)
    )
    for command in (("predict", tones), ("finetune", tones), ("extract", tones, "-o", "a.npy")):
        ran = tlkit(*command, *ARCH)
        assert ran.code == 1
        assert "needs soundfile, soxr, which are not installed" in ran.err
        assert "pip install 'tlkit[audio]'" in ran.err


@pytest.mark.every
def test_a_url(tlkit, weights):
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(440, seconds=2), 12_000, format="WAV")

    files = {"/a.wav": ("audio/wav", buffer.getvalue()), "/page": ("text/html", b"<html>")}
    with serving(files) as (url, _):
        asked = (f"{url}/a.wav", f"{url}/page", *ARCH, "--weights", weights, "--format", "json")
        clip, page = tlkit("predict", *asked, "--allow-private").json
        assert len(clip["predictions"]) == 5
        assert page["error"] == "it is a web page, not an audio clip"
        assert all("inside this network" in row["error"] for row in tlkit("predict", *asked).json)
