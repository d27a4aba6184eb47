"""What is too much is refused with a reason, and what waits is bounded."""

import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.served import BOUNDARY, form, served

from tlkit.serving.limits import Limits

pytestmark = pytest.mark.usefixtures("toy")


class Held:
    """An engine that starts nothing until it is released."""

    def __init__(self, engine):
        self._engine, self.released, self.sizes = engine, threading.Event(), []
        self.name, self.precision, self.shapes, self.batch = engine.name, engine.precision, engine.shapes, engine.batch

    def submit(self, pixels):
        self.sizes.append(len(pixels))
        self.released.wait()
        return self._engine.submit(pixels)


@pytest.fixture
def held():
    """Wraps an engine; released where the test ends, whatever happens."""
    engines = []

    def wrap(engine):
        engines.append(Held(engine))
        return engines[0]

    wrap.engines = engines
    yield wrap
    for engine in engines:
        engine.released.set()


def test_a_full_queue_refuses_and_forgets_nothing(run, brick, held):
    with served(run, Limits(queue=3, images=2), wrap=held) as client, ThreadPoolExecutor(3) as clients:
        try:
            one = clients.submit(client.post, "/predict", brick)
            two = clients.submit(client.post_form, "/predict", [("a.png", brick), ("b.png", brick)])
            while client.metric("tlkit_queue_images") < 3:
                pass
            for path in ("/predict", "/explain"):
                refused = client.post(path, brick)
                assert (refused.status, refused.headers["Retry-After"]) == (503, "1"), path
                assert "The queue is full" in refused.json["error"]
            assert client.get("/health").json == {"status": "ok"}
        finally:
            held.engines[0].released.set()
        assert (one.result().status, two.result().status) == (200, 200)
        assert client.metric("tlkit_queue_images") == 0
        assert client.post("/predict", brick).status == 200


def test_whoever_leaves_is_no_longer_waited_for(run, brick, held):
    with served(run, Limits(queue=1), wrap=held) as client:
        for path in ("/predict", "/explain"):
            with socket.create_connection(("127.0.0.1", client.port), 60) as leaving:
                head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(brick)}\r\n\r\n"
                leaving.sendall(head.encode() + brick)
                while client.metric("tlkit_queue_images") < 1:
                    pass
            while client.metric("tlkit_queue_images") > 0:
                pass
        held.engines[0].released.set()
        assert client.post("/predict", brick).status == 200


def test_the_end_does_not_wait_for_what_takes_too_long(run, brick, held, caplog):
    with ThreadPoolExecutor(3) as clients:
        with served(run, Limits(closing_seconds=1), wrap=held) as client:
            begun = [clients.submit(client.post, path, brick) for path in ("/predict", "/explain", "/predict")]
            while client.metric("tlkit_queue_images") < len(begun):
                pass
        for answer in begun:
            assert (answer.result().status, answer.result().json) == (503, {"error": "The server is ending."})
    assert "Traceback" not in caplog.text


def test_a_server_that_computes_no_longer_says_so(run, brick, held, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    with served(run, wrap=held) as client:
        assert client.get("/health").json == {"status": "ok"}
        monkeypatch.setattr(held.engines[0], "submit", lambda pixels: sys.exit())
        with socket.create_connection(("127.0.0.1", client.port), 60) as asking:
            head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(brick)}\r\n\r\n"
            asking.sendall(head.encode() + brick)
            while (answer := client.get("/health")).status == 200:
                pass
        assert (answer.status, answer.json) == (503, {"status": "failed"})


def test_heat_maps_are_bounded_too(run, brick, held):
    with served(run, Limits(explanations=1), wrap=held) as client, ThreadPoolExecutor(1) as clients:
        try:
            drawn = clients.submit(client.post, "/explain", brick)
            while client.metric("tlkit_queue_images") < 1:
                pass
            refused = client.post("/explain", brick)
            assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
        finally:
            held.engines[0].released.set()
        assert drawn.result().status == 200


