import os
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from tlkit.data.dataset import scan_dataset, scan_labelled
from tlkit.errors import DataError


def make(root, **folders):
    """``make(root, train__cat=3)`` makes three images (empty files: nothing is opened) in train/cat."""
    for name, count in folders.items():
        folder = root.joinpath(*name.split("__"))
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (folder / f"{number:03}.jpg").touch()
    return str(root)


def classes_of(split, dataset):
    return [dataset.classes[label] for label in split.labels]


@pytest.mark.parametrize("validation", ["validation", "val", "Valid"])
def test_split_folders(tmp_path, validation):
    data = make(
        tmp_path,
        train__dog=6,
        train__cat=5,
        test__cat=1,
        test__dog=1,
        **{f"{validation}__cat": 2, f"{validation}__dog": 1},
    )
    dataset = scan_dataset(data)
    assert dataset.classes == ("cat", "dog")
    assert {name: len(split.files) for name, split in dataset.splits.items()} == {
        "train": 11,
        "validation": 3,
        "test": 2,
    }
    for split in dataset.splits.values():
        assert all(f"/{name}/" in file for file, name in zip(split.files, classes_of(split, dataset), strict=True))


def test_class_folders_alone_are_split_class_by_class(tmp_path):
    dataset = scan_dataset(make(tmp_path, cat=10, dog=20, one_only=2), val_split=0.2)
    train, validation = dataset.splits["train"], dataset.splits["validation"]
    assert np.bincount(validation.labels).tolist() == [2, 4, 1]
    assert np.bincount(train.labels).tolist() == [8, 16, 1]
    assert not set(train.files) & set(validation.files)
    assert len(set(train.files) | set(validation.files)) == 32


def test_the_split_depends_on_the_seed_and_on_nothing_else(tmp_path):
    data = make(tmp_path, cat=30, dog=30)
    first = scan_dataset(data, seed=1).splits["validation"].files
    assert scan_dataset(data, seed=1).splits["validation"].files == first
    assert scan_dataset(data, seed=2).splits["validation"].files != first
    make(tmp_path, elk=9)
    assert [file for file in scan_dataset(data, seed=1).splits["validation"].files if "elk" not in file] == list(first)


def test_train_and_test_folders_without_validation_hold_some_out(tmp_path):
    dataset = scan_dataset(make(tmp_path, train__a=10, train__b=10, test__a=1, test__b=1))
    assert {name: len(split.files) for name, split in dataset.splits.items()} == {
        "train": 16,
        "validation": 4,
        "test": 2,
    }


def test_a_class_may_be_called_train(tmp_path):
    assert scan_dataset(make(tmp_path, train=3, plane=3)).classes == ("plane", "train")


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (
            {"train__a": 3, "train__b": 3, "validation__a": 1, "validation__c": 1},
            "validation lacks b; validation has c",
        ),
        ({"train__a": 3, "train__b": 0, "validation__a": 1, "validation__b": 1}, "no image in train: b"),
        ({"a": 3, "b": 0}, "1 class has no image: b"),
        ({"a": 3}, "only one class, a"),
        ({}, "no class folder"),
        (
            {"train__a": 3, "train__b": 1, "val__a": 1, "val__b": 1, "validation__a": 1},
            "both val and validation",
        ),
        ({"a": 1, "b": 1}, "two images"),
        ({"validation__a": 3, "validation__b": 3, "test__a": 3, "test__b": 3}, "no train folder"),
        ({"train__a": 3, "train__b": 3, "plane": 3}, "other folders beside them: plane"),
    ],
)
def test_unusable_folders_are_refused_with_the_reason(tmp_path, folders, message):
    with pytest.raises(DataError, match=message):
        scan_dataset(make(tmp_path, **folders))


def test_a_missing_folder_gets_the_closest_name(tmp_path):
    (tmp_path / "flowers").mkdir()
    with pytest.raises(DataError, match="no data folder") as caught:
        scan_dataset(str(tmp_path / "flower"))
    assert "flowers" in caught.value.hint


def test_numbers_as_names_are_warned_about(tmp_path):
    dataset = scan_dataset(make(tmp_path, **{"10": 6, "2": 6}))
    assert dataset.classes == ("10", "2")
    assert "sorted as text (10, 2)" in dataset.warnings[0]


def test_few_images_and_loose_ones_are_warned_about(tmp_path):
    data = make(tmp_path, cat=12, rare=3)
    (tmp_path / "stray.png").touch()
    warnings = " ".join(scan_dataset(data).warnings)
    assert "1 image directly in" in warnings
    assert "Fewer than 5 training images: rare (2)" in warnings


