"""Where the line is drawn for a label."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from tlkit.analysis.thresholds import best_threshold


@pytest.mark.parametrize("seed", range(5))
def test_no_other_threshold_gives_a_better_f1(seed):
    random = np.random.default_rng(seed)
    labels = random.random(60) < 0.3
    scores = np.clip(labels * 0.3 + random.random(60) * 0.7, 0, 1)
    found = best_threshold(labels, scores, 0.5)
    best = max(f1_score(labels, scores >= line) for line in np.linspace(0.01, 0.99, 197))
    assert f1_score(labels, scores >= found) >= best - 1e-12


def test_few_images_move_no_threshold():
    labels = np.array([True] * 4 + [False] * 20)
    assert best_threshold(labels, np.linspace(0.4, 0.1, 24), 0.5) == 0.5


def test_a_threshold_that_is_as_good_stays():
    labels = np.array([True] * 8 + [False] * 8)
    assert best_threshold(labels, np.array([0.6] * 8 + [0.2] * 8), 0.5) == 0.5


def test_labels_that_are_told_apart_keep_the_line_in_the_gap():
    labels = np.array([True] * 8 + [False] * 8)
    assert 0.2 < best_threshold(labels, np.array([0.3] * 8 + [0.2] * 8), 0.5) < 0.3
