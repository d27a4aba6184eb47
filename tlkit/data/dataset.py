"""Read a labelled data folder: class folders, alone or in train, validation and test folders."""

from __future__ import annotations

import os
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tlkit.config import DEFAULT_VAL_SPLIT
from tlkit.data.discovery import is_hidden, near_names, walk_files
from tlkit.data.modality import IMAGE, Modality, other_modalities
from tlkit.errors import DataError
from tlkit.utils.text import did_you_mean, join_truncated, pluralize

TRAIN, VALIDATION, TEST = "train", "validation", "test"
_FOLDER_NAMES = {TRAIN: ("train", "training"), VALIDATION: ("validation", "val", "valid"), TEST: ("test", "testing")}


@dataclass(frozen=True)
class Split:
    """Labelled files, class by class, sorted by name within a class.

    Attributes:
        files: Paths.
        labels: ``(len(files),)`` int64, indices into the dataset's classes.
    """

    files: tuple[str, ...]
    labels: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """The contents of a data folder.

    Attributes:
        classes: Names of the class folders, sorted as text; a class's index is its label.
        splits: ``train``, ``validation`` and, where there is one, ``test``.
        warnings: Problems to know about before trusting results.
    """

    classes: tuple[str, ...]
    splits: Mapping[str, Split]
    warnings: tuple[str, ...] = ()


def is_held_out(folder: str) -> bool:
    """Return True if a folder of this name is a validation or test folder, so its files are not trained on."""
    return folder.lower() in (*_FOLDER_NAMES[VALIDATION], *_FOLDER_NAMES[TEST])


ClassFiles = dict[str, list[str]]


def scan_dataset(
    folder: str, *, val_split: float = DEFAULT_VAL_SPLIT, seed: int = 0, modality: Modality = IMAGE
) -> Dataset:
    """Find the classes, splits and files of a data folder. No file is opened.

    Args:
        folder: Holds ``train/``, ``validation/`` (or ``val/``) and optionally ``test/``, each with one folder a
            class; or the class folders alone.
        val_split: Fraction of each class to hold out for validation if there is no validation folder, 0 to 1.
        seed: Random seed of that split.
        modality: Which files to look for.

    Returns:
        The dataset; it always has a ``train`` and a ``validation`` split.

    Raises:
        DataError: No such folder, fewer than two classes, a class without files, or classes that differ between
            splits.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(
            f"There is no data folder {folder}.",
            hint=near_names(folder),
        )
    warnings: list[str] = []
    try:
        named = _split_folders(root, modality)
    except OSError as error:
        raise DataError(f"Cannot read {error.filename or root}: {error.strerror}.") from error
    runs = [path.name for path in _folders(root) if _holds_runs(path)]
    if runs:
        warnings.append(f"{join_truncated(runs)} in {root} holds tlkit runs and is not used as a class.")
    if not named:
        loose = sum(modality.has_name(entry.name) and entry.is_file() for entry in root.iterdir())
        if loose:
            warnings.append(
                f"{pluralize(loose, modality.singular)} directly in {root}, outside any class folder: ignored."
            )
        by_split = {TRAIN: _scan_classes(root, modality)}
    else:
        by_split = {name: _scan_classes(path, modality) for name, path in named.items()}
    classes = _checked_classes(by_split, root, modality)
    if VALIDATION not in by_split:
        by_split[TRAIN], by_split[VALIDATION] = _hold_out(by_split[TRAIN], val_split, seed)
        if not any(by_split[VALIDATION].values()):
            raise DataError(
                f"No class of {root} has two {modality.plural}, so none can be held out for validation.",
                hint=f"Add {modality.plural}, or a validation folder.",
            )
    elif val_split != DEFAULT_VAL_SPLIT:
        warnings.append(f"--val-split has no effect: {root} has a validation folder.")
    warnings += _warnings(classes, by_split, modality)
    return Dataset(classes, {name: _as_split(found, classes) for name, found in by_split.items()}, tuple(warnings))


@dataclass(frozen=True)
class Labelled:
    """Labelled files to evaluate a model on.

    Attributes:
        name: ``test``, ``validation`` or ``train``; ``all`` for class folders alone.
        split: The files; labels are indices into the model's classes.
        warnings: Problems to know about before trusting results.
    """

    name: str
    split: Split
    warnings: tuple[str, ...]


def scan_labelled(
    folder: str, classes: Sequence[str], *, split: str | None = None, modality: Modality = IMAGE
) -> Labelled:
    """Find labelled files of a model's classes. No file is opened.

    Args:
        folder: Holds class folders, alone or in ``test/``, ``validation/`` or ``train/``.
        classes: The model's classes; a class's index is its label.
        split: Which split; None for ``test`` where there is one, else ``validation``, else ``train``.
        modality: Which files to look for.

    Raises:
        DataError: No such folder or split, a class folder that is none of ``classes``, or no file at all.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"There is no data folder {folder}.", hint=near_names(folder))
    try:
        named = _split_folders(root, modality, needs_train=False)
        if split is not None and split not in named:
            raise DataError(
                f"{root} has no {split} folder.",
                hint=f"It has {join_truncated(named)}." if named else "It holds class folders only: leave --split out.",
            )
        name = split or next((each for each in (TEST, VALIDATION, TRAIN) if each in named), "all")
        found = _scan_classes(named.get(name, root), modality)
    except OSError as error:
        raise DataError(f"Cannot read {error.filename or root}: {error.strerror}.") from error
    unknown = sorted(set(found) - set(classes))
    if unknown:
        raise DataError(
            f"{named.get(name, root)} has class folders that the run was not trained on: {join_truncated(unknown)}.",
            hint=did_you_mean(unknown[0], classes) or f"Its classes are {join_truncated(classes)}.",
        )
    files = [file for each in classes for file in found.get(each, [])]
    if not files:
        raise DataError(
            f"No {modality.singular} of {join_truncated(classes)} in {named.get(name, root)}.",
            hint=f"Put the {modality.plural} of each class into a folder with the class's name.",
        )
    missing = [each for each in classes if not found.get(each)]
    warnings = (_unmeasured(modality.plural, missing),) if missing else ()
    labels = np.repeat(np.arange(len(classes)), [len(found.get(each, [])) for each in classes])
    return Labelled(name, Split(tuple(files), labels), warnings)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not is_hidden(path.name) and path.is_dir())


