"""Which folders are splits, which are classes, and which are neither."""

import os
import shutil
from pathlib import Path

import pytest

from tlkit.data.dataset import scan_dataset, scan_labelled
from tlkit.data.layout import split_of
from tlkit.errors import DataError


def expand(folder):
    """``{a,b}/c`` is ``a/c`` and ``b/c``."""
    if "{" not in folder:
        return [folder]
    before, _, rest = folder.partition("{")
    inside, _, after = rest.partition("}")
    return [each for name in inside.split(",") for each in expand(f"{before}{name}{after}")]


def make(root, *folders, count=6):
    """Make so many images in each folder, each of bytes of its own (nothing is decoded)."""
    for path in (root / each for folder in folders for each in expand(folder)):
        path.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (path / f"{number}.jpg").write_text(f"{path} {number}")
    return str(root)


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (["training_set/{cats,dogs}", "test_set/{cats,dogs}"], "train test"),
        (["training_set/{cats,dogs}", "test_set/{cats,dogs}", "single_prediction"], "train test"),
        (["Train/{a,b}", "Valid/{a,b}", "TEST/{a,b}"], "train test validation"),
        (["seg_train/seg_train/{sea,street}", "seg_test/seg_test/{sea,street}", "seg_pred/seg_pred"], "train test"),
        (["train2017/{a,b}", "val2017/{a,b}"], "train validation"),
        (["trainset/{a,b}", "devSet/{a,b}", "testset/{a,b}"], "train test validation"),
        (["X_train/{a,b}", "X_valid/{a,b}"], "train validation"),
        (["training/{a,b}", "validation/{a,b}", "evaluation/{a,b}"], "train test validation"),
        (["Training-Images/{a,b}", "Testing Images/{a,b}"], "train test"),
        (["train/images/{a,b}", "validation/images/{a,b}"], "train validation"),
        (["train/{cat,dog}", "test1"], "train"),
        (["archive/archive/train/{a,b}", "archive/archive/test/{a,b}"], "train test"),
        (["flower_photos/{a,b}"], "train"),
        (["name/name/name/{a,b}"], "train"),
    ],
)
def test_splits_are_found_by_their_names(tmp_path, folders, splits):
    dataset = scan_dataset(make(tmp_path, *folders))
    assert len(dataset.classes) == 2
    assert sorted(dataset.splits) == sorted({*splits.split(), "validation"})
    for split in splits.split():
        assert {file.split("/")[-2] for file in dataset.splits[split].files} == set(dataset.classes)


