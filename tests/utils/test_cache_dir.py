import os
import subprocess
import sys

import pytest

from tlkit.utils import cache_dir
from tlkit.utils.atomic_write import part_prefix


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The folder of converted networks in a cache of its own."""
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def entry(models, name, *, used=0):
    (models / name).mkdir()
    (models / name / "model.bin").write_bytes(bytes(1000))
    os.utime(models / name, (used, used))


def test_the_least_recently_used_is_removed_first_and_what_is_being_written_stays(models, monkeypatch):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    ours = f"{part_prefix()}network"
    left = ours.replace(f"-{os.getpid()}-", f"-{process.pid}-")
    for used, name in enumerate((ours, "old", "new", left)):
        entry(models, name, used=used)
    monkeypatch.setenv("TLKIT_CACHE_LIMIT", "2000")
    removed = [gone.path.name for gone in cache_dir.keep_below_limit(models / "new")]
    assert removed == [left, "old"]
    assert sorted(os.listdir(models)) == sorted([ours, "new"])


def test_clearing_the_cache_leaves_what_is_being_written(models):
    ours = f"{part_prefix()}network"
    for name in (ours, "old"):
        entry(models, name)
    assert [cache_dir.remove(one) for one in cache_dir.entries()] == [False, True]
    assert os.listdir(models) == [ours]


def test_the_cache_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("TLKIT_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir.cache_folder().name == "tlkit"
    assert tmp_path in cache_dir.cache_folder().parents
