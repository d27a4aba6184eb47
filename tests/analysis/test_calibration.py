"""A temperature makes probabilities mean what they say, and changes no prediction."""

import numpy as np
import pytest

from tlkit.analysis.calibration import apply_temperature, fit_temperature
from tlkit.analysis.comparison import mcnemar


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (powers / powers.sum(axis=-1, keepdims=True)).astype("float32")


def drawn(images, sharpness, seed=0):
    """Probabilities that are ``sharpness`` times too sure, with labels drawn from what they should be."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(images, 4)) * 2
    labels = np.array([random.choice(4, p=p / p.sum()) for p in softmax(logits).astype("float64")])
    return softmax(logits * sharpness), labels


@pytest.mark.parametrize("sharpness", [0.4, 3])
def test_the_temperature_is_how_much_too_sure_the_classifier_is(sharpness):
    probabilities, labels = drawn(2000, sharpness)
    assert fit_temperature(probabilities, labels) == pytest.approx(sharpness, rel=0.15)


def test_it_changes_no_prediction_and_keeps_the_dtype():
    probabilities, _ = drawn(100, 3)
    softer = apply_temperature(probabilities, 3.0)
    assert softer.dtype == np.float32
    assert (softer.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    np.testing.assert_allclose(softer.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(apply_temperature(softer, 1 / 3), probabilities, atol=1e-4)
    assert apply_temperature(probabilities, 1.0) is probabilities
    assert apply_temperature(np.array([1.0, 0.0]), 2.0)[0] > 0.99  # what is certain stays finite


def test_too_few_images_and_fits_that_do_not_generalize_leave_them():
    assert fit_temperature(*drawn(19, 3)) == 1
    left = [fit_temperature(*drawn(24, 1, seed)) == 1 for seed in range(20)]
    assert sum(left) >= 10  # where nothing is wrong, a temperature mostly fits noise
    without_error = np.full((40, 2), 0.4, "float32")
    without_error[:, 0] = 0.6
    assert fit_temperature(without_error, np.zeros(40, int)) > 0.05  # surer, but not infinitely


def test_mcnemar():
    # 10 discordant images, 9 of them for one: 2 * (1 + 10) / 2 ** 10
    right_a = np.array([True] * 9 + [False] + [True] * 50)
    right_b = np.array([False] * 9 + [True] + [True] * 50)
    assert mcnemar(right_a, right_b) == pytest.approx(22 / 1024)
    assert mcnemar(right_b, right_a) == pytest.approx(22 / 1024)
    assert mcnemar(right_a, right_a) == 1
