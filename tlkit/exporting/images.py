"""The images that an export is proved on, and calibrated with."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tlkit.data.batches import decoding
from tlkit.data.dataset import scan_dataset, scan_labelled
from tlkit.data.discovery import expand_inputs
from tlkit.data.images.preprocessor import ImagePreprocessor
from tlkit.data.layout import VALIDATION
from tlkit.data.modality import IMAGE
from tlkit.data.tables import find_table
from tlkit.errors import DataError, InputError, TlkitError
from tlkit.training.run_folder import RunRecord, read_digests
from tlkit.utils.logging import logger
from tlkit.utils.text import pluralize

MOST = 1000
"""Images that an export is proved on: enough to see any fault of a format, and ten seconds for most networks."""
MOST_BYTES = 2**29
"""Of their pixels: of larger images fewer are used."""
SYNTHETIC = 16


@dataclass(frozen=True)
class LoadedImages:
    """Images as they enter a network.

    Attributes:
        files: Their paths; descriptions of those that were made here.
        pixels: ``(images, height, width, channels)`` uint8.
        labels: ``(images,)`` int64 or ``(images, classes)`` bool; None where nothing labels them.
        name: What they are, for people: ``the run's validation images``.
        whole: The images before their resize, ``(1, any height, any width, channels)`` uint8 each, for a file that
            resizes; None for others.
        crops: That file would crop ``pixels`` again.
    """

    files: tuple[str, ...]
    pixels: np.ndarray
    labels: np.ndarray | None
    name: str
    whole: Sequence[np.ndarray] | None = None
    crops: bool = False

    @property
    def inputs(self) -> Sequence[np.ndarray]:
        """What the file is given, one image each: ``pixels``, which a file that resizes leaves as they are."""
        if self.crops and self.whole is not None:
            return self.whole
        return [self.pixels[number : number + 1] for number in range(len(self.pixels))]

    @property
    def are_made(self) -> bool:
        """They are no images of anybody's, but patterns."""
        return not self.name


class _Whole(Sequence[np.ndarray]):
    """Images at their own sizes, decoded when they are asked for."""

    def __init__(self, files: Sequence[str], preprocessor: ImagePreprocessor) -> None:
        self._files, self._preprocessor = files, dataclasses.replace(preprocessor, resizes=False)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, number: Any) -> Any:
        image = self._preprocessor.load(self._files[number])
        return self._preprocessor.to_array(image)[np.newaxis]


