"""What the server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32)


class Metrics:
    """Counters, in a registry of their own: a process may hold several servers.

    Args:
        queued: Return the number of images that wait or are computed.
    """

    def __init__(self, queued: Callable[[], int]) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "tlkit_requests", "Requests, by path and status.", ("path", "status"), registry=registry
        )
        self.seconds = Histogram(
            "tlkit_request_seconds", "Seconds from the headers of a request to its response.", ("path",),
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.images = Counter("tlkit_images", "Images, by what came of them.", ("result",), registry=registry)
        for result in ("classified", "failed"):
            self.images.labels(result)
        self.batches = Histogram(
            "tlkit_batch_images", "Images that are computed together.", buckets=_SIZES, registry=registry
        )
        queue = Gauge("tlkit_queue_images", "Images that wait or are computed.", registry=registry)
        queue.set_function(queued)

    def text(self) -> bytes:
        """Return the text format that Prometheus reads."""
        return generate_latest(self._registry)
