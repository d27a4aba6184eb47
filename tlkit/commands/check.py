"""Check a data folder before training: unreadable images, copies, leaks, wrong labels, outliers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.analysis.alignment import SIDE
from tlkit.analysis.duplicates import group_numbers, groups_of, near_duplicates
from tlkit.analysis.label_errors import find_label_errors
from tlkit.analysis.logistic_regression import fit_logistic_regression, one_hot
from tlkit.analysis.outliers import find_outliers
from tlkit.architectures.preprocessor import refuse_image_options
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.config import CheckConfig
from tlkit.data.batches import read_batches
from tlkit.data.dataset import list_files, scan_dataset
from tlkit.data.discovery import is_url
from tlkit.data.exclude import write_list
from tlkit.data.images.preprocessor import ImagePreprocessor
from tlkit.data.images.unusual import find_unusual
from tlkit.data.labelled_files import relative_name
from tlkit.data.layout import TEST, TRAIN, VALIDATION
from tlkit.data.modality import IMAGE
from tlkit.data.preprocessor import Preprocessor
from tlkit.distributed.shares import PartResult, cached_parts, compute_part, parts_of
from tlkit.features.extractor import FeatureExtractor
from tlkit.features.spec import FeatureSpec
from tlkit.reporting.html import check_page_path
from tlkit.reporting.metrics import wilson_interval
from tlkit.training.reproduce import command_line, versions
from tlkit.training.split_data import SplitData
from tlkit.training.split_features import split_features
from tlkit.utils.logging import progress_bar
from tlkit.utils.output_file import check_output
from tlkit.utils.text import join_truncated, pluralize

IMBALANCE = 10
"""How many times as many training images one class may have as another before that is said."""
MEASURABLE = 10
"""Validation or test images of a class below which its accuracy is hardly known."""

Place = tuple[str, int]
"""Split and number of an image in it."""


@dataclass(frozen=True)
class Unreadable:
    """An image that cannot be read, and why."""

    file: str
    error: str


@dataclass(frozen=True)
class Duplicates:
    """Images that are copies of each other.

    Attributes:
        files: Their paths, held-out ones first.
        kind: ``exact``, byte for byte, or ``near``.
        relation: ``within class``, ``across classes`` or ``across splits``.
        similarity: The least of its pairs, 0 to 1.
    """

    files: tuple[str, ...]
    kind: str
    relation: str
    similarity: float


@dataclass(frozen=True)
class Mislabelled:
    """A label that is probably wrong: by ``score``, 0 to 1, the suggested class is more probable."""

    file: str
    label: str
    suggested: str
    score: float


@dataclass(frozen=True)
class Strange:
    """An image that is like none of its class; above 3, a higher ``score`` is stranger."""

    file: str
    label: str
    score: float


@dataclass(frozen=True)
class Unusual:
    """An image that is read, and of a kind that is easily not what was meant."""

    file: str
    reason: str


@dataclass(frozen=True)
class Leakage:
    """What held-out images with a copy among the training images are worth.

    Attributes:
        images: Number of validation and test images with a copy in ``train``.
        held_out: Number of all of them.
        accuracy_with: Of a linear classifier on all of them, 0 to 1.
        accuracy_without: On those without a copy, 0 to 1; None where none is left.
    """

    images: int
    held_out: int
    accuracy_with: float | None
    accuracy_without: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON values, an interval beside each accuracy."""
        rest = self.held_out - self.images
        return {
            "images": self.images,
            "accuracy_with": self.accuracy_with,
            "interval_with": _interval(self.accuracy_with, self.held_out),
            "accuracy_without": self.accuracy_without,
            "interval_without": _interval(self.accuracy_without, rest),
        }


def _interval(accuracy: float | None, images: int) -> list[float] | None:
    return None if accuracy is None else list(wilson_interval(accuracy, images))


