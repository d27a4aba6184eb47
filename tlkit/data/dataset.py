"""A data folder: class folders, alone or in train, validation and test folders."""

from __future__ import annotations

import os
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tlkit.data.discovery import is_hidden, near_names, walk_files
from tlkit.data.modality import IMAGE, Modality, other_modalities
from tlkit.errors import DataError
from tlkit.utils.text import did_you_mean, join_truncated, pluralize

TRAIN, VALIDATION, TEST = "train", "validation", "test"
_FOLDER_NAMES = {TRAIN: ("train", "training"), VALIDATION: ("validation", "val", "valid"), TEST: ("test", "testing")}


@dataclass(frozen=True)
class Split:
    """Pictures or clips with their classes, class by class, sorted by name.

    Attributes:
        files: Paths.
        labels: ``(len(files),)`` int64, positions in the data set's classes.
    """

    files: tuple[str, ...]
    labels: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """What a data folder holds.

    Attributes:
        classes: Names of the class folders, sorted as text; the position is the label.
        splits: ``train``, ``validation`` and, where there is one, ``test``.
        warnings: What a person should know before trusting it.
    """

    classes: tuple[str, ...]
    splits: Mapping[str, Split]
    warnings: tuple[str, ...] = ()


def is_held_out(folder: str) -> bool:
    """True when a folder of this name holds pictures that are not trained on."""
    return folder.lower() in (*_FOLDER_NAMES[VALIDATION], *_FOLDER_NAMES[TEST])


ClassFiles = dict[str, list[str]]


def scan_dataset(folder: str, *, val_split: float = 0.2, seed: int = 0, kind: Modality = IMAGE) -> Dataset:
    """Find the classes, the splits and the files of a data folder. No file is opened.

    Args:
        folder: Holds ``train/`` and ``validation/`` (or ``val/``), and ``test/`` where there is one, of class
            folders; or class folders alone.
        val_split: The share of each class held out for validation where no folder says which.
        seed: Decides which files are held out.
        kind: What is looked for.

    Raises:
        DataError: No such folder, fewer than two classes, a class without files, classes that differ
            between splits.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(
            f"There is no data folder {folder}.",
            hint=near_names(folder),
        )
    warnings: list[str] = []
    try:
        named = _split_folders(root, kind)
    except OSError as error:
        raise DataError(f"Cannot read {error.filename or root}: {error.strerror}.") from error
    runs = [path.name for path in _folders(root) if _holds_runs(path)]
    if runs:
        warnings.append(f"{join_truncated(runs)} in {root} holds runs of tlkit and is no class.")
    if not named:
        loose = sum(kind.has_name(entry.name) and entry.is_file() for entry in root.iterdir())
        if loose:
            warnings.append(
                f"{pluralize(loose, kind.singular)} directly in {root} belong to no class and are left out."
            )
        by_split = {TRAIN: _scan_classes(root, kind)}
    else:
        by_split = {name: _scan_classes(path, kind) for name, path in named.items()}
    classes = _checked_classes(by_split, root, kind)
    if VALIDATION not in by_split:
        by_split[TRAIN], by_split[VALIDATION] = _hold_out(by_split[TRAIN], val_split, seed)
        if not any(by_split[VALIDATION].values()):
            raise DataError(
                f"No class of {root} has the two {kind.plural} it takes to hold one out for validation.",
                hint=f"Add {kind.plural}, or a validation folder.",
            )
    warnings += _warnings(classes, by_split, kind)
    return Dataset(classes, {name: _as_split(found, classes) for name, found in by_split.items()}, tuple(warnings))


@dataclass(frozen=True)
class Labelled:
    """Labelled pictures or clips to measure with.

    Attributes:
        name: ``test``, ``validation`` or ``train``; ``all`` for class folders alone.
        split: Them, labelled as the classes that were asked for.
        warnings: What a person should know.
    """

    name: str
    split: Split
    warnings: tuple[str, ...]


def scan_labelled(folder: str, classes: Sequence[str], *, split: str | None = None, kind: Modality = IMAGE) -> Labelled:
    """Find files of known classes in a folder of class folders, or of splits of them. No file is opened.

    Args:
        folder: Where they are.
        classes: The known ones; the position is the label.
        split: Which split; None for ``test`` where there is one, else ``validation``, else ``train``.
        kind: What is looked for.

    Raises:
        DataError: No such folder or split, a class that is not known, no file of the kind.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"There is no data folder {folder}.", hint=near_names(folder))
    try:
        named = _split_folders(root, kind, needs_train=False)
        if split is not None and split not in named:
            raise DataError(
                f"{root} has no {split} folder.",
                hint=f"It has {join_truncated(named)}."
                if named
                else "It holds class folders alone; leave --split out.",
            )
        name = split or next((each for each in (TEST, VALIDATION, TRAIN) if each in named), "all")
        found = _scan_classes(named.get(name, root), kind)
    except OSError as error:
        raise DataError(f"Cannot read {error.filename or root}: {error.strerror}.") from error
    unknown = sorted(set(found) - set(classes))
    if unknown:
        raise DataError(
            f"{named.get(name, root)} has {join_truncated(unknown)}, which the run does not know.",
            hint=did_you_mean(unknown[0], classes) or f"Its classes are {join_truncated(classes)}.",
        )
    files = [file for each in classes for file in found.get(each, [])]
    if not files:
        raise DataError(
            f"There is no {kind.singular} of {join_truncated(classes)} in {named.get(name, root)}.",
            hint=f"Put the {kind.plural} of each class into a folder that is called as the class.",
        )
    missing = [each for each in classes if not found.get(each)]
    warnings = (f"No {kind.singular}, so nothing says how well it does: {join_truncated(missing)}.",) if missing else ()
    labels = np.repeat(np.arange(len(classes)), [len(found.get(each, [])) for each in classes])
    return Labelled(name, Split(tuple(files), labels), warnings)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not is_hidden(path.name) and path.is_dir())


