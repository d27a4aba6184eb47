import os
import subprocess
import sys
import time

import pytest

from tlkit.utils.atomic_write import PART, atomic_write, is_abandoned, part_prefix


def part_of(process, name="f.npy", *, host=None):
    ours = part_prefix().removeprefix(PART).split("-")[0]
    return f"{PART}{host or ours}-{process}-{name}"


@pytest.fixture(scope="module")
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_file_is_whole_or_absent(tmp_path):
    path = tmp_path / "f.npy"
    with atomic_write(path) as part:
        part.write_text("one")
        assert not path.exists()
    with pytest.raises(RuntimeError), atomic_write(path) as part:
        part.write_text("tw")
        raise RuntimeError
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


def test_parts_of_processes_that_ended_on_this_host_are_removed(tmp_path, dead):
    stay = [
        part_of(os.getppid()),  # still writes
        part_of(dead, host="0123456789ab"),  # another host's process of this number may write
        part_of(dead, "other.npy"),  # of another file
        f"{PART}{dead}-f.npy",  # nobody knows whose
    ]
    for name in (*stay, part_of(dead)):
        (tmp_path / name).write_bytes(b"half")
    with atomic_write(tmp_path / "f.npy") as part:
        part.write_bytes(b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {"f.npy", *stay}


def test_a_part_of_an_unknown_owner_is_abandoned_after_a_week(tmp_path, dead):
    part = tmp_path / part_of(dead, host="0123456789ab")
    part.touch()
    for days, abandoned in ((6, False), (8, True)):
        os.utime(part, times=(0, time.time() - days * 24 * 3600))
        assert is_abandoned(part) is abandoned


def test_a_part_that_is_gone_is_not_abandoned(tmp_path):
    assert not is_abandoned(tmp_path / part_of(1, host="0123456789ab"))
