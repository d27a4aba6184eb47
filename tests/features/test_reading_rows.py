"""Rows of feature files are read by number, in any order, whatever the format and wherever blocks end."""

import zlib

import numpy as np
import pytest

from tlkit.errors import FeatureError
from tlkit.features import store
from tlkit.features.bottleneck_files import FORMATS, open_splits, write_splits
from tlkit.features.io import FeatureBlocks, FeatureMetadata
from tlkit.features.store import adjacent
from tlkit.inference.provenance import Provenance
from tlkit.utils import rows

PROVENANCE = Provenance(architecture="toy", weights={"digest": "sha256:0"}, layer="last")
ROWS = np.random.default_rng(0).normal(size=(50, 2, 3)).astype("float32")
ORDERS = {
    "all": np.arange(50), "part": np.arange(7, 31), "gaps": np.array([3, 4, 7, 8, 12]), "far": np.array([1, 40, 49]),
    "random": np.random.default_rng(1).permutation(50), "twice": np.array([5, 5, 4, 6]), "none": np.array([], int),
}  # fmt: skip


@pytest.fixture(params=FORMATS)
def opened(request, tmp_path, monkeypatch):
    monkeypatch.setattr("tlkit.features.parquet_files._PART_BYTES", 24 * 20)
    monkeypatch.setattr("tlkit.features.parquet_files._GROUP_BYTES", 24 * 6)
    monkeypatch.setattr(rows, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(store, "_READ_BYTES", 24 * 5)
    metadata = FeatureMetadata(
        PROVENANCE,
        [f"{number}.jpg" for number in range(50)],
        [bytes([number]) * 32 for number in range(50)],
        np.array([zlib.crc32(row.tobytes()) for row in ROWS], np.uint32),
        np.zeros(50, np.int64),
        ["a"],
    )
    blocks = (ROWS[start : start + 8] for start in range(0, 50, 8))
    write_splits(tmp_path, request.param, {"train": FeatureBlocks(blocks, (2, 3), metadata)})
    return open_splits(tmp_path)["train"], tmp_path


def test_rows_in_any_order(opened):
    features, _ = opened
    for _ in range(2):  # a copy that one order needed serves the others
        for numbers in ORDERS.values():
            np.testing.assert_array_equal(features.read(numbers), ROWS[numbers])


def test_a_damaged_row_is_noticed_where_it_is_read(opened):
    features, folder = opened
    (path,) = [path for path in folder.iterdir() if ROWS[20].tobytes() in path.read_bytes()]
    path.write_bytes(path.read_bytes().replace(ROWS[20].tobytes(), bytes(24)))
    np.testing.assert_array_equal(features.read(np.array([19, 21])), ROWS[[19, 21]])
    with pytest.raises(FeatureError, match="the features of 20.jpg changed after they were written"):
        features.read(np.array([19, 20]))


def test_runs_of_adjacent_rows(monkeypatch):
    monkeypatch.setattr(store, "_READ_BYTES", 24)
    numbers = np.array([4, 5, 6, 7, 2, 3, 9])
    assert list(adjacent(numbers, 8)) == [(0, 3), (3, 4), (4, 6), (6, 7)]
    assert list(adjacent(numbers[:0], 8)) == []
    assert list(adjacent(numbers, 100)) == [(number, number + 1) for number in range(7)]
