"""Where the line is drawn for a label."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from tlkit.analysis.thresholds import best_threshold, choose_threshold


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


def test_no_image_has_a_part_in_the_threshold_that_measures_it():
    random = np.random.default_rng(0)
    labels, scores = random.random(80) < 0.4, random.random(80)
    scores[labels] = scores[labels] * 0.4 + 0.1
    scores[~labels] *= 0.15
    threshold, apart = choose_threshold(labels, scores, 0.5)
    assert threshold < 0.3
    for image in (3, 40):
        other, moved = labels.copy(), scores.copy()
        other[image], moved[image] = ~labels[image], 1 - scores[image]
        assert choose_threshold(other, moved, 0.5)[1][image] == apart[image]


def test_a_threshold_has_to_prove_better_on_other_images():
    """Of scores that say nothing, the best on the images themselves is none on others."""
    random, kept = np.random.default_rng(1), 0
    for _ in range(20):
        labels = random.random(60) < 0.5
        scores = np.where(labels, 0.9, 0.1) + random.normal(0, 0.01, 60)
        threshold, apart = choose_threshold(labels, scores, 0.5)
        kept += threshold == 0.5 and (apart == 0.5).all()
    assert kept == 20
