"""A server of `tlkit serve` in this process, on a free port of 127.0.0.1, that ends with the test."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tlkit.config import PredictConfig
from tlkit.inference.base import Engine
from tlkit.inference.select import open_engine
from tlkit.serving.app import make_app
from tlkit.serving.limits import Limits
from tlkit.serving.server import Server, bind
from tlkit.serving.service import Service
from tlkit.training.classifier import choose_classifier

BOUNDARY = "----a-boundary"


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        """The document of the body."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    """Asks a server."""

    port: int

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}/"

    def connect(self) -> http.client.HTTPConnection:
        """A connection that is not used yet."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, method: str, path: str, body: Any = None, /, **headers: str) -> Answer:
        """Send a request; ``content_type`` is the header Content-Type."""
        connection = self.connect()
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named, encode_chunked=not isinstance(body, bytes | None))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        """Send a GET request."""
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        """Send a POST request."""
        return self.ask("POST", path, body, **headers)

    def post_form(self, path: str, files: Sequence[tuple[str, bytes]]) -> Answer:
        """Send files as a form."""
        return self.post(path, form(files), content_type=f"multipart/form-data; boundary={BOUNDARY}")

    def metric(self, name: str) -> float:
        """The value of a metric, 0 where it is not there yet."""
        lines = self.get("/metrics").body.decode().splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), 0.0)


def form(files: Sequence[tuple[str, bytes]]) -> bytes:
    """A form with files, as browsers and curl send it."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, data in files
    ]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


@contextmanager
def served(
    run: Path,
    limits: Limits | None = None,
    *,
    wrap: Callable[[Engine], Engine] = lambda engine: engine,
    hosts: Sequence[str] = (),
    origins: Sequence[str] = (),
    **options: Any,
) -> Iterator[Client]:
    """Serve a run inside the block.

    Args:
        run: The run.
        limits: What requests may take.
        wrap: Replaces the engine.
        hosts: Names that the server goes by.
        origins: Other origins whose pages may ask.
        options: Of the service.
    """
    limits = limits or Limits()
    classifier = choose_classifier(PredictConfig(images=(), model=str(run)))
    service = Service(classifier, wrap(open_engine(classifier.network)), name=run.name, limits=limits, **options)
    bound = bind("127.0.0.1", 0)
    bound.listen()
    server = Server(make_app(service, hosts=hosts, origins=origins), limits)
    thread = threading.Thread(target=server.serve_on, args=(bound,))
    thread.start()
    try:
        yield Client(bound.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
        service.close()
