"""Tell the splits of a data folder from its classes, by the names of its folders and what they hold."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tlkit.data.discovery import folders_in
from tlkit.data.modality import Modality
from tlkit.errors import DataError
from tlkit.utils.text import join_truncated, pluralize

TRAIN, VALIDATION, TEST = "train", "validation", "test"
_UNLABELLED = "unlabelled"
_WORDS = {
    TRAIN: ("train", "training", "trn", "trainval"),
    VALIDATION: ("validation", "val", "valid", "validating", "dev", "devel", "development"),
    TEST: ("test", "testing", "tst", "eval", "evaluation", "holdout"),
    _UNLABELLED: ("pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled"),
}
_SPLIT_OF_WORD = {word: split for split, words in _WORDS.items() for word in words}
_FILLERS = {
    "set", "sets", "data", "dataset", "datasets", "image", "images", "img", "imgs", "picture", "pictures", "pic",
    "pics", "photo", "photos", "sample", "samples", "file", "files", "folder", "folders", "dir", "split", "splits",
    "subset", "audio", "clips", "recordings", "jpg", "jpeg", "png",
}  # fmt: skip
"""Words that say nothing about what is in a folder."""
_NO_CLASS_NAMES = _FILLERS | {
    "mask", "masks", "label", "labels", "annotation", "annotations", "groundtruth", "gt", "segmentation",
}  # fmt: skip
_MOST_PREFIXES = 20
_RECORDS = ("run.json", "unfinished.json")


@dataclass(frozen=True)
class Layout:
    """Where the class folders of a data folder are.

    Attributes:
        root: The folder that holds splits or classes: the data folder, or one that it holds alone.
        splits: Folder of each split, in the order train, validation, test; empty for class folders alone.
        warnings: Folders that are not used, and why.
    """

    root: Path
    splits: Mapping[str, Path]
    warnings: tuple[str, ...] = ()


def find_layout(folder: Path, modality: Modality, *, classes: Collection[str] = (), needs_train: bool = True) -> Layout:
    """Find the splits of a data folder.

    A folder whose name is one of a split (``train``, ``Testing``, ``training_set``, ``seg_test``, ``val2017``) is a
    split if it holds folders; one that holds files is a class of that name, unless all its neighbors are like it.

    Args:
        folder: The data folder.
        modality: Which files to look for.
        classes: Names of folders that are classes, whatever they look like.
        needs_train: Refuse splits without a training split.

    Raises:
        DataError: Folders that may be splits or classes, or splits that cannot be told apart.
        OSError: A folder cannot be listed.
    """
    root = _unpack(folder, modality, classes)
    named, others = _named_splits(root, modality, classes)
    splits = {split: path for split, path in named.items() if split != _UNLABELLED and class_folders(path)}
    loose = {split: path for split, path in named.items() if split != _UNLABELLED and split not in splits}
    # a class of such a name: train beside plane, and with folders in it valid beside invalid
    if len(splits) + len(loose) == 1 and others and (loose or (needs_train and TRAIN not in splits)):
        named, splits, loose = {}, {}, {}
    if loose and not splits and (holding := [path for path in loose.values() if has_files(path, modality)]):
        raise DataError(
            f"{root} has {join_truncated(path.name for path in holding)}, by name splits and not classes, but no class "
            "folders in them.",
            hint=_sorting_hint(holding[0], modality),
        )
    if not splits:
        named = {}
    elif needs_train:
        for split in (TRAIN, VALIDATION):
            if split in loose:
                raise DataError(
                    f"{loose[split]} is the {split} split, but holds no class folders.",
                    hint=_sorting_hint(loose[split], modality),
                )
        if TRAIN not in splits:
            raise DataError(
                f"{root} has {join_truncated(path.name for path in splits.values())} but no train folder.",
                hint=f"Put the training {modality.plural}, one folder a class, into a folder called train.",
            )
    others += [path.name for split, path in named.items() if split == _UNLABELLED and class_folders(path)]
    if splits and others:
        raise DataError(
            f"{root} has split folders ({join_truncated(path.name for path in splits.values())}) "
            f"and other folders beside them: {join_truncated(others)}.",
            hint="Move them into the splits, or out of the data folder.",
        )
    warnings = [] if root == folder else [f"The data is taken from {root}, the only folder in {folder}."]
    unused = [path for path in named.values() if path not in splits.values()]
    warnings += [f"{path} holds no class folders and is not used." for path in unused]
    return Layout(root, {split: splits[split] for split in _WORDS if split in splits}, tuple(warnings))


def split_of(name: str) -> tuple[str | None, str]:
    """Return which split a folder's name is of, if any, and what else the name says.

    ``training_set`` is ``("train", "")``, ``seg_test`` is ``("test", "seg")``, ``test_tube`` is ``("test", "tube")``.
    """
    found: set[str] = set()
    rest: list[str] = []
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)  # trainSet
    for word in re.findall(r"[^\W\d_]+", spaced.lower()):
        glued = (split for start, split in _SPLIT_OF_WORD.items() if _is_glued(word, start))
        split = _SPLIT_OF_WORD.get(word) or next(glued, None)
        if split:
            found.add(split)
        elif word not in _FILLERS:
            rest.append(word)
    if not found and not rest and not re.search(r"[^\W\d_]", name):
        rest = [name]  # a number may be a class
    if {TRAIN, TEST} <= found:
        return None, " ".join(rest)
    return next((split for split in (_UNLABELLED, *_WORDS) if split in found), None), " ".join(rest)


def _is_glued(word: str, start: str) -> bool:
    """Return True for ``trainset``, which begins with ``train``."""
    return word.startswith(start) and word[len(start) :] in _FILLERS


def _named_splits(root: Path, modality: Modality, classes: Collection[str]) -> tuple[dict[str, Path], list[str]]:
    """Return the folders with names of splits, and the names of the other folders."""
    others: list[str] = []
    families: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in class_folders(root):
        split, rest = (None, "") if path.name in classes else split_of(path.name)
        if split is None:
            others.append(path.name)
        else:
            families["" if split == _UNLABELLED else rest][split].append(path)
    # test_tube is a test split only beside train_tube
    pairs = [rest for rest, family in families.items() if rest and len(family) > 1]
    if len(pairs) > 1:
        names = [path.name for rest in pairs for paths in families[rest].values() for path in paths]
        raise DataError(
            f"The folders of {root} are named after a split and a class at once: {join_truncated(names)}.",
            hint=f"Put a folder for each class into a folder for each split: {TRAIN}/{pairs[0]}, {TRAIN}/{pairs[1]}.",
        )
    chosen = families.pop("", {})
    if pairs and not chosen.keys() - {_UNLABELLED}:
        chosen = {**families.pop(pairs[0]), **chosen}
    others += [path.name for family in families.values() for paths in family.values() for path in paths]
    for split, paths in chosen.items():
        if len(paths) > 1 and split != _UNLABELLED and (not others or any(map(class_folders, paths))):
            raise DataError(
                f"{root} has both {paths[0].name} and {paths[1].name}; only one folder can be the {split} split.",
                hint="Remove or rename one.",
            )
        others += [path.name for path in paths[1:]]
    return {split: _unpack_split(chosen[split][0], modality) for split in _WORDS if split in chosen}, sorted(others)


def _unpack(folder: Path, modality: Modality, classes: Collection[str]) -> Path:
    """Go into folders that are alone in theirs, as archives leave them: ``name/name/…``."""
    while True:
        inner = class_folders(folder)
        if len(inner) != 1 or inner[0].name in classes or not class_folders(inner[0]):
            return folder
        split, rest = split_of(inner[0].name)
        if (split and not rest) or has_files(folder, modality) or has_files(inner[0], modality):
            return folder
        folder = inner[0]


def _unpack_split(folder: Path, modality: Modality) -> Path:
    """Go into ``train/train`` and ``train/images``; another folder alone in a split is a class."""
    while True:
        inner = class_folders(folder)
        if len(inner) != 1 or has_files(folder, modality):
            return folder
        if inner[0].name.casefold() != folder.name.casefold() and split_of(inner[0].name) not in (
            split_of(folder.name),
            (None, ""),
        ):
            return folder
        folder = inner[0]


def class_folders(folder: Path) -> list[Path]:
    """Return all folders but those that hold runs: ``-o`` may lie inside the data folder."""
    return [path for path in folders_in(folder) if not holds_runs(path)]


def holds_runs(folder: Path) -> bool:
    """Return True if a folder is a run or holds runs."""
    with suppress(OSError):  # what cannot be read is named where its files are searched
        return any((path / name).is_file() for path in (folder, *folders_in(folder)) for name in _RECORDS)
    return False


def has_files(folder: Path, modality: Modality) -> bool:
    """Return True if a folder holds a file of a modality directly."""
    return any(modality.has_name(path.name) and path.is_file() for path in folder.iterdir())


def _sorting_hint(folder: Path, modality: Modality) -> str:
    """Return how to sort a folder of files into classes, by the beginnings of their names where those tell."""
    starts = [
        match[0] if (match := re.match(r"[^\W\d_]+", path.name)) else ""
        for path in folder.iterdir()
        if modality.has_name(path.name)
    ]
    names = sorted(set(starts))
    if 2 <= len(names) <= _MOST_PREFIXES and min(Counter(starts).values()) > 1 and "" not in names:
        return (
            f"The names in {folder.name} begin with {join_truncated(names)}: if those are the classes, make "
            f"{', '.join(f'{folder.name}/{name}' for name in names[:2])}{' and so on' * (len(names) > 2)}."
        )
    return f"Put the {modality.plural} of each class into a folder of its own, {folder.name}/CLASS."


Parts = tuple[str, ...]


def check_classes(
    split_folders: Mapping[str, Path],
    found: Mapping[str, Mapping[str, Sequence[str]]],
    modality: Modality,
    *,
    classes: Collection[str] = (),
) -> list[str]:
    """Refuse class folders that hold splits, other classes or a copy of the data.

    Args:
        split_folders: The folder that holds the class folders, by split.
        found: Files by split and class.
        modality: Of the files.
        classes: Names that are those of classes, whatever they look like.

    Returns:
        Warnings: classes named as splits, files outside the class folders and in folders below them, links that lead
        into another class.

    Raises:
        DataError: Names of folders show that the class folders are none.
        OSError: A folder cannot be listed.
    """
    warnings: list[str] = []
    below: Counter[str] = Counter()
    owners: dict[tuple[int, int], tuple[str, str, Path]] = {}
    linked: dict[str, int] = {}
    root = os.path.commonpath(split_folders.values())  # short names in the lists of folders
    for split, folder in split_folders.items():
        inside = {name: _count_by_folder(folder, files) for name, files in found[split].items()}
        warnings += _check_names(folder, [name for name, files in found[split].items() if files], classes)
        _refuse_no_classes(folder, inside, modality)
        loose = sum(modality.has_name(path.name) and path.is_file() for path in folder.iterdir())
        if loose:
            what = pluralize(loose, modality.singular)
            warnings.append(f"{what} directly in {folder}, outside any class folder: ignored.")
        for name, counts in inside.items():
            for parts, count in counts.items():
                path = folder.joinpath(*parts)
                if len(parts) > 1:
                    below[os.path.relpath(path, root)] = count
                with suppress(OSError):  # reading the files says more
                    status = os.stat(path)
                    owner = owners.setdefault((status.st_dev, status.st_ino), (split, name, path))
                    if owner[:2] != (split, name):
                        linked[f"{os.path.relpath(path, root)} = {os.path.relpath(owner[2], root)}"] = count
    if below:
        folders = join_truncated(f"{path} ({count:,})" for path, count in below.items())
        what = pluralize(below.total(), f"{modality.singular} in folders", f"{modality.plural} in folders")
        warnings.append(f"{what} below a class folder, taken as of that class: {folders}.")
    if linked:
        what = pluralize(sum(linked.values()), f"{modality.singular} is", f"{modality.plural} are")
        warnings.append(f"{what} used twice, because of links to folders: {join_truncated(linked)}.")
    return warnings


def _check_names(folder: Path, names: Sequence[str], classes: Collection[str]) -> list[str]:
    """Refuse classes that are named as splits or parts of other data; warn where such a name may be a class."""
    if len(names) > 1 and _NO_CLASS_NAMES.issuperset(name.casefold() for name in names) and not classes:
        raise DataError(
            f"{folder} holds {join_truncated(names)}, which are no names of classes.",
            hint="Put the files of each class into a folder of its own, named after the class.",
        )
    splits = {name: split for name in names for split, rest in [split_of(name)] if split and not rest}
    splits = {name: split for name, split in splits.items() if name not in classes}
    others = [name for name in names if name not in splits]
    # valid is a class beside invalid, train beside plane
    sure = [name for name, split in splits.items() if split != TRAIN and name.casefold() != "valid"]
    if len(set(splits.values())) > 1 or (sure and len(others) > 1):
        name, kind = next(iter(sure or splits)), "splits" if len(splits) > 1 else "a split"
        raise DataError(
            f"{folder} holds {join_truncated(splits)}, by name {kind}, beside "
            f"{join_truncated(others) or 'nothing else'}.",
            hint=f"Splits hold a folder for each class, side by side: train/CLASS, {name}/CLASS. If {name} is a class, "
            "give it another name.",
        )
    return [f"{folder / name} is a class here, but by its name a {split} split." for name, split in splits.items()]


def _count_by_folder(folder: Path, files: Iterable[str]) -> dict[Parts, int]:
    """Count files by folder: its parts below ``folder``, the class folder first."""
    counts = Counter(map(os.path.dirname, files))
    return {Path(os.path.relpath(path, folder)).parts: count for path, count in sorted(counts.items())}


def _refuse_no_classes(folder: Path, inside: Mapping[str, Mapping[Parts, int]], modality: Modality) -> None:
    classes = {name.casefold() for name in inside}
    splits: dict[str, list[Parts]] = defaultdict(list)
    for name, counts in inside.items():
        others: dict[Parts, set[str]] = defaultdict(set)
        for parts in counts:
            for depth, part in enumerate(parts[1:], start=1):
                split, rest = split_of(part)
                if split in (TRAIN, VALIDATION, TEST) and not rest:
                    splits[split].append(parts[: depth + 1])
                if part.casefold() in classes and (part.casefold() != name.casefold() or parts[:1] in counts):
                    others[parts[:depth]].add(part)
        for parts, names in others.items():
            _refuse_copy(folder, folder.joinpath(*parts), sorted(names))
    # one class of vehicles may hold trains; test and validation folders are none of a class
    if splits.keys() - {TRAIN} or len({parts[0] for parts in splits[TRAIN]}) > 1:
        parts = next(iter(next(each for each in splits.values() if each)))
        raise DataError(
            f"{folder.joinpath(*parts)} is a split by name, but lies in {parts[0]}, which would be a class.",
            hint=f"Splits hold the class folders: {parts[-1]}/{parts[0]}. If {parts[0]} is no class, give "
            f"{folder / parts[0]} as the data folder.",
        )
    holders: dict[str, list[str]] = defaultdict(list)
    for name, counts in inside.items():
        paths = [os.path.join(*parts) for parts in counts]
        depth = len(Path(os.path.commonpath(paths)).parts) if paths else 0  # name/name/… is one folder
        for part in sorted({parts[depth].casefold() for parts in counts if len(parts) > depth}):
            holders[part].append(name)
    shared = [part for part, names in holders.items() if len(names) > 1]
    if len(shared) > 1:
        raise DataError(
            f"{join_truncated(holders[shared[0]])} in {folder} hold folders of the same names "
            f"({join_truncated(shared)}): which are the classes?",
            hint=f"If {shared[0]} and {shared[1]} are, call the folders above them train, validation or test, or "
            f"merge them; if not, put the {modality.plural} directly into the class folders.",
        )


def _refuse_copy(folder: Path, holder: Path, names: Sequence[str]) -> None:
    split, rest = split_of(holder.name)
    raise DataError(
        f"{holder} holds {join_truncated(names)}, named as {'class folders' if len(names) > 1 else 'a class folder'} "
        f"of {folder}: is it a copy of the data, or a split?",
        hint=f"If {holder.name} is the {split} split, move the class folders beside it into a folder called train."
        if split in (VALIDATION, TEST) and not rest
        else f"Move it out of {folder}, or, if it is all of the data, give it as the data folder.",
    )
