import hashlib
import os
import time

import pytest

from tlkit.utils import hashing
from tlkit.utils.hashing import file_digest


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


def test_a_file_is_read_once_until_it_changes(tmp_path, read):
    path = tmp_path / "f"
    path.write_bytes(b"one")
    os.utime(path, ns=(0, 10**18))
    expected = f"sha256:{hashlib.sha256(b'one').hexdigest()}"
    assert [file_digest(path), file_digest(path)] == [expected] * 2
    assert file_digest(path, "md5").startswith("md5:")
    assert read == ["sha256", "md5"]
    path.write_bytes(b"three")
    assert file_digest(path) == f"sha256:{hashlib.sha256(b'three').hexdigest()}"


def test_a_file_modified_just_now_is_read_again(tmp_path, read):
    path = tmp_path / "f"
    path.write_bytes(b"one")
    soon = time.time_ns() + 3600 * 10**9
    os.utime(path, ns=(soon, soon))
    assert file_digest(path) == file_digest(path)
    assert len(read) == 2
