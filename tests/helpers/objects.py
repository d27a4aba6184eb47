"""A bucket on 127.0.0.1 that speaks as much of S3 as reading and listing take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from helpers.web import running


@contextmanager
def bucket(objects: Mapping[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """Serve objects by their keys, in the bucket ``images``, inside the ``with`` block.

    Yields:
        The options of a URL, behind its ``?``, and the requests so far, such as ``GET a.jpg``.
    """
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            parts = urlsplit(self.path)
            key = unquote(parts.path).removeprefix("/images").lstrip("/")
            asked.append(f"{self.command} {key}")
            if not key:
                self.send(200, self.listing(parse_qs(parts.query, keep_blank_values=True)), body=body)
            elif key not in objects:
                self.send(404, b"<Error><Code>NoSuchKey</Code></Error>", body=body)
            else:
                data, status = objects[key], 200
                if self.headers["Range"]:
                    first, last = self.headers["Range"].removeprefix("bytes=").split("-")
                    data, status = data[int(first) : int(last) + 1], 206
                self.send(status, data, body=body)

        def listing(self, query: Mapping[str, list[str]]) -> bytes:
            prefix = query.get("prefix", [""])[0]
            found = [
                f"<Contents><Key>{escape(key)}</Key><Size>{len(data)}</Size>"
                "<LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>"
                for key, data in objects.items()
                if key.startswith(prefix)
            ]
            return f"<ListBucketResult><KeyCount>{len(found)}</KeyCount>{''.join(found)}</ListBucketResult>".encode()

        def send(self, status: int, data: bytes, *, body: bool) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
            self.end_headers()
            if body:
                self.wfile.write(data)

    with running(Handler) as port:
        yield f"endpoint_override=127.0.0.1:{port}&scheme=http&region=here", asked
