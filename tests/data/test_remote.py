"""Images in object stores: read and listed, against a bucket on 127.0.0.1 and a file system in memory."""

import csv
import io
import json
from collections import Counter

import fsspec
import numpy as np
import pytest
from helpers.objects import bucket
from PIL import Image

from tlkit.data import remote
from tlkit.data.discovery import expand_inputs
from tlkit.data.modality import IMAGE
from tlkit.data.remote import read_remote
from tlkit.errors import InputError


def png(colour):
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40), colour).save(buffer, "PNG")
    return buffer.getvalue()


OBJECTS = {
    "a/2.png": png("red"), "a/10.PNG": png("blue"), "a/b/ü 1%20?.png": png("green"), "a/readme.txt": b"x",
    "a/.hidden.png": b"", "z.png": b"no image",
}  # fmt: skip
FOUND = ["a/10.PNG", "a/2.png", "a/b/ü 1%20?.png"]


@pytest.fixture(scope="module")
def s3():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "secret")
        with bucket(OBJECTS) as (options, asked):
            yield f"?{options}", asked


@pytest.fixture
def memory():
    system = fsspec.filesystem("memory")
    for key, data in OBJECTS.items():
        system.pipe(f"/images/{key}", data)
    yield
    system.rm("/images", recursive=True)


def reason(url, **options):
    with pytest.raises(InputError) as caught:
        read_remote(url, **options)
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("key", FOUND)
def test_an_object_is_read_by_its_key_as_it_stands(s3, key):
    options, asked = s3
    asked.clear()
    assert read_remote(f"s3://images/{key}{options}", allow_private=True) == OBJECTS[key]
    assert asked == [f"HEAD {key}", f"GET {key}"]


@pytest.mark.parametrize("folder", ["a", "a/"])
def test_a_folder_of_a_bucket_is_listed_sorted(s3, folder):
    options, _ = s3
    left_out = Counter()
    found = expand_inputs([f"s3://images/{folder}{options}"], IMAGE, left_out)
    assert found == [f"s3://images/{key}{options}" for key in FOUND]
    assert left_out == {".txt": 1}
    assert [read_remote(url, allow_private=True) for url in found] == [OBJECTS[key] for key in FOUND]


def test_a_bucket_is_a_folder(s3):
    options, _ = s3
    found = expand_inputs([f"s3://images{options}"], IMAGE)
    assert found == [f"s3://images/{key}{options}" for key in (*FOUND, "z.png")]


def test_any_file_system_of_fsspec(memory):
    found = expand_inputs(["memory://images/a/"], IMAGE)
    assert found == [f"memory://images/{key}" for key in FOUND]
    assert [read_remote(url) for url in found] == [OBJECTS[key] for key in FOUND]


def test_what_is_not_there_stays_to_be_named(s3, memory):
    options, _ = s3
    for url in (f"s3://images/no/{options}", f"s3://images/no.png{options}", "memory://images/no/"):
        assert expand_inputs([url], IMAGE) == [url]
        reason(url, allow_private=True)
    assert reason(f"s3://images/no.png{options}", allow_private=True) == "there is no such file"


def test_an_object_that_is_too_large_is_not_read(s3, monkeypatch):
    options, asked = s3
    asked.clear()
    monkeypatch.setattr(remote, "MAX_BYTES", 100)
    assert reason(f"s3://images/a/2.png{options}", allow_private=True) == "it is larger than 100 bytes"
    assert asked == ["HEAD a/2.png"]


def test_a_server_inside_this_network_is_asked_only_where_that_is_allowed(s3):
    options, asked = s3
    asked.clear()
    assert "--allow-private" in reason(f"s3://images/a/2.png{options}")
    assert asked == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("nowhere://bucket/a.png", "Protocol not known"),
        ("hf://datasets/a/b/c.png", "huggingface_hub"),
        ("memory://nothing/a.png", "there is no such file"),
    ],
)
def test_reasons(url, expected):
    assert expected in reason(url)


@pytest.mark.parametrize(("url", "package"), [("s3://b/a.png", "pyarrow"), ("memory://b/a.png", "fsspec")])
def test_a_package_that_is_missing_is_named(url, package, monkeypatch, tlkit, tmp_path):
    monkeypatch.setattr("tlkit.utils.extras.find_spec", lambda name: None if name == package else name)
    ran = tlkit("extract", url, "-o", tmp_path / "f.npy")
    assert ran.code == 1
    assert f"Reading {url.partition('b/')[0]} needs {package}, which is not installed" in ran.err
    assert "pip install 'tlkit[remote]'" in ran.err


def test_extract_and_bottleneck_read_objects(s3, memory, tmp_path, tlkit, toy):
    """The same features wherever the images are, by one command from a folder, by the other from a table."""
    options, _ = s3
    for key in FOUND:
        path = tmp_path / "local" / key.replace("?", "")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(OBJECTS[key])
    network = [*toy, "--weights", "none", "--pooling", "avg"]
    sources = {
        "local": [tmp_path / "local"], "s3": [f"s3://images/a/{options}", "--allow-private"], "memory": ["memory://images/a"]
    }  # fmt: skip
    for name, source in sources.items():
        assert tlkit("extract", *source, "-o", tmp_path / f"{name}.npy", *network).code == 0
    expected = np.load(tmp_path / "local.npy")
    assert len(expected) == len(FOUND)
    for name in ("s3", "memory"):
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}.npy"), expected)
    with open(tmp_path / "table.csv", "w", newline="") as file:
        rows = [
            (f"memory://images/{key}", *cells)
            for key, *cells in zip(FOUND, "xyx", ("train", "train", "validation"), strict=True)
        ]
        csv.writer(file).writerows([("path", "label", "split"), *rows])
    tlkit("bottleneck", tmp_path / "table.csv", "-o", tmp_path / "features", *network)
    listed = json.loads((tmp_path / "features" / "bottleneck_train.json").read_text())
    assert listed["files"] == [f"memory://images/{key}" for key in FOUND[:2]]
    found = np.load(tmp_path / "features" / "bottleneck_features_train.npy")
    np.testing.assert_array_equal(found, expected[:2])
