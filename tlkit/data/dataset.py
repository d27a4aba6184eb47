"""Read labelled data: class folders, alone or in train, validation and test folders, or a table of images."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.config import DEFAULT_VAL_SPLIT
from tlkit.data import archives
from tlkit.data.archives import is_archive, unpack
from tlkit.data.digests import Digest, describe_copies, file_digests, first_paths
from tlkit.data.discovery import LeftOut, folders_in, near_names, walk_files
from tlkit.data.exclude import read_list
from tlkit.data.hold_out import hold_out, hold_out_groups, shared_groups
from tlkit.data.labelled_files import NO_LABEL, ClassFiles, LabelledFiles, relative_name
from tlkit.data.layout import TEST, TRAIN, VALIDATION, check_classes, class_folders, find_layout, holds_runs
from tlkit.data.modality import IMAGE, Modality, other_modalities
from tlkit.data.shards import has_labels, scan_shards, shards_of
from tlkit.data.tables import ENDINGS, find_table, scan_table
from tlkit.errors import DataError, UsageError
from tlkit.utils.logging import logger
from tlkit.utils.text import did_you_mean, join_truncated, pluralize


@dataclass(frozen=True)
class Split:
    """Labelled files, class by class, sorted by name within a class; those of several labels sorted by name.

    Attributes:
        files: Paths.
        labels: ``(len(files),)`` int64, indices into the dataset's classes; or ``(len(files), classes)`` bool, which of
            them each file has.
    """

    files: tuple[str, ...]
    labels: np.ndarray

    def counts(self, classes: int) -> list[int]:
        """Return the number of files of each class."""
        if self.labels.ndim == 2:
            return [int(count) for count in self.labels.sum(axis=0)]
        return [int(count) for count in np.bincount(self.labels, minlength=classes)]

    @property
    def strata(self) -> np.ndarray:
        """``(len(files),)`` int64, what to deal files out by: their class, or the rarest of their labels."""
        if self.labels.ndim == 1:
            return self.labels
        return np.asarray((self.labels / np.maximum(self.labels.sum(axis=0), 1)).argmax(axis=1))


@dataclass(frozen=True)
class Dataset:
    """The contents of a data folder.

    Attributes:
        classes: Names of the class folders, sorted as text; a class's index is its label.
        splits: ``train``, ``validation`` (unless it was joined with it) and, where there is one, ``test``.
        digests: SHA-256 of the files of each split, in their order; None for files that cannot be read.
        warnings: Problems to know about before trusting results.
        skipped: ``(path, reason)`` of folders and images that cannot be read, as far as names and first bytes tell.
        left_out: Number of files in class folders that are something else, by the end of their names.
        held_out: True if ``validation`` was drawn from the folders of ``train``.
        root: The folder that paths are given below.
        groups: The group of each file that has one; files of a group are on one side of every split.
    """

    classes: tuple[str, ...]
    splits: Mapping[str, Split]
    digests: Mapping[str, Sequence[Digest]]
    warnings: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    held_out: bool = False
    root: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)


def scan_dataset(
    folder: str,
    *,
    val_split: float = DEFAULT_VAL_SPLIT,
    seed: int = 0,
    modality: Modality = IMAGE,
    exclude: str | None = None,
    group: str | None = None,
    multi_label: bool = False,
    separator: str | None = None,
    pool: bool = False,
) -> Dataset:
    """Find the classes, splits and files of labelled data. Files are read for their digests, but not decoded.

    Args:
        folder: Holds ``train/``, ``validation/`` (or ``val/``) and optionally ``test/``, each with one folder a
            class; or the class folders alone. Or a table of images, a folder of images with one, or an archive of any
            of these. Or shards, a tar file or ``shard-{000..999}.tar``.
        val_split: Fraction of each class to hold out for validation if there is no validation folder, 0 to 1.
        seed: Random seed of that split.
        modality: Which files to look for.
        exclude: A list of files to leave out, by their paths below the folder.
        group: The column of a table that tells which images belong together.
        multi_label: Images of a table may have several labels.
        separator: What stands between them; None to find out.
        pool: Join training and validation files, and hold nothing out: they will be dealt out to folds.

    Returns:
        The dataset; it always has a ``train`` split and, unless they are joined, a ``validation`` split.

    Raises:
        DataError: No such folder, fewer than two classes, a class without files, or classes that differ between
            splits.
    """
    found = _find_files(folder, modality, _TableOptions(group, multi_label, separator))
    by_split, left_out, unreadable, warnings = found.by_split, found.left_out, found.unreadable, found.warnings
    root = found.root
    if exclude is not None:
        number, problems = _exclude(exclude, root, by_split)
        if number:
            logger.info("Left out, named in %s: %s.", exclude, pluralize(number, modality.singular, modality.plural))
        warnings += problems
    warnings += _drop_classes(unreadable.get(TRAIN, []), by_split, left_out)
    left_out.report(modality)
    classes = _checked_classes(by_split, folder, modality, unreadable, left_out)
    digest_of = _digest_files(by_split, modality)
    held_out = VALIDATION not in by_split and not pool
    if pool:
        held = by_split.pop(VALIDATION, {})
        by_split[TRAIN] = {name: sorted({*files, *held.get(name, ())}) for name, files in by_split[TRAIN].items()}
    elif held_out:
        draw = hold_out_groups if found.groups or multi_label else hold_out
        by_split[TRAIN], by_split[VALIDATION] = draw(by_split[TRAIN], val_split, seed, digest_of, found.groups)
        if not any(by_split[VALIDATION].values()):
            raise DataError(
                f"No class of {folder} has two {modality.plural}, so none can be held out for validation.",
                hint=f"Add {modality.plural}, or a validation folder.",
            )
    elif val_split != DEFAULT_VAL_SPLIT:
        warnings.append(f"--val-split has no effect: {folder} has a validation split.")
    warnings += _warnings(classes, by_split, modality) + shared_groups(by_split, found.groups)
    splits = {name: _as_split(files, classes, multi_label=multi_label) for name, files in by_split.items()}
    warnings += describe_copies(root, files_by_labels(splits), digest_of, modality)
    digests = {name: tuple(digest_of[file] for file in split.files) for name, split in splits.items()}
    return Dataset(
        classes, splits, digests, tuple(warnings), tuple(left_out.skipped), left_out.endings, held_out=held_out,
        root=root, groups=found.groups,
    )  # fmt: skip


def list_files(
    folder: str, *, modality: Modality = IMAGE, exclude: str | None = None, group: str | None = None
) -> list[str]:
    """List the files of labelled data that :func:`scan_dataset` finds, each once, sorted. No file is opened.

    Args:
        folder: As the other arguments, those of :func:`scan_dataset`.
        modality: Which files to look for.
        exclude: A list of files to leave out.
        group: The column of a table that tells which images belong together.

    Raises:
        DataError: No such folder, or a table that cannot be read.
    """
    found = _find_files(folder, modality, _TableOptions(group))
    if exclude is not None:
        _exclude(exclude, found.root, found.by_split)
    return sorted({file for classes in found.by_split.values() for files in classes.values() for file in files})


@dataclass(frozen=True)
class _TableOptions:
    """What only tables tell of: groups of images, and several labels an image."""

    group: str | None = None
    multi_label: bool = False
    separator: str | None = None
    known: Sequence[str] = ()

    def scan(self, table: Path, modality: Modality) -> LabelledFiles:
        return scan_table(
            table, modality, self.group, multi_label=self.multi_label, separator=self.separator, known=self.known
        )

    def refuse_folders(self, data: str) -> None:
        """Raise where class folders, or shards, cannot tell what was asked for."""
        if self.group is not None:
            raise UsageError(
                f"--group {self.group}: {data} is no table, and only a table has columns.",
                hint="Name a table as DATA.",
            )
        if self.multi_label:
            raise UsageError(
                f"{data} is no table, and only in a table an image has several labels.",
                hint="Name a table as DATA: path,label with rows such as a.jpg,cat|dog.",
            )


def _find_files(data: str, modality: Modality, options: _TableOptions) -> LabelledFiles:
    """Find labelled files in a folder, an archive or a table; a table beside images counts where folders tell nothing.

    What an archive holds is found below the folder that it is unpacked to.
    """
    if shards := _labelled_shards(data):
        options.refuse_folders(data)
        return scan_shards(shards, modality)
    data = _unpacked(data)
    table = find_table(data)
    if table is not None and not Path(data).is_dir():
        return options.scan(table, modality)
    if table is not None and options.multi_label:  # folders cannot be meant
        return options.scan(table, modality)
    try:
        found = _find_in_folders(data, modality)
        if len(found.by_split.get(TRAIN, {})) < 2 and table is not None:
            raise DataError("Folders tell no classes.")
    except DataError:
        if table is None:
            raise
        logger.info("The folders of %s tell no classes; %s does.", data, table)
        return options.scan(table, modality)
    options.refuse_folders(data)
    return found


def _labelled_shards(data: str) -> list[str]:
    """Return the shards that DATA names; empty for anything else, such as a tar file of class folders."""
    shards = shards_of(data)
    return shards if len(shards) > 1 or (shards and has_labels(shards[0])) else []


def _unpacked(data: str) -> str:
    """Return the folder of an archive's files; anything else as it is."""
    return str(unpack(data)) if is_archive(data) else data


