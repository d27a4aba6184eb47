"""Is one image a copy of another: recompressed, resized, cropped by a few percent or mirrored?

All on small grey thumbnails of one size: the whole image squashed, whatever its proportions were.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

SIDE = 64
"""Height and width of the thumbnails, in pixels."""

_COARSE, _FINE = 24, 40
"""Height and width at which windows are searched, and compared."""
_SIGMA = 2.0
"""Of the Gaussian that is subtracted to leave the detail, in pixels of either."""
_WINDOWS = ((0.0, 1.0), *((share * place, 1 - share) for share in (0.03, 0.07) for place in (0.0, 0.5, 1.0)))
"""Beginning and length of the parts, across or down, that may be left of a thumbnail; the first is all of it."""
_MOST_CROPPED, _MOST_OF_MIRRORED = 0.09, 0.03
"""Share that a copy may lack at each side; a mirrored one only what alignment is uncertain by."""
_STEPS = 6
_AT_ONCE = 1024
"""Thumbnails that are reduced at once."""


def _blur(side: int, sigma: float) -> np.ndarray:
    """Return the matrix ``(side, side)`` of a Gaussian along one axis."""
    distance = np.arange(side)[:, None] - np.arange(side)
    weights = np.exp(-0.5 * (distance / sigma) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _sampling(side: int, begin: float, length: float) -> np.ndarray:
    """Return the matrix ``(side, SIDE)`` that averages a part of a row to ``side`` pixels."""
    edges = (begin + length * np.arange(side + 1) / side) * SIDE
    lows, highs = edges[:-1, None], edges[1:, None]
    covered = np.minimum(highs, np.arange(1, SIDE + 1)) - np.maximum(lows, np.arange(SIDE))
    return np.asarray(np.maximum(covered, 0) / (highs - lows))


_DETAIL = {side: _blur(side, _SIGMA) for side in (_COARSE, _FINE)}
_PARTS = np.stack([_sampling(_COARSE, begin, length) for begin, length in _WINDOWS]).astype(np.float32)
_SOFT = _blur(SIDE, SIDE / _FINE / 2)


def _detail(thumbnails: np.ndarray) -> np.ndarray:
    """Return what a Gaussian takes away of ``(…, side, side)`` thumbnails."""
    blur = _DETAIL[thumbnails.shape[-1]].astype(thumbnails.dtype)
    return np.asarray(thumbnails - blur @ thumbnails @ blur.T)


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-3))


def signatures(thumbnails: np.ndarray, *, mirrored: bool = False) -> np.ndarray:
    """Return ``(thumbnails, 256)`` float32 rows of length 1, whose products are the correlation of coarse thumbnails.

    Args:
        thumbnails: ``(thumbnails, SIDE, SIDE)`` uint8.
        mirrored: Of the mirrored thumbnails.
    """
    coarse = thumbnails.reshape(len(thumbnails), 16, SIDE // 16, 16, SIDE // 16).mean(axis=(2, 4), dtype=np.float32)
    return _unit((coarse[:, :, ::-1] if mirrored else coarse).reshape(len(thumbnails), -1))


@dataclass(frozen=True)
class Match:
    """How well a part of one thumbnail fits another.

    Attributes:
        whole: Concordance of the pixels (Lin 1989), -1 to 1: brightness and contrast count.
        detail: The same of what is finer than a tenth of the thumbnail.
    """

    whole: float
    detail: float


class Aligner:
    """Thumbnails that are compared with each other.

    Args:
        thumbnails: ``(thumbnails, SIDE, SIDE)`` uint8.
    """

    def __init__(self, thumbnails: np.ndarray) -> None:
        self._thumbnails = thumbnails
        self._detail = np.empty((len(thumbnails), _COARSE**2), np.float32)
        for start in range(0, len(thumbnails), _AT_ONCE):
            whole = _PARTS[0] @ thumbnails[start : start + _AT_ONCE].astype(np.float32) @ _PARTS[0].T
            self._detail[start : start + _AT_ONCE] = _unit(_detail(whole).reshape(len(whole), -1))

    def rough_matches(self, number: int, others: np.ndarray) -> Iterator[tuple[float, int, bool]]:
        """Search the window of a thumbnail that fits each of others best.

        Args:
            number: Of the thumbnail.
            others: ``(others,)`` numbers of the others.

        Yields:
            Correlation of detail, number of the window, and whether the other is mirrored.
        """
        thumbnail = self._thumbnails[number].astype(np.float32)
        across = thumbnail @ _PARTS.transpose(0, 2, 1)  # (windows, SIDE, coarse)
        views = _PARTS[:, None] @ across[None]
        rows = _unit(_detail(views).reshape(len(_WINDOWS) ** 2, -1))
        details = self._detail[others]
        flipped = details.reshape(-1, _COARSE, _COARSE)[:, :, ::-1].reshape(len(others), -1)
        straight, mirrored = rows @ details.T, rows @ flipped.T
        for column in range(len(others)):
            is_mirrored = bool(mirrored[:, column].max() > straight[:, column].max())
            found = (mirrored if is_mirrored else straight)[:, column]
            yield float(found.max()), int(found.argmax()), is_mirrored

    def match(self, number: int, other: int, window: int, *, mirrored: bool) -> Match | None:
        """Align a window of a thumbnail with another to a part of a pixel, and compare them.

        Source: Lucas and Kanade, An Iterative Image Registration Technique (1981).

        Args:
            number: Of the thumbnail, from which the other may be cut out.
            other: Number of the other.
            window: Number of the window to start from.
            mirrored: The other is mirrored.

        Returns:
            None where the best window lacks more than a few percent at one of its sides.
        """
        source = _SOFT @ self._thumbnails[number] @ _SOFT.T
        whole = _sampling(_FINE, 0, 1)
        target = whole @ (_SOFT @ self._thumbnails[other] @ _SOFT.T) @ whole.T
        target = target[:, ::-1] if mirrored else target
        down, across = _WINDOWS[window // len(_WINDOWS)], _WINDOWS[window % len(_WINDOWS)]
        ends = np.array([down[0], sum(down), across[0], sum(across)])
        place = (np.arange(_FINE) + 0.5) / _FINE
        best, view = np.inf, target
        kept = ends
        for _ in range(_STEPS):
            rows, columns = _points(ends[0], ends[1], place), _points(ends[2], ends[3], place)
            seen = rows @ source @ columns.T
            error = target - seen
            loss = float(np.square(error - error.mean()).sum())
            if loss >= best:
                break
            best, view, kept = loss, seen, ends
            by_row, by_column = (slope * _FINE for slope in np.gradient(seen))
            length_down, length_across = ends[1] - ends[0], ends[3] - ends[2]
            slopes = [
                by_row * (1 - place)[:, None] / length_down, by_row * place[:, None] / length_down,
                by_column * (1 - place) / length_across, by_column * place / length_across,
            ]  # fmt: skip
            matrix = np.stack([slope.ravel() for slope in slopes], axis=1)
            steps = np.linalg.lstsq(matrix - matrix.mean(axis=0), (error - error.mean()).ravel(), rcond=1e-6)[0]
            ends = ends + np.clip(steps, -0.03, 0.03)
        most = _MOST_OF_MIRRORED if mirrored else _MOST_CROPPED
        if max(kept[0], kept[2], 1 - kept[1], 1 - kept[3]) > most:
            return None
        return Match(_concordance(view, target), _concordance(_detail(view), _detail(target)))


def _points(begin: float, end: float, place: np.ndarray) -> np.ndarray:
    """Return the matrix that reads a row at points from ``begin`` to ``end``, by linear interpolation."""
    at = np.clip((begin + (end - begin) * place) * SIDE - 0.5, 0, SIDE - 1.001)
    matrix = np.zeros((len(place), SIDE))
    rows, before = np.arange(len(place)), at.astype(int)
    matrix[rows, before] = 1 - (at - before)
    matrix[rows, before + 1] = at - before
    return matrix


def _concordance(one: np.ndarray, other: np.ndarray) -> float:
    means = one.mean(), other.mean()
    common = 2 * ((one - means[0]) * (other - means[1])).mean()
    return float(common / (one.var() + other.var() + (means[0] - means[1]) ** 2 + 1e-3))
