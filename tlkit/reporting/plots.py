"""Plots of predictions, training history and metrics, drawn with matplotlib without a display."""

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
from tlkit.utils.output_file import has_mark
from tlkit.utils.text import escape_control_chars, shorten

FORMATS = (".png", ".jpg", ".jpeg", ".pdf", ".svg")
"""File name extensions that a plot can be written to."""
MAX_ANNOTATED, MAX_NAMED = 20, 100
"""Most classes for which a confusion matrix shows counts, and class names: more could not be read."""

_MARK = "Written by tlkit predict --plot"
"""Stands in the metadata of a plot, so that tlkit recognizes what it may replace."""
_BAR, _GRID, _TEXT = "#3566a8", "#d9d9d9", "#333333"
_PHASE_COLORS = ("#3566a8", "#c8553d", "#4b8b5a", "#8a5a9e")


def check_plot_path(path: Path) -> None:
    """Check that a plot can be written to a path, before any work is done.

    Raises:
        TlkitError: The extension is none of :data:`FORMATS`, or the folder does not exist.
    """
    if path.suffix.lower() not in FORMATS:
        raise TlkitError(
            f"Cannot tell the format of the plot {path}.",
            hint=f"Give it one of the extensions {', '.join(FORMATS)}.",
        )
    if not path.parent.is_dir():
        raise TlkitError(f"There is no folder {path.parent} for the plot.", hint="Create it first.")


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure  # no pyplot: no window, no global state

    return Figure(figsize=(width, height), layout="constrained", dpi=110)


def is_plot(path: Path) -> bool:
    """Return True if a file is a plot that a function of this module wrote to a path."""
    return has_mark(path, _MARK)