def _find_in_folders(folder: str, modality: Modality) -> LabelledFiles:
    root = Path(folder)
    if not root.is_dir():
        if root.is_file():
            raise DataError(
                f"{folder} is a file, and not a table of images.",
                hint=f"Tables end in {join_truncated(ENDINGS)}, archives in {join_truncated(archives.ENDINGS)}.",
            )
        raise DataError(
            f"There is no data folder {folder}.",
            hint=near_names(folder),
        )
    try:
        layout = find_layout(root, modality)
        root, warnings = layout.root, list(layout.warnings)
        runs = [path.name for path in folders_in(root) if holds_runs(path)]
        if runs:
            warnings.append(f"{join_truncated(runs)} in {root} holds tlkit runs and is not used as a class.")
        folders = layout.splits or {TRAIN: root}
        left_out = LeftOut()
        scanned = {name: _scan_classes(path, modality, left_out) for name, path in folders.items()}
        by_split = {name: found for name, (found, _) in scanned.items()}
        unreadable = {name: lost for name, (_, lost) in scanned.items()}
        warnings += check_classes(folders, by_split, modality)
    except OSError as error:
        raise DataError(f"Cannot read {error.filename or root}: {error.strerror}.") from error
    return LabelledFiles(folder, by_split, left_out, unreadable, warnings)


