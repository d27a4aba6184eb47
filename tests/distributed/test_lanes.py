"""How samples are dealt out to processes and shuffled."""

import numpy as np
import pytest

from tlkit.distributed.lanes import Share, lanes_of, shuffled
from tlkit.errors import UsageError

SAMPLES = [1, 2, 15, 33, 40, 64, 65, 1000, 1023, 1024, 5000]


@pytest.mark.parametrize("samples", SAMPLES)
def test_an_epoch_has_every_sample_once_and_each_stays_in_its_lane(samples):
    lanes = lanes_of(samples)
    orders = [shuffled(samples, np.random.default_rng(epoch)) for epoch in range(3)]
    for order in orders:
        assert sorted(order.tolist()) == list(range(samples))
        assert (order % lanes == np.arange(samples) % lanes).all()
    assert samples < 15 or len({tuple(order) for order in orders}) == 3


def test_any_sample_may_come_anywhere_in_an_epoch():
    """Shuffling within lanes is as good as any: the mean place of every sample is the middle."""
    samples, epochs = 200, 400
    places = np.zeros(samples)
    for epoch in range(epochs):
        places[shuffled(samples, np.random.default_rng(epoch))] += np.arange(samples)
    expected = np.arange(samples) % lanes_of(samples) + (samples - lanes_of(samples)) / 2
    assert np.abs(places / epochs - expected).max() < 5 * samples / np.sqrt(12 * epochs)


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
@pytest.mark.parametrize("shuffles", [False, True])
@pytest.mark.parametrize("batch_size", [1, 10, 32])
@pytest.mark.parametrize("devices", [1, 2])
def test_processes_share_every_batch(processes, shuffles, batch_size, devices):
    samples = 1000
    order = shuffled(samples, np.random.default_rng(0)) if shuffles else np.arange(samples)
    share = Share(0, processes, devices)
    owners = share.owners(samples, shuffled=shuffles)
    np.testing.assert_array_equal(owners[order], owners)  # a sample stays with its process in every epoch
    capacity = share.capacity(owners, batch_size)
    assert capacity % devices == 0
    for start in range(0, samples, batch_size):
        counts = np.bincount(owners[start : start + batch_size], minlength=processes)
        assert counts.max() <= capacity
    if batch_size % processes == 0 and processes != 3:
        assert capacity * processes <= batch_size + processes * (devices - 1)  # nothing to fill up with


def test_too_few_images_for_so_many_processes_are_refused():
    with pytest.raises(UsageError, match="40 training images are too few for 4 processes"):
        Share(0, 4).owners(40, shuffled=True)
    assert Share(0, 4).owners(40, shuffled=False).tolist()[:5] == [0, 1, 2, 3, 0]
