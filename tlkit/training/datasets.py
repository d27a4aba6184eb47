"""Labelled samples: features that are cached, or images decoded in every epoch."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tlkit.data.images.mixing import Mixer
from tlkit.data.memory import claims
from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import DataError, InputError
from tlkit.utils.processors import decode_threads

_AT_ONCE = 1024
"""Samples to load at once."""

Arrays = tuple[np.ndarray, ...]
Loader = Callable[[np.ndarray, np.ndarray, int], Arrays]
"""Load samples: their numbers ``(samples,)``, the variant of each, and the epoch, to one array per output."""


class LabelledData(Protocol):
    """Labelled samples that can be loaded by number; see :class:`FeatureDataset` and :class:`ImageDataset`."""

    @property
    def labels(self) -> np.ndarray:
        """``(samples,)`` int64, or ``(samples, classes)`` bool."""
        ...

    @property
    def variants(self) -> int:
        """Augmented variants per sample."""
        ...

    @property
    def mixer(self) -> Mixer | None:
        """What mixes the images of a batch, and so their labels; None where nothing does."""
        ...

    def loader(self, *, repeatedly: bool = True) -> Loader:
        """Return what loads samples.

        Args:
            repeatedly: They are loaded in every epoch; else once each.
        """
        ...


@dataclass(frozen=True)
class FeatureDataset:
    """Cached features with labels.

    Attributes:
        read: Read rows by number: one ``(rows, …)`` float32 array per output.
        rows: ``(samples, variants)`` int64, the number of each row; several variants are augmentations of one image. -1
            for samples that another process has.
        labels: ``(samples,)`` int64, or ``(samples, classes)`` bool.
        shapes: Shape of one row of each output.
        memory: Bytes up to which all rows are held in memory; None for what this machine can spare.
    """

    read: Callable[[np.ndarray], Arrays]
    rows: np.ndarray
    labels: np.ndarray
    shapes: tuple[tuple[int, ...], ...]
    memory: int | None = None

    @property
    def mixer(self) -> None:
        """Features are not mixed."""

    @property
    def variants(self) -> int:
        """Rows per sample."""
        return int(self.rows.shape[1])

    @property
    def bytes(self) -> int:
        """Size of all rows in memory."""
        return 4 * int((self.rows >= 0).sum()) * sum(math.prod(shape) for shape in self.shapes)

    def loader(self, *, repeatedly: bool = True) -> Loader:
        """Return what loads samples: from memory where all of them fit, else, and where it is done once, from disk."""
        if not repeatedly or self.bytes > (spare_memory() if self.memory is None else self.memory):
            return lambda samples, variants, epoch: self.read(self.rows[samples, variants])
        own = self.rows >= 0
        numbers, places = self.rows[own], np.cumsum(own).reshape(own.shape) - 1
        held = tuple(np.empty((len(numbers), *shape), np.float32) for shape in self.shapes)
        for start in range(0, len(numbers), _AT_ONCE):
            for output, found in zip(held, self.read(numbers[start : start + _AT_ONCE]), strict=True):
                output[start : start + len(found)] = found
        return lambda samples, variants, epoch: tuple(output[places[samples, variants]] for output in held)


def spare_memory() -> int:
    """Return the bytes of features to hold in memory: a quarter of what is available, at most 4 GiB."""
    available = [2**34]
    with suppress(OSError, TypeError):
        found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text("ascii"))
        available.append(int(found[1]) * 1024)  # type: ignore[index]
    with suppress(OSError, ValueError):  # the limit of a container
        limit, used = (
            int(Path("/sys/fs/cgroup", name).read_text("ascii")) for name in ("memory.max", "memory.current")
        )
        available.append(max(0, limit - used))
    return min(available) // 4


class ImageDataset:
    """Labelled images, decoded and augmented again in every epoch, through the frozen part of a network.

    Args:
        files: Paths of images that could be read before.
        labels: ``(files,)`` int64, or ``(files, classes)`` bool.
        preprocessor: How a file becomes pixels.
        compute: The frozen part: pixels ``(batch, height, width, channels)`` to one array per output; None where
            nothing is frozen, so that samples are inputs of the network itself.
        augment: Replace pixels ``(height, width, channels)`` of a sample: pixels, its number, its variant, the epoch.
        variants: Augmented variants per image; one is drawn in each epoch.
        mixer: Mixes the images of a batch.
    """

    def __init__(
        self,
        files: Sequence[str],
        labels: np.ndarray,
        *,
        preprocessor: Preprocessor,
        compute: Callable[[np.ndarray], Arrays] | None = None,
        augment: Callable[[np.ndarray, int, int, int], np.ndarray] | None = None,
        variants: int = 1,
        mixer: Mixer | None = None,
    ) -> None:
        self.labels, self.variants, self.mixer = labels, variants, mixer
        self._files, self._preprocessor, self._compute, self._augment = files, preprocessor, compute, augment
        self._pool = ThreadPoolExecutor(decode_threads(), thread_name_prefix="decode")

    def loader(self, *, repeatedly: bool = True) -> Loader:
        """Return what loads samples."""
        return self._load

    def _load(self, samples: np.ndarray, variants: np.ndarray, epoch: int) -> Arrays:
        pixels = np.stack(list(self._pool.map(self._read, samples.tolist())))
        if self._augment is not None:
            chosen = zip(pixels, samples.tolist(), variants.tolist(), strict=True)
            pixels = np.stack([self._augment(*each, epoch) for each in chosen])
        if self.mixer is not None:
            pixels = self.mixer.draw(samples, epoch).pixels(pixels)
        return (self._preprocessor.to_model_input(pixels),) if self._compute is None else self._compute(pixels)

    def _read(self, sample: int) -> np.ndarray:
        file = self._files[sample]
        try:
            with claims():
                return self._preprocessor.to_array(self._preprocessor.load(file))
        except InputError as error:
            raise DataError(f"{file} could be read before and cannot be now: {error.message}.") from error


class SampleRows:
    """The samples of one output as rows, read as they are asked for; every variant of a sample is a row.

    Attributes:
        samples: ``(rows,)`` int64, the number of the sample each row is of.
        shape: ``(rows, …)``.
    """

    def __init__(self, data: LabelledData) -> None:
        self._load, self._variants = data.loader(repeatedly=False), data.variants
        self.samples = np.repeat(np.arange(len(data.labels)), data.variants)
        self.shape: tuple[int, ...] = (len(self.samples), *self[:1].shape[1:])

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        numbers = np.arange(*rows.indices(len(self.samples))) if isinstance(rows, slice) else rows
        parts = [numbers[start : start + _AT_ONCE] for start in range(0, len(numbers), _AT_ONCE)]
        return np.concatenate([self._load(part // self._variants, part % self._variants, 0)[0] for part in parts])