def test_bodies_of_all_requests_share_their_memory(run, brick, monkeypatch):
    monkeypatch.setattr(Limits, "held_bytes", len(brick) + 10)
    with served(run) as client:
        with socket.create_connection(("127.0.0.1", client.port)) as slow:
            slow.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
                         b"Expect: 100-continue\r\n\r\n")  # fmt: skip
            assert slow.recv(1000).startswith(b"HTTP/1.1 100")  # the server has made room for it
            for body in (brick, iter([brick])):
                refused = client.post("/predict", body)
                assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
                assert "as it has room for" in refused.json["error"]
        while client.post("/predict", brick).status == 503:  # until the server knows that the connection is gone
            pass
        assert client.post("/predict", iter([brick])).status == 200


@pytest.mark.parametrize("length", ["told", "chunked"])
def test_a_body_that_is_too_large(run, brick, length):
    with served(run, Limits(body_bytes=len(brick))) as client:
        assert client.post("/predict", brick).status == 200
        large = brick + b"x"
        refused = client.post("/predict", large if length == "told" else iter([large]))
        assert (refused.status, refused.headers["Connection"]) == (413, "close")
        assert refused.json == {"error": f"The body is larger than {len(brick):,} bytes, the limit of this server."}


def test_an_image_with_too_many_pixels_is_refused_before_it_is_decoded(server, monkeypatch, brick):
    monkeypatch.setattr("tlkit.data.images.decode.MAX_PIXELS", 96 * 96 - 1)
    refused = server.post("/predict", brick)
    assert refused.status == 422
    assert "96x96 pixels, more than the limit" in refused.json[0]["error"]


def test_too_many_images(run, brick):
    with served(run, Limits(images=2)) as client:
        assert client.post_form("/predict", [("a", brick)] * 2).status == 200
        refused = client.post_form("/predict", [("a", brick)] * 3)
        assert (refused.status, refused.json) == (413, {"error": "A request may hold at most 2 images."})


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (b"", "image/png", 400, "empty"),
        (b"hello", "text/plain", 415, "text/plain"),
        (b"<a>", "text/html", 415, "expected an image"),
        (b"{}", "multipart/form-data", 400, "no boundary"),
        (b"words", f"multipart/form-data; boundary={BOUNDARY}", 400, "damaged"),
        (form([("a", b"x")])[:-20], f"multipart/form-data; boundary={BOUNDARY}", 400, "ends before"),
        (form([]), f"multipart/form-data; boundary={BOUNDARY}", 400, ""),
        (form([("a", b"x")]).replace(b'; filename="a"', b""), f"multipart/form-data; boundary={BOUNDARY}", 400,
         "no file"),
        (b"".join(form([("a", b"x")] * 20).replace(b'; filename="a"', b"").splitlines(True)),
         f"multipart/form-data; boundary={BOUNDARY}", 413, "fields"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused_with_the_reason(server, body, kind, status, words):
    for path in ("/predict", "/explain"):
        refused = server.post(path, body, content_type=kind)
        assert (refused.status, list(refused.json)) == (status, ["error"])
        assert words in refused.json["error"]
        assert refused.headers["Content-Type"] == "application/json"


def has_ended(connection):
    """Wait for the server to say more, or to end the connection."""
    try:
        return connection.recv(1000) == b""
    except ConnectionError:
        return True


def test_headers_that_do_not_come_end_the_connection(run):
    with served(run, Limits(header_seconds=0.1)) as client:
        for start in (b"", b"GET /health HT"):
            with socket.create_connection(("127.0.0.1", client.port), 60) as slow:
                slow.sendall(start)
                assert has_ended(slow)


def test_headers_of_a_second_request_that_do_not_come_end_the_connection(run):
    answered = False
    with served(run, Limits(header_seconds=0.5)) as client:
        while not answered:  # a machine that is busy may take too long for the first
            with socket.create_connection(("127.0.0.1", client.port), 60) as slow:
                slow.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                data = b""
                while not answered and (part := slow.recv(1000)):
                    data += part
                    answered = b'{"status":"ok"}' in data
                if answered:
                    slow.sendall(b"GET /health HT")
                    assert has_ended(slow)


def test_a_body_that_does_not_come_is_refused(run):
    with served(run, Limits(body_seconds=0.1)) as client:
        connection = client.connect()
        connection.putrequest("POST", "/predict")
        connection.putheader("Content-Length", "10")
        connection.endheaders(b"12345")
        response = connection.getresponse()
        assert (response.status, response.getheader("Connection")) == (408, "close")
        connection.close()


def test_headers_without_end_are_refused(server):
    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000)
        assert client.recv(100).startswith(b"HTTP/1.1 400")
