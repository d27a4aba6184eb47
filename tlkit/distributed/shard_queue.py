"""Which shard a worker computes next, whatever becomes of the others."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence

from tlkit.distributed.parts import Image
from tlkit.errors import TlkitError
from tlkit.utils.text import pluralize, without_password

MOST_DEATHS = 3
"""Workers that die on one shard before that is an error."""
_SLOW = 2.0
"""How many times as long as any other a shard takes before a second worker computes it too."""


class ShardQueue:
    """Shards and the number of workers that compute each.

    Args:
        shards: The images of each.
    """

    def __init__(self, shards: Sequence[Sequence[Image]]) -> None:
        self.shards = shards
        self._waiting = deque(range(len(shards)))
        self._workers: dict[int, int] = {}  # of shards that are computed, the oldest first
        self._started: dict[int, float] = {}
        self._slowest: float | None = None
        self._deaths: Counter[int] = Counter()
        self._finished: set[int] = set()

    @property
    def unfinished(self) -> int:
        """Number of shards without a part."""
        return len(self.shards) - len(self._finished)

    def take(self) -> int | None:
        """Return the number of the next shard to compute; None where there is nothing to do.

        Once none is waiting, that may be one that takes much longer than any other: its worker may be frozen.
        """
        shard = self._waiting.popleft() if self._waiting else self._slow()
        if shard is not None:
            self._started.setdefault(shard, time.monotonic())
            self._workers[shard] = self._workers.get(shard, 0) + 1
        return shard

    def _slow(self) -> int | None:
        if self._slowest is None:
            return None
        late = time.monotonic() - _SLOW * self._slowest
        return next(
            (shard for shard, count in self._workers.items() if count == 1 and self._started[shard] < late), None
        )

    def finish(self, shard: int) -> bool:
        """Note that a shard has its part; return False if it had before."""
        if shard in self._finished:
            return False
        self._finished.add(shard)
        del self._workers[shard]
        self._slowest = max(self._slowest or 0.0, time.monotonic() - self._started[shard])
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
            del self._workers[shard], self._started[shard]
            self._waiting.append(shard)
