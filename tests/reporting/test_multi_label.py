"""How well scores rank the images of a label."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from tlkit.reporting.multi_label import average_precision, mean_average_precision_interval


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
