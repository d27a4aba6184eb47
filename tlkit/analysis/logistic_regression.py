"""Logistic regression by L-BFGS: a linear head at the optimum of its loss, in less than a second.

Samples may be more than memory holds: every pass over them goes block by block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from tlkit.errors import TrainingError
from tlkit.utils.interrupt import raise_if_interrupted
from tlkit.utils.processors import compute_threads
from tlkit.utils.rows import IN_MEMORY_BYTES, Rows, blocks

STRENGTHS: tuple[float, ...] = tuple(10.0 ** (power / 2) for power in range(0, -13, -1))
"""Strengths of the L2 penalty that cross-validation chooses from, strong ones first: per sample, of features of mean
squared length 1."""

_TYPICAL = 1e-4
"""The strength where nothing can be left out to choose it on."""
_FOLDS = 5
_MOST_SAMPLES = 10_000
"""Samples that the strength is chosen on, at most: it hardly changes with more."""
_MOST_IN_BASIS = 5_000
"""Samples up to which features of more dimensions are rotated into as many as there are samples."""
_WORTH_THREADS = 30_000_000
"""Multiplications above which several threads are worth it; below, they wait for each other, for seconds where other
processes run too."""
_WORSE = 2
"""Weaker penalties without improvement after which the choice ends."""


@dataclass(frozen=True)
class LogisticRegression:
    """A fitted linear classifier.

    Attributes:
        kernel: ``(features, classes)`` float32.
        bias: ``(classes,)`` float32.
        strength: Of its L2 penalty.
        multi_label: Its probabilities are of each class by itself.
    """

    kernel: np.ndarray
    bias: np.ndarray
    strength: float
    multi_label: bool = False

    def probabilities(self, features: Rows) -> np.ndarray:
        """Return ``(samples, classes)`` float32 for ``(samples, features)`` float32."""
        found = np.empty((features.shape[0], len(self.bias)), np.float32)
        for rows in blocks(features, beside=len(self.bias)):
            logits = features[rows] @ self.kernel + self.bias
            found[rows] = _sigmoid(logits) if self.multi_label else _softmax(logits)[0]
        return found


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return ``(samples, classes)`` float32, 1 at the label of each sample, for ``(samples,)`` int64."""
    found: np.ndarray = np.eye(classes, dtype=np.float32)[labels]
    return found


def fit_logistic_regression(
    features: Rows,
    expected: Rows,
    *,
    weights: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    strength: float | None = None,
    seed: int = 0,
    multi_label: bool = False,
) -> LogisticRegression:
    """Fit a linear classifier to the minimum of its cross-entropy with L2.

    Source: Liu and Nocedal, On the limited memory BFGS method (1989); the implementation is SciPy's.

    Args:
        features: ``(samples, features)`` float32.
        expected: ``(samples, classes)`` float32, the probabilities of the classes; each is expected of some sample.
        weights: ``(samples,)`` float32, above 0; None for equal ones.
        groups: ``(samples,)`` int64; samples of one group, such as augmented versions of an image, are in one fold.
            None for a group each.
        strength: Of the penalty, as :data:`STRENGTHS`; None to choose it by cross-validation.
        seed: Draws the folds.
        multi_label: Classes do not exclude each other: the cross-entropy is that of each by itself, summed.

    Raises:
        TrainingError: The features are not finite.
    """
    (count, length), classes = features.shape, expected.shape[1]
    standard = _Standardized.of(features)
    mean, scale, basis = standard.mean, standard.scale, None
    centred: Rows = standard[:] if 4 * count * length <= IN_MEMORY_BYTES else standard
    each = np.ones(count, np.float32) if weights is None else weights
    products = count * length * classes
    with threadpool_limits(1 if products < _WORTH_THREADS else compute_threads(), "blas"):
        if count < min(length, _MOST_IN_BASIS):  # the penalty leaves no weight outside of their span
            basis, rows = np.linalg.qr(centred[:].T)
            centred = np.ascontiguousarray(rows.T)
        problem = _Problem(centred, expected, each / each.sum(), multi_label)
        if strength is None:
            strength = _choose_strength(problem, groups, np.random.default_rng(seed))
        start = np.zeros((problem.features.shape[1] + 1, classes))
        matrix = _fit(problem, strength, start, tolerance=2e-6).astype(np.float32)
    kernel = (matrix[:-1] if basis is None else basis @ matrix[:-1]) / np.float32(scale)
    return LogisticRegression(kernel, matrix[-1] - mean @ kernel, strength, multi_label)