@dataclass(frozen=True)
class Labelled:
    """Labelled files to evaluate a model on.

    Attributes:
        name: ``test``, ``validation`` or ``train``; ``all`` for class folders alone, and a table without splits.
        split: The files; labels are indices into the model's classes.
        warnings: Problems to know about before trusting results.
        skipped: As for :class:`Dataset`.
        left_out: As for :class:`Dataset`.
        root: The folder that paths are given below.
    """

    name: str
    split: Split
    warnings: tuple[str, ...]
    root: str
    skipped: tuple[tuple[str, str], ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)


def scan_labelled(
    folder: str,
    classes: Sequence[str],
    *,
    split: str | None = None,
    modality: Modality = IMAGE,
    multi_label: bool = False,
    separator: str | None = None,
) -> Labelled:
    """Find labelled files of a model's classes. No file is opened.

    Args:
        folder: Holds class folders, alone or in ``test/``, ``validation/`` or ``train/``.
        classes: The model's classes; a class's index is its label.
        split: Which split; None for ``test`` where there is one, else ``validation``, else ``train``.
        modality: Which files to look for.
        multi_label: Images may have several labels, which only a table tells.
        separator: What most likely stands between them; None for nothing in particular.

    Raises:
        DataError: No such folder or split, a class folder that is none of ``classes``, or no file at all.
    """
    if shards := _labelled_shards(folder):
        if split is not None:
            raise DataError(f"{folder} has no splits.", hint="Leave --split out.")
        listed = scan_shards(shards, modality)
        return _as_labelled(
            "all", listed.by_split[TRAIN], classes, modality, listed.left_out, [], folder, root=listed.root
        )
    folder = _unpacked(folder)
    root = Path(folder)
    table, options = find_table(folder), _TableOptions(None, multi_label, separator, classes)
    if table is not None and (multi_label or not root.is_dir()):
        return _labelled_by_table(table, classes, split, modality, options)
    if not root.is_dir():
        raise DataError(f"There is no data folder {folder}.", hint=near_names(folder))
    try:
        try:
            layout = find_layout(root, modality, classes=classes, needs_train=False)
        except DataError:
            if table is None:
                raise
            return _labelled_by_table(table, classes, split, modality, options)
        options.refuse_folders(folder)
        named, warnings = layout.splits, list(layout.warnings)
        if split is not None and split not in named:
            raise DataError(
                f"{root} has no {split} folder with class folders.",
                hint=f"It has {join_truncated(named)}." if named else "It holds class folders only: leave --split out.",
            )
        name = split or next((each for each in (TEST, VALIDATION, TRAIN) if each in named), "all")
        evaluated = named.get(name, layout.root)
        left_out = LeftOut()
        found, _ = _scan_classes(evaluated, modality, left_out)
        warnings += check_classes({name: evaluated}, {name: found}, modality, classes=classes)
    except OSError as error:
        raise DataError(f"Cannot read {error.filename or root}: {error.strerror}.") from error
    return _as_labelled(name, found, classes, modality, left_out, warnings, str(evaluated), root=str(root))


