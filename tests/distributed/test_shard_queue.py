"""Which shard comes next, whatever becomes of its workers."""

import pytest

from tlkit.distributed.shard_queue import ShardQueue
from tlkit.errors import TlkitError

SHARDS = [[(f"{name}{number}.png", None) for number in range(3)] for name in "abc"]


def test_each_shard_goes_to_one_worker_and_then_to_a_second():
    queue = ShardQueue(SHARDS)
    assert [queue.take() for _ in range(7)] == [0, 1, 2, 0, 1, 2, None]
    assert queue.unfinished == 3


def test_the_first_to_finish_counts():
    queue = ShardQueue(SHARDS[:1])
    assert [queue.take(), queue.take()] == [0, 0]
    assert [queue.finish(0), queue.finish(0)] == [True, False]
    assert (queue.unfinished, queue.take()) == (0, None)


def test_a_lost_shard_is_the_last_in_line():
    queue = ShardQueue(SHARDS)
    queue.take()
    queue.lose(0)
    assert [queue.take() for _ in range(3)] == [1, 2, 0]


def test_a_shard_that_another_worker_still_computes_is_not_in_line():
    queue = ShardQueue(SHARDS[:1])
    assert [queue.take(), queue.take()] == [0, 0]
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
