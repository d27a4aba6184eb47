"""Addresses, against a server on 127.0.0.1."""

import io
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from tlkit.errors import InputError
from tlkit.inputs import fetch as fetching
from tlkit.inputs.fetch import fetch


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(buffer, "PNG")
    return buffer.getvalue()


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, body, kind="image/png", status=200, length=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = self.path
        if path.startswith("/to?"):
            self.send_response(302)
            self.send_header("Location", path.removeprefix("/to?"))
            self.end_headers()
        elif path == "/ok.png":
            self.answer(png())
        elif path == "/html":
            self.answer(b"<html>please log in", "text/html; charset=utf-8")
        elif path == "/missing":
            self.answer(b"no", status=404)
        elif path == "/cut":
            self.answer(png()[:20], length=500)
        elif path == "/claims-huge":
            self.answer(b"x", length=10**12)
        elif path in ("/endless", "/drip"):
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.end_headers()
            stop = time.monotonic() + 5
            try:
                while time.monotonic() < stop:
                    self.wfile.write(b"x" * (1 << 20 if path == "/endless" else 1))
                    time.sleep(0 if path == "/endless" else 0.05)
            except OSError:
                pass
        elif path == "/silent":
            time.sleep(3)


@pytest.fixture(scope="module")
def server():
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


def reason(address, **options) -> str:
    with pytest.raises(InputError) as caught:
        fetch(address, **options)
    return caught.value.message


def test_a_picture_arrives_also_over_redirects(server):
    assert fetch(f"{server}/ok.png", allow_private=True) == png()
    assert fetch(f"{server}/to?/to?/ok.png", allow_private=True) == png()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"])
def test_addresses_inside_the_network_are_refused_unless_allowed(server, host):
    assert "--allow-private" in reason(server.replace("127.0.0.1", host) + "/ok.png")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:image/png;base64,AAAA"])
def test_other_schemes_are_refused_also_by_redirect(server, target):
    assert "other than http" in reason(target, allow_private=True)
    assert "other than http" in reason(f"{server}/to?{target}", allow_private=True)


def test_redirects_end(server):
    loop = f"{server}/to?" * 8 + f"{server}/ok.png"
    assert "redirects more than" in reason(loop, allow_private=True)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/html", "web page"),
        ("/missing", "404"),
        ("/cut", "broke off"),
        ("/claims-huge", "larger than"),
        ("/endless", "larger than"),
    ],
)
def test_bad_answers_have_a_reason(server, path, says):
    assert says in reason(server + path, allow_private=True)


@pytest.mark.parametrize(
    ("path", "limit"), [("/silent", "READ_SECONDS"), ("/drip", "TOTAL_SECONDS"), ("/silent", "TOTAL_SECONDS")]
)
def test_slow_answers_are_given_up(server, monkeypatch, path, limit):
    monkeypatch.setattr(fetching, limit, 0.3)
    started = time.monotonic()
    assert "in time" in (said := reason(server + path, allow_private=True)) or "no complete answer" in said
    assert time.monotonic() - started < 2.5


def test_no_server_has_a_reason():
    assert "no connection" in reason("http://127.0.0.1:9/x.png", allow_private=True)


def test_private_addresses_are_refused_behind_a_proxy_too(server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, server)  # would answer for whatever it is asked
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert "--allow-private" in reason("http://10.0.0.1/ok.png")
    assert "--allow-private" in reason("http://169.254.169.254/ok.png")


def test_hanging_up_ends_every_fetch(server):
    said = []
    thread = threading.Thread(target=lambda: said.append(reason(f"{server}/drip", allow_private=True)))
    thread.start()
    time.sleep(0.3)
    fetching.hang_up_all()
    thread.join(2)
    assert said and "no complete answer" in said[0]