def images_of_run(
    run: Path, record: RunRecord, split: str, preprocessor: ImagePreprocessor, most: int, *, resize_inside: bool
) -> LoadedImages:
    """Load images of a split that a run was trained with, found where they were then, by their bytes.

    Args:
        run: The run folder.
        record: Its record.
        split: ``train`` or ``validation``.
        preprocessor: From a file to the input.
        most: Load so many at most, evenly from all classes.
        resize_inside: For a file that resizes.

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
    files, rows, moved = [], [], 0
    numbers = {name: number for number, name in enumerate(record.classes)}
    of_run = [numbers.get(name) for name in dataset.classes]  # a class may have come since, or gone
    for found, digests in ((dataset.splits[name], dataset.digests[name]) for name in dataset.splits):
        for file, label, digest in zip(found.files, found.labels, digests, strict=True):
            if digest not in known:
                continue
            given = [of_run[place] for place in (np.flatnonzero(label) if several else [int(label)])]
            kept = [number for number in given if number is not None]
            if len(kept) < len(given):
                moved += 1
                continue
            files.append(file)
            rows.append(np.isin(np.arange(len(numbers)), kept) if several else kept[0])
    if moved:
        logger.warning("Left out, as the run does not know their class: %s.", pluralize(moved, "image"))
    if not files:
        raise DataError(f"None of the images in {arguments['data']} is a {split} image of {run}: they have changed.")
    name = f"{'validation' if split == VALIDATION else 'training'} images of the run"
    return _load(files, np.array(rows), preprocessor, name, most, resize_inside)


def images_in(
    data: str,
    names: Sequence[Sequence[str]],
    preprocessor: ImagePreprocessor,
    most: int,
    *,
    multi_label: bool,
    resize_inside: bool,
) -> LoadedImages:
    """Load images that a user names: labelled where they are in folders of the classes, or a table; else without.

    Args:
        data: A folder, a table or an archive.
        names: Names of the classes, and what else their folders may be called.
        preprocessor: From a file to the input.
        most: Load so many at most, evenly from all classes.
        multi_label: Images may have several labels.
        resize_inside: For a file that resizes.

    Raises:
        DataError: There are none, or a table has other classes.
    """
    reasons = []
    for classes in names:
        try:
            found = scan_labelled(data, classes, multi_label=multi_label).split
        except DataError as reason:
            reasons.append(reason)
        else:
            return _load(found.files, found.labels, preprocessor, data, most, resize_inside)
    if not os.path.exists(data) or find_table(data) == Path(data):
        raise reasons[0]
    files = expand_inputs([data], IMAGE)
    logger.info("%s has no labels (%s): accuracy is not measured.", data, reasons[0].message.rstrip("."))
    return _load(files, None, preprocessor, data, most, resize_inside)


def made_images(preprocessor: ImagePreprocessor, *, resize_inside: bool) -> LoadedImages:
    """Return patterns to compare with, as images may be grey or missing: noise, gradients, blocks of colour."""
    names = tuple(f"pattern {number + 1}" for number in range(SYNTHETIC))
    height, width = preprocessor.size
    if not resize_inside:
        return LoadedImages(names, np.stack(list(_patterns(height, width, preprocessor.channels))), None, "")
    larger = list(_patterns(3 * height // 2 + 1, 2 * width + 1, preprocessor.channels))
    pixels = [preprocessor.to_array(_as_image(pattern)) for pattern in larger]
    crops = preprocessor.resize_mode == "crop"
    return LoadedImages(names, np.stack(pixels), None, "", [pattern[np.newaxis] for pattern in larger], crops)


def _as_image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels)


def _patterns(height: int, width: int, channels: int) -> Iterator[np.ndarray]:
    random = np.random.default_rng(0)
    across = np.linspace(0, 255, width)[None, :, None] * np.ones((height, 1, channels))
    down = np.linspace(0, 255, height)[:, None, None] * np.ones((1, width, channels))
    for number in range(SYNTHETIC):
        colour = random.uniform(0, 1, channels)
        kind = number % 4
        noise = random.uniform(0, 255, (height, width, channels))
        blocks = np.kron(random.uniform(0, 255, (8, 8, channels)), np.ones((-(-height // 8), -(-width // 8), 1)))
        pattern = (noise, across * colour, 0.5 * down * colour + 0.2 * noise, blocks[:height, :width])[kind]
        yield pattern.astype(np.uint8)


def _load(
    files: Sequence[str],
    labels: np.ndarray | None,
    preprocessor: ImagePreprocessor,
    name: str,
    most: int,
    resize_inside: bool,
) -> LoadedImages:
    most = max(SYNTHETIC, min(most, MOST_BYTES // preprocessor.sample_bytes))
    preprocessor = dataclasses.replace(preprocessor, reduces=not resize_inside)  # the file is given all pixels
    chosen = np.arange(len(files))
    if len(files) > most:
        order = np.arange(len(files)) if labels is None or labels.ndim == 2 else np.argsort(labels, kind="stable")
        chosen = np.sort(order[np.linspace(0, len(files) - 1, most).round().astype(int)])
        logger.info("%s of the %s are used.", pluralize(most, "image"), f"{len(files):,}")
    read: list[int] = []
    chosen_files = [files[index] for index in chosen.tolist()]
    pixels = np.empty((len(chosen), *preprocessor.size, preprocessor.channels), np.uint8)
    with decoding(chosen_files, preprocessor) as batches:
        for batch in batches(32):
            pixels[len(read) : len(read) + len(batch.array)] = batch.array
            read += batch.positions
            for position, reason in batch.failed:
                logger.warning("%s is left out: %s.", chosen_files[position], reason)
    if not read:
        raise InputError(
            f"None of the images can be read: {name}.", hint="Name a folder of images, or a table of them."
        )
    found = tuple(chosen_files[position] for position in read)
    return LoadedImages(
        found,
        pixels[: len(read)],
        None if labels is None else labels[chosen[read]],
        name,
        _Whole(found, preprocessor) if resize_inside else None,
        crops=preprocessor.resize_mode == "crop",
    )