def test_both_spellings_of_an_accent_are_one_class(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    data = make(tmp_path, **{f"train__{composed}": 5, "train__tea": 5, f"val__{decomposed}": 2, "val__tea": 2})
    assert scan_dataset(data).classes == (composed, "tea")
    make(tmp_path, **{f"train__{decomposed}": 5})
    with pytest.raises(DataError, match="spelled with different Unicode characters"):
        scan_dataset(data)


def test_hidden_folders_are_not_classes(tmp_path):
    assert scan_dataset(make(tmp_path, **{"a": 3, "b": 3, ".ipynb_checkpoints": 2})).classes == ("a", "b")


def test_runs_are_not_classes(tmp_path):
    data = make(tmp_path, a=3, b=3, **{"runs__net-1": 1})
    (tmp_path / "runs" / "net-1" / "run.json").touch()
    dataset = scan_dataset(data)
    assert dataset.classes == ("a", "b")
    assert "runs" in dataset.warnings[0]


def test_a_class_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    data = make(tmp_path, a=3, b=3)
    lock(monkeypatch, tmp_path / "b")
    with pytest.raises(DataError, match="only one class, a") as raised:
        scan_dataset(data)
    assert raised.value.hint == f"{tmp_path / 'b'} cannot be read: the folder cannot be read (Permission denied)."


def lock(monkeypatch, *folders):
    """Let no one read folders: tests may run as root, who may read everything."""
    locked, scandir, is_file = {*map(str, folders)}, os.scandir, Path.is_file

    def refuse(path):
        if str(path) in locked:
            raise PermissionError(13, "Permission denied", str(path))

    def locked_scandir(path="."):
        refuse(path)
        return scandir(path)

    def locked_is_file(path):
        refuse(path.parent)
        return is_file(path)

    monkeypatch.setattr(os, "scandir", locked_scandir)
    monkeypatch.setattr(Path, "is_file", locked_is_file)


def test_a_class_folder_that_cannot_be_read_is_left_out_of_all_splits(tmp_path, monkeypatch):
    for split in ("train", "validation"):
        make(tmp_path / split, a=3, b=3, c=2)
    lock(monkeypatch, tmp_path / "train" / "c")
    dataset = scan_dataset(str(tmp_path))
    assert dataset.classes == ("a", "b")
    assert [len(split.files) for split in dataset.splits.values()] == [6, 6]
    assert "The class c is left out: its folder cannot be read." in dataset.warnings
    assert dict(dataset.skipped) == {
        str(tmp_path / "train" / "c"): "the folder cannot be read (Permission denied)",
        **{
            str(tmp_path / "validation" / "c" / f"{number:03}.jpg"): "the folder of its class c cannot be read in train"
            for number in range(2)
        },
    }


def test_a_validation_folder_that_cannot_be_read_leaves_its_class_unmeasured(tmp_path, monkeypatch):
    for split in ("train", "validation"):
        make(tmp_path / split, a=3, b=3)
    lock(monkeypatch, tmp_path / "validation" / "b")
    dataset = scan_dataset(str(tmp_path))
    assert dataset.classes == ("a", "b")
    assert any("No validation images for b" in warning for warning in dataset.warnings)
    assert [path for path, _ in dataset.skipped] == [str(tmp_path / "validation" / "b")]
    labelled = scan_labelled(str(tmp_path), ["a", "b"])
    assert labelled.skipped == dataset.skipped
    assert labelled.split.labels.tolist() == [0, 0, 0]


def test_a_split_that_cannot_be_read_is_an_error(tmp_path, monkeypatch):
    for split in ("train", "validation"):
        make(tmp_path / split, a=3, b=3)
    lock(monkeypatch, tmp_path / "train")
    with pytest.raises(DataError, match=re.escape(f"Cannot read {tmp_path / 'train'}: Permission denied")):
        scan_dataset(str(tmp_path))


def test_what_is_left_out_is_counted_and_changes_no_split(tmp_path):
    data = make(tmp_path, a=20, b=20)
    before = scan_dataset(data)
    assert before.left_out == {}
    for name in ("a/notes.txt", "a/b.txt", "b/list.CSV", "b/README", "b/drawing.svg", "b/old.psd"):
        (tmp_path / name).write_text("words")
    after = scan_dataset(data)
    assert after.left_out == {".txt": 2, ".csv": 1, "": 1}
    assert [(os.path.basename(path), reason.split(",")[0]) for path, reason in after.skipped] == [
        ("drawing.svg", "it is an SVG drawing"),
        ("old.psd", "it is a Photoshop image"),
    ]
    assert {name: split.files for name, split in after.splits.items()} == {
        name: split.files for name, split in before.splits.items()
    }


def test_a_class_of_unreadable_images_is_refused_with_the_reason(tmp_path):
    data = make(tmp_path, a=3)
    (tmp_path / "b").mkdir()
    for number in range(3):
        (tmp_path / "b" / f"{number}.jp2").write_bytes(b"\0\0\0\x0cjP  ")
    with pytest.raises(DataError, match="no image") as raised:
        scan_dataset(data)
    assert "0.jp2 and 2 more cannot be read: it is a JPEG 2000 image" in raised.value.hint
