"""Pictures for people, drawn with matplotlib and without a screen."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tlkit.errors import TlkitError
from tlkit.reporting.metrics import Evaluation
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.text import escape_control_chars

FORMATS = (".png", ".jpg", ".jpeg", ".pdf", ".svg")

_BAR, _GRID, _TEXT = "#3566a8", "#d9d9d9", "#333333"
_PHASE_COLOURS = ("#3566a8", "#c8553d", "#4b8b5a", "#8a5a9e")


def check_plot_path(path: Path) -> None:
    """Refuse a plot file that could not be written, before the work is done.

    Raises:
        TlkitError: Its ending names no format, or its folder does not exist.
    """
    if path.suffix.lower() not in FORMATS:
        raise TlkitError(
            f"Cannot tell the format of the plot {path}.",
            hint=f"End its name with {', '.join(FORMATS)}.",
        )
    if not path.parent.is_dir():
        raise TlkitError(f"There is no folder {path.parent} for the plot.", hint="Make it first.")


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure  # no pyplot: no window, no global state

    return Figure(figsize=(width, height), layout="constrained", dpi=110)


def _save(figure: Any, path: Path) -> None:
    try:
        with atomic_write(path) as part:
            figure.savefig(part)
    except OSError as error:
        raise TlkitError(f"Cannot write the plot {path}: {error.strerror or error}.") from error


def _plain(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=_TEXT)


def plot_predictions(rows: Sequence[tuple[Image.Image, str, Sequence[tuple[str, float]]]], path: Path) -> None:
    """Each picture beside a bar chart of its likeliest classes.

    Args:
        rows: ``(picture, title, [(class, probability 0 to 1), …])``, likeliest first.
        path: Where to; the ending says the format.
    """
    figure = _figure(9.5, 3.4 * len(rows))
    grid = figure.subplots(len(rows), 2, squeeze=False, width_ratios=(1, 1.25))
    for (picture_axes, bar_axes), (picture, title, classes) in zip(grid, rows, strict=True):
        picture_axes.imshow(picture)
        picture_axes.set_axis_off()
        picture_axes.set_title(_literal(title), fontsize=10, color=_TEXT)
        names = [_literal(name.replace("_", " ")) for name, _ in classes][::-1]
        values = [probability for _, probability in classes][::-1]
        bars = bar_axes.barh(range(len(values)), values, color=_BAR)
        bar_axes.set_yticks(range(len(values)), names)
        bar_axes.bar_label(bars, [f"{value:.1%}" for value in values], padding=4, color=_TEXT, fontsize=9)
        bar_axes.set_xlim(0, 1.14)
        bar_axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25%", "50%", "75%", "100%"])
        bar_axes.set_xlabel("probability", color=_TEXT)
        _plain(bar_axes)
    _save(figure, path)


def _literal(text: str) -> str:
    """Text as it is: matplotlib would read what stands between dollar signs as a formula."""
    return escape_control_chars(text).replace("$", r"\$")


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def draw_history(phases: Sequence[tuple[str, Sequence[Mapping[str, float]]]]) -> bytes:
    """Loss and accuracy over the epochs of all phases, training dashed, validation drawn through, as PNG.

    Args:
        phases: ``(name, epochs)`` with the keys of ``history.csv``.
    """
    figure = _figure(9.5, 3.6)
    for axes, key in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        first = 1
        for (name, epochs), colour in zip(phases, itertools.cycle(_PHASE_COLOURS)):
            numbers = range(first, first + len(epochs))
            for prefix, style, split in (("", "--", "train"), ("val_", "-", "validation")):
                axes.plot(
                    numbers, [epoch[prefix + key] for epoch in epochs], style, marker="o", markersize=3,
                    color=colour, label=f"{name}, {split}",
                )  # fmt: skip
            first += len(epochs)
        axes.set_xlabel("epoch")
        axes.set_ylabel(key)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(color=_GRID, linewidth=0.6)
        if key == "accuracy":
            axes.set_ylim(0, 1.02)
        else:
            axes.set_ylim(bottom=0)
        _plain(axes)
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    return _png(figure)


def draw_confusion(evaluation: Evaluation) -> bytes:
    """Which class was taken for which, as PNG; a row sums to 1, the numbers are files."""
    counts, names = evaluation.confusion, [_literal(name) for name in evaluation.classes]
    classes = len(names)
    side = min(3.2 + 0.45 * classes, 14)
    figure = _figure(side + 1, side)
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if classes <= 20:
        for row, column in np.ndindex(counts.shape):
            colour = "white" if shares[row, column] > 0.6 else _TEXT
            if counts[row, column]:
                axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=colour, fontsize=8)
    if classes <= 100:  # more names than that cannot be read
        size = 9 if classes <= 20 else 200 / classes + 2
        axes.set_xticks(range(classes), names, rotation=90 if classes > 4 else 0, fontsize=size)
        axes.set_yticks(range(classes), names, fontsize=size)
    axes.set_xlabel("taken for", color=_TEXT)
    axes.set_ylabel("is", color=_TEXT)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the class")
    return _png(figure)


def draw_calibration(evaluation: Evaluation) -> bytes:
    """Is it right as often as it says? As PNG."""
    figure = _figure(4.6, 3.8)
    axes = figure.subplots()
    for part in evaluation.calibration:
        if part.accuracy is not None:
            axes.bar(
                (part.low + part.high) / 2, part.accuracy, width=part.high - part.low, color=_BAR, edgecolor="white"
            )
            axes.text((part.low + part.high) / 2, 0.01, f"{part.pictures:,}", ha="center", fontsize=7, color="white")
    axes.plot([0, 1], [0, 1], "--", color=_TEXT, linewidth=0.8)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("how sure it was")
    axes.set_ylabel("how often it was right")
    _plain(axes)
    return _png(figure)
