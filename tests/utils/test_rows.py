"""Rows beyond memory are held in a file, and read block by block."""

import errno

import numpy as np
import pytest

from tlkit.errors import FeatureError
from tlkit.utils import rows
from tlkit.utils.cache_dir import cache_folder
from tlkit.utils.rows import blocks, hold

ROWS = np.random.default_rng(0).normal(size=(100, 2, 3)).astype("float32")


@pytest.fixture
def no_memory(monkeypatch):
    monkeypatch.setattr(rows, "IN_MEMORY_BYTES", 0)


def parts():
    for start in range(0, 100, 7):
        yield ROWS[start : start + 7]


def test_in_memory_they_are_an_array():
    held = hold(parts(), (100, 2, 3))
    assert type(held) is np.ndarray
    np.testing.assert_array_equal(held, ROWS)


def test_in_a_file_they_are_read_like_an_array(no_memory):
    held = hold(parts(), (100, 2, 3))
    assert not isinstance(held, np.ndarray)
    assert held.shape == (100, 2, 3)
    for wanted in (slice(None), slice(3, 50), slice(99, 200), slice(5, 5), np.array([70, 3, 3])):
        found = held[wanted]
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, ROWS[wanted])


def test_the_file_has_no_name(no_memory):
    held = hold(parts(), (100, 2, 3))
    assert [path for path in cache_folder().iterdir() if path.is_file() and path.name != "CACHEDIR.TAG"] == []
    np.testing.assert_array_equal(held[:], ROWS)


def test_a_cache_that_cannot_be_written_is_no_error(no_memory, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "file"))
    np.testing.assert_array_equal(hold(parts(), (100, 2, 3))[:], ROWS)


def test_a_full_disk_is_said(no_memory, monkeypatch):
    class Full:
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(rows.tempfile, "TemporaryFile", lambda **_: Full())
    with pytest.raises(FeatureError, match="2.4 kB of features to a temporary file in .*: No space left"):
        hold(parts(), (100, 2, 3))


@pytest.mark.parametrize(("beside", "size"), [(0, 10), (4, 6), (1000, 1)])
def test_blocks_cover_all_rows(monkeypatch, beside, size):
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 240)
    found = list(blocks(ROWS, beside))
    assert [row for block in found for row in range(block.start, block.stop)] == list(range(100))
    assert {block.stop - block.start for block in found[:-1]} == {size}
    assert list(blocks(ROWS[:0])) == []