def _save(figure: Any, path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix in (".jpg", ".jpeg"):
        marked: dict[str, Any] = {"pil_kwargs": {"comment": _MARK}}
    else:
        marked = {"metadata": {"Software" if suffix == ".png" else "Creator": _MARK}}
    try:
        with atomic_write(path) as part:
            figure.savefig(part, **marked)
    except OSError as error:
        raise TlkitError(f"Cannot write the plot {path}: {error.strerror or error}.") from error


def _style(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=_TEXT)


def plot_predictions(rows: Sequence[tuple[Image.Image, str, Sequence[tuple[str, float]]]], path: Path) -> None:
    """Draw each image beside a bar chart of its most probable classes.

    Args:
        rows: ``(image, title, [(class, probability 0 to 1), …])``, most probable class first.
        path: The file to write; its extension selects the format.

    Raises:
        TlkitError: It cannot be written.
    """
    figure = _figure(9.5, 3.4 * len(rows))
    grid = figure.subplots(len(rows), 2, squeeze=False, width_ratios=(1, 1.25))
    for (image_axes, bar_axes), (image, title, classes) in zip(grid, rows, strict=True):
        image_axes.imshow(image)
        image_axes.set_axis_off()
        image_axes.set_title(_literal(shorten(title, 60)), fontsize=10, color=_TEXT)
        names = [_literal(shorten(name.replace("_", " "))) for name, _ in classes][::-1]
        values = [probability for _, probability in classes][::-1]
        bars = bar_axes.barh(range(len(values)), values, color=_BAR)
        bar_axes.set_yticks(range(len(values)), names)
        bar_axes.bar_label(bars, [f"{value:.1%}" for value in values], padding=4, color=_TEXT, fontsize=9)
        bar_axes.set_xlim(0, 1.14)
        bar_axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25%", "50%", "75%", "100%"])
        bar_axes.set_xlabel("probability", color=_TEXT)
        _style(bar_axes)
    _save(figure, path)


def draw_heat(pixels: np.ndarray, heat: np.ndarray, side: int) -> bytes:
    """Draw an image, in grey, under a heat map.

    Args:
        pixels: ``(height, width, channels)`` uint8.
        heat: ``(height, width)`` 0 to 1.
        side: Longer side of the plot, in pixels.

    Returns:
        A PNG file.
    """
    from matplotlib import colormaps

    colours = colormaps["inferno"](heat)[..., :3] * 255
    share = (0.25 + 0.5 * heat)[..., np.newaxis]
    mixed = pixels.mean(axis=2, keepdims=True) * (1 - share) + colours * share
    image = Image.fromarray(mixed.astype(np.uint8))
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def plot_explanation(pixels: np.ndarray, heat: np.ndarray, title: str, path: Path) -> None:
    """Draw an image beside itself under a heat map.

    Args:
        pixels: ``(height, width, channels)`` uint8; one channel is grey.
        heat: ``(height, width)`` 0 to 1.
        title: What the heat map explains.
        path: The file to write; its extension selects the format.

    Raises:
        TlkitError: It cannot be written.
    """
    shown = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    figure = _figure(8, 4)
    plain, under = figure.subplots(1, 2)
    plain.imshow(shown)
    under.imshow(shown.mean(axis=2), cmap="gray", vmin=0, vmax=255)
    under.imshow(heat, cmap="inferno", alpha=0.25 + 0.5 * heat, vmin=0, vmax=1)
    under.set_title(_literal(shorten(title, 60)), fontsize=10, color=_TEXT)
    for axes in (plain, under):
        axes.set_axis_off()
    _save(figure, path)


def plot_learning_rates(rates: Sequence[float], losses: Sequence[float], suggested: float, path: Path) -> None:
    """Draw the loss over the learning rate, and the rate that is suggested.

    Args:
        rates: Rising.
        losses: Of a batch at each; the last may not be finite.
        suggested: One of the rates, or between them.
        path: The file to write; its extension selects the format.

    Raises:
        TlkitError: It cannot be written.
    """
    figure = _figure(6.5, 3.8)
    axes = figure.subplots()
    axes.plot(rates, losses, color=_BAR)
    axes.axvline(suggested, color=_PHASE_COLORS[1], linestyle="--", label=f"suggested: {suggested:g}")
    axes.set_xscale("log")
    axes.set_xlabel("learning rate", color=_TEXT)
    axes.set_ylabel("loss of a batch", color=_TEXT)
    axes.legend(frameon=False)
    _style(axes)
    _save(figure, path)


def _literal(text: str) -> str:
    """Escape text for matplotlib, which reads text between dollar signs as a formula."""
    return escape_control_chars(text).replace("$", r"\$")


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def draw_history(
    phases: Sequence[tuple[str, Sequence[Mapping[str, float]]]], metrics: Sequence[str] = ("loss", "accuracy")
) -> bytes:
    """Draw metrics over the epochs of all phases, side by side: training dashed, validation solid.

    Args:
        phases: ``(name, epochs)``; epochs have the keys of ``history.csv``.
        metrics: ``loss``, ``accuracy`` or both.

    Returns:
        A PNG file.
    """
    figure = _figure(4.75 * len(metrics), 3.6)
    for axes, key in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        first = 1
        for (name, epochs), color in zip(phases, itertools.cycle(_PHASE_COLORS)):
            numbers = range(first, first + len(epochs))
            for prefix, style, split in (("", "--", "train"), ("val_", "-", "validation")):
                axes.plot(
                    numbers, [epoch[prefix + key] for epoch in epochs], style, marker="o", markersize=3,
                    color=color, label=f"{name}, {split}",
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
        _style(axes)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False)
    return _png(figure)


def draw_comparison(points: Sequence[tuple[str, float, float, tuple[float, float]]]) -> bytes:
    """Draw accuracy over cost, one point with its interval for each network.

    Args:
        points: ``(name, milliseconds an image, accuracy, interval)``.

    Returns:
        A PNG file.
    """
    figure = _figure(8, 4.4)
    axes = figure.subplots()
    for (name, milliseconds, accuracy, (low, high)), color in zip(points, itertools.cycle(_PHASE_COLORS)):
        axes.errorbar(milliseconds, accuracy, [[accuracy - low], [high - accuracy]], fmt="o", color=color, capsize=3)
        axes.annotate(
            _literal(shorten(name, 40)), (milliseconds, accuracy), xytext=(6, 6), textcoords="offset points",
            fontsize=9, color=_TEXT,
        )  # fmt: skip
    if max(point[1] for point in points) > 5 * min(point[1] for point in points):
        axes.set_xscale("log")
        for which in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            which("{x:g}")
    axes.margins(x=0.2)
    axes.set_xlabel("milliseconds an image, without decoding", color=_TEXT)
    axes.set_ylabel("accuracy of a linear classifier", color=_TEXT)
    axes.grid(color=_GRID, linewidth=0.6)
    _style(axes)
    return _png(figure)


def draw_confusion(evaluation: Evaluation) -> bytes:
    """Draw the confusion matrix: color is the fraction of the true class, numbers are counts.

    Returns:
        A PNG file.
    """
    counts, names = evaluation.confusion, [_literal(shorten(name, 24)) for name in evaluation.classes]
    classes = len(names)
    side = min(3.2 + 0.45 * classes, 14)
    figure = _figure(side + 1, side)
    axes = figure.subplots()
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    if classes <= MAX_ANNOTATED:
        for row, column in np.ndindex(counts.shape):
            color = "white" if fractions[row, column] > 0.6 else _TEXT
            if counts[row, column]:
                axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=color, fontsize=8)
    if classes <= MAX_NAMED:
        size = 9 if classes <= MAX_ANNOTATED else 200 / classes + 2
        axes.set_xticks(range(classes), names, rotation=90 if classes > 4 else 0, fontsize=size)
        axes.set_yticks(range(classes), names, fontsize=size)
    axes.set_xlabel("predicted", color=_TEXT)
    axes.set_ylabel("true", color=_TEXT)
    figure.colorbar(image, ax=axes, shrink=0.8, label="fraction of the true class")
    return _png(figure)


def draw_calibration(evaluation: Evaluation) -> bytes:
    """Draw the reliability diagram: accuracy by confidence, with the number of images in each bin; rings: before.

    Returns:
        A PNG file.
    """
    figure = _figure(4.6, 3.8)
    axes = figure.subplots()
    for bin in evaluation.calibration:
        if bin.accuracy is not None:
            axes.bar((bin.low + bin.high) / 2, bin.accuracy, width=bin.high - bin.low, color=_BAR, edgecolor="white")
            color = "white" if bin.accuracy > 0.06 else _TEXT  # on the bar, unless it is too low
            axes.text((bin.low + bin.high) / 2, 0.01, f"{bin.images:,}", ha="center", fontsize=7, color=color)
    axes.plot([0, 1], [0, 1], "--", color=_TEXT, linewidth=0.8)
    if evaluation.uncalibrated is not None:
        found = [(bin.confidence, bin.accuracy) for bin in evaluation.uncalibrated.calibration if bin.images]
        axes.plot(*zip(*found, strict=True), "o", mfc="none", color=_PHASE_COLORS[1], label="before calibration")
        axes.legend(fontsize=8, frameon=False, loc="upper left")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("confidence")
    axes.set_ylabel("accuracy")
    _style(axes)
    return _png(figure)
