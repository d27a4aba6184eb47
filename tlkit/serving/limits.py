"""What one request, and all of them together, may take; beyond it they are refused with a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

RETRY_SECONDS = 1
"""What ``Retry-After`` says: the queue is worked off in about that time."""

DRAINED_BYTES = 64_000_000
"""Bytes of a refused body that are read and dropped, so that its sender sees why instead of a broken connection."""

DRAIN_SECONDS = 10
"""How long that may take."""


class Refused(Exception):
    """A request that is answered with an error.

    Args:
        status: Of HTTP.
        message: The ``error`` of the JSON document.
        headers: More headers of the response.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, dict(headers or {})


def busy(message: str) -> Refused:
    """Return the refusal of a server that has enough to do."""
    return Refused(503, message, {"Retry-After": str(RETRY_SECONDS)})


@dataclass(frozen=True)
class Limits:
    """What requests may take.

    Attributes:
        body_bytes: Of one request.
        images: In one request.
        queue: Images of all requests that wait or are computed.
        explanations: Heat maps that wait or are drawn; each takes the network more than a hundred times.
        body_seconds: For a body to arrive.
        fetch_seconds: For all URLs of a request to arrive.
        header_seconds: For the headers of a request to arrive, from the moment that a connection is made.
        closing_seconds: For what has begun when the server is told to end.
        connections: Open at a time; more are answered with 503 at once.
    """

    body_bytes: int = 50_000_000
    images: int = 64
    queue: int = 256
    explanations: int = 4
    body_seconds: float = 60.0
    fetch_seconds: float = 60.0
    header_seconds: float = 15.0
    closing_seconds: int = 30
    connections: int = 512

    @property
    def held_bytes(self) -> int:
        """Bytes of the bodies of all requests together."""
        return max(256_000_000, 2 * self.body_bytes)


class Budget:
    """A number of bytes, images or requests that all requests share; whoever finds too little left is refused.

    It is used by the thread of the event loop alone.

    Args:
        total: How much there is.
        message: Why a request is refused.
    """

    def __init__(self, total: int, message: str) -> None:
        self.total, self.used, self._message = total, 0, message

    def claim(self, count: int) -> None:
        """Take a share.

        Raises:
            Refused: There is not that much left.
        """
        if self.used + count > self.total:
            raise busy(self._message)
        self.used += count

    def give_back(self, count: int) -> None:
        """Return a share."""
        self.used -= count

    @contextmanager
    def share(self, count: int, *, refuse: bool = True) -> Iterator[None]:
        """Hold a share inside the block.

        Args:
            count: How much.
            refuse: Hold it although there is not that much left if False.

        Raises:
            Refused: There is not that much left.
        """
        if refuse:
            self.claim(count)
        else:
            self.used += count
        try:
            yield
        finally:
            self.give_back(count)
