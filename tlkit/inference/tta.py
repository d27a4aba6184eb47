"""Test-time augmentation: the mean of a network's probabilities over views of an image."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

import numpy as np
from PIL import Image

from tlkit.inference.base import Engine, Outputs

CROP = 0.875
"""Share of height and width that a crop keeps."""


class AveragingEngine:
    """An engine whose first output is the mean over an image, its middle, and both mirrored.

    The outputs after the first are those of the image itself; its own first output comes last.

    Args:
        engine: Computes each view.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.precision, self.batch = engine.name, engine.precision, engine.batch
        self.shapes = (*engine.shapes, engine.shapes[0])

    def submit(self, pixels: np.ndarray) -> Future[Outputs]:
        """Start on a batch, as :meth:`tlkit.inference.base.Engine.submit`."""
        middle = np.stack([_middle(image) for image in pixels]) if len(pixels) else pixels
        views = [pixels, pixels[:, :, ::-1], middle, middle[:, :, ::-1]]
        started = [self._engine.submit(np.ascontiguousarray(view)) for view in views]
        joined: Future[Outputs] = Future()
        try:
            outputs = [future.result() for future in started]
        except Exception as error:
            joined.set_exception(error)
            return joined
        mean = np.stack([each[0] for each in outputs]).mean(axis=0, dtype=np.float32)
        joined.set_result((mean, *outputs[0][1:], outputs[0][0]))
        return joined


def _middle(image: np.ndarray) -> np.ndarray:
    height, width, channels = image.shape
    down, across = round(height * (1 - CROP) / 2), round(width * (1 - CROP) / 2)
    planes: Sequence[np.ndarray] = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(image[down : height - down, across : width - across, channel])).resize(
                (width, height), Image.Resampling.BILINEAR
            )
        )
        for channel in range(channels)
    ]
    return np.stack(planes, axis=-1)
