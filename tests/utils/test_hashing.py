"""The bytes of a file are read once for each version of it, by whatever process, and never with a wrong digest."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.program import environment

from tlkit.utils import findings, hashing
from tlkit.utils.cache_dir import cache_folder
from tlkit.utils.hashing import digest_problem, file_digest


@pytest.fixture
def read(monkeypatch):
    """How often a file was read for its digest."""
    calls = []
    real = hashlib.file_digest

    def counted(file, algorithm):
        calls.append(algorithm)
        return real(file, algorithm)

    monkeypatch.setattr(hashing.hashlib, "file_digest", counted)
    return calls


@pytest.fixture
def settled(monkeypatch):
    """Files that were written just now count as old."""
    monkeypatch.setattr(findings, "SETTLED_NS", -(10**9))


def new_process(monkeypatch):
    """What it remembers: nothing but the cache."""
    monkeypatch.setattr(findings, "_recalled", {})


def sha256(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"one")
    return path


def stored():
    return sorted((cache_folder() / "verified").iterdir())


def test_a_file_is_read_once_until_it_changes(path, read, settled, monkeypatch):
    for _ in range(3):
        assert file_digest(path) == file_digest(path) == sha256(b"one")
        new_process(monkeypatch)
    assert file_digest(path, "md5").startswith("md5:")
    assert read == ["sha256", "md5"]
    path.write_bytes(b"three")
    assert file_digest(path) == sha256(b"three")


def test_another_process_knows_it(path, settled):
    """A digest that is wrong for the bytes shows where it came from."""
    file_digest(path)
    (finding,) = stored()
    status = path.stat()
    findings.remember("sha256", path, status, "sha256:remembered")
    code = "from pathlib import Path; import sys; from tlkit.utils.hashing import file_digest as digest\n"
    code += "path = Path(sys.argv[1]); print(digest(path), digest(path, read=True))"
    done = subprocess.run([sys.executable, "-c", code, path], env=environment(), capture_output=True, text=True)
    assert done.stdout.split() == ["sha256:remembered", sha256(b"one")]
    assert stored() == [finding]


def test_a_change_that_sets_size_and_modification_time_back_is_seen(path, read, settled, monkeypatch):
    status = path.stat()
    file_digest(path)
    time.sleep(0.05)  # longer than the clock of a file system takes to tick
    path.write_bytes(b"two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    new_process(monkeypatch)
    assert file_digest(path) == sha256(b"two")


def test_a_file_in_the_place_of_another_is_read(path, tmp_path, settled):
    file_digest(path)
    other = tmp_path / "other"
    other.write_bytes(b"two")
    status = path.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)
    assert file_digest(path) == sha256(b"two")


@pytest.mark.parametrize("seconds", [0, 3600])
def test_a_file_that_may_still_change_is_not_remembered(path, read, seconds):
    soon = time.time_ns() + seconds * 10**9
    os.utime(path, ns=(soon, soon))
    assert file_digest(path) == file_digest(path)
    assert len(read) == 2
    os.utime(path, ns=(10**18, 10**18))  # the modification time of a copy can be old
    file_digest(path)
    assert len(read) == 3


def test_a_file_that_changes_while_it_is_read_is_not_remembered(path, settled, monkeypatch):
    real = hashlib.file_digest

    def interrupted(file, algorithm):
        digest = real(file, algorithm)
        path.write_bytes(b"longer")
        return digest

    with monkeypatch.context() as patch:
        patch.setattr(hashing.hashlib, "file_digest", interrupted)
        file_digest(path)
    assert file_digest(path) == sha256(b"longer")


def cut_short(file):
    file.write_bytes(file.read_bytes()[:-1])


def flipped(file):
    content = bytearray(file.read_bytes())
    content[10] ^= 1
    file.write_bytes(content)


def no_text(file):
    file.write_bytes(b"\xff\xfe")


def folder(file):
    file.unlink()
    file.mkdir()


def pipe(file):
    file.unlink()
    os.mkfifo(file)


def of_another_file(file):
    file.write_text(f"sha256:other\n{findings._check('0' * 64, 'sha256:other')}")


@pytest.mark.parametrize("damage", [cut_short, flipped, no_text, folder, pipe, of_another_file])
def test_a_damaged_store_gives_no_wrong_digest(path, settled, monkeypatch, damage):
    file_digest(path)
    damage(stored()[0])
    for _ in range(2):
        new_process(monkeypatch)
        assert file_digest(path) == sha256(b"one")


def test_a_cache_that_takes_no_files_is_no_error(path, read, settled, tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(path / "inside"))
    assert file_digest(path) == file_digest(path) == sha256(b"one")
    assert len(read) == 1  # this process remembers

    def full(self, *given):
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "full"))
    monkeypatch.setattr(Path, "write_text", full)
    new_process(monkeypatch)
    assert file_digest(path) == sha256(b"one")
    assert stored() == []


def test_many_processes_at_once(path, tmp_path, settled):
    time.sleep(0.01)
    code = "from pathlib import Path; import sys; from tlkit.utils import findings; findings.SETTLED_NS = -10**9\n"
    code += "from tlkit.utils.hashing import file_digest as digest\n"
    code += "for _ in range(50): findings._recalled.clear(); print(digest(Path(sys.argv[1])))"
    started = [
        subprocess.Popen([sys.executable, "-c", code, path], env=environment(), stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outputs = {line for process in started for line in process.communicate()[0].splitlines()}
    assert outputs == {sha256(b"one")}
    assert len(stored()) == 1


def test_it_does_not_pile_up(tmp_path, settled, monkeypatch):
    monkeypatch.setattr(findings, "MOST", 4)
    for number in range(9):
        path = tmp_path / str(number)
        path.write_text(str(number))
        file_digest(path)
    assert 2 <= len(stored()) <= 4


def test_clear_forgets(path, read, settled, tlkit, monkeypatch, tmp_path):
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "own"))  # other tests share their converted networks
    file_digest(path)
    assert tlkit("cache", "--format", "json").json["entries"] == []
    assert tlkit("cache", "clear", "features").code == 0
    assert len(stored()) == 1
    assert tlkit("cache", "clear").code == 0
    assert stored() == []
    file_digest(path)
    assert len(read) == 2


def test_damage_that_leaves_no_trace_is_found_where_the_bytes_are_read(path, settled):
    findings.remember("sha256", path, path.stat(), "sha256:before")
    assert digest_problem(path, "sha256:before") is None
    assert "expected sha256:before" in digest_problem(path, "sha256:before", read=True)