@dataclass(frozen=True)
class CheckResult:
    """What was found in a data folder. Files are paths below it, with ``/`` between their parts.

    Attributes:
        data: The folder.
        images: Number of images that can be read.
        unreadable: Those that cannot.
        duplicates: Groups of copies, those across splits and classes first.
        label_errors: The most suspicious first.
        outliers: The strangest first.
        leakage: What copies across splits are worth; zero images where the splits are not folders.
        classes: ``name`` and the number of images in each split, by class.
        unusual: Images of an odd size or mode.
        warnings: About classes and files, in sentences.
    """

    data: str
    images: int
    unreadable: tuple[Unreadable, ...]
    duplicates: tuple[Duplicates, ...]
    label_errors: tuple[Mislabelled, ...]
    outliers: tuple[Strange, ...]
    leakage: Leakage
    classes: tuple[Mapping[str, Any], ...]
    unusual: tuple[Unusual, ...]
    warnings: tuple[str, ...]

    @property
    def findings(self) -> int:
        """Number of findings; 0 for a clean folder."""
        lists: Sequence[Sequence[Any]] = (
            self.unreadable, self.duplicates, self.label_errors, self.outliers, self.unusual, self.warnings
        )  # fmt: skip
        return sum(map(len, lists))

    def to_look_at(self) -> dict[str, str]:
        """Return the files to look at, with the reason: of copies all but one, where their labels agree."""
        found: dict[str, str] = {each.file: f"cannot be read: {each.error}" for each in self.unreadable}
        for group in self.duplicates:
            agree = len({Path(file).parent.name for file in group.files}) == 1
            first = group.files[0]
            for file in group.files[agree:]:
                other = first if file != first else group.files[1]
                found.setdefault(file, f"{group.kind} copy of {other}, {group.relation}")
        for error in self.label_errors:
            found.setdefault(error.file, f"probably {error.suggested}, not {error.label}")
        for outlier in self.outliers:
            found.setdefault(outlier.file, f"like no other image of {outlier.label}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return what ``tlkit check --format json`` prints."""
        return {
            "images": self.images,
            "unreadable": [asdict(each) for each in self.unreadable],
            "duplicates": [{**asdict(each), "files": list(each.files)} for each in self.duplicates],
            "label_errors": [asdict(each) for each in self.label_errors],
            "outliers": [asdict(each) for each in self.outliers],
            "leakage": self.leakage.to_dict(),
            "classes": [dict(each) for each in self.classes],
            "unusual": [asdict(each) for each in self.unusual],
            "warnings": list(self.warnings),
        }


def check(config: CheckConfig) -> CheckResult | PartResult:
    """Look for what spoils a training; nothing is changed or deleted.

    With ``part``, only the features of one share of the images are computed.

    Raises:
        TlkitError: Options, data or weights that cannot be used, or a file that cannot be written.
    """
    if config.report is not None:
        check_page_path(Path(config.report), "tlkit check", force=config.force)
    if config.write_list is not None:
        check_output(Path(config.write_list), force=config.force)
    extractor = feature_extractor(config)
    parts = cached_parts(extractor, "check", config.data)
    if config.part is not None:
        files = list_files(config.data, exclude=config.exclude, group=config.group)
        return compute_part(config, parts, extractor, files, batch_size=config.batch_size)
    preprocessor = extractor.specs[0].network.preprocessor
    dataset = scan_dataset(config.data, seed=config.seed, modality=IMAGE, **config.scanning)
    images = SplitData(dataset, preprocessor, config.batch_size or 32, trains=False)
    with parts_of(config, parts, extractor, partial(feature_extractor, config), batch_size=config.batch_size):
        features = split_features(images, extractor, batch_size=config.batch_size)
    folder = _Folder(dataset.root, images, dataset.held_out)
    groups, duplicates = folder.duplicates(features)
    duplicate_of = group_numbers(len(folder.places), groups)
    vectors, classes = np.concatenate([features[split] for split in images.splits]), images.classes
    result = CheckResult(
        data=config.data,
        images=len(folder.places),
        unreadable=tuple(Unreadable(folder.relative(path), reason) for path, reason in images.skipped),
        duplicates=duplicates,
        label_errors=tuple(
            Mislabelled(folder.names[found.image], folder.label(found.image), classes[found.suggested], found.score)
            for found in find_label_errors(vectors, folder.labels, len(classes), duplicate_of, seed=config.seed)
        ),
        outliers=tuple(
            Strange(folder.names[found.image], folder.label(found.image), found.score)
            for found in find_outliers(vectors, folder.labels, duplicate_of)
        ),
        leakage=folder.leakage(vectors, groups, seed=config.seed),
        classes=folder.class_counts(),
        unusual=tuple(Unusual(folder.relative(path), reason) for path, reason in find_unusual(folder.files)),
        warnings=(*dataset.warnings, *images.warnings, *folder.class_warnings()),
    )
    if config.write_list is not None:
        write_list(Path(config.write_list), sorted(result.to_look_at().items()))
    if config.report is not None:
        _write_report(result, config, preprocessor, dataset.root)
    return result


def feature_extractor(config: CheckConfig) -> FeatureExtractor:
    """Return what computes the features, on this machine or another."""
    architecture = get_architecture(config.arch)
    refuse_image_options(architecture, **{"tlkit check": "images"})
    spec = FeatureSpec.from_architecture(
        architecture, weights=config.weights, pooling="avg", size=config.size, resize=config.resize, seed=config.seed
    )
    return FeatureExtractor(spec, engine=config.engine, precision=config.precision)


class _Folder:
    """The readable images of a data folder, all splits in one order.

    Args:
        root: The folder.
        images: Its splits.
        held_out: ``validation`` was drawn, so that an image belongs to no split.
    """

    def __init__(self, root: str, images: SplitData, held_out: bool) -> None:
        self._root, self._images, self._held_out = root, images, held_out
        self.places: list[Place] = [
            (split, number) for split, found in images.splits.items() for number in range(len(found.files))
        ]
        self.files = [file for found in images.splits.values() for file in found.files]
        self.names = [self.relative(file) for file in self.files]
        self.labels = np.concatenate([found.labels for found in images.splits.values()])
        self._digests = [digest for split in images.splits for digest in images.digests(split)]
        self._rank = {} if held_out else {TEST: 0, VALIDATION: 1, TRAIN: 2}

    def relative(self, file: str) -> str:
        return relative_name(file, self._root)

    def label(self, image: int) -> str:
        return self._images.classes[int(self.labels[image])]

    def split(self, image: int) -> str:
        return "all" if self._held_out else self.places[image][0]

    def duplicates(self, features: Mapping[str, np.ndarray]) -> tuple[list[list[int]], tuple[Duplicates, ...]]:
        """Return all groups of copies as numbers, and what to report of them."""
        by_digest: dict[bytes, list[int]] = {}
        for image, digest in enumerate(self._digests):
            by_digest.setdefault(digest or str(image).encode(), []).append(image)
        exact = [group for group in by_digest.values() if len(group) > 1]
        unique = np.array([group[0] for group in by_digest.values()])
        thumbnails = self._thumbnails(unique)
        vectors = np.concatenate([features[split] for split in self._images.splits])[unique]
        pairs = near_duplicates(thumbnails, vectors)
        near = groups_of([(int(unique[pair.first]), int(unique[pair.second])) for pair in pairs])
        similarity: dict[int, float] = {}
        for pair in pairs:
            for image in (int(unique[pair.first]), int(unique[pair.second])):
                similarity[image] = min(similarity.get(image, 1.0), pair.similarity)
        reported = [self._reported(group, "exact", 1.0) for group in exact]
        reported += [self._reported(group, "near", min(similarity[image] for image in group)) for group in near]
        order = ("across splits", "across classes", "within class")
        reported.sort(key=lambda found: (order.index(found.relation), found.files))
        every = [(group[0], other) for group in (*exact, *near) for other in group[1:]]
        return groups_of(every), tuple(reported)

    def _thumbnails(self, images: np.ndarray) -> np.ndarray:
        small = ImagePreprocessor((SIDE, SIDE), "none", channels=1)
        thumbnails = np.zeros((len(images), SIDE, SIDE), np.uint8)
        with progress_bar(total=len(images), unit="image", description="looking for copies") as bar:
            for batch in read_batches([self.files[image] for image in images], small, 256):
                thumbnails[list(batch.positions)] = batch.array[..., 0]
                bar.update(len(batch.positions) + len(batch.failed))
        return thumbnails

    def _reported(self, group: Sequence[int], kind: str, similarity: float) -> Duplicates:
        ordered = sorted(group, key=lambda image: (self._rank.get(self.places[image][0], 0), self.names[image]))
        if len({self.split(image) for image in group}) > 1:
            relation = "across splits"
        else:
            relation = "within class" if len({*self.labels[list(group)].tolist()}) == 1 else "across classes"
        return Duplicates(tuple(self.names[image] for image in ordered), kind, relation, similarity)

    def leakage(self, vectors: np.ndarray, groups: Sequence[Sequence[int]], *, seed: int) -> Leakage:
        """Train a linear classifier, and measure it with and without the held-out images that have a copy in train."""
        held = np.array([split != TRAIN for split, _ in self.places])
        leaked = np.zeros(len(held), bool)
        for group in [] if self._held_out else groups:
            if not held[list(group)].all():
                leaked[[image for image in group if held[image]]] = True
        if not leaked.any():
            return Leakage(0, int(held.sum()), None, None)
        expected = one_hot(self.labels[~held], len(self._images.classes))
        fitted = fit_logistic_regression(vectors[~held], expected, seed=seed)
        right = fitted.probabilities(vectors).argmax(axis=1) == self.labels
        rest = held & ~leaked
        return Leakage(
            int(leaked.sum()),
            int(held.sum()),
            float(right[held].mean()),
            float(right[rest].mean()) if rest.any() else None,
        )

    def class_counts(self) -> tuple[Mapping[str, Any], ...]:
        counts = self._images.counts()
        return tuple(
            {"name": name, **{split: counts.get(split, {}).get(name, 0) for split in (TRAIN, VALIDATION, TEST)}}
            for name in self._images.classes
        )

    def class_warnings(self) -> list[str]:
        """Describe classes that are much larger than others, or too small to measure."""
        counts = self._images.counts()
        sizes = Counter({name: count for name, count in counts[TRAIN].items() if count})
        (most, largest), (least, smallest) = sizes.most_common()[0], sizes.most_common()[-1]
        warnings = []
        if largest >= IMBALANCE * smallest:
            warnings.append(
                f"{most} has {largest:,} training images, {least} {smallest:,}: `--class-weight auto` weights classes "
                "alike."
            )
        for split in [split for split in (VALIDATION, TEST) if split in counts]:
            small = [f"{name} ({count})" for name, count in counts[split].items() if count < MEASURABLE and sizes[name]]
            if small:
                warnings.append(f"Fewer than {MEASURABLE} {split} images, too few to measure: {join_truncated(small)}.")
        return warnings


def _write_report(result: CheckResult, config: CheckConfig, preprocessor: Preprocessor, root: str) -> None:
    from tlkit.reporting.gallery import Gallery, GalleryPage, Shown, write_gallery

    def path(name: str) -> str:
        return name if is_url(name) else os.path.join(root, name)

    galleries = [
        Gallery(
            f"Copies {relation.replace('within', 'within a')}",
            "Side by side: an image and its copies. The number is how alike their pixels are, 1 at most.",
            tuple(tuple(Shown(path(file), file, f"{group.kind} copy, {group.similarity:.3f}") for file in group.files)
                  for group in result.duplicates if group.relation == relation),
        )
        for relation in ("across splits", "across classes", "within class")
    ]  # fmt: skip
    galleries += [
        Gallery(
            "Labels that are probably wrong", "The number is by how much the other class is more probable, 1 at most.",
            (tuple(Shown(path(each.file), each.file, f"{each.label}: probably {each.suggested}, {each.score:.2f}")
                   for each in result.label_errors),),
        ),
        Gallery(
            "Like no other image of their class",
            "The number is how much further away their nearest neighbours are than is usual in the class; from 3 on, "
            "an image is listed.",
            (tuple(Shown(path(each.file), each.file, f"{each.label}, {each.score:.1f}") for each in result.outliers),),
        ),
        Gallery(
            "Odd sizes and modes", "They are read; look whether that is what was meant.",
            (tuple(Shown(path(each.file), each.file, each.reason) for each in result.unusual),),
        ),
    ]  # fmt: skip
    leak = result.leakage
    splits = [split for split in (TRAIN, VALIDATION, TEST) if any(row[split] for row in result.classes)]
    highlights = [
        ("images", f"{result.images:,}"), ("unreadable", f"{len(result.unreadable):,}"),
        ("groups of copies", f"{len(result.duplicates):,}"),
        ("validation and test images with a copy in train", f"{leak.images:,}"),
        ("probably wrong labels", f"{len(result.label_errors):,}"),
        ("images like none of their class", f"{len(result.outliers):,}"),
    ]  # fmt: skip
    page = GalleryPage(
        title=f"Check of {config.data}",
        preprocessor=preprocessor,
        highlights=highlights,
        warnings=(*result.warnings, *leak_sentence(result)),
        galleries=tuple(gallery for gallery in galleries if gallery.number),
        table=("class", *splits),
        rows=tuple((row["name"], *(f"{row[split]:,}" for split in splits)) for row in result.classes),
        skipped=tuple((each.file, each.error) for each in result.unreadable),
        arguments=config.effective(),
        versions=versions(),
        command=command_line("check", config),
    )
    assert config.report is not None
    write_gallery(page, Path(config.report))


def leak_sentence(result: CheckResult) -> list[str]:
    """Say what copies across splits are worth; empty where there are none."""
    leak = result.leakage
    if not leak.images:
        return []
    held = pluralize(leak.held_out, "validation or test image")
    without = (
        "nothing is left without them" if leak.accuracy_without is None else f"{leak.accuracy_without:.3f} without them"
    )
    return [
        f"{leak.images:,} of {held} {'has' if leak.images == 1 else 'have'} a copy in train. The accuracy of a small "
        f"classifier: {leak.accuracy_with:.3f} on all, {without}."
    ]
