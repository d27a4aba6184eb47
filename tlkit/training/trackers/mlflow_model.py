"""A run as a model of MLflow: what ``mlflow.pyfunc.load_model`` calls."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import tlkit
from tlkit.errors import InputError

_CHANNELS = (1, 3, 4)
"""Length of the last axis of an image; three axes that end in another are several grey images."""


class RunModel:
    """A run that classifies images for ``mlflow.pyfunc``.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path) -> None:
        from tlkit.training.run_folder import read_run

        self._folder, self._record = folder, read_run(folder)

    def predict(self, images: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Classify images.

        Args:
            images: Paths, or arrays of ``(height, width, 3)`` or ``(height, width)``, integers of 0 to 255 (nested
                lists too, as from JSON): one, several, or a DataFrame with one column of them.
            params: None are known.

        Returns:
            A DataFrame with a row for each image: ``class``, the most probable; its ``probability``; and
            ``probabilities``, those of all classes by name. Where images may have several labels, also ``labels``.
            An image that cannot be read has an ``error`` and nothing else.

        Raises:
            InputError: Neither paths nor images; folders.
        """
        import pandas

        index = images.index if hasattr(images, "index") and hasattr(images, "dtypes") else None
        with tempfile.TemporaryDirectory() as folder:
            paths = [_path(image, number, Path(folder)) for number, image in enumerate(_each(images))]
            found = tlkit.predict(paths, model=self._folder, top=len(self._record.classes)) if paths else ()
            if len(found) != len(paths):
                raise InputError(f"{len(paths)} paths name {len(found)} images; expected a path for each image.")
            rows = [
                {
                    "class": prediction.scores[0].name if prediction.scores else None,
                    "probability": prediction.scores[0].probability if prediction.scores else None,
                    "probabilities": {score.name: score.probability for score in prediction.scores},
                    **({"labels": list(prediction.labels or ())} if self._record.multi_label else {}),
                    "error": prediction.error,
                }
                for prediction in found
            ]
        return pandas.DataFrame(rows, index=index if index is not None and len(index) == len(rows) else None)


def _each(images: Any) -> Iterable[Any]:
    """Yield single images, whatever they come in."""
    if hasattr(images, "columns"):
        if len(images.columns) != 1:
            raise InputError(f"A table of images has one column, of paths or arrays; this has {len(images.columns)}.")
        return list(images.iloc[:, 0])
    if isinstance(images, str | os.PathLike):
        return [images]
    several = images if isinstance(images, np.ndarray) else list(images)
    try:
        first = np.asarray(several[0])
    except (IndexError, ValueError):  # none; rows of different lengths
        return several
    is_one = first.ndim == 1 or (first.ndim == 2 and first.shape[1] in _CHANNELS)
    return [several] if is_one else several


def _path(image: Any, number: int, folder: Path) -> str:
    """Return the path of an image; an array is written to a file first, so that there is one way to read images."""
    if isinstance(image, str | os.PathLike):
        return os.fspath(image)
    try:
        pixels = np.asarray(image)
        if pixels.ndim not in (2, 3):
            raise ValueError(f"its shape is {pixels.shape}")
        if pixels.dtype != np.uint8:
            as_bytes = pixels.astype(np.uint8)
            if pixels.dtype.kind not in "iu" or not np.array_equal(as_bytes, pixels):
                raise ValueError(f"values are {pixels.dtype}, not 0 to 255")
            pixels = as_bytes  # JSON has no bytes
        path = folder / f"image-{number}.png"
        Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels).save(path)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Image {number} is neither a path nor an array of (height, width, 3) uint8: {error}."
        ) from error
    return str(path)


def _load_pyfunc(path: str) -> RunModel:
    """Load the model, as MLflow names it."""
    return RunModel(Path(path))
