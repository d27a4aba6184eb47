"""predict, on real photographs with real weights."""

import csv
import io
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import skimage.data
from helpers.web import serving
from PIL import Image


@pytest.fixture
def photos(tmp_path, chelsea):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(chelsea).save(folder / "cat.png")
    Image.fromarray(skimage.data.coffee()).save(folder / "coffee.jpg", quality=95)
    return folder


def test_photographs_are_named(photos, tlkit):
    ran = tlkit("predict", photos, "--format", "json")
    assert ran.code == 0
    assert [os.path.basename(item["input"]) for item in ran.json] == ["cat.png", "coffee.jpg"]
    cat, coffee = (item["predictions"] for item in ran.json)
    assert cat[0]["name"] in ("tabby", "tiger_cat", "Egyptian_cat")
    assert coffee[0]["name"] == "espresso"
    assert coffee[0]["label"] == "n07920052"
    assert [score["rank"] for score in coffee] == [1, 2, 3, 4, 5]
    probabilities = [score["probability"] for score in coffee]
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0.5 < probabilities[0] <= 1


def test_text_and_csv(photos, tlkit):
    ran = tlkit("predict", photos / "coffee.jpg", "--top", 2)
    lines = ran.out.splitlines()
    assert lines[0] == str(photos / "coffee.jpg")
    assert lines[1].split()[1:] == ["espresso", "n07920052"]
    assert len(lines) == 3
    rows = list(csv.DictReader(io.StringIO(tlkit("predict", photos, "--top", 2, "--format", "csv").out)))
    assert [row["rank"] for row in rows] == ["1", "2", "1", "2"]
    assert rows[2]["name"] == "espresso"


@pytest.mark.parametrize("output_format", ["text", "json", "csv"])
def test_bad_inputs_are_named_and_the_others_done(photos, tlkit, output_format):
    (photos / "broken.jpg").write_text("not an image")
    ran = tlkit("predict", photos / "cat.png", photos / "broken.jpg", photos / "nothing.png", photos / "coffee.jpg",
                "--format", output_format)  # fmt: skip
    assert ran.code == 3
    assert "broken.jpg is skipped: it is not an image" in ran.err
    assert "nothing.png is skipped: there is no such file" in ran.err
    if output_format == "json":
        assert [sorted(item) for item in ran.json] == [["input", "predictions"], ["error", "input"]] + [
            ["error", "input"], ["input", "predictions"]]  # fmt: skip
    elif output_format == "csv":
        rows = list(csv.DictReader(io.StringIO(ran.out)))
        assert [row["error"] != "" for row in rows] == [False] * 5 + [True] * 2 + [False] * 5


def test_the_first_of_many_unreadable_files_are_named_and_all_are_in_the_document(tmp_path, tlkit, cat):
    for number in range(30):
        (tmp_path / f"bad{number:02}.jpg").write_text("words")
    (tmp_path / "notes.txt").touch()
    ran = tlkit("predict", tmp_path, "--format", "json")
    assert ran.code == 3
    assert ran.err.count("is skipped") == 10
    assert "20 more are skipped" in ran.err
    assert "Left out, not images: 1 .txt." in ran.err
    assert sum("error" in item for item in ran.json) == 30
    assert len(ran.json) == 31


def test_an_image_from_standard_input(photos, tlkit):
    data = (photos / "cat.png").read_bytes()
    named = tlkit("predict", photos / "cat.png", "--format", "json")
    piped = tlkit("predict", "-", "--format", "json", input=data)
    assert piped.code == 0
    assert piped.json == [{**named.json[0], "input": "-"}]
    ran = tlkit("predict", "-", input=b"")
    assert ran.code == 3
    assert "- is skipped: it is empty." in ran.err


def test_a_link_to_nothing_is_named_as_one(photos, tlkit):
    (photos / "link.png").symlink_to("gone.png")
    ran = tlkit("predict", photos / "link.png")
    assert "it is a link to a file that does not exist." in ran.err
    assert "Did you mean" not in ran.err


