"""Memory that decoding may take: threads wait for their share, so that many large images never decode at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_held = threading.local()


class MemoryBudget:
    """Bytes that all threads share. One that wants more than there is altogether takes all of it.

    Args:
        total: Bytes.
    """

    def __init__(self, total: int) -> None:
        self.total = self._free = total
        self._changed = threading.Condition()

    def claim(self, count: int) -> None:
        """Wait for bytes; they are given back where :func:`claims` ends. Outside it, nothing is shared or waited for.

        A thread that has claimed from this budget already gets no more and does not wait; of several budgets, all
        claim in the same order. So none waits forever.
        """
        held = getattr(_held, "claims", None)
        if held is None or any(budget is self for budget, _ in held):
            return
        count = min(count, self.total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= count)
            self._free -= count
        held.append((self, count))

    def _give_back(self, count: int) -> None:
        with self._changed:
            self._free += count
            self._changed.notify_all()


@contextmanager
def claims() -> Iterator[None]:
    """Give back at the end what this thread claims inside."""
    _held.claims = []
    try:
        yield
    finally:
        for budget, count in _held.claims:
            budget._give_back(count)
        _held.claims = None


FILES = MemoryBudget(128_000_000)
"""For files that are read whole; claimed before :data:`PIXELS`, by :func:`claim_file`."""

PIXELS = MemoryBudget(400_000_000)
"""For decoding."""


def claim_file(size: int) -> None:
    """Wait for the memory of a file; one that is larger than there is for files is decoded alone."""
    FILES.claim(size)
    if size > FILES.total:
        PIXELS.claim(PIXELS.total)
