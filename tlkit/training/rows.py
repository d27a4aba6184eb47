"""Labelled rows of features to train on: in memory where they fit, else read a batch at a time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class FeatureDataset:
    """Features with labels.

    Attributes:
        read: Gives rows by their numbers: one array an output, ``(rows, …)`` float32.
        numbers: ``(rows, variants)`` the number of each row there; several variants are augmentations of one picture.
        labels: ``(rows,)`` class numbers.
        shapes: Of one row of each output.
    """

    read: Callable[[np.ndarray], Arrays]
    numbers: np.ndarray
    labels: np.ndarray
    shapes: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def bytes(self) -> int:
        """What all rows take in memory."""
        return 4 * self.numbers.size * sum(math.prod(shape) for shape in self.shapes)


def memory_for_rows() -> int:
    """Bytes of rows to hold in memory: a quarter of what is available, at most 4 GiB; else the disk is read."""
    available = [2**34]
    with suppress(OSError, TypeError):
        found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text("ascii"))
        available.append(int(found[1]) * 1024)  # type: ignore[index]
    with suppress(OSError, ValueError):  # what a container may have
        limit, used = (
            int(Path("/sys/fs/cgroup", name).read_text("ascii")) for name in ("memory.max", "memory.current")
        )
        available.append(max(0, limit - used))
    return min(available) // 4
