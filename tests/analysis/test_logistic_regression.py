"""A linear head is fitted to the optimum that scikit-learn finds."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from tlkit.analysis import logistic_regression
from tlkit.analysis.logistic_regression import STRENGTHS, cross_validate, fit_logistic_regression, fold_numbers, one_hot
from tlkit.errors import TrainingError
from tlkit.training.objective import Objective, balanced_weights
from tlkit.utils import rows


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def digits():
    features, labels = load_digits(return_X_y=True)
    return features.astype("float32"), labels


def fit(features, labels, **options):
    objective = Objective(int(labels.max()) + 1, **options)
    return fit_logistic_regression(features, objective.expected(labels), weights=objective.weights(labels))


def scale_of(features):
    return np.sqrt(np.square(features - features.mean(axis=0)).sum(axis=1).mean())


def wide(features):
    """The features in a space of more dimensions than there are samples, turned."""
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(300, features.shape[1])))
    return (features @ rotation.T + 3).astype("float32")


@pytest.mark.parametrize("widen", [False, True], ids=["tall", "wide"])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_optimum_that_scikit_learn_finds(digits, widen, weighted):
    features, labels = digits[0][:200], digits[1][:200]
    kept = (labels > 2) | (np.arange(200) < 60)  # classes of different sizes
    features, labels = features[kept], labels[kept]
    weights = balanced_weights(labels, 10) if weighted else None
    found = fit(wide(features) if widen else features, labels, class_weight=weights)
    assert found.strength in STRENGTHS
    inverse = 1 / (found.strength * len(labels))
    reference = LogisticRegression(
        C=inverse, class_weight="balanced" if weighted else None, tol=1e-6, max_iter=10_000
    ).fit((features - features.mean(axis=0)) / scale_of(features), labels)
    others = digits[0][1000:1200]
    expected = reference.predict_proba((others - features.mean(axis=0)) / scale_of(features))
    given = found.probabilities(wide(others) if widen else others)
    assert given.dtype == np.float32
    np.testing.assert_allclose(given, expected, atol=0.02)


def test_the_strength_generalizes(digits):
    features, labels = digits
    found = fit(features[:300], labels[:300])
    accuracies = [
        LogisticRegression(C=power, max_iter=10_000)
        .fit(features[:300] / scale_of(features), labels[:300])
        .score(features[300:] / scale_of(features), labels[300:])
        for power in 10.0 ** np.arange(-2, 5)
    ]
    assert max(accuracies) - min(accuracies) > 0.05
    own = (found.probabilities(features[300:]).argmax(axis=1) == labels[300:]).mean()
    assert own > max(accuracies) - 0.01


def test_noise_gets_a_strong_penalty():
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(200, 50)).astype("float32"), random.integers(2, size=200)
    found = fit(features, labels)
    assert found.strength >= 0.1
    assert np.abs(found.probabilities(features) - 0.5).max() < 0.3


def test_augmented_versions_of_an_image_are_in_one_fold():
    """Were they not, noise would look like something to learn: every image left out has a copy that is not."""
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(60, 50)).astype("float32"), np.tile([0, 1], 30)
    images = np.repeat(np.arange(60), 4)
    found = fit_logistic_regression(features[images], one_hot(labels[images], 2), groups=images)
    assert found.strength >= 0.1


def test_smoothed_labels_are_less_certain(digits):
    features, labels = digits
    sure, smoothed = (fit(features[:300], labels[:300], label_smoothing=share) for share in (0, 0.2))
    assert sure.probabilities(features[:300]).max(axis=1).mean() > 0.97
    assert smoothed.probabilities(features[:300]).max(axis=1).mean() < 0.83  # 1 - 0.2 + 0.2 / 10


def test_one_image_a_class_is_enough():
    features = np.eye(3, 7, dtype="float32")
    found = fit(features, np.arange(3))
    assert found.probabilities(features).argmax(axis=1).tolist() == [0, 1, 2]


def test_features_that_are_all_alike_give_the_shares_of_the_classes():
    found = fit(np.ones((8, 4), "float32"), np.array([0, 0, 0, 0, 0, 0, 1, 1]))
    np.testing.assert_allclose(found.probabilities(np.ones((1, 4), "float32")), [[0.75, 0.25]], atol=1e-3)


def test_folds_have_their_share_of_every_class_and_groups_stay_together():
    labels = np.repeat([0, 1, 2], [20, 11, 1])
    groups = np.array([*range(16), 0, 1, 2, 3, *range(20, 30), 3, 40])  # group 3 has two classes
    folds = fold_numbers(labels, 4, np.random.default_rng(0), groups)
    assert folds[-1] == -1  # the only image of its class
    assert all(len(set(folds[groups == group])) == 1 for group in np.unique(groups))
    assert sorted(np.bincount(folds[labels == 1])) == [2, 3, 3, 3]
    assert fold_numbers(labels, 4, np.random.default_rng(1), groups).tolist() != folds.tolist()


def test_what_was_left_out_is_predicted_without_it(digits):
    features, labels = digits[0][:300], digits[1][:300].copy()
    flipped = np.arange(0, 300, 25)
    labels[flipped] = (labels[flipped] + 5) % 10
    folds = fold_numbers(labels, 5, np.random.default_rng(0))
    found = cross_validate(features, labels, 10, folds=folds, strength=1e-3)
    assert found.shape == (300, 10)
    assert (found.argmax(axis=1)[flipped] == digits[1][flipped]).mean() > 0.7


class Counted:
    """Rows that tell how many of them were read at a time."""

    def __init__(self, array):
        self.array, self.shape, self.most = array, array.shape, 0

    def __getitem__(self, rows):
        found = self.array[rows]
        self.most = max(self.most, len(found))
        return found


@pytest.mark.parametrize("multi_label", [False, True])
def test_passes_over_the_samples_go_block_by_block(digits, monkeypatch, multi_label):
    """No matter how many there are, no more is read at a time, and the optimum is the same."""
    features, expected = digits[0], one_hot(digits[1], 10)
    whole = fit_logistic_regression(features, expected, strength=1e-3, multi_label=multi_label)
    monkeypatch.setattr(logistic_regression, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 4 * 100 * 74)
    for count in (400, len(features)):
        counted = Counted(features[:count]), Counted(expected[:count])
        found = fit_logistic_regression(*counted, strength=1e-3, multi_label=multi_label)
        found.probabilities(counted[0])
        assert [each.most for each in counted] == [115, 100]  # of 64 numbers alone, and with 10 of the classes
    np.testing.assert_allclose(found.probabilities(features), whole.probabilities(features), atol=1e-3)
    np.testing.assert_allclose(found.kernel, whole.kernel, atol=1e-3 * np.abs(whole.kernel).max())


def test_the_strength_is_chosen_on_some_of_many(digits, monkeypatch):
    monkeypatch.setattr(logistic_regression, "_MOST_SAMPLES", 300)
    monkeypatch.setattr(logistic_regression, "IN_MEMORY_BYTES", 0)
    counted = Counted(digits[0]), Counted(one_hot(digits[1], 10))
    groups = np.arange(len(digits[0])) // 3
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 4 * 100 * 74)
    assert fit_logistic_regression(*counted, groups=groups).strength in STRENGTHS
    assert [each.most for each in counted] == [300, 300]


def test_features_that_are_not_finite_are_refused(digits):
    features = digits[0].copy()
    features[5, 5] = np.inf
    with pytest.raises(TrainingError, match="not finite"):
        fit_logistic_regression(features, one_hot(digits[1], 10))
