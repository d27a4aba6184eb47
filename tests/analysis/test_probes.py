"""Linear probes on repeated folds, and intervals that account for the repeats."""

import numpy as np
import pytest
from scipy.stats import t

from tlkit.analysis.probes import difference_p_value, draw_folds, mean_interval, probe


def drawn(separation, seed=0, images=120):
    random = np.random.default_rng(seed)
    labels = np.arange(images) % 3
    centres = random.normal(size=(3, 20)) * separation
    return (centres[labels] + random.normal(size=(images, 20))).astype("float32"), labels


def test_folds_are_stratified_and_differ_between_repeats():
    labels = np.repeat([0, 1], [30, 10])
    folds = draw_folds(labels, 5, 3)
    assert folds.shape == (3, 40)
    assert all((np.bincount(row[labels == 1]) == 2).all() for row in folds)
    assert (folds[0] != folds[1]).any()


def test_accuracy_of_every_fold():
    features, labels = drawn(3.0)
    accuracies = probe(features, labels, 3, draw_folds(labels, 4, 2))
    assert accuracies.shape == (8,)
    assert accuracies.mean() > 0.95
    chance = probe(drawn(0.0)[0], labels, 3, draw_folds(labels, 4, 2)).mean()
    assert 0.15 < chance < 0.55


def test_the_interval_is_that_of_nadeau_and_bengio():
    values = np.array([0.8, 0.9, 0.7, 0.85, 0.75, 0.8])
    half = t.ppf(0.975, 5) * np.sqrt((1 / 6 + 1 / 2) * values.var(ddof=1))  # three folds, two repeats
    assert mean_interval(values, 3, 90) == pytest.approx((0.8 - half, 0.8 + half))
    low, high = mean_interval(np.ones(6), 3, 100)
    assert (low, high) == pytest.approx((0.97, 1.03))


def test_a_difference_is_judged_on_the_same_folds():
    base = np.array([0.7, 0.8, 0.6, 0.75, 0.65, 0.7])
    better = base + np.array([0.1, 0.11, 0.09, 0.1, 0.1, 0.1])  # always, whatever the fold
    assert difference_p_value(better, base, 3) < 0.001
    assert difference_p_value(base, better, 3) < 0.001
    assert difference_p_value(base, base, 3) == 1
    noisy = base + np.array([0.1, -0.1, 0.05, -0.05, 0.02, 0.0])
    assert difference_p_value(noisy, base, 3) > 0.5