def _class_folders(folder: Path) -> list[Path]:
    """The folders that may be classes: all but those that hold runs, which a run may have put there."""
    return [path for path in _folders(folder) if not _holds_runs(path)]


def _holds_runs(folder: Path) -> bool:
    names = ("run.json", "unfinished.json")
    return any((path / name).is_file() for path in (folder, *_folders(folder)) for name in names)


def _split_folders(root: Path, kind: Modality, *, needs_train: bool = True) -> dict[str, Path]:
    """The split folders of a data folder; none when it holds class folders alone.

    A folder called ``train`` is a split when it holds folders: a class may be called train too.
    """
    found: dict[str, Path] = {}
    others: list[str] = []
    for path in _class_folders(root):
        split = next((split for split, names in _FOLDER_NAMES.items() if path.name.lower() in names), None)
        if split is None or not _class_folders(path):
            others.append(path.name)
        elif split in found:
            raise DataError(
                f"{root} has both {found[split].name} and {path.name}, and one folder holds the {split} {kind.plural}.",
                hint="Remove or rename one.",
            )
        else:
            found[split] = path
    if needs_train and found and TRAIN not in found:
        raise DataError(
            f"{root} has {join_truncated(path.name for path in found.values())} but no train folder.",
            hint=f"Put the training {kind.plural}, one folder a class, into a folder called train.",
        )
    if found and others:
        raise DataError(
            f"{root} has the split {join_truncated(path.name for path in found.values())} "
            f"and other folders beside: {join_truncated(others)}.",
            hint="Move them into the splits, or elsewhere.",
        )
    return {split: found[split] for split in _FOLDER_NAMES if split in found}


def _scan_classes(folder: Path, kind: Modality) -> ClassFiles:
    found: ClassFiles = {}
    for path in _class_folders(folder):
        # macOS writes é as two characters, others as one; both spell the same class
        name = unicodedata.normalize("NFC", path.name)
        if name in found:
            raise DataError(
                f"{folder} has two folders called {name}, spelled with different characters.",
                hint=f"Put their {kind.plural} into one folder.",
            )
        found[name] = list(walk_files(str(path), kind))
    return found


def _checked_classes(by_split: Mapping[str, ClassFiles], root: Path, kind: Modality) -> tuple[str, ...]:
    classes = tuple(sorted(by_split[TRAIN]))
    if len(classes) < 2:
        has = f"only one class, {join_truncated(classes)}" if classes else "no class folder"
        raise DataError(
            f"{root} has {has}; a classifier needs at least two.",
            hint=f"Put the {kind.plural} of each class into a folder of its own, named after the class.",
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
                f"{pluralize(len(empty), 'class has', 'classes have')} no {kind.singular}{where}: "
                f"{join_truncated(empty)}.",
                hint=_other_files(root, kind)
                or f"Add {kind.plural} ({', '.join(sorted(kind.extensions))}) or remove the folder.",
            )
    return classes


def _other_files(root: Path, kind: Modality) -> str | None:
    """A hint where the data is of another kind than the network takes."""
    for other in other_modalities(kind):
        if next((file for file in walk_files(str(root), other) if other.has_name(file)), None):
            return f"It holds {other.plural}, and the network takes {kind.plural}; `tlkit archs` says which takes what."
    return None


def _hold_out(found: ClassFiles, share: float, seed: int) -> tuple[ClassFiles, ClassFiles]:
    """Split every class by itself; a class of two or more keeps at least one file on each side.

    A class's draw depends on its own name and files alone, so adding a class moves no other file.
    """
    kept: ClassFiles = {}
    held: ClassFiles = {}
    for name, files in found.items():
        count = min(max(round(len(files) * share), 1), len(files) - 1)
        order = np.random.default_rng([seed, zlib.crc32(os.fsencode(name))]).permutation(len(files))
        chosen = set(order[:count].tolist())
        held[name] = [file for number, file in enumerate(files) if number in chosen]
        kept[name] = [file for number, file in enumerate(files) if number not in chosen]
    return kept, held


def _warnings(classes: tuple[str, ...], by_split: Mapping[str, ClassFiles], kind: Modality) -> list[str]:
    warnings = []
    if all(name.isdecimal() for name in classes) and list(classes) != sorted(classes, key=int):
        warnings.append(
            f"The class names are numbers and are sorted as text ({join_truncated(classes)}): "
            "a label is the position in that order, not the number."
        )
    few = [f"{name} ({len(by_split[TRAIN][name])})" for name in classes if len(by_split[TRAIN][name]) < 5]
    if few:
        warnings.append(f"Fewer than 5 training {kind.plural}: {join_truncated(few)}.")
    unseen = [name for name in classes if not by_split[VALIDATION][name]]
    if unseen:
        warnings.append(f"No validation {kind.singular}, so nothing says how well it does: {join_truncated(unseen)}.")
    return warnings


def _as_split(found: ClassFiles, classes: tuple[str, ...]) -> Split:
    files = [file for name in classes for file in found[name]]
    return Split(tuple(files), np.repeat(np.arange(len(classes)), [len(found[name]) for name in classes]))
