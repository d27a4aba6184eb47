"""Draw why: where an image shows the class that was predicted, for `predict --explain`."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tlkit.data.batches import Batch
from tlkit.data.discovery import expand_inputs
from tlkit.data.modality import IMAGE
from tlkit.errors import TlkitError, UsageError
from tlkit.inference.base import Engine, run
from tlkit.reporting.plots import FORMATS, is_plot, plot_explanation
from tlkit.training.classifier import Classifier
from tlkit.training.explain import heat_map
from tlkit.utils.output_file import check_output

_LONGEST = 100
"""Characters of an input's name that the name of its plot begins with."""


def is_one_file(path: str) -> bool:
    """Return True where ``--explain`` names a file, not a directory."""
    return Path(path).suffix.lower() in FORMATS


def check_explanations(path: str, images: Sequence[str], *, force: bool) -> None:
    """Check that explanations can be written, before any work is done.

    Raises:
        UsageError: One file for several images, a file of something else, or a directory that cannot be one.
    """
    target = Path(path)
    if not is_one_file(path):
        if target.exists() and not target.is_dir():
            raise UsageError(
                f"--explain {path} is neither a directory nor an image file.",
                hint=f"Plots end in {', '.join(FORMATS)}.",
            )
        return
    count = len(expand_inputs(images, IMAGE))
    if count != 1:
        raise UsageError(f"--explain {path} is one file, and there are {count:,} images.", hint="Name a directory.")
    if not target.parent.is_dir():
        raise UsageError(f"There is no folder {target.parent} for {target.name}.", hint="Create it first.")
    check_output(target, is_plot, force=force)


class Explainer:
    """Draws explanations of images that go through a network.

    Args:
        path: A file for one image, or a directory, which is made.
        names: Of the inputs.
        classifier: What classifies them.
        force: Replace files in the directory that tlkit did not draw.

    Raises:
        UsageError: The directory holds files of something else under the names of plots.
        TlkitError: It cannot be created.
    """

    def __init__(self, path: str, names: Sequence[str], classifier: Classifier, *, force: bool) -> None:
        self.engine: Engine | None = None
        self._classifier = classifier
        self._kept: deque[np.ndarray] = deque()
        self._paths = [Path(path)]
        if not is_one_file(path):
            try:
                Path(path).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise TlkitError(f"Cannot create the directory {path}: {error.strerror or error}.") from error
            self._paths = list(_plot_paths(Path(path), names))
            for plot in self._paths:
                check_output(plot, is_plot, force=force)

    def keep(self, batch: Batch) -> np.ndarray:
        """Remember the pixels of a batch, and return them."""
        self._kept.append(batch.array)
        return batch.array

    def take(self) -> np.ndarray:
        """Return the pixels of the batch that was kept first."""
        return self._kept.popleft()

    def draw(self, position: int, pixels: np.ndarray, label: int, classes: Sequence[tuple[str, str]]) -> str:
        """Draw the plot of an image, and return its path.

        Args:
            position: Of the input.
            pixels: ``(height, width, channels)`` uint8, as the network takes them.
            label: The class to explain.
            classes: ``(label, name)`` of each class.
        """

        def compute(images: np.ndarray) -> np.ndarray:
            assert self.engine is not None  # it is open where there are batches
            return np.stack([self._classifier.probabilities(row) for row in run(self.engine, images)[0]])

        heat = heat_map(compute, pixels, label, multi_label=self._classifier.thresholds is not None)
        probability = float(compute(pixels[np.newaxis])[0, label])
        path = self._paths[position]
        plot_explanation(pixels, heat, f"{classes[label][1]} {probability:.1%}", path)
        return str(path)


def _plot_paths(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yield the path of the plot of each input: images of one name are numbered."""
    seen: Counter[str] = Counter()
    for name in names:
        stem = Path(name).stem[:_LONGEST]
        seen[stem] += 1
        yield folder / f"{stem}{f'-{seen[stem]}' if seen[stem] > 1 else ''}.png"
