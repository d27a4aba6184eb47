"""How well scores rank the images of a label, and where its line is drawn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from tlkit.analysis.multi_label import average_precision, best_threshold, mean_average_precision_interval


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_that_of_scikit_learn(seed):
    random = np.random.default_rng(seed)
    labels = random.random(40) < 0.3
    scores = np.round(random.random(40), 1)  # many are equal
    assert average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores))


def test_without_an_image_there_is_no_average_precision():
    assert average_precision(np.zeros(4, bool), np.ones(4)) is None
    assert mean_average_precision_interval(np.zeros((4, 2), bool), np.ones((4, 2))) is None


def test_the_interval_holds_the_value_and_narrows_with_more_images():
    random = np.random.default_rng(0)

    def interval(images):
        labels = random.random((images, 3)) < 0.4
        scores = labels + random.normal(0, 0.8, labels.shape)
        mean = np.mean([average_precision(labels[:, one], scores[:, one]) for one in range(3)])
        low, high = mean_average_precision_interval(labels, scores)
        assert low < mean < high
        return high - low

    assert interval(1000) < interval(60) / 2


@pytest.mark.parametrize("seed", range(5))
def test_no_other_threshold_gives_a_better_f1(seed):
    random = np.random.default_rng(seed)
    labels = random.random(60) < 0.3
    scores = np.clip(labels * 0.3 + random.random(60) * 0.7, 0, 1)
    found = best_threshold(labels, scores)
    best = max(f1_score(labels, scores >= line) for line in np.linspace(0.01, 0.99, 197))
    assert f1_score(labels, scores >= found) >= best - 1e-12


def test_few_images_move_no_threshold():
    labels = np.array([True] * 4 + [False] * 20)
    assert best_threshold(labels, np.linspace(0.4, 0.1, 24)) == 0.5


def test_labels_that_are_told_apart_keep_the_line_in_the_gap():
    labels = np.array([True] * 8 + [False] * 8)
    assert 0.2 < best_threshold(labels, np.array([0.3] * 8 + [0.2] * 8)) < 0.3
