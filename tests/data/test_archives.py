"""DATA in a zip or tar: unpacked into the cache once, and refused where it is hostile."""

import io
import os
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from tlkit.data import archives
from tlkit.utils.cache_dir import cache_folder

FAST = ("--head", "linear", "--finetune-epochs", 0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "cache"))


def unpacked():
    folder = cache_folder() / "archives"
    return sorted(folder.rglob("*.png")) if folder.exists() else []


@pytest.mark.parametrize(
    "kind", ["zip", *(pytest.param(kind, marks=pytest.mark.every) for kind in ("tar", "gztar", "xztar"))]
)
def test_an_archive_of_class_folders_is_as_the_folders(kind, textures, toy, tlkit, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "textures"), kind, textures.parent, textures.name)
    ran = tlkit("finetune", archive, *toy, *FAST, "-o", tmp_path / "run", "--format", "json")
    assert ran.code == 0, ran.err
    folders = tlkit("finetune", textures, *toy, *FAST, "-o", tmp_path / "other", "--format", "json").json
    assert ran.json["validation"] == folders["validation"]
    assert len(unpacked()) == 24
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "other", "run", os.path.basename(archive)]
    assert tlkit("evaluate", tmp_path / "run", archive, "--format", "json").json["images"] == 8
    listed = tlkit("cache", "--format", "json").json["entries"]
    assert [each["what"] for each in listed if each["kind"] == "archives"] == [os.path.basename(archive)]
    assert tlkit("cache", "clear", "archives").code == 0
    assert unpacked() == []


def test_the_folder_that_was_packed_may_be_a_member(textures, toy, tlkit, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "here"), "gztar", textures)  # as `tar czf here.tar.gz .`
    assert tlkit("bottleneck", archive, *toy, "-o", tmp_path / "a").code == 0


def test_it_is_unpacked_once_for_its_bytes(textures, toy, tlkit, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "one"), "zip", textures)
    assert tlkit("bottleneck", archive, *toy, "-o", tmp_path / "a").code == 0
    moved = shutil.move(archive, tmp_path / "another.zip")
    ran = tlkit("bottleneck", moved, *toy, "-o", tmp_path / "b")
    assert ran.code == 0
    assert "Unpacking" not in ran.err
    assert len(list((cache_folder() / "archives").iterdir())) == 1


def zipped(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content, *mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode[0] << 16 if mode else 0
            archive.writestr(info, content)
    return path


def tarred(path, members):
    with tarfile.open(path, "w") as archive:
        for name, content, *kind in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if kind:
                info.type, info.linkname, info.size = kind[0], "/etc/passwd", 0
            archive.addfile(info, io.BytesIO(content))
    return path


HOSTILE = {
    "zip-above": (zipped, [("a/1.png", b"x"), ("../../evil.png", b"x")], "leads out of its folder"),
    "zip-absolute": (zipped, [("/etc/evil.png", b"x")], "leads out of its folder"),
    "zip-drive": (zipped, [("C:\\evil.png", b"x")], "leads out of its folder"),
    "zip-backslashes": (zipped, [("a\\..\\..\\evil.png", b"x")], "leads out of its folder"),
    "zip-link": (zipped, [("a/link.png", b"/etc/passwd", stat.S_IFLNK | 0o777)], "is a link"),
    "tar-above": (tarred, [("a/../../evil.png", b"x")], "leads out of its folder"),
    "tar-absolute": (tarred, [("/tmp/evil.png", b"x")], "leads out of its folder"),
    "tar-symlink": (tarred, [("a/link.png", b"", tarfile.SYMTYPE)], "is a link"),
    "tar-hard-link": (tarred, [("a/link.png", b"", tarfile.LNKTYPE)], "is a link"),
    "tar-device": (tarred, [("a/null.png", b"", tarfile.CHRTYPE)], "is no file"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_hostile_is_refused_whole(case, toy, tlkit, tmp_path):
    make, members, says = HOSTILE[case]
    archive = make(tmp_path / f"data.{'zip' if make is zipped else 'tar'}", [("a/good.png", b"x"), *members])
    ran = tlkit("finetune", archive, *toy, "-o", tmp_path / "run")
    assert ran.code == 1
    assert says in ran.err
    assert not any(path.name in ("evil.png", "good.png") for path in tmp_path.rglob("*"))


def test_more_than_can_be_meant_is_refused(toy, tlkit, tmp_path, monkeypatch):
    archive = zipped(tmp_path / "data.zip", [(f"a/{number}.png", b"x") for number in range(20)])
    monkeypatch.setattr(archives, "MOST_FILES", 10)
    assert "holds more than 10 files" in tlkit("finetune", archive, *toy).err
    monkeypatch.undo()
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("a/1.png", bytes(5_000_000))
    free = shutil.disk_usage(tmp_path)._replace(free=6_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    assert "more than half of the free disk" in tlkit("finetune", tmp_path / "bomb.zip", *toy).err
    assert unpacked() == []


def test_a_size_that_lies_is_found_while_unpacking(toy, tlkit, tmp_path):
    with zipfile.ZipFile(tmp_path / "lies.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", bytes(100_000))
    data = bytearray((tmp_path / "lies.zip").read_bytes())
    honest = (100_000).to_bytes(4, "little")
    while honest in data:
        at = data.index(honest)
        data[at : at + 4] = (10).to_bytes(4, "little")
    (tmp_path / "lies.zip").write_bytes(data)
    ran = tlkit("finetune", tmp_path / "lies.zip", *toy)
    assert ran.code == 1
    assert "larger than it says" in ran.err or "is damaged" in ran.err
    assert unpacked() == []


@pytest.mark.parametrize("name", ["data.zip", "data.tar.gz", "data.tar"])
def test_damage_is_one_line(name, textures, toy, tlkit, tmp_path):
    (tmp_path / name).write_bytes(b"PK\x03\x04 nothing that can be unpacked")
    ran = tlkit("finetune", tmp_path / name, *toy)
    assert (ran.code, "is damaged, or no archive" in ran.err) == (1, True)
    whole = shutil.make_archive(str(tmp_path / "whole"), "gztar", textures)
    (tmp_path / "cut.tgz").write_bytes(Path(whole).read_bytes()[:-2000])
    ran = tlkit("finetune", tmp_path / "cut.tgz", *toy)
    assert (ran.code, "is damaged" in ran.err) == (1, True)


def test_what_is_encrypted_says_so(toy, tlkit, tmp_path):
    archive = zipped(tmp_path / "data.zip", [("a/1.png", b"x")])
    data = bytearray(archive.read_bytes())
    data[6] |= 1
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    archive.write_bytes(data)
    assert "is encrypted" in tlkit("finetune", archive, *toy).err
