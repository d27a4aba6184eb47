"""Reading and writing as Windows does: without pread, pwrite and poll."""

import os
import select

import numpy as np
import pytest

from tlkit.features.store import FeatureStore
from tlkit.inference.provenance import Provenance
from tlkit.utils.bounded_read import read_text

PROVENANCE = Provenance(architecture="toy", weights={"digest": "sha256:0"}, layer="last")


@pytest.fixture(autouse=True)
def _as_on_windows(monkeypatch):
    monkeypatch.delattr(os, "pread", raising=False)
    monkeypatch.delattr(os, "pwrite", raising=False)


def test_rows_come_back(tmp_path):
    rows = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    digests = [bytes([number]) * 32 for number in range(6)]
    for first in (0, 3):
        with FeatureStore(tmp_path / "rows", PROVENANCE) as store:
            store.append(digests[first : first + 3], [rows[first : first + 3]])
    with FeatureStore(tmp_path / "rows", PROVENANCE) as store:
        np.testing.assert_array_equal(store.read(np.array([5, 0, 3])), rows[[5, 0, 3]])


def test_features_of_a_file_come_back(tlkit, toy, cat, textures, tmp_path):
    words = "extract", textures / "validation", *toy, "-o", tmp_path / "x.npy", "--format", "json"
    ran = tlkit(*words)
    assert ran.code == 0, ran.err
    found = np.load(tmp_path / "x.npy")
    assert tlkit(*words, "--force").code == 0  # out of the file
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), found)


def test_a_text_is_read_up_to_its_limit(tmp_path, monkeypatch):
    for module, name in ((select, "poll"), (os, "O_NONBLOCK"), (os, "O_CLOEXEC")):
        monkeypatch.delattr(module, name, raising=False)
    (tmp_path / "list.txt").write_text("café\n", "utf-8")
    assert read_text(tmp_path / "list.txt", 6) == "café\n"
    with pytest.raises(ValueError, match="larger than"):
        read_text(tmp_path / "list.txt", 5)
