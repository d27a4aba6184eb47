import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from tlkit.data.dataset import scan_dataset
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
    locked = tmp_path / "b"
    real = Path.is_file

    def is_file(path):  # tests may run as root, who may read everything
        if path.parent == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "is_file", is_file)
    with pytest.raises(DataError, match=re.escape(f"Cannot read {locked}: Permission denied")):
        scan_dataset(data)
