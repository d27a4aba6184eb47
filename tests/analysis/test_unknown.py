"""Images of other kinds are told from those of known classes."""

import numpy as np
import pytest

from tlkit.analysis.unknown import TURNED_AWAY, auroc, fit_unknown


def drawn(random, classes, each, spread=0.3, features=40):
    """Features around a direction of each class, two layers."""
    labels = np.repeat(np.arange(len(classes)), each)
    return [
        (classes[labels] + random.normal(size=(len(labels), features)) * spread).astype("float32") for _ in range(2)
    ], labels


@pytest.fixture(scope="module")
def learned():
    random = np.random.default_rng(0)
    classes = random.normal(size=(5, 40))
    train, labels = drawn(random, classes, 30)
    held, _ = drawn(random, classes, 40)
    return random, classes, fit_unknown(train, labels, held), held


def test_a_twentieth_of_the_known_is_turned_away_and_most_of_the_foreign(learned):
    random, classes, detector, held = learned
    assert (detector.scores(held) > 1).mean() <= TURNED_AWAY
    known = detector.scores(drawn(random, classes, 200)[0])
    assert (known > 1).mean() < 2 * TURNED_AWAY
    foreign = detector.scores(drawn(random, random.normal(size=(20, 40)), 10)[0])
    assert (foreign > 1).mean() > 0.99
    assert foreign.dtype == np.float32
    assert auroc(known, foreign) > 0.99
    assert auroc(foreign, known) < 0.01
    assert auroc(known, known) == pytest.approx(0.5)


def test_brightness_of_all_features_does_not_matter(learned):
    _, _, detector, held = learned
    np.testing.assert_allclose(detector.scores([3 * layer for layer in held]), detector.scores(held), rtol=1e-4)


def test_one_image_a_class_and_features_that_are_all_alike_are_no_error():
    ones = [np.ones((2, 4), "float32")]
    assert np.isfinite(fit_unknown(ones, np.array([0, 1]), ones).scores(ones)).all()
    train, held = [np.eye(3, 8, dtype="float32")], [np.eye(3, 8, dtype="float32") + 0.1]
    detector = fit_unknown(train, np.arange(3), held)
    assert detector.scores([np.eye(8, dtype="float32")[5:]]).min() > 1
