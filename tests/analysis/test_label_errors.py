"""Wrong labels and outliers are found in features, and clean ones are left alone."""

import numpy as np
import pytest

from tlkit.analysis.label_errors import MARGIN, find_label_errors
from tlkit.analysis.outliers import find_outliers


def clusters(classes=4, each=40, spread=0.8, seed=0):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(classes, 30))
    labels = np.repeat(np.arange(classes), each)
    return (centres[labels] + random.normal(size=(len(labels), 30)) * spread).astype("float32"), labels


@pytest.mark.parametrize("share", [0.02, 0.1, 0.2])
def test_flipped_labels_are_found_with_the_class_that_they_are_of(share):
    features, true = clusters()
    flipped = np.random.default_rng(1).permutation(len(true))[: round(share * len(true))]
    labels = true.copy()
    labels[flipped] = (labels[flipped] + 1) % 4
    found = find_label_errors(features, labels, 4)
    right = [error for error in found if error.image in flipped]
    assert len(right) >= 0.9 * len(flipped)
    assert len(right) >= 0.9 * len(found)
    assert all(error.suggested == true[error.image] for error in right)
    assert [error.score for error in found] == sorted((error.score for error in found), reverse=True)
    assert all(MARGIN <= error.score <= 1 for error in found)


def test_clean_labels_are_left_alone():
    assert find_label_errors(*clusters(), 4) == []


def test_copies_do_not_vouch_for_a_wrong_label():
    features, labels = clusters()
    copies = np.tile(features[0], (6, 1))
    features, labels = np.concatenate([features, copies]), np.concatenate([labels, np.full(6, 2)])
    groups = np.arange(len(labels))
    groups[-6:] = groups[-6]
    found = {error.image for error in find_label_errors(features, labels, 4, groups)}
    assert found == set(range(160, 166))


def test_two_images_a_class_are_no_error():
    features, labels = clusters(classes=3, each=2)
    assert isinstance(find_label_errors(features, labels, 3), list)


def test_outliers():
    features, labels = clusters(spread=0.3)
    strange = np.random.default_rng(5).normal(size=(2, 30)).astype("float32") * 3
    features, labels = np.concatenate([features, strange]), np.concatenate([labels, [0, 3]])
    found = find_outliers(features, labels)
    assert {outlier.image for outlier in found} == {160, 161}
    assert all(outlier.score > 3 for outlier in found)
    # a copy beside it does not make it usual, and a class of a few images has nothing usual
    twice, again = np.concatenate([features, strange[:1]]), np.concatenate([labels, [0]])
    groups = np.array([*range(162), 160])
    assert {outlier.image for outlier in find_outliers(twice, again, groups)} == {160, 161, 162}
    assert find_outliers(features[:5], labels[:5]) == []


@pytest.mark.every
def test_of_many_images_the_principal_components_tell_the_same():
    random = np.random.default_rng(0)
    centres = random.normal(size=(5, 400)) / 4
    labels = np.repeat(np.arange(5), 500)
    features = (centres[labels] + random.normal(size=(2500, 400)) * 0.25).astype("float32")
    flipped = random.permutation(2500)[:125]
    wrong = labels.copy()
    wrong[flipped] = (wrong[flipped] + 2) % 5
    found = {error.image for error in find_label_errors(features, wrong, 5)}
    assert len(found & {*flipped}) > 115
    assert len(found - {*flipped}) < 10
