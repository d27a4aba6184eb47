"""MixUp and CutMix: training images mixed with one another, and their labels alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mix:
    """How the images of a batch are mixed.

    Attributes:
        partners: ``(images,)`` the number of the image that each is mixed with.
        share: What each keeps of itself, 0 to 1.
        box: Rows and columns that come from the partner; None where all of both is blended.
    """

    partners: np.ndarray
    share: float
    box: tuple[slice, slice] | None

    def pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Return mixed images, ``(images, height, width, channels)`` uint8 0 to 255."""
        if self.box is None:
            blended = pixels * np.float32(self.share) + pixels[self.partners] * np.float32(1 - self.share)
            return np.asarray(np.rint(blended), pixels.dtype)
        mixed = pixels.copy()
        mixed[:, *self.box] = pixels[self.partners][:, *self.box]
        return mixed

    def labels(self, expected: np.ndarray) -> np.ndarray:
        """Return mixed labels, ``(images, classes)`` float32 of sum 1."""
        mixed = expected * np.float32(self.share) + expected[self.partners] * np.float32(1 - self.share)
        return np.asarray(mixed)


@dataclass(frozen=True)
class Mixer:
    """Draws how batches are mixed: a function of seed, epoch and batch alone.

    Sources: Zhang et al., mixup (2018); Yun et al., CutMix (2019).

    Attributes:
        mixup: ``Beta(mixup, mixup)`` gives the share that images keep where they are blended; None for never.
        cutmix: The same where a box is cut from the other image; None for never. With both, a batch draws one.
        size: Height and width of the images.
        seed: Draws everything.
    """

    mixup: float | None
    cutmix: float | None
    size: tuple[int, int]
    seed: int

    def draw(self, samples: np.ndarray, epoch: int) -> Mix:
        """Draw how a batch is mixed.

        Args:
            samples: ``(images,)`` numbers of its images in the split; in an epoch, each is in one batch.
            epoch: Number of the epoch.
        """
        random = np.random.default_rng([self.seed, epoch, int(samples[0])])
        partners = random.permutation(len(samples))
        cuts = self.cutmix is not None and (self.mixup is None or random.random() < 0.5)
        strength = self.cutmix if cuts else self.mixup
        assert strength is not None
        share = float(random.beta(strength, strength))
        if not cuts:
            return Mix(partners, share, None)
        sides = [round(side * math.sqrt(1 - share)) for side in self.size]
        starts = [int(random.integers(whole - side + 1)) for whole, side in zip(self.size, sides, strict=True)]
        rows, columns = (slice(start, start + side) for start, side in zip(starts, sides, strict=True))
        return Mix(partners, 1 - math.prod(sides) / math.prod(self.size), (rows, columns))
