"""Data files are hashed once for each version of them, and never get a digest that is not theirs."""

import hashlib
import os
import sqlite3
import subprocess
import sys
import tarfile

import pytest
from helpers.program import environment

from tlkit.data import digests
from tlkit.data.digests import file_digests
from tlkit.data.modality import IMAGE
from tlkit.utils import findings, known_digests
from tlkit.utils.cache_dir import cache_folder


@pytest.fixture
def read(monkeypatch):
    """The files that were read."""
    paths = []
    real = digests._digest

    def counted(found):
        paths.append(found.path)
        return real(found)

    monkeypatch.setattr(digests, "_digest", counted)
    return paths


@pytest.fixture
def settled(monkeypatch):
    """Files that were written just now count as old."""
    monkeypatch.setattr(findings, "SETTLED_NS", -(10**9))


@pytest.fixture
def files(tmp_path):
    """More than one query asks for."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number}.jpg").write_bytes(b"%d" % number)
    return [str(folder / f"{number}.jpg") for number in range(40)]


def sha256(*contents):
    return [hashlib.sha256(content).digest() for content in contents]


def database():
    return cache_folder() / "verified" / "digests.sqlite"


def test_the_second_start_reads_no_file(files, read, settled):
    first = file_digests(files, IMAGE)
    assert first == sha256(*(b"%d" % number for number in range(40)))
    assert len(read) == 40
    assert file_digests(files[::-1], IMAGE) == first[::-1]
    assert len(read) == 40


def test_a_file_that_changed_is_read(files, read, settled):
    file_digests(files, IMAGE)
    read.clear()
    status = os.stat(files[3])
    with open(files[3], "wb") as file:
        file.write(b"x")  # as long as before
    os.utime(files[3], ns=(status.st_atime_ns, status.st_mtime_ns))
    os.remove(files[4])
    os.replace(files[5], files[4])
    found = file_digests(files, IMAGE)
    assert found[3:6] == [*sha256(b"x", b"5"), None]
    assert read == files[3:5]


def test_what_changed_just_now_is_not_trusted(files, read):
    file_digests(files, IMAGE)
    file_digests(files, IMAGE)
    assert len(read) == 80


def test_what_changes_while_it_is_read_is_not_remembered(files, settled, monkeypatch):
    real = digests._digest

    def changing(found):
        digest = real(found)
        with open(found.path, "ab") as file:
            file.write(b" more")
        return digest

    with monkeypatch.context() as patch:
        patch.setattr(digests, "_digest", changing)
        file_digests(files[:1], IMAGE)
    assert file_digests(files[:1], IMAGE) == sha256(b"0 more")
    with sqlite3.connect(database()) as connection:
        assert connection.execute("SELECT count(*) FROM digests").fetchone() == (1,)


def test_files_in_shards_are_known_too(tmp_path, read, settled):
    for name in ("0.jpg", "1.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w") as archive:
        for name in ("0.jpg", "1.jpg"):
            archive.add(tmp_path / name, name)
    sources = [f"{shard}/0.jpg", f"{shard}/1.jpg", f"{shard}/2.jpg"]
    for _ in range(2):
        assert file_digests(sources, IMAGE) == [*sha256(b"0.jpg", b"1.jpg"), None]
    assert len(read) == 2


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"x" * 5000, None])
def test_a_damaged_memo_is_as_good_as_none(files, read, settled, content):
    expected = file_digests(files, IMAGE)
    if content is None:
        whole = database().read_bytes()
        content = whole[:5000] + bytes(2000) + whole[7000:]
    database().write_bytes(content)
    assert file_digests(files, IMAGE) == expected == file_digests(files, IMAGE)
    read.clear()
    assert file_digests(files, IMAGE) == expected
    assert read == []  # it was removed, and begun again


def test_a_digest_that_a_disk_damaged_is_not_used(files, settled):
    expected = file_digests(files, IMAGE)
    with sqlite3.connect(database()) as connection:
        connection.execute("UPDATE digests SET value = zeroblob(36)")
    assert file_digests(files, IMAGE) == expected


def test_a_memo_that_cannot_be_written_is_no_error(files, settled, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "file"))
    assert file_digests(files[:1], IMAGE) == sha256(b"0")


def test_another_process_may_hold_it(files, settled, monkeypatch):
    file_digests(files[:1], IMAGE)
    monkeypatch.setattr(known_digests, "_WAIT_SECONDS", 0.05)
    holder = sqlite3.connect(database(), isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    assert file_digests(files, IMAGE) == sha256(*(b"%d" % number for number in range(40)))
    holder.close()


def test_processes_share_it(files, settled):
    code = "import sys; from tlkit.utils import findings; findings.SETTLED_NS = -10**9\n"
    code += "from tlkit.data.digests import file_digests; from tlkit.data.modality import IMAGE\n"
    code += "for _ in range(20): file_digests(sys.argv[1:], IMAGE)\n"
    running = [subprocess.Popen([sys.executable, "-c", code, *files], env=environment()) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    with sqlite3.connect(database()) as connection:
        assert connection.execute("SELECT count(*) FROM digests").fetchone() == (40,)


def test_the_oldest_go_first(files, read, settled, monkeypatch):
    monkeypatch.setattr(known_digests, "MOST", 20)
    file_digests(files[:20], IMAGE)
    file_digests(files[20:30], IMAGE)
    read.clear()
    file_digests(files[20:30], IMAGE)
    assert read == []
    file_digests(files[:10], IMAGE)
    assert read == files[:10]


def test_clear_forgets(files, read, settled, tlkit):
    file_digests(files, IMAGE)
    tlkit("cache", "clear")
    assert not database().exists()
    file_digests(files, IMAGE)
    assert len(read) == 80
