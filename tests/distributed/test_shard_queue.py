"""Which shard comes next, whatever becomes of its workers."""

import pytest

from tlkit.distributed import shard_queue
from tlkit.distributed.shard_queue import ShardQueue
from tlkit.errors import TlkitError

SHARDS = [[(f"{name}{number}.png", None) for number in range(3)] for name in "abc"]


@pytest.fixture
def clock(monkeypatch):
    """The time, in seconds, to set."""
    now = [0.0]
    monkeypatch.setattr(shard_queue.time, "monotonic", lambda: now[0])
    return now


def test_a_shard_that_takes_long_goes_to_a_second_worker(clock):
    queue = ShardQueue(SHARDS)
    assert [queue.take() for _ in range(4)] == [0, 1, 2, None]
    clock[0] = 3
    queue.finish(1)
    clock[0] = 6
    assert queue.take() is None
    clock[0] = 7
    assert [queue.take() for _ in range(3)] == [0, 2, None]
    assert queue.unfinished == 2


def test_the_first_to_finish_counts(clock):
    queue = ShardQueue(SHARDS[:2])
    assert [queue.take(), queue.take()] == [0, 1]
    clock[0] = 1
    queue.finish(1)
    clock[0] = 4
    assert queue.take() == 0
    assert [queue.finish(0), queue.finish(0)] == [True, False]
    assert (queue.unfinished, queue.take()) == (0, None)


def test_a_lost_shard_is_the_last_in_line():
    queue = ShardQueue(SHARDS)
    queue.take()
    queue.lose(0)
    assert [queue.take() for _ in range(3)] == [1, 2, 0]


def test_a_shard_that_another_worker_still_computes_is_not_in_line(clock):
    queue = ShardQueue(SHARDS[:2])
    assert [queue.take(), queue.take()] == [0, 1]
    queue.finish(1)
    clock[0] = 1
    assert queue.take() == 0
    queue.lose(0)
    assert [queue.take(), queue.take()] == [0, None]
    queue.finish(0)
    queue.lose(0)  # the other one, later
    assert queue.unfinished == 0


def test_the_third_death_is_an_error_that_names_the_images():
    queue = ShardQueue(SHARDS[1:2])
    for _ in range(2):
        queue.lose(queue.take())
    with pytest.raises(TlkitError, match=r"3 workers died on the same 3 images: b0\.png to b2\.png\."):
        queue.lose(queue.take())
