"""The images that an export is proved on, and calibrated with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tlkit.data.batches import decoding
from tlkit.data.dataset import scan_dataset, scan_labelled
from tlkit.data.discovery import expand_inputs
from tlkit.data.layout import VALIDATION
from tlkit.data.modality import IMAGE
from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import DataError, InputError, TlkitError
from tlkit.training.run_folder import RunRecord, read_digests
from tlkit.utils.logging import logger
from tlkit.utils.text import pluralize

MOST = 1000
"""Images that an export is proved on: enough to see any fault of a format, and ten seconds for most networks."""
SYNTHETIC = 16


@dataclass(frozen=True)
class LoadedImages:
    """Images as they enter a network.

    Attributes:
        files: Their paths; descriptions of those that were made here.
        pixels: ``(images, height, width, channels)`` uint8.
        labels: ``(images,)`` int64 or ``(images, classes)`` bool; None where nothing labels them.
        name: What they are, for people: ``the run's validation images``.
    """

    files: tuple[str, ...]
    pixels: np.ndarray
    labels: np.ndarray | None
    name: str

    @property
    def are_made(self) -> bool:
        """They are no images of anybody's, but patterns."""
        return not self.name


def images_of_run(run: Path, record: RunRecord, split: str, preprocessor: Preprocessor, most: int) -> LoadedImages:
    """Load images of a split that a run was trained with, found where they were then, by their bytes.

    Args:
        run: The run folder.
        record: Its record.
        split: ``train`` or ``validation``.
        preprocessor: From a file to the input.
        most: Load so many at most, evenly from all classes.

    Raises:
        DataError: They are not there any more, or there never were any.
    """
    arguments = record.arguments
    known = read_digests(run, split)
    if not known:
        folds = arguments.get("folds") is not None and split == VALIDATION
        reason = "it was trained on all images, with --folds" if folds else "it has no record of them"
        raise DataError(f"There are no {split} images of {run}: {reason}.")
    several = record.multi_label
    try:
        dataset = scan_dataset(
            arguments["data"], val_split=arguments.get("val_split", 0.2), seed=arguments.get("seed", 0),
            exclude=arguments.get("exclude"), group=arguments.get("group"), multi_label=several,
            separator=arguments.get("label_separator") if several else None,
        )  # fmt: skip
    except (TlkitError, KeyError) as error:
        reason = error.message if isinstance(error, TlkitError) else "its record does not name them"
        raise DataError(f"The images of {run} are not found: {reason}") from error
    files, rows = [], []
    columns = [dataset.classes.index(name) if name in dataset.classes else -1 for name in record.classes]
    for found, digests in ((dataset.splits[name], dataset.digests[name]) for name in dataset.splits):
        for file, label, digest in zip(found.files, found.labels, digests, strict=True):
            if digest in known:
                files.append(file)
                rows.append(label[columns] if several else columns.index(int(label)))
    if not files:
        raise DataError(f"None of the images in {arguments['data']} is a {split} image of {run}: they have changed.")
    name = f"{'validation' if split == VALIDATION else 'training'} images of the run"
    return _load(files, np.array(rows), preprocessor, name, most)


def images_in(
    data: str, classes: Sequence[str], preprocessor: Preprocessor, most: int, *, multi_label: bool = False
) -> LoadedImages:
    """Load images that a user names: labelled where they are in folders of the classes, or a table; else without.

    Raises:
        DataError: There are none.
    """
    try:
        labelled = scan_labelled(data, classes, multi_label=multi_label)
    except DataError as reason:
        files = expand_inputs([data], IMAGE)
        logger.info("%s has no labels (%s): accuracy is not measured.", data, reason.message.rstrip("."))
        return _load(files, None, preprocessor, data, most)
    return _load(labelled.split.files, labelled.split.labels, preprocessor, data, most)


def made_images(size: tuple[int, int], channels: int) -> LoadedImages:
    """Return patterns to compare with where there are no images: noise, gradients, flat colours."""
    random = np.random.default_rng(0)
    height, width = size
    across = np.linspace(0, 255, width)[None, :, None] * np.ones((height, 1, channels))
    down = np.linspace(0, 255, height)[:, None, None] * np.ones((1, width, channels))
    made = []
    for number in range(SYNTHETIC):
        colour = random.uniform(0, 1, channels)
        kind = number % 4
        noise = random.uniform(0, 255, (height, width, channels))
        blocks = np.kron(random.uniform(0, 255, (8, 8, channels)), np.ones((-(-height // 8), -(-width // 8), 1)))
        made.append((noise, across * colour, 0.5 * down * colour + 0.2 * noise, blocks[:height, :width])[kind])
    names = tuple(f"pattern {number + 1}" for number in range(SYNTHETIC))
    return LoadedImages(names, np.stack(made).astype(np.uint8), None, "")


def _load(
    files: Sequence[str], labels: np.ndarray | None, preprocessor: Preprocessor, name: str, most: int
) -> LoadedImages:
    chosen = np.arange(len(files))
    if len(files) > most:
        order = np.arange(len(files)) if labels is None or labels.ndim == 2 else np.argsort(labels, kind="stable")
        chosen = np.sort(order[np.linspace(0, len(files) - 1, most).round().astype(int)])
        logger.info("%s of the %s are used.", pluralize(most, "image"), f"{len(files):,}")
    arrays: list[np.ndarray] = []
    read: list[int] = []
    chosen_files = [files[index] for index in chosen.tolist()]
    with decoding(chosen_files, preprocessor) as batches:
        for batch in batches(32):
            arrays.append(batch.array)
            read += batch.positions
            for position, reason in batch.failed:
                logger.warning("%s is left out: %s.", chosen_files[position], reason)
    if not read:
        raise InputError(f"None of the {name} can be read.")
    kept = chosen[read]
    return LoadedImages(
        tuple(chosen_files[position] for position in read),
        np.concatenate(arrays),
        None if labels is None else labels[kept],
        name,
    )
