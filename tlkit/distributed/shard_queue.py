"""Which shard a worker computes next, whatever becomes of the others."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from tlkit.distributed.parts import Image
from tlkit.errors import TlkitError
from tlkit.utils.text import pluralize, without_password

MOST_DEATHS = 3
"""Workers that die on one shard before that is an error."""
_TOGETHER = 2
"""Workers that compute one shard, at most."""


class ShardQueue:
    """Shards and the number of workers that compute each.

    Args:
        shards: The images of each.
    """

    def __init__(self, shards: Sequence[Sequence[Image]]) -> None:
        self.shards = shards
        self._waiting = deque(range(len(shards)))
        self._workers: dict[int, int] = {}  # of shards that are computed, the oldest first
        self._deaths: Counter[int] = Counter()
        self._finished: set[int] = set()

    @property
    def unfinished(self) -> int:
        """Number of shards without a part."""
        return len(self.shards) - len(self._finished)

    def take(self) -> int | None:
        """Return the number of the next shard to compute; None where there is nothing to do.

        Once none is waiting, it is one that has been computed longest: its worker may be frozen.
        """
        if self._waiting:
            shard = self._waiting.popleft()
        else:
            slow = (shard for shard, workers in self._workers.items() if workers < _TOGETHER)
            shard = next(slow, -1)
        if shard < 0:
            return None
        self._workers[shard] = self._workers.get(shard, 0) + 1
        return shard

    def finish(self, shard: int) -> bool:
        """Note that a shard has its part; return False if it had before."""
        if shard in self._finished:
            return False
        self._finished.add(shard)
        self._workers.pop(shard, None)
        return True

    def lose(self, shard: int) -> None:
        """Note that a worker died on a shard; the last in line computes it again.

        Raises:
            TlkitError: It was the third.
        """
        if shard in self._finished:
            return
        self._deaths[shard] += 1
        if self._deaths[shard] == MOST_DEATHS:
            images = self.shards[shard]
            names = f"{without_password(images[0][0])} to {without_password(images[-1][0])}"
            raise TlkitError(
                f"{MOST_DEATHS} workers died on the same {pluralize(len(images), 'image')}: {names}.",
                hint="One of them may need more memory than a worker has, or crash a decoder: run the command on "
                "these images alone.",
            )
        self._workers[shard] -= 1
        if not self._workers[shard]:
            del self._workers[shard]
            self._waiting.append(shard)