def _class_folders(folder: Path) -> list[Path]:
    """Return all folders but those that hold runs: ``-o`` may lie inside the data folder."""
    return [path for path in _folders(folder) if not _holds_runs(path)]


def _holds_runs(folder: Path) -> bool:
    names = ("run.json", "unfinished.json")
    for path in (folder, *_folders(folder)):
        try:
            if any((path / name).is_file() for name in names):
                return True
        except OSError as error:  # of a file that need not exist: the folder is what cannot be read
            raise OSError(error.errno, error.strerror, str(path)) from error
    return False


def _split_folders(root: Path, modality: Modality, *, needs_train: bool = True) -> dict[str, Path]:
    """Find the split folders of a data folder; none if it holds class folders only.

    A folder called ``train`` is a split if it holds folders; otherwise it is a class called train.
    """
    found: dict[str, Path] = {}
    others: list[str] = []
    for path in _class_folders(root):
        split = next((split for split, names in _FOLDER_NAMES.items() if path.name.lower() in names), None)
        if split is None or not _class_folders(path):
            others.append(path.name)
        elif split in found:
            raise DataError(
                f"{root} has both {found[split].name} and {path.name}; only one folder can be the {split} split.",
                hint="Remove or rename one.",
            )
        else:
            found[split] = path
    if needs_train and found and TRAIN not in found:
        raise DataError(
            f"{root} has {join_truncated(path.name for path in found.values())} but no train folder.",
            hint=f"Put the training {modality.plural}, one folder a class, into a folder called train.",
        )
    if found and others:
        raise DataError(
            f"{root} has split folders ({join_truncated(path.name for path in found.values())}) "
            f"and other folders beside them: {join_truncated(others)}.",
            hint="Move them into the splits, or out of the data folder.",
        )
    return {split: found[split] for split in _FOLDER_NAMES if split in found}


