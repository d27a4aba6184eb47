import os
import subprocess
import sys

import pytest

from tlkit.utils import cache_dir
from tlkit.utils.atomic_write import part_prefix

NEW, OLD = "a" * 32, "0" * 32
"""Names of the kind that :meth:`tlkit.inference.provenance.Provenance.key` gives."""


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The folder of converted networks in a cache of its own."""
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path))
    folder = tmp_path / "tlkit" / "models"
    folder.mkdir(parents=True)
    return folder


def entry(models, name, *, used=0, file="model.bin"):
    (models / name).mkdir()
    (models / name / file).write_bytes(bytes(1000))
    os.utime(models / name, (used, used))


def test_the_least_recently_used_is_removed_first_and_what_is_being_written_stays(models, monkeypatch):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    ours = f"{part_prefix()}network"
    left = ours.replace(f"-{os.getpid()}-", f"-{process.pid}-")
    for used, name in enumerate((ours, OLD, NEW, left)):
        entry(models, name, used=used)
    monkeypatch.setenv("TLKIT_CACHE_LIMIT", "2000")
    removed = [gone.path.name for gone in cache_dir.keep_below_limit(models / NEW)]
    assert removed == [left, OLD]
    assert sorted(os.listdir(models)) == sorted([ours, NEW])


def test_clearing_the_cache_leaves_what_is_being_written(models):
    ours = f"{part_prefix()}network"
    for name in (ours, OLD):
        entry(models, name)
    assert [cache_dir.remove(one) for one in cache_dir.entries()] == [False, True]
    assert os.listdir(models) == [ours]


def test_what_tlkit_did_not_write_is_neither_counted_nor_removed(models, tmp_path, monkeypatch, tlkit):
    entry(models, "my-thesis")
    entry(models, OLD, file="thesis.docx")  # tlkit's name, and a file of somebody's in it
    entry(models, "part-of-a-film.part-1")
    entry(models, ".part-of-somebody")
    (models.parent / "features").mkdir()
    (models.parent / "features" / "notes.txt").write_text("precious")
    (models.parent / "features" / NEW).symlink_to(tmp_path)
    (models.parent / "weights").mkdir()
    (models.parent / "weights" / "thesis.h5").write_text("precious")
    (tmp_path / "models" / "mine").mkdir(parents=True)  # beside the cache's own folder
    (tmp_path / "models" / "mine" / "data").write_text("precious")
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setenv("TLKIT_CACHE_LIMIT", "1")
    assert cache_dir.keep_below_limit() == []
    assert tlkit("cache", "--format", "json").json["entries"] == []
    assert tlkit("cache", "clear", "features", "models", "weights").out == "Removed 0 of 0, 0 bytes.\n"
    assert sorted(tmp_path.rglob("*")) == before


def test_published_weights_are_listed_and_removed_only_if_named(models, tlkit):
    weights = models.parent / "weights"
    weights.mkdir()
    published = weights / "vgg16_weights_tf_dim_ordering_tf_kernels.h5"
    published.write_text("weights")
    (listed,) = tlkit("cache", "--format", "json").json["entries"]
    assert (listed["kind"], listed["path"]) == ("weights", str(published))
    assert tlkit("cache", "clear", "--format", "json").json["removed"] == 0
    assert tlkit("cache", "clear", "weights", "--format", "json").json["removed"] == 1


@pytest.mark.parametrize(("beside", "tagged"), [((), True), (("models", "verified"), True), (("setup.py",), False)])
def test_the_cache_is_tagged_and_a_project_of_the_same_name_is_not(tmp_path, monkeypatch, beside, tagged):
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path))
    for name in beside:
        (tmp_path / "tlkit" / name).mkdir(parents=True)
    cache_dir.create_folder(cache_dir.cache_folder() / "features")
    cache_dir.create_folder(tmp_path / "elsewhere")
    tag = tmp_path / "tlkit" / "CACHEDIR.TAG"
    assert tag.exists() == tagged
    if tagged:  # the signature that bford.info/cachedir defines: MD5 of ".IsCacheDirectory"
        assert tag.read_bytes().startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")
    assert os.listdir(tmp_path / "elsewhere") == []


def test_clear_names_what_it_may_not_remove_or_read(models, tlkit, monkeypatch):
    entry(models, OLD)

    def refuse(path, *arguments, **options):
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(cache_dir.Path, "rename", refuse)
        ran = tlkit("cache", "clear", "--format", "json")
    assert ran.code == 1
    assert ran.json == {"removed": 0, "bytes": 0}
    assert f"Error: Cannot remove {models / OLD}: Permission denied." in ran.err
    assert "Hint: " in ran.err
    with monkeypatch.context() as patch:
        patch.setattr(cache_dir.Path, "iterdir", refuse)
        for command in (["cache"], ["cache", "clear"]):
            ran = tlkit(*command)
            assert (ran.code, ran.err) == (1, f"Error: Cannot read the cache {models.parent / 'features'}: "
                                              "Permission denied.\n")  # fmt: skip


def test_the_cache_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("TLKIT_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir.cache_folder().name == "tlkit"
    assert tmp_path in cache_dir.cache_folder().parents