@dataclass(frozen=True)
class _Standardized:
    """Rows around their mean, of mean squared length 1.

    Attributes:
        features: The rows.
        mean: ``(features,)`` float32.
        scale: What they are divided by.
    """

    features: Rows
    mean: np.ndarray
    scale: float

    @classmethod
    def of(cls, features: Rows) -> _Standardized:
        count = features.shape[0]
        mean = sum(features[rows].sum(axis=0, dtype=np.float64) for rows in blocks(features)) / count
        mean = np.asarray(mean, np.float32)
        if not np.isfinite(mean).all():
            raise TrainingError(
                "Features of the base are not finite.", hint="Check its weights: `tlkit inspect-h5 FILE --stats`."
            )
        squares = sum(np.square(features[rows] - mean).sum(dtype=np.float64) for rows in blocks(features))
        return cls(features, mean, float(np.sqrt(squares / count)) or 1.0)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.features.shape

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        centred: np.ndarray = self.features[rows] - self.mean
        centred /= self.scale
        return centred


@dataclass(frozen=True)
class _Problem:
    """Samples with the probabilities that are expected of them.

    Attributes:
        features: ``(samples, features)`` float32.
        expected: ``(samples, classes)`` float32.
        weights: ``(samples,)`` float32, of sum 1.
        multi_label: Each class by itself.
    """

    features: Rows
    expected: Rows
    weights: np.ndarray
    multi_label: bool = False

    def part(self, rows: np.ndarray) -> _Problem:
        weights = self.weights[rows]
        return _Problem(self.features[rows], self.expected[rows], weights / weights.sum(), self.multi_label)

    def loss(self, parameters: np.ndarray, strength: float) -> tuple[float, np.ndarray]:
        """Return the loss and its gradient; the last row of ``parameters``, the biases, has no penalty."""
        classes = self.expected.shape[1]
        matrix = parameters.reshape(-1, classes).astype(np.float32)
        kernel = matrix[:-1]
        loss, gradient = 0.0, np.zeros(matrix.shape)
        for rows in blocks(self.features, beside=classes):
            raise_if_interrupted()
            features, expected, weights = self.features[rows], self.expected[rows], self.weights[rows]
            logits = features @ kernel + matrix[-1]
            if self.multi_label:
                probabilities = _sigmoid(logits)
                each = np.logaddexp(0, logits) - expected * logits
            else:
                probabilities, log_probabilities = _softmax(logits)
                each = -expected * log_probabilities
            loss += float(weights @ each.sum(axis=1))
            error = (probabilities - expected) * weights[:, None]
            gradient[:-1] += features.T @ error
            gradient[-1] += error.sum(axis=0)
        gradient[:-1] += strength * kernel
        return loss + strength / 2 * float(np.vdot(kernel, kernel)), gradient.ravel()


