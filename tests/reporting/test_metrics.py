"""Metrics, against scikit-learn and numbers counted by hand."""

import numpy as np
import pytest
import sklearn.metrics

from tlkit.reporting.metrics import Evaluation, wilson_interval


@pytest.fixture
def random_evaluation():
    """Predictions on 200 images of 7 classes, better than chance."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 7, 200)
    probabilities = random.dirichlet(np.ones(7), 200)
    probabilities[np.arange(200), labels] += 0.2
    return Evaluation(tuple("abcdefg"), labels, probabilities / probabilities.sum(axis=1, keepdims=True))


def test_metrics_equal_those_of_scikit_learn(random_evaluation):
    labels, probabilities = random_evaluation.labels, random_evaluation.probabilities
    predicted = probabilities.argmax(axis=1)
    assert random_evaluation.accuracy == pytest.approx(sklearn.metrics.accuracy_score(labels, predicted))
    assert random_evaluation.errors == (labels != predicted).sum() > 0
    assert random_evaluation.top5 == pytest.approx(sklearn.metrics.top_k_accuracy_score(labels, probabilities, k=5))
    np.testing.assert_array_equal(random_evaluation.confusion, sklearn.metrics.confusion_matrix(labels, predicted))
    expected = sklearn.metrics.precision_recall_fscore_support(labels, predicted)
    scores = [(row.precision, row.recall, row.f1, row.images) for row in random_evaluation.by_class]
    np.testing.assert_allclose(np.array(scores, float).T, expected)


def test_calibration_bins_hold_every_image_once(random_evaluation):
    bins = random_evaluation.calibration
    assert sum(bin.images for bin in bins) == 200
    for bin in bins:
        if bin.images:
            assert bin.low <= bin.confidence <= bin.high
        else:
            assert bin.accuracy is None
    gaps = sum(bin.images * abs(bin.confidence - bin.accuracy) for bin in bins if bin.images) / 200
    assert random_evaluation.calibration_error == pytest.approx(gaps)


def test_calibration_error_is_the_gap_of_confidence_and_accuracy():
    labels = np.array([0, 0, 0, 1])
    calibrated = Evaluation(("a", "b"), labels, np.array([[1.0, 0], [1, 0], [0.5, 0.5], [0.5, 0.5]]))
    assert calibrated.calibration_error == pytest.approx(0)
    overconfident = Evaluation(("a", "b"), labels, np.array([[0.0, 1], [1, 0], [1, 0], [0, 1]]))
    assert overconfident.calibration_error == pytest.approx(0.25)


def test_errors_come_the_most_confident_first(random_evaluation):
    errors = random_evaluation.most_confident_errors(3)
    wrong = random_evaluation.predicted != random_evaluation.labels
    assert [error.confidence for error in errors] == sorted(random_evaluation.confidence[wrong])[:-4:-1]
    for error in errors:
        assert error.true == "abcdefg"[random_evaluation.labels[error.position]] != error.predicted
        assert error.true_probability < error.confidence


def test_a_class_without_images_or_predictions_has_no_scores():
    evaluation = Evaluation(("a", "b", "c"), np.array([0, 1]), np.array([[0.9, 0.1, 0], [0.8, 0.2, 0]]))
    a, b, c = evaluation.by_class
    assert (a.images, a.predicted, a.precision, a.recall) == (1, 2, 0.5, 1.0)
    assert (b.precision, b.recall, b.f1) == (None, 0.0, None)
    assert (c.precision, c.recall, c.f1) == (None, None, None)
    assert evaluation.top5 is None


@pytest.mark.parametrize(
    ("share", "number", "low", "high"),
    [(0.5, 10, 0.2366, 0.7634), (1.0, 10, 0.7225, 1.0), (0.0, 10, 0.0, 0.2775), (0.9, 1000, 0.8798, 0.9171)],
)
def test_the_interval_of_a_share_is_that_of_wilson(share, number, low, high):
    assert wilson_interval(share, number) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_the_confusion_matrix_of_a_thousand_classes_is_not_in_the_summary():
    small, large = (
        Evaluation(tuple(map(str, range(count))), np.array([0]), np.eye(1, count)).summary() for count in (200, 201)
    )
    assert small["confusion"][0][0] == small["images"] == 1
    assert large["confusion"] is None
