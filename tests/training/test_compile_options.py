"""Learning rates by step and by layer, weight decay, clipping and averages, as Keras applies them."""

import itertools

import numpy as np
import pytest

from tlkit.backend import keras
from tlkit.training.compile_options import ema_momentum, make_optimizer
from tlkit.training.plan import PhasePlan

KINDS = ["sgd", "rmsprop", "adam", "adamw"]


def make(factors=None, steps=10, **options):
    phase = {"name": "finetune", "epochs": 4, "optimizer": "sgd", "lr": 0.1, "momentum": 0.0, **options}
    return make_optimizer(PhasePlan(**phase), steps, factors)


def step(optimizer, gradients, *variables):
    before = [variable.numpy() for variable in variables]
    optimizer.apply_gradients(zip(map(keras.ops.convert_to_tensor, gradients), variables, strict=True))
    return [variable.numpy() - old for variable, old in zip(variables, before, strict=True)]


def ones(name, shape=(2,)):
    return keras.Variable(np.ones(shape, "float32"), name=name)


@pytest.mark.parametrize(("schedule", "end"), [("constant", 0.1), ("linear", 0.0), ("cosine", 0.0)])
def test_the_rate_rises_to_its_peak_and_then_follows_its_schedule(schedule, end):
    rate = make(schedule=schedule, warmup_epochs=0.5)._learning_rate
    rates = [float(rate(number)) for number in range(41)]
    np.testing.assert_allclose(rates[:5], [0.02, 0.04, 0.06, 0.08, 0.1], rtol=1e-5)
    assert rates[5] == pytest.approx(0.1)
    assert rates[40] == pytest.approx(end, abs=1e-6)
    assert all(later <= before + 1e-7 for before, later in itertools.pairwise(rates[5:]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_moves_by_its_factor(kind):
    head, low = ones("head"), ones("low")
    optimizer = make({low.path: 0.25}, optimizer=kind, weight_decay=0.0)
    for _ in range(3):
        far, near = step(optimizer, [np.full(2, 0.5, "float32")] * 2, head, low)
        np.testing.assert_allclose(near, far / 4, rtol=1e-4)
        assert np.abs(far).min() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_weights_decay_apart_from_gradients_and_biases_do_not(kind):
    variables = [ones("kernel"), ones("bias"), ones("gamma")]
    moved = step(make(optimizer=kind, weight_decay=0.5), [np.zeros(2, "float32")] * 3, *variables)
    np.testing.assert_allclose(moved, [[-0.05] * 2, [0, 0], [0, 0]], atol=1e-6)


def test_gradients_are_clipped_by_their_norm_together():
    (one, other) = step(
        make(clip_norm=1.0), [np.array([3.0], "float32"), np.array([4.0], "float32")], ones("a", 1), ones("b", 1)
    )
    np.testing.assert_allclose([one[0], other[0]], [-0.06, -0.08], rtol=1e-5)


def test_nesterov_looks_ahead():
    plain, ahead = ones("a"), ones("b")
    gradient = [np.ones(2, "float32")]
    (slow,), (fast,) = (
        step(make(momentum=0.9, nesterov=nesterov), gradient, variable)
        for nesterov, variable in ((False, plain), (True, ahead))
    )
    np.testing.assert_allclose(fast, slow * 1.9, rtol=1e-5)


@pytest.mark.parametrize(("steps", "momentum"), [(4, 0.5), (40, 0.75), (1_000, 0.99), (1_000_000, 0.999)])
def test_an_average_reaches_back_over_a_tenth_of_the_phase(steps, momentum):
    assert ema_momentum(steps) == pytest.approx(momentum)
