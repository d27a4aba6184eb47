"""Which samples each of several processes decodes, caches and trains on.

Samples are dealt out to lanes in turn, and lanes to processes. An epoch shuffles the samples of each lane and takes
from all lanes in turn: so every batch has about as many samples of each process, a sample stays with one process in all
epochs, and the batches are the same for any number of processes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tlkit.errors import UsageError
from tlkit.utils.text import pluralize

_MOST_LANES = 64
_LEAST_IN_LANE = 16
"""Samples of a lane from which on shuffling within lanes is as good as shuffling all."""


def lanes_of(samples: int) -> int:
    """Return the number of lanes of so many samples that are shuffled: a power of two."""
    lanes = 1
    while 2 * lanes <= min(_MOST_LANES, samples // _LEAST_IN_LANE):
        lanes *= 2
    return lanes


def shuffled(samples: int, random: np.random.Generator) -> np.ndarray:
    """Return the order of an epoch, ``(samples,)`` int64."""
    lanes = lanes_of(samples)
    grid = np.arange(samples + -samples % lanes).reshape(-1, lanes)
    full = samples // lanes
    longer = samples % lanes  # lanes of one sample more
    grid[:, :longer] = random.permuted(grid[:, :longer], axis=0)
    grid[:full, longer:] = random.permuted(grid[:full, longer:], axis=0)
    order = grid.ravel()
    return order[order < samples] if longer else order


@dataclass(frozen=True)
class Share:
    """The part of the work that is this process's.

    Attributes:
        process: Which process this is, from 0.
        processes: How many there are.
        devices: Devices of each process.
    """

    process: int = 0
    processes: int = 1
    devices: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the run."""
        return self.process == 0

    @property
    def is_whole(self) -> bool:
        """Whether there is one device, of one process."""
        return self.processes == self.devices == 1

    def owners(self, samples: int, *, shuffled: bool) -> np.ndarray:
        """Return the process of each sample of a split, ``(samples,)`` int64: also of each position in an epoch.

        Args:
            samples: Number of samples.
            shuffled: Every epoch shuffles them.

        Raises:
            UsageError: There are too few for so many processes.
        """
        lanes = lanes_of(samples) if shuffled else self.processes
        most = lanes if shuffled else samples
        if most < self.processes:
            what = "training" if shuffled else "validation or test"
            raise UsageError(
                f"{samples:,} {what} images are too few for {self.processes} processes.",
                hint=f"Use {f'at most {most} processes' if most > 1 else 'one process'}: each needs "
                f"{pluralize(_LEAST_IN_LANE if shuffled else 1, 'image')} of its own.",
            )
        return np.arange(samples) % lanes % self.processes

    def capacity(self, owners: np.ndarray, batch_size: int) -> int:
        """Return the number of samples that each process gives to every batch, with those that only fill it up.

        Args:
            owners: Of :meth:`owners`.
            batch_size: Samples per batch, of all processes together.
        """
        batches = (owners[start : start + batch_size] for start in range(0, len(owners), batch_size))
        most = max(int(np.bincount(batch).max()) for batch in batches)
        return most + -most % self.devices