def _softmax(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and their logarithms."""
    logits = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(logits)
    totals = exponentials.sum(axis=1, keepdims=True)
    return exponentials / totals, logits - np.log(totals)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return np.asarray(expit(logits))


def _fit(problem: _Problem, strength: float, start: np.ndarray, *, tolerance: float) -> np.ndarray:
    """Return ``(features + 1, classes)`` float64 at the minimum."""
    from scipy.optimize import minimize

    found = minimize(
        problem.loss, start.ravel(), args=(strength,), jac=True, method="L-BFGS-B",
        options={"gtol": tolerance, "ftol": tolerance * 1e-5, "maxiter": 1000},
    )  # fmt: skip
    solution: np.ndarray = found.x.reshape(start.shape)
    return solution


def _choose_strength(problem: _Problem, groups: np.ndarray | None, random: np.random.Generator) -> float:
    """Return the strength with the least loss on samples that were left out.

    Args:
        problem: All samples, of which it is chosen on :data:`_MOST_SAMPLES` at most.
        groups: ``(samples,)`` int64, as for :func:`fit_logistic_regression`.
        random: Draws samples and folds.
    """
    count = len(problem.weights)
    rows = np.arange(count) if count <= _MOST_SAMPLES else np.sort(random.choice(count, _MOST_SAMPLES, replace=False))
    problem = problem.part(rows)
    folds = fold_numbers(problem.expected[:].argmax(axis=1), _FOLDS, random, None if groups is None else groups[rows])
    numbers = [fold for fold in range(_FOLDS) if (folds == fold).any()]
    if len(numbers) < 2:  # one image a class: nothing can be left out
        return _TYPICAL
    parts = [
        (problem.part(np.flatnonzero(folds != fold)), problem.part(np.flatnonzero(folds == fold))) for fold in numbers
    ]
    shares = [problem.weights[folds == fold].sum() for fold in numbers]
    shape = (problem.features.shape[1] + 1, problem.expected.shape[1])
    solutions = [np.zeros(shape) for _ in parts]
    losses = np.array([])
    for strength in STRENGTHS:
        solutions = [
            _fit(kept, strength, before, tolerance=1e-4) for (kept, _), before in zip(parts, solutions, strict=True)
        ]
        left_out = [held.loss(each, 0.0)[0] for (_, held), each in zip(parts, solutions, strict=True)]
        losses = np.append(losses, np.dot(shares, left_out))
        if len(losses) > losses.argmin() + _WORSE:
            break
    return STRENGTHS[losses.argmin()]


def fold_numbers(
    labels: np.ndarray, folds: int, random: np.random.Generator, groups: np.ndarray | None = None
) -> np.ndarray:
    """Deal samples out to folds, class by class, so that each fold has its share of every class.

    Args:
        labels: ``(samples,)`` int64.
        folds: Number of folds.
        random: Draws them.
        groups: ``(samples,)`` int64; samples of one group are in one fold, also where their labels differ. None for a
            group each.

    Returns:
        ``(samples,)`` int64, from 0; -1, always trained on, for the only group of a class.
    """
    groups = np.arange(len(labels)) if groups is None else groups
    numbers: dict[int, int] = {}
    sizes = [0] * folds
    members = {label: np.unique(groups[labels == label]) for label in np.unique(labels).tolist()}
    for label in sorted(members, key=lambda label: len(members[label])):  # a rare class has the least choice
        of_class = random.permutation(members[label]).tolist()
        own = [sum(numbers.get(group) == fold for group in of_class) for fold in range(folds)]  # with another class
        for group in of_class:
            if group not in numbers and len(of_class) < 2:
                numbers[group] = -1
            elif group not in numbers:
                fold = min(range(folds), key=lambda fold: (own[fold], sizes[fold]))
                numbers[group] = fold
                own[fold] += 1
                sizes[fold] += 1
    return np.array([numbers[group] for group in groups.tolist()], np.int64)


def cross_validate(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    *,
    folds: np.ndarray,
    strength: float | None = None,
    trusted: np.ndarray | None = None,
) -> np.ndarray:
    """Return the probabilities that a linear classifier gives each sample, fitted on the other folds.

    Args:
        features: ``(samples, features)`` float32.
        labels: ``(samples,)`` int64.
        classes: Number of classes.
        folds: ``(samples,)`` int64, as of :func:`fold_numbers`.
        strength: Of the penalty; None to choose it on each training part.
        trusted: ``(samples,)`` bool, the samples to fit on; None for all.

    Returns:
        ``(samples, classes)`` float32; rows of samples without a fold are one-hot: nothing else is known of them.
    """
    expected = one_hot(labels, classes)
    found = expected.copy()
    for number in np.unique(folds[folds >= 0]).tolist():
        held = folds == number
        kept = ~held if trusted is None else ~held & trusted
        head = fit_logistic_regression(features[kept], expected[kept], strength=strength, seed=number)
        found[held] = head.probabilities(features[held])
    return found
