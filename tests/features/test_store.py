"""The store of rows, through whatever ends its writer."""

import errno
import os
import shutil

import numpy as np
import pytest

from tlkit.errors import FeatureError
from tlkit.features.store import FeatureStore, open_store
from tlkit.inference.provenance import Provenance

PROVENANCE = Provenance(architecture="toy", weights={"digest": "sha256:0"}, layer="last")
RANDOM = np.random.default_rng(0)
OTHER = Provenance(architecture="toy", weights={"digest": "sha256:0"}, layer="first")
DIGESTS = [bytes([number]) * 32 for number in range(10)]
ROWS = RANDOM.normal(size=(10, 2, 3)).astype("float32")
MORE = RANDOM.normal(size=(10, 4)).astype("float32")


def fill(folder, start, stop):
    with FeatureStore(folder, PROVENANCE) as store:
        for row in range(start, stop, 2):
            store.append(DIGESTS[row : row + 2], [ROWS[row : row + 2], MORE[row : row + 2]])


def assert_whole(folder, count=10):
    with FeatureStore(folder, PROVENANCE) as store:
        assert list(store.rows) == DIGESTS[:count]
        numbers = np.array([store.rows[digest] for digest in DIGESTS[:count]])[::-1]
        np.testing.assert_array_equal(store.read(numbers), ROWS[:count][::-1])
        np.testing.assert_array_equal(store.read(numbers, 1), MORE[:count][::-1])
        np.testing.assert_array_equal(np.concatenate(list(store.blocks(numbers))), ROWS[:count][::-1])


def test_rows_come_back(tmp_path):
    fill(tmp_path, 0, 10)
    assert_whole(tmp_path)


def test_rows_that_are_there_are_passed_over(tmp_path):
    fill(tmp_path, 0, 10)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with FeatureStore(tmp_path, PROVENANCE) as store:
        store.append(DIGESTS[:3] + DIGESTS[:1], [np.zeros((4, 2, 3), "float32"), np.zeros((4, 4), "float32")])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["rows-0.bin", "rows-1.bin", "index.bin"])
@pytest.mark.parametrize("cut", [0, 1, 39, 40, 41, 100, 150])
def test_a_writer_that_died_anywhere_is_gone_on_after(tmp_path, name, cut):
    """Files end wherever the writer was; what was torn is cut off, and the rest ends as if nothing had been."""
    fill(tmp_path / "whole", 0, 10)
    shutil.copytree(tmp_path / "whole", tmp_path / "torn")
    content = (tmp_path / "torn" / name).read_bytes()
    (tmp_path / "torn" / name).write_bytes(content[:cut])
    with FeatureStore(tmp_path / "torn", PROVENANCE) as store:
        kept = len(store.rows)
    assert kept <= 10
    with FeatureStore(tmp_path / "torn", PROVENANCE) as store:
        store.append(DIGESTS, [ROWS, MORE])
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "torn" / path.name).read_bytes() == path.read_bytes()


def test_a_row_that_never_reached_the_disk_is_computed_again(tmp_path):
    fill(tmp_path, 0, 10)
    content = bytearray((tmp_path / "rows-0.bin").read_bytes())
    content[7 * 24 : 8 * 24] = bytes(24)  # as after a power failure: the index is there, the row is zeros
    (tmp_path / "rows-0.bin").write_bytes(content)
    with FeatureStore(tmp_path, PROVENANCE) as store:
        assert list(store.rows) == DIGESTS[:7]
        store.append(DIGESTS, [ROWS, MORE])
    assert_whole(tmp_path)


def test_a_bit_that_flips_while_it_is_open_is_told(tmp_path):
    fill(tmp_path, 0, 10)
    with FeatureStore(tmp_path, PROVENANCE) as store:
        content = bytearray((tmp_path / "rows-1.bin").read_bytes())
        content[3] ^= 16
        (tmp_path / "rows-1.bin").write_bytes(content)
        store.read(np.arange(10))
        with pytest.raises(FeatureError, match="damaged"):
            store.read(np.arange(10), 1)


def test_another_provenance_is_refused_or_removed(tmp_path):
    fill(tmp_path / "store", 0, 4)
    with pytest.raises(FeatureError, match="other features"):
        FeatureStore(tmp_path / "store", OTHER)
    with open_store(tmp_path / "store", OTHER) as store:
        assert not store.rows
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("damage", ["{", "{}", '{"provenance": {"layer": "last"}, "shapes": 3}'])
def test_a_damaged_description_is_told(tmp_path, damage):
    fill(tmp_path, 0, 4)
    (tmp_path / "provenance.json").write_text(damage)
    with pytest.raises(FeatureError):
        FeatureStore(tmp_path, PROVENANCE)


@pytest.mark.parametrize("fails_at", range(6))
def test_a_full_disk_keeps_what_was_written(tmp_path, monkeypatch, fails_at):
    real, calls = os.pwrite, []

    def full(descriptor, data, at):
        calls.append(at)
        if len(calls) > fails_at + 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[:7], at)  # disks write less than they are asked to

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(FeatureError, match="No space is left") as caught, FeatureStore(tmp_path, PROVENANCE) as store:
        for row in range(0, 10, 2):
            store.append(DIGESTS[row : row + 2], [ROWS[row : row + 2], MORE[row : row + 2]])
    assert "run the same command again" in caught.value.hint
    monkeypatch.setattr(os, "pwrite", real)
    fill(tmp_path, 0, 10)
    assert_whole(tmp_path)
