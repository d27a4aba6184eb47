import errno
import subprocess
import sys

import pytest

from tlkit.utils.locks import locked

HOLDER = """
import sys
from pathlib import Path
from tlkit.utils.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds ``lock`` until its standard input ends."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_of_another_process_is_refused_or_waited_for(holder, tmp_path, caplog, monkeypatch):
    lock = tmp_path / "lock"
    with pytest.raises(BlockingIOError), locked(lock, wait=False):
        pass
    assert not caplog.messages
    # the holder ends once the wait has been announced
    messages = []

    def warning(text, *args):
        messages.append(text % args)
        holder.kill()

    monkeypatch.setattr("tlkit.utils.locks.logger.warning", warning)
    with locked(lock):
        assert holder.wait() != 0
    assert messages == [f"Another tlkit is working in {tmp_path}; waiting for it."]


def test_the_lock_file_stays_unless_it_is_to_be_removed(tmp_path):
    lock = tmp_path / "lock"
    with locked(lock):
        assert lock.exists()
    assert lock.exists()
    with locked(lock, wait=False, remove=True):
        assert lock.exists()
    assert not lock.exists()


def test_a_locked_folder_can_be_moved_away(tmp_path):
    (tmp_path / "entry").mkdir()
    with locked(tmp_path / "entry" / "lock", wait=False):
        (tmp_path / "entry").rename(tmp_path / "away")
    assert (tmp_path / "away" / "lock").exists()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks_is_reported(tmp_path, monkeypatch, caplog, code):
    fcntl = pytest.importorskip("fcntl")

    def flock(*_):
        raise OSError(code, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path / "lock"):
        pass
    assert caplog.messages == [f"The file system of {tmp_path} has no locks: do not run a second tlkit on it now."]