@pytest.mark.parametrize(
    ("folders", "message", "hint"),
    [
        (["train", "test1"], "has train, test1, by name splits", "train/CLASS"),
        (["training_set", "test_set"], "has training_set, test_set, by name splits", ""),
        (["seg_train", "seg_test", "seg_pred"], "has seg_train, seg_test, by name splits", ""),
        (["train", "test", "sheep"], "has train, test, by name splits", ""),
        (["train"], "has train, by name splits", ""),
        (["dev", "eval"], "by name splits", ""),
        (["cats", "dogs", "test"], "holds test, by name a split, beside cats, dogs", "test/CLASS"),
        (["cats", "dogs", "unlabeled"], "holds unlabeled, by name a split", ""),
        (["train/{cats,dogs,test}", "val/{cats,dogs,test}"], "holds test, by name a split, beside cats, dogs", ""),
        (["train/{cats,dogs}", "validation"], "is the validation split, but holds no class folders", ""),
        (["train", "test/{cats,dogs}"], "is the train split, but holds no class folders", ""),
        (["{cats,dogs}_train", "{cats,dogs}_test"], "after a split and a class at once", "train/cats, train/dogs"),
        (["cats/{train,test}", "dogs/{train,test}"], "cats/test is a split by name, but lies in cats", "test/cats"),
        (["cats/day1/{training_set,dev}", "dogs"], "is a split by name, but lies in cats", ""),
        (["set_a/{train,test}/{x,y}", "set_b/x"], "is a split by name, but lies in set_a", "set_a as the data folder"),
        (["{cats,dogs}", "{cats,dogs}/train"], "is a split by name", ""),
        (["cells/{a,b}", "{a,b}"], "cells holds a, b, named as class folders", "Move it out"),
        (["a/more/cells/{A,b}", "{a,b}"], "more/cells holds A, b, named as class folders", ""),
        (["test/{a,b}", "{a,b}"], "holds test, by name a split, beside a, b", ""),
        (["a/b", "{a,b}"], "a holds b, named as a class folder", ""),
        (["a/a", "{a,b}"], "a holds a, named as a class folder", ""),
        (
            ["part1/{cats,dogs}", "part2/{cats,dogs}"],
            "part1, part2 in .* hold folders of the same names",
            "cats and dogs",
        ),
        (["lernen/{a,b,c}", "pruefen/{a,b}"], "hold folders of the same names", "train, validation or test"),
        (["part1/part1/{cats,dogs}", "part2/part2/{cats,dogs}"], "hold folders of the same names", ""),
        (["covid/{images,masks}", "normal/{images,masks}"], "hold folders of the same names", ""),
        (["train/{images,masks}", "val/{images,masks}"], "holds images, masks, which are no names of classes", ""),
        (["train/{a,b}", "training/{a,b}"], "has both train and training", ""),
    ],
)
def test_folders_that_are_no_classes_are_refused(tmp_path, folders, message, hint):
    data = make(tmp_path, *folders)
    with pytest.raises(DataError, match=message) as caught:
        scan_dataset(data)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("folders", "classes"),
    [
        (["train", "plane"], "plane train"),
        (["train", "plane", "car"], "car plane train"),
        (["test_tube", "beaker"], "beaker test_tube"),
        (["train_station", "test_tube"], "test_tube train_station"),
        (["bullet_train", "steam_train"], "bullet_train steam_train"),
        (["valid", "invalid", "unsure"], "invalid unsure valid"),
        (["test", "control"], "control test"),
        (["mask", "no_mask"], "mask no_mask"),
        (["n01/images", "n02/images"], "n01 n02"),
        (["train/{n01,n02}/images", "val/{n01,n02}/images"], "n01 n02"),
        (["n01/images/front", "n02/images/front"], "n01 n02"),
        (["cats/{2020,2021}", "dogs/2021"], "cats dogs"),
        (["valid/2020", "invalid/2021"], "invalid valid"),
        (["vehicles/{train,bus}", "animals/{dog,cat}"], "animals vehicles"),
        (["cats/cats", "dogs/dogs"], "cats dogs"),
        (["training_data_of_cats", "pictures_of_dogs"], "pictures_of_dogs training_data_of_cats"),
    ],
)
def test_classes_stay_classes(tmp_path, folders, classes):
    dataset = scan_dataset(make(tmp_path, *folders))
    assert " ".join(dataset.classes) == classes
    files = sorted(file for split in dataset.splits.values() for file in split.files)
    assert files == sorted(str(path) for path in tmp_path.rglob("*.jpg"))


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("training_set", ("train", "")), ("test1", ("test", "")), ("seg_val", ("validation", "seg")),
        ("trainval", ("train", "")), ("train_val", ("train", "")), ("Test Data", ("test", "")),
        ("testImages", ("test", "")), ("train_test", (None, "")), ("trainers", (None, "trainers")),
        ("testament", (None, "testament")), ("2021", (None, "2021")), ("images", (None, "")),
    ],
)  # fmt: skip
def test_which_split_a_name_is_of(name, split):
    assert split_of(name) == split


def test_names_of_files_suggest_classes(tmp_path):
    for folder, names in (("train", ("cat", "dog")), ("test1", ("",))):
        (tmp_path / folder).mkdir()
        for name in names:
            for number in range(3):
                (tmp_path / folder / f"{name}.{number}.jpg".lstrip(".")).touch()
    with pytest.raises(DataError, match="by name splits") as caught:
        scan_dataset(str(tmp_path))
    assert caught.value.hint.startswith("The names in train begin with cat, dog")


def test_a_class_named_as_a_split_and_folders_that_are_not_used_are_warned_about(tmp_path):
    warnings = " ".join(scan_dataset(make(tmp_path / "a", "test", "control")).warnings)
    assert f"{tmp_path / 'a' / 'test'} is a class here, but by its name a test split." in warnings
    warnings = " ".join(scan_dataset(make(tmp_path / "b", "train/{a,b}", "test", "unlabeled")).warnings)
    assert f"{tmp_path / 'b' / 'test'} holds no class folders and is not used." in warnings
    assert f"{tmp_path / 'b' / 'unlabeled'} holds no class folders and is not used." in warnings
    (tmp_path / "b" / "train" / "stray.jpg").touch()
    assert f"1 image directly in {tmp_path / 'b' / 'train'}" in " ".join(scan_dataset(str(tmp_path / "b")).warnings)
    warnings = " ".join(scan_dataset(make(tmp_path / "c", "name/name/{a,b}")).warnings)
    assert (
        f"The data is taken from {tmp_path / 'c' / 'name' / 'name'}, the only folder in {tmp_path / 'c'}." in warnings
    )


def test_images_in_folders_below_a_class_folder_are_taken_and_counted(tmp_path):
    make(tmp_path, "cats", "dogs")
    make(tmp_path, "cats/2020", "dogs/2021/may", count=3)
    dataset = scan_dataset(str(tmp_path))
    assert sum(len(split.files) for split in dataset.splits.values()) == 18
    below = "cats/2020 (3), dogs/2021/may (3)"
    assert f"6 images in folders below a class folder, taken as of that class: {below}." in dataset.warnings


