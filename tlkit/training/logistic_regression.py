"""Multinomial logistic regression by L-BFGS: a linear head at the optimum of its loss, in less than a second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from tlkit.training.objective import Objective
from tlkit.utils.interrupt import raise_if_interrupted
from tlkit.utils.processors import compute_threads

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
    """

    kernel: np.ndarray
    bias: np.ndarray
    strength: float

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return ``(samples, classes)`` float32 for ``(samples, features)`` float32."""
        return _softmax(features @ self.kernel + self.bias)[0]


def fit_logistic_regression(
    features: np.ndarray, labels: np.ndarray, images: np.ndarray, objective: Objective, *, seed: int = 0
) -> LogisticRegression:
    """Fit a linear classifier to the minimum of its cross-entropy with L2, whose strength is cross-validated.

    Source: Liu and Nocedal, On the limited memory BFGS method (1989); the implementation is SciPy's.

    Args:
        features: ``(samples, features)`` float32.
        labels: ``(samples,)`` int64; every class occurs.
        images: ``(samples,)`` the image that each sample is of: augmented versions of one are in one fold.
        objective: Number of classes, class weights and label smoothing.
        seed: Draws the folds.
    """
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = features - mean
    scale = float(np.sqrt(np.mean(np.square(centred), dtype=np.float64) * features.shape[1])) or 1.0
    centred /= scale
    basis = None
    if len(centred) < min(centred.shape[1], _MOST_IN_BASIS):  # the penalty leaves no weight outside of their span
        basis, rows = np.linalg.qr(centred.T)
        centred = np.ascontiguousarray(rows.T)
    problem = _Problem.of(centred, labels, objective)
    random = np.random.default_rng(seed)
    folds = _folds(labels, images, random)
    chosen = np.sort(random.permutation(len(labels))[:_MOST_SAMPLES])
    start = np.zeros((problem.features.shape[1] + 1, objective.classes))
    products = problem.features.size * objective.classes
    with threadpool_limits(1 if products < _WORTH_THREADS else compute_threads(), "blas"):
        strength = _choose_strength(problem, folds, chosen)
        matrix = _fit(problem, strength, start, tolerance=1e-5).astype(np.float32)
    kernel = (matrix[:-1] if basis is None else basis @ matrix[:-1]) / np.float32(scale)
    return LogisticRegression(kernel, matrix[-1] - mean @ kernel, strength)


@dataclass(frozen=True)
class _Problem:
    """Samples with the probabilities that are expected of them.

    Attributes:
        features: ``(samples, features)`` float32.
        expected: ``(samples, classes)`` float32.
        weights: ``(samples,)`` float32, of sum 1.
    """

    features: np.ndarray
    expected: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, labels: np.ndarray, objective: Objective) -> _Problem:
        weights = objective.class_weight or {}
        each = np.array([weights.get(label, 1.0) for label in range(objective.classes)], np.float32)[labels]
        return cls(features, objective.expected(labels), each / each.sum())

    def part(self, rows: np.ndarray) -> _Problem:
        weights = self.weights[rows]
        return _Problem(self.features[rows], self.expected[rows], weights / weights.sum())

    def loss(self, parameters: np.ndarray, strength: float) -> tuple[float, np.ndarray]:
        """Return the loss and its gradient; the last row of ``parameters``, the biases, has no penalty."""
        raise_if_interrupted()
        matrix = parameters.reshape(-1, self.expected.shape[1]).astype(np.float32)
        kernel = matrix[:-1]
        probabilities, log_probabilities = _softmax(self.features @ kernel + matrix[-1])
        loss = -float(self.weights @ (self.expected * log_probabilities).sum(axis=1))
        error = (probabilities - self.expected) * self.weights[:, None]
        gradient = np.concatenate([self.features.T @ error + strength * kernel, error.sum(axis=0, keepdims=True)])
        return loss + strength / 2 * float(np.vdot(kernel, kernel)), gradient.ravel().astype(np.float64)


def _softmax(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and their logarithms."""
    logits = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(logits)
    totals = exponentials.sum(axis=1, keepdims=True)
    return exponentials / totals, logits - np.log(totals)


def _fit(problem: _Problem, strength: float, start: np.ndarray, *, tolerance: float) -> np.ndarray:
    """Return ``(features + 1, classes)`` float64 at the minimum."""
    from scipy.optimize import minimize

    found = minimize(
        problem.loss, start.ravel(), args=(strength,), jac=True, method="L-BFGS-B",
        options={"gtol": tolerance, "ftol": 1e-9, "maxiter": 1000},
    )  # fmt: skip
    solution: np.ndarray = found.x.reshape(start.shape)
    return solution


def _choose_strength(problem: _Problem, folds: np.ndarray, rows: np.ndarray) -> float:
    """Return the strength with the least loss on samples that were left out.

    Args:
        problem: All samples.
        folds: ``(samples,)`` the fold of each, -1 for none.
        rows: The samples to choose on.
    """
    numbers = [fold for fold in range(_FOLDS) if (folds[rows] == fold).any()]
    if len(numbers) < 2:  # one image a class: nothing can be left out
        return _TYPICAL
    parts = [(problem.part(rows[folds[rows] != fold]), problem.part(rows[folds[rows] == fold])) for fold in numbers]
    shares = [problem.weights[rows[folds[rows] == fold]].sum() for fold in numbers]
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


def _folds(labels: np.ndarray, images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the fold of each sample, class by class; -1, always trained on, for the only image of a class."""
    folds = np.full(len(labels), -1)
    for label in np.unique(labels):
        own = labels == label
        of_class = random.permutation(np.unique(images[own]))
        if len(of_class) > 1:
            numbers = dict(zip(of_class.tolist(), (np.arange(len(of_class)) % _FOLDS).tolist(), strict=True))
            folds[own] = [numbers[image] for image in images[own].tolist()]
    return folds