def _labelled_by_table(
    table: Path, classes: Sequence[str], split: str | None, modality: Modality, options: _TableOptions
) -> Labelled:
    listed = options.scan(table, modality)
    if split is not None and split not in listed.by_split:
        raise DataError(f"{table} has no row of {split}.", hint=f"It has {join_truncated(listed.by_split)}.")
    name = split or next(each for each in (TEST, VALIDATION, TRAIN) if each in listed.by_split)
    evaluated = "all" if split is None and listed.by_split.keys() == {TRAIN} else name
    found = {label: files for label, files in listed.by_split[name].items() if files}
    return _as_labelled(
        evaluated,
        found,
        classes,
        modality,
        listed.left_out,
        listed.warnings,
        str(table),
        root=str(table.parent),
        multi_label=listed.multi_label,
    )


def _as_labelled(
    name: str,
    found: ClassFiles,
    classes: Sequence[str],
    modality: Modality,
    left_out: LeftOut,
    warnings: list[str],
    evaluated: str,
    *,
    root: str,
    multi_label: bool = False,
) -> Labelled:
    """Give the files of a split the labels of a model."""
    left_out.report(modality)
    unknown = sorted(set(found) - {*classes, NO_LABEL})
    if unknown:
        raise DataError(
            f"{evaluated} has classes that the run was not trained on: {join_truncated(unknown)}.",
            hint=did_you_mean(unknown[0], classes) or f"Its classes are {join_truncated(classes)}.",
        )
    labelled = _as_split(found, classes, multi_label=multi_label)
    if not labelled.files:
        raise DataError(
            f"No {modality.singular} of {join_truncated(classes)} in {evaluated}.",
            hint=left_out.why() or f"Put the {modality.plural} of each class into a folder with the class's name.",
        )
    missing = [each for each in classes if not found.get(each)]
    warnings += [_unmeasured(modality.plural, missing)] if missing else []
    return Labelled(name, labelled, tuple(warnings), root, tuple(left_out.skipped), left_out.endings)


def _scan_classes(folder: Path, modality: Modality, left_out: LeftOut) -> tuple[ClassFiles, list[str]]:
    """Return the files of each class, and the classes whose folder cannot be read."""
    found: ClassFiles = {}
    unreadable = []
    for path in class_folders(folder):
        # macOS writes é as two code points, other systems as one: both are the same class
        name = unicodedata.normalize("NFC", path.name)
        if name in found:
            raise DataError(
                f"{folder} has two folders called {name}, spelled with different Unicode characters.",
                hint=f"Put their {modality.plural} into one folder.",
            )
        found[name] = left_out.files(str(path), modality)
        if left_out.skipped and left_out.skipped[-1][0] == str(path):
            unreadable.append(name)
    return found, unreadable


def _exclude(path: str, folder: str, by_split: Mapping[str, ClassFiles]) -> tuple[int, list[str]]:
    """Drop the files of a list; return how many, and what to warn of."""
    listed = read_list(path)
    dropped: set[str] = set()
    before = {name for name, files in by_split[TRAIN].items() if files}
    for found in by_split.values():
        for name, files in found.items():
            paths = {file: relative_name(file, folder) for file in files}
            found[name] = [file for file in files if paths[file] not in listed]
            dropped |= listed.intersection(paths.values())
    unknown = sorted(listed - dropped)
    warnings = []
    for name in sorted(name for name in before if not by_split[TRAIN][name]):
        for found in by_split.values():
            found.pop(name, None)
        warnings.append(f"The class {name} is left out: {path} names all its images in {TRAIN}.")
    if unknown:
        number = pluralize(len(unknown), "file")
        warnings.append(f"{path} names {number} that {folder} does not hold: {first_paths(unknown)}.")
    return len(dropped), warnings