def test_a_link_into_another_class_is_warned_about(tmp_path):
    make(tmp_path, "a", "b", "c/sub")
    (tmp_path / "b" / "more").symlink_to(tmp_path / "a")
    warnings = " ".join(scan_dataset(str(tmp_path)).warnings)
    assert "6 images are used twice, because of links to folders: b/more = a." in warnings
    assert "6 images are under two classes, byte for byte" in warnings
    (tmp_path / "b" / "more").unlink()
    (tmp_path / "c" / "again").symlink_to(tmp_path / "c" / "sub")  # the walk takes a folder once
    assert "because of links" not in " ".join(scan_dataset(str(tmp_path)).warnings)


def test_a_link_from_validation_into_train_is_warned_about(tmp_path):
    make(tmp_path, "train/{a,b}", "validation/b")
    (tmp_path / "validation" / "a").symlink_to(tmp_path / "train" / "a")
    warnings = " ".join(scan_dataset(str(tmp_path)).warnings)
    assert "6 images are used twice, because of links to folders: validation/a = train/a." in warnings
    assert "6 of 12 validation images are also in train" in warnings


def test_evaluation_knows_the_names_of_splits_and_of_its_classes(tmp_path):
    data = make(tmp_path / "a", "seg_train/seg_train/{x,y}", "seg_test/seg_test/{x,y}", "seg_pred")
    assert scan_labelled(data, ("x", "y")).name == "test"
    data = make(tmp_path / "b", "train", "test")
    assert scan_labelled(data, ("test", "train")).name == "all"
    with pytest.raises(DataError, match="by name splits"):
        scan_labelled(data, ("x", "y"))
    assert len(scan_labelled(make(tmp_path / "c", "x/{2020,2021}"), ("x", "y")).split.files) == 12


COPIES = [
    ("validation/a/0.jpg", "train/a/0.jpg", "1 of 12 validation images is also in train"),
    ("validation/b/5.jpg", "train/a/0.jpg", "1 image is under two classes, byte for byte"),
    ("test/a/0.jpg", "train/a/0.jpg", "1 of 12 test images is also in train"),
    ("test/a/0.jpg", "validation/a/0.jpg", "1 of 12 test images is also in validation"),
    ("train/b/0.jpg", "train/a/0.jpg", "1 image is under two classes"),
]


@pytest.mark.parametrize(("copy", "of", "message"), COPIES)
def test_copies_that_make_numbers_wrong_are_warned_about(tmp_path, copy, of, message):
    data = make(tmp_path, "train/{a,b}", "validation/{a,b}", "test/{a,b}")
    assert not scan_dataset(data).warnings
    shutil.copy(tmp_path / of, tmp_path / copy)
    warnings = scan_dataset(data).warnings
    (found,) = [warning for warning in warnings if message in warning]
    assert copy in found
    assert of in found
    assert len(warnings) == 1 + (copy[0] == "v" and "/b/" in copy)


def test_examples_of_copies_are_whole_paths(tmp_path):
    data, name = make(tmp_path, "train/{a,b}", "validation/{a,b}"), "n" * 90 + ".jpg"
    shutil.copy(tmp_path / "train" / "a" / "0.jpg", tmp_path / "validation" / "a" / name)
    assert f"Copy: validation/a/{name} = train/a/0.jpg." in scan_dataset(data).warnings[0]


def test_copies_in_one_class_and_empty_files_are_no_warning(tmp_path):
    data = make(tmp_path, "train/{a,b}", "validation/{a,b}")
    shutil.copy(tmp_path / "train/a/0.jpg", tmp_path / "train/a/1.jpg")
    for folder in ("train/a", "train/b", "validation/a"):
        (tmp_path / folder / "empty.jpg").touch()
    assert not scan_dataset(data).warnings


@pytest.mark.parametrize("seed", range(5))
def test_equal_files_are_on_one_side_of_a_split_that_is_drawn(tmp_path, seed):
    data = make(tmp_path, "{a,b}", count=10)
    for name in "ab":
        for number in range(10):
            shutil.copy(tmp_path / name / f"{number}.jpg", tmp_path / name / f"{number} (copy).jpg")
    for number in range(3):
        shutil.copy(tmp_path / "a" / f"{number}.jpg", tmp_path / "b" / f"also{number}.jpg")
    dataset = scan_dataset(data, seed=seed)
    train, validation = (
        {os.path.realpath(file) for file in dataset.splits[name].files} for name in ("train", "validation")
    )
    assert len(train) + len(validation) == 43
    read = [{Path(file).read_text() for file in files} for files in (train, validation)]
    assert not read[0] & read[1]
    assert [len([file for file in validation if f"/{name}/" in file]) for name in "ab"] == [4, 4]
    assert [warning for warning in dataset.warnings if "3 images are under two classes" in warning]


def test_a_class_of_copies_of_one_image_is_not_split(tmp_path):
    data = make(tmp_path, "{a,b}")
    for number in range(1, 6):
        shutil.copy(tmp_path / "a" / "0.jpg", tmp_path / "a" / f"{number}.jpg")
    dataset = scan_dataset(data)
    assert dataset.splits["validation"].labels.tolist() == [1]
    assert "No validation images for a: its accuracy cannot be measured." in dataset.warnings
