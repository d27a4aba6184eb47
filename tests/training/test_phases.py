"""What each phase may change, and what it must not."""

import numpy as np
import pytest

from tlkit.architectures.catalog import layers_of
from tlkit.architectures.pretrained import build_pretrained
from tlkit.architectures.table import get_architecture
from tlkit.backend import keras
from tlkit.errors import UsageError
from tlkit.images.batches import Look
from tlkit.training.feature_sequence import FeatureSequence
from tlkit.training.freeze import resolve_boundary
from tlkit.training.heads import head_pooling
from tlkit.training.image_sequence import ImageSequence
from tlkit.training.model import attach, build_head
from tlkit.training.phases import set_trainable, train_head, train_top
from tlkit.training.rows import Rows

ROW = get_architecture("efficientnetlite0")
LOOK = Look((32, 32), "lite")


@pytest.fixture
def sequence(tmp_path, noise):
    files = [str(noise(tmp_path / f"{number}.png", number)) for number in range(6)]
    labels = np.arange(6) % 2

    def make(shuffle_seed=None):
        return ImageSequence(files, labels, look=LOOK, batch_size=4, shuffle_seed=shuffle_seed)

    return make


@pytest.fixture
def base():
    keras.utils.set_random_seed(0)
    return build_pretrained(ROW, include_top=False, size=(32, 32)).model


def weights(model):
    return {weight.path: weight.numpy() for weight in model.weights}


def changed(before, after):
    return {path for path in before if not np.array_equal(before[path], after[path])}


def test_phase_1_trains_the_head():
    head = build_head("dense", (1280,), 2)
    before = weights(head)
    features = np.random.default_rng(0).normal(size=(6, 1280)).astype(np.float32)
    rows = Rows(features.__getitem__, np.arange(6), np.arange(6) % 2, (1280,))
    split = FeatureSequence(rows, batch_size=4, shuffle_seed=0)
    phase = train_head(head, split, split, epochs=2, lr=1e-3)
    assert changed(before, weights(head)) == set(before)
    assert [epoch["epoch"] for epoch in phase.epochs] == [1, 2]


@pytest.mark.parametrize("freeze", ["block6d_add", "0", None])
def test_phase_2_changes_only_what_was_unfrozen(base, sequence, freeze):
    names = [layer.name for layer in layers_of(ROW, include_top=False)]
    boundary = resolve_boundary(ROW, names, freeze=freeze)
    head = build_head("linear", (1280,), 2)
    model = attach(base, "avg", head, "whole")
    before, head_before = weights(base), weights(head)
    trained = set_trainable(base, boundary)
    train_top(model, sequence(0), sequence(), epochs=1, lr=0.1, momentum=0.9)

    position = {name: number for number, name in enumerate(names)}
    touched = {path.split("/")[0] for path in changed(before, weights(base))}
    assert touched == {layer.name for layer in trained}
    assert all(position[name] >= boundary.frozen for name in touched)
    assert not any(name.endswith("_bn") for name in touched)  # statistics and scales of ImageNet are kept
    assert changed(head_before, weights(head)) == set(head_before)


def test_nothing_of_the_base_trains_when_all_is_frozen(base, sequence):
    boundary = resolve_boundary(ROW, [layer.name for layer in base.layers], unfreeze=0)
    assert set_trainable(base, boundary) == []
    model = attach(base, "avg", build_head("linear", (1280,), 2), "whole")
    before = weights(base)
    train_top(model, sequence(0), sequence(), epochs=1, lr=0.1, momentum=0.9)
    assert changed(before, weights(base)) == set()


def test_the_order_depends_on_the_seed_alone(sequence):
    def labels(made):
        order = []
        for _ in range(2):
            order.append(np.concatenate([made[index][1] for index in range(len(made))]).tolist())
            made.on_epoch_end()
        return order

    assert labels(sequence(1)) == labels(sequence(1))
    assert labels(sequence(None)) == [[0, 1, 0, 1, 0, 1]] * 2


@pytest.mark.parametrize(
    ("kind", "shape", "layers"),
    [
        ("dense", (1280,), ["Dense", "Dense"]),
        ("linear", (1280,), ["Dense"]),
        ("flatten", (4, 4, 512), ["Flatten", "Dense", "Dropout", "Dense"]),
    ],
)
def test_heads_are_those_of_the_recipes(kind, shape, layers):
    head = build_head(kind, shape, 3)
    assert [type(layer).__name__ for layer in head.layers if "Input" not in type(layer).__name__] == layers
    units = {"dense": 1024, "flatten": 256}.get(kind)
    assert units is None or head.get_layer("fc").units == units
    probabilities = head(np.ones((2, *shape), np.float32)).numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_a_head_for_vectors_refuses_maps():
    assert head_pooling("dense", None) == "avg"
    assert head_pooling("flatten", None) == "none"
    assert head_pooling("linear", "max") == "max"
    with pytest.raises(UsageError, match="needs one vector"):
        head_pooling("dense", "none")