def _drop_classes(names: Sequence[str], by_split: Mapping[str, ClassFiles], left_out: LeftOut) -> list[str]:
    """Drop classes that cannot be trained on from all splits; return what to warn of."""
    for found in by_split.values():
        for name in names:
            reason = f"the folder of its class {name} cannot be read in {TRAIN}"
            left_out.skipped += [(file, reason) for file in found.pop(name, [])]
    return [f"The class {name} is left out: its folder cannot be read." for name in names]


def _checked_classes(
    by_split: Mapping[str, ClassFiles],
    root: str,
    modality: Modality,
    unreadable: Mapping[str, Sequence[str]],
    left_out: LeftOut,
) -> tuple[str, ...]:
    classes = tuple(sorted(by_split[TRAIN].keys() - {NO_LABEL}))
    if len(classes) < 2:
        has = f"only one class, {join_truncated(classes)}" if classes else "no class folder"
        raise DataError(
            f"{root} has {has}; a classifier needs at least two.",
            hint=left_out.why()
            or f"Put the {modality.plural} of each class into a folder of its own, named after the class.",
        )
    for split, found in by_split.items():
        missing, extra = set(classes) - set(found), set(found) - {*classes, NO_LABEL}
        if missing or extra:
            parts = [f"{split} lacks {join_truncated(sorted(missing))}"] if missing else []
            parts += [f"{split} has {join_truncated(sorted(extra))}, which train lacks"] if extra else []
            raise DataError(
                f"The classes of {root} differ between its splits: {'; '.join(parts)}.",
                hint="Every split must hold the same class folders.",
            )
        empty = [name for name in classes if not found[name] and name not in unreadable.get(split, ())]
        if empty:
            where = f" in {split}" if len(by_split) > 1 else ""
            raise DataError(
                f"{pluralize(len(empty), 'class has', 'classes have')} no {modality.singular}{where}: "
                f"{join_truncated(empty)}.",
                hint=_other_files(Path(root), modality)
                or left_out.why()
                or f"Add {modality.plural} ({', '.join(sorted(modality.extensions))}) or remove the folder.",
            )
    return classes


def _other_files(root: Path, modality: Modality) -> str | None:
    """Return a hint if the data folder holds files of another modality."""
    for other in other_modalities(modality):
        if next((file for file in walk_files(str(root), other) if other.has_name(file)), None):
            return f"It holds {other.plural}, but the network takes {modality.plural}; `tlkit archs` lists inputs."
    return None


def _digest_files(by_split: Mapping[str, ClassFiles], modality: Modality) -> dict[str, Digest]:
    files = list(dict.fromkeys(file for found in by_split.values() for each in found.values() for file in each))
    return dict(zip(files, file_digests(files, modality), strict=True))


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
    unseen = [name for name in classes if VALIDATION in by_split and not by_split[VALIDATION][name]]
    if unseen:
        warnings.append(_unmeasured(f"validation {modality.plural}", unseen))
    return warnings


def _unmeasured(what: str, classes: Sequence[str]) -> str:
    whose = "its" if len(classes) == 1 else "their"
    return f"No {what} for {join_truncated(classes)}: {whose} accuracy cannot be measured."


def _as_split(found: ClassFiles, classes: Sequence[str], *, multi_label: bool = False) -> Split:
    if not multi_label:
        files = [file for name in classes for file in found.get(name, [])]
        return Split(tuple(files), np.repeat(np.arange(len(classes)), [len(found.get(name, [])) for name in classes]))
    row = {file: number for number, file in enumerate(sorted({file for files in found.values() for file in files}))}
    labels = np.zeros((len(row), len(classes)), bool)
    for number, name in enumerate(classes):
        labels[[row[file] for file in found.get(name, [])], number] = True
    return Split(tuple(row), labels)


def files_by_labels(splits: Mapping[str, Split]) -> dict[str, dict[Any, list[str]]]:
    """Return the files of each split by what they are labelled."""
    found: dict[str, dict[Any, list[str]]] = {}
    for name, split in splits.items():
        of_split = found[name] = {}
        for file, label in zip(split.files, split.labels.tolist(), strict=True):
            of_split.setdefault(tuple(label) if isinstance(label, list) else label, []).append(file)
    return found
