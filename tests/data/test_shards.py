"""Tar files of samples, read where they are."""

import io
import json
import tarfile

import pytest
from PIL import Image

from tlkit.data.dataset import scan_dataset, scan_labelled
from tlkit.data.digests import file_digests
from tlkit.data.discovery import expand_inputs
from tlkit.data.file_checks import read_file
from tlkit.data.modality import IMAGE
from tlkit.data.shards import shards_of
from tlkit.data.tar_members import members
from tlkit.errors import DataError, InputError


def write_tar(path, files):
    """Files are ``{name: bytes}``, or members that are something else."""
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if content is not member:
                member.size = len(content)
            archive.addfile(member, None if content is member else io.BytesIO(content))
    return path


def encoded(number):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (number % 256, number // 256, 100)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def shards(tmp_path):
    """Three shards of four samples each, of two classes."""
    for shard in range(3):
        files = {}
        for number in range(4):
            key = f"sub/{shard}{number:03d}"
            files[f"{key}.png"] = encoded(10 * shard + number)
            files[f"{key}.cls"] = b"dog\n" if number % 2 else b"cat"
            files[f"{key}.json"] = b"{}"
        write_tar(tmp_path / f"s-{shard + 9:02d}.tar", files)
    return str(tmp_path / "s-{09..11}.tar")


def test_samples_are_found_by_their_labels(shards, tmp_path):
    dataset = scan_dataset(shards, val_split=0.5)
    assert (dataset.classes, dataset.held_out, dataset.root) == (("cat", "dog"), True, str(tmp_path))
    files = [file for split in dataset.splits.values() for file in split.files]
    assert sorted(files) == sorted(
        f"{tmp_path}/s-{shard + 9:02d}.tar/sub/{shard}{number:03d}.png" for shard in range(3) for number in range(4)
    )
    for name, split in dataset.splits.items():
        assert split.labels.tolist() == [int(file[-5]) % 2 for file in split.files], name
    assert scan_labelled(shards, ["dog", "cat"]).split.labels.tolist().count(0) == 6


def test_a_member_is_read_like_a_file(shards, tmp_path):
    sources = expand_inputs([shards, str(tmp_path / "s-09.tar")], IMAGE)
    assert len(sources) == 16
    assert read_file(sources[1], IMAGE) == encoded(1)
    (tmp_path / "same.png").write_bytes(encoded(1))
    assert file_digests([sources[1]], IMAGE) == file_digests([str(tmp_path / "same.png")], IMAGE)
    assert file_digests([f"{tmp_path}/s-09.tar/nothing.png"], IMAGE) == [None]
    with pytest.raises(InputError, match="Not a directory"):
        read_file(f"{tmp_path}/s-09.tar/nothing.png", IMAGE)


def test_what_leads_elsewhere_is_passed_over(tmp_path):
    link = tarfile.TarInfo("c.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    files = {
        "./a.png": encoded(1),
        "../b.png": encoded(2),
        "c.png": link,
        "/d.png": encoded(3),
        "._e.png": b"",
        "f.txt": b"",
    }
    path = write_tar(tmp_path / "x.tar", files)
    assert expand_inputs([str(path)], IMAGE) == [f"{path}/a.png"]


@pytest.mark.parametrize(
    ("name", "says"),
    [("s-{09..12}.tar", "there is no file .*s-12.tar"), ("s-{5..4}.tar", "counts from 5 to 4")],
)
def test_a_shard_that_is_not_there_is_named(shards, tmp_path, name, says):
    for find in (scan_dataset, lambda data: expand_inputs([data], IMAGE)):
        with pytest.raises(DataError, match=says):
            find(str(tmp_path / name))
    assert shards_of(str(tmp_path / "nothing.tar")) == []


def test_shards_without_labels(tmp_path):
    path = write_tar(tmp_path / "x.tar", {"a.png": encoded(1), "b.cls": b"cat", "c.png": encoded(2), "c.cls": b" "})
    with pytest.raises(DataError, match="No image in .*x.tar has a label"):
        scan_dataset(str(path))
    files = {f"{name}{number}.{kind}": content for name in "ab" for number in range(3)
             for kind, content in (("png", encoded(number + 10 * ord(name))), ("cls", name.encode()))}  # fmt: skip
    del files["a0.cls"]
    dataset = scan_dataset(str(write_tar(tmp_path / "y.tar", files)))
    assert dataset.skipped == ((f"{tmp_path}/y.tar/a0.png", "it has no .cls with a label"),)


def test_a_tar_file_of_class_folders_is_still_unpacked(tmp_path):
    files = {f"{name}/{number}.png": encoded(number + 10 * ord(name)) for name in "ab" for number in range(3)}
    dataset = scan_dataset(str(write_tar(tmp_path / "x.tar", files)))
    assert dataset.classes == ("a", "b")
    assert ".tar/" not in dataset.splits["train"].files[0]


def test_a_tar_file_that_ends_too_early(shards, tmp_path):
    path = tmp_path / "s-09.tar"
    place = members(str(path))["sub/0003.png"]
    path.write_bytes(path.read_bytes()[: place.offset + 10])
    assert file_digests([f"{path}/sub/0003.png"], IMAGE) == [None]
    with pytest.raises(InputError, match="is no tar file that can be read: unexpected end of data"):
        read_file(f"{path}/sub/0003.png", IMAGE)
    for content in (path.read_bytes(), b"no tar file" * 100):
        path.write_bytes(content)
        with pytest.raises(DataError, match="s-09.tar is no tar file that can be read"):
            scan_dataset(shards)


@pytest.mark.usefixtures("toy")
def test_a_classifier_of_shards(textures, tlkit, tmp_path, toy, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = sorted(textures.glob("*/*/*.png"))
    for shard in range(2):
        samples = {}
        for number, file in enumerate(files[shard::2]):
            samples |= {f"{number}.png": file.read_bytes(), f"{number}.cls": file.parent.name.encode()}
        write_tar(tmp_path / f"s-{shard}.tar", samples)
    assert tlkit("finetune", "s-{0..1}.tar", *toy, "--recipe", "fast", "-o", "run").code == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["classes"] == ["brick", "grass"]
    measured = tlkit("evaluate", "run", textures, "--format", "json").json
    again = tlkit("evaluate", "run", "s-{0..1}.tar", "--format", "json").json
    assert (measured["accuracy"], again["images"]) == (1.0, len(files))
    found = tlkit("predict", "--model", "run", "s-0.tar", "--format", "json").json
    assert [item["input"] for item in found] == [f"s-0.tar/{number}.png" for number in range(len(files[::2]))]
    assert [item["predictions"][0]["name"] for item in found] == [file.parent.name for file in files[::2]]
    ran = tlkit("finetune", "s-{0..1}.tar", *toy, "--multi-label")
    assert (ran.code, "only in a table" in ran.err) == (2, True)