def test_a_missing_file_gets_the_closest_name(photos, tlkit):
    assert "Did you mean coffee.jpg" in tlkit("predict", photos / "cofee.jpg").err


def test_batches_change_nothing(photos, tlkit):
    one, many = (tlkit("predict", *[photos] * 3, "--batch-size", size, "--format", "json").json for size in (1, 4))
    assert [item["input"] for item in one] == [item["input"] for item in many]
    for left, right in zip(one, many, strict=True):
        assert [score["name"] for score in left["predictions"]] == [score["name"] for score in right["predictions"]]
        np.testing.assert_allclose(
            [score["probability"] for score in left["predictions"]],
            [score["probability"] for score in right["predictions"]],
            rtol=1e-3,
        )


def test_the_picture_is_what_counts_not_how_it_is_stored(photos, tlkit, chelsea):
    Image.fromarray(chelsea).save(photos / "cat.bmp")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(np.rot90(chelsea)).save(photos / "turned.png", exif=turned)
    opaque = Image.fromarray(chelsea).convert("RGBA")
    opaque.save(photos / "opaque.png")
    files = [photos / name for name in ("cat.png", "cat.bmp", "turned.png", "opaque.png")]
    results = [item["predictions"] for item in tlkit("predict", *files, "--format", "json").json]
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("resize", ["squash", "crop"])
def test_resize_rules(photos, tlkit, resize):
    ran = tlkit("predict", photos / "coffee.jpg", "--resize", resize, "--format", "json")
    assert ran.json[0]["predictions"][0]["name"] == "espresso"


def test_another_input_size(photos, tlkit):
    ran = tlkit("predict", photos / "coffee.jpg", "--size", "160x192", "--format", "json")
    assert ran.json[0]["predictions"][0]["name"] == "espresso"
    assert "at least 32x32" in tlkit("predict", photos, "--size", 16).err


def test_plot(photos, tlkit, tmp_path):
    ran = tlkit("predict", photos, "--plot", tmp_path / "plot.png")
    assert ran.code == 0
    with Image.open(tmp_path / "plot.png") as plot:
        assert plot.width > 500
        assert plot.height > 500
        assert len(plot.convert("RGB").getcolors(10**7)) > 1000  # the photographs are on it
    refused = tlkit("predict", photos, "--plot", tmp_path / "plot.xyz")
    assert refused.code == 1
    assert "extensions .png" in refused.err
    assert "no folder" in tlkit("predict", photos, "--plot", tmp_path / "nothing" / "p.png").err


@pytest.mark.parametrize("named", ["file", "folder"])
def test_a_plot_never_overwrites_a_picture(photos, tlkit, named):
    image = photos / "cat.png"
    before = image.read_bytes()
    ran = tlkit("predict", image if named == "file" else photos, "--plot", image)
    assert ran.code == 2
    assert "would overwrite" in ran.err
    assert image.read_bytes() == before


def test_labels_from_a_file(photos, tlkit, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(f"class {number}" for number in range(1000)))
    ran = tlkit("predict", photos / "coffee.jpg", "--labels", labels, "--format", "json")
    assert ran.json[0]["predictions"][0] == {
        **ran.json[0]["predictions"][0],
        "label": "class 967",
        "name": "class 967",
    }
    labels.write_text("one\ntwo\n")
    ran = tlkit("predict", photos, "--labels", labels)
    assert ran.code == 2
    assert "names 2 classes, but the network has 1000" in ran.err


def test_odd_names_stay_on_their_line(photos, tlkit):
    odd = photos / "two\nlines\x1b[31m.png"
    shutil.copy(photos / "cat.png", odd)
    ran = tlkit("predict", odd, "--top", 1)
    assert ran.out.splitlines()[0].endswith("two\\nlines\\x1b[31m.png")
    assert tlkit("predict", odd, "--format", "json").json[0]["input"] == str(odd)