def _scan_classes(folder: Path, modality: Modality) -> ClassFiles:
    found: ClassFiles = {}
    for path in _class_folders(folder):
        # macOS writes é as two code points, other systems as one: both are the same class
        name = unicodedata.normalize("NFC", path.name)
        if name in found:
            raise DataError(
                f"{folder} has two folders called {name}, spelled with different Unicode characters.",
                hint=f"Put their {modality.plural} into one folder.",
            )
        found[name] = list(walk_files(str(path), modality))
    return found


def _checked_classes(by_split: Mapping[str, ClassFiles], root: Path, modality: Modality) -> tuple[str, ...]:
    classes = tuple(sorted(by_split[TRAIN]))
    if len(classes) < 2:
        has = f"only one class, {join_truncated(classes)}" if classes else "no class folder"
        raise DataError(
            f"{root} has {has}; a classifier needs at least two.",
            hint=f"Put the {modality.plural} of each class into a folder of its own, named after the class.",
        )
    for split, found in by_split.items():
        missing, extra = set(classes) - set(found), set(found) - set(classes)
        if missing or extra:
            parts = [f"{split} lacks {join_truncated(sorted(missing))}"] if missing else []
            parts += [f"{split} has {join_truncated(sorted(extra))}, which train lacks"] if extra else []
            raise DataError(
                f"The classes of {root} differ between its splits: {'; '.join(parts)}.",
                hint="Every split must hold the same class folders.",
            )
        empty = [name for name in classes if not found[name]]
        if empty:
            where = f" in {split}" if len(by_split) > 1 else ""
            raise DataError(
                f"{pluralize(len(empty), 'class has', 'classes have')} no {modality.singular}{where}: "
                f"{join_truncated(empty)}.",
                hint=_other_files(root, modality)
                or f"Add {modality.plural} ({', '.join(sorted(modality.extensions))}) or remove the folder.",
            )
    return classes


def _other_files(root: Path, modality: Modality) -> str | None:
    """Return a hint if the data folder holds files of another modality."""
    for other in other_modalities(modality):
        if next((file for file in walk_files(str(root), other) if other.has_name(file)), None):
            return f"It holds {other.plural}, but the network takes {modality.plural}; `tlkit archs` lists inputs."
    return None


def _hold_out(found: ClassFiles, share: float, seed: int) -> tuple[ClassFiles, ClassFiles]:
    """Split each class into training and validation files; with two or more, each side gets at least one.

    A class is seeded by its own name, so adding a class moves no file of another.
    """
    train: ClassFiles = {}
    validation: ClassFiles = {}
    for name, files in found.items():
        count = min(max(round(len(files) * share), 1), len(files) - 1)
        order = np.random.default_rng([seed, zlib.crc32(os.fsencode(name))]).permutation(len(files))
        chosen = set(order[:count].tolist())
        validation[name] = [file for number, file in enumerate(files) if number in chosen]
        train[name] = [file for number, file in enumerate(files) if number not in chosen]
    return train, validation


def _warnings(classes: tuple[str, ...], by_split: Mapping[str, ClassFiles], modality: Modality) -> list[str]:
    warnings = []
    if all(name.isdecimal() for name in classes) and list(classes) != sorted(classes, key=int):
        warnings.append(
            f"The class names are numbers and are sorted as text ({join_truncated(classes)}): "
            "a label is the index in that order, not the number."
        )
    few = [f"{name} ({len(by_split[TRAIN][name])})" for name in classes if len(by_split[TRAIN][name]) < 5]
    if few:
        warnings.append(f"Fewer than 5 training {modality.plural}: {join_truncated(few)}.")
    unseen = [name for name in classes if not by_split[VALIDATION][name]]
    if unseen:
        warnings.append(_unmeasured(f"validation {modality.plural}", unseen))
    return warnings


def _unmeasured(what: str, classes: Sequence[str]) -> str:
    whose = "its" if len(classes) == 1 else "their"
    return f"No {what} for {join_truncated(classes)}: {whose} accuracy cannot be measured."


def _as_split(found: ClassFiles, classes: tuple[str, ...]) -> Split:
    files = [file for name in classes for file in found[name]]
    return Split(tuple(files), np.repeat(np.arange(len(classes)), [len(found[name]) for name in classes]))
