"""What a range test suggests, from its losses."""

import math

import numpy as np
import pytest

from tlkit.errors import TrainingError
from tlkit.training.learning_rate import HIGHEST, LOWEST, STEPS, suggest_rate

RATES = np.geomspace(LOWEST, HIGHEST, STEPS).tolist()


def losses(curve, noise=0.03):
    random = np.random.default_rng(0)
    found = []
    for rate in RATES:
        found.append(curve(rate) + noise * random.normal())
        if not math.isfinite(found[-1]) or found[-1] > 4 * max(min(found), found[0]):
            break
    return found


def suggested(curve, noise=0.03):
    found = losses(curve, noise)
    return suggest_rate(RATES[: len(found)], found, "--lr")


def falling(rate):
    """From 2.3 down to 0.8 between rates of 1e-4 and 3e-2, and up from 0.3 on."""
    return 2.3 - 1.5 * min(1, max(0, (math.log10(rate) + 4) / 2.5)) + (rate / 0.3) ** 2


@pytest.mark.parametrize(
    ("curve", "low", "high"),
    [
        (falling, 1e-3, 1.2e-2),
        (lambda rate: 0.05 + (rate / 0.1) ** 2, 3e-4, 3e-3),  # learned already: the last rate that does no harm
        (lambda rate: 1.0 if rate < 1e-2 else math.nan, 3e-4, 1e-3),
        (lambda rate: 2.3 - 0.3 * math.log10(rate / LOWEST), 0.3, 1.0),  # falls to the last rate that was tried
    ],
    ids=["falls and rises", "rises", "not finite", "falls"],
)
def test_a_rate_well_below_the_rise(curve, low, high):
    assert low <= suggested(curve) <= high


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_loss_that_no_rate_changes_says_nothing(noise):
    with pytest.raises(TrainingError, match=r"--lr auto: the loss stays about 0.\d+ at any rate up to 10") as caught:
        suggested(lambda rate: 0.5, noise)
    assert "Give --lr a number" in caught.value.hint


def test_a_loss_that_is_never_finite_says_nothing():
    with pytest.raises(TrainingError, match="the loss is nan from a rate of 1e-06 on"):
        suggested(lambda rate: math.nan)