def test_weights_that_cannot_be_had_are_never_replaced_by_random_ones(photos, tlkit, monkeypatch):
    monkeypatch.setattr("tlkit.downloads.download.PAUSE_SECONDS", 0)
    monkeypatch.setenv("TLKIT_WEIGHTS_MIRROR", "http://127.0.0.1:9")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    ran = tlkit("predict", photos, "--arch", "vgg16")
    assert ran.code == 1
    assert ran.out == ""
    assert "vgg16_weights_tf_dim_ordering_tf_kernels.h5" in ran.err
    assert "--weights PATH" in ran.err


def test_random_weights_only_when_asked_for(photos, tlkit, toy):
    ran = tlkit("predict", photos, *toy, "--weights", "none", "--format", "json")
    assert ran.code == 0
    assert "random weights" in ran.err


def test_urls_inside_the_network_need_leave(tlkit, cat):
    with serving({"/cat.png": ("image/png", cat.read_bytes())}) as (url, asked):
        ran = tlkit("predict", f"{url}/cat.png", "file:///etc/passwd", "--format", "json")
        assert ran.code == 3
        assert "inside this network" in ran.json[0]["error"]
        assert "other than http" in ran.json[1]["error"]
        assert asked == []
        ran = tlkit("predict", f"{url}/cat.png", "--allow-private", "--format", "json")
        assert (ran.code, asked) == (0, ["/cat.png"])
        assert ran.json[0]["predictions"][0]["name"] == "Egyptian_cat"


def test_the_password_of_a_url_is_not_printed(tlkit, cat):
    for output in ("json", "text", "csv"):
        ran = tlkit("-v", "predict", "http://user:secret@127.0.0.1:9/cat.png", cat, "--format", output)
        assert ran.code == 3
        assert "http://user:***@127.0.0.1:9/cat.png" in ran.out + ran.err
        assert "secret" not in ran.out + ran.err


@pytest.mark.every
def test_both_engines_and_precisions_agree(tlkit, cat):
    scores = {}
    for options in (("openvino", "float32"), ("keras", "float32"), ("openvino", "bfloat16")):
        ran = tlkit("predict", cat, "--engine", options[0], "--precision", options[1], "--format", "json")
        assert ran.code == 0
        assert ("bfloat16 vs float32" in ran.err) == (options[1] == "bfloat16")
        scores[options] = {score["name"]: score["probability"] for score in ran.json[0]["predictions"]}
    exact, keras, less = scores.values()
    assert keras == pytest.approx(exact, rel=1e-3)
    assert next(iter(less)) == next(iter(exact)) == "Egyptian_cat"
    assert less != exact


def test_once_a_network_is_converted_tensorflow_does_not_start(tlkit, cat):
    """A fresh process, as a user's: neither Keras nor TensorFlow is imported."""
    assert tlkit("predict", cat).code == 0
    code = (
        "import sys\nfrom tlkit.cli import main\n"
        "try:\n    main(sys.argv[1:])\nfinally:\n    print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code, "predict", str(cat)], capture_output=True, text=True)
    assert "Egyptian_cat" in ran.stdout
    assert ran.stdout.endswith("[]\n"), ran.stderr


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
@pytest.mark.every
def test_a_damaged_converted_network_is_converted_again(tlkit, cat, toy, tmp_path, monkeypatch, damage):
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("tlkit.features.published_network.has_table", lambda architecture: False)  # through Keras
    before = tlkit("predict", cat, *toy, "--format", "json").json
    (path,) = (tmp_path / "cache" / "tlkit" / "models").glob("*/model.bin")
    sound = path.read_bytes()
    flipped = bytes(byte ^ 64 if number == len(sound) // 2 else byte for number, byte in enumerate(sound))
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(flipped if damage == "flipped" else sound[: len(sound) // 2])
    assert tlkit("predict", cat, *toy, "--format", "json").json == before
    (path,) = (tmp_path / "cache" / "tlkit" / "models").glob("*/model.bin")
    assert path.read_bytes() == sound
