"""URLs of images, against a server on 127.0.0.1."""

import contextlib
import gzip
import io
import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from tlkit.data import url as fetching
from tlkit.data.url import fetch
from tlkit.downloads.http import private_networks
from tlkit.downloads.http.private_networks import is_public
from tlkit.errors import InputError
from tlkit.utils.text import escape_control_chars, without_password


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(buffer, "PNG")
    return buffer.getvalue()


class Handler(BaseHTTPRequestHandler):
    hung_up, started, stop = threading.Event(), threading.Event(), threading.Event()

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
        elif path.startswith("/endless-to?"):
            self.send_response(302)
            self.send_header("Location", path.removeprefix("/endless-to?"))
            self.end_headers()
            try:
                for _ in range(1600):
                    self.wfile.write(bytes(1 << 16))
            except OSError:
                self.hung_up.set()
        elif path == "/utf-8":
            self.wfile.write("HTTP/1.1 302 Found\r\nLocation: /a b/\u00fc.png\r\n\r\n".encode())
        elif path in ("/ok.png", "/a%20b/%C3%BC.png"):
            self.answer(png())
        elif path == "/html":
            self.answer(b"<html>please log in", "text/html; charset=utf-8")
        elif path in ("/gzip", "/bomb", "/odd"):
            body = {"/gzip": gzip.compress(png()), "/bomb": gzip.compress(bytes(60_000_000), 1), "/odd": b"x"}[path]
            self.send_response(200)
            self.send_header("Content-Encoding", "zpaq" if path == "/odd" else "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        elif path == "/secret":
            authorized = self.headers.get("Authorization") == "Basic dXNlcjpzL2NyZXQ="
            self.answer(png(), status=200 if authorized else 401)
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
            self.started.set()
            with contextlib.suppress(OSError):  # until the client hangs up
                while not self.stop.wait(0 if path == "/endless" else 0.05):
                    self.wfile.write(b"x" * (1 << 20 if path == "/endless" else 1))
        elif path == "/silent":
            self.stop.wait(60)


@pytest.fixture(scope="module")
def server():
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    Handler.stop.set()
    running.shutdown()
    running.server_close()


@pytest.fixture
def hung_up(server):
    """Set when a client hung up in the middle of an answer without end."""
    return Handler.hung_up


def reason(url, **options) -> str:
    with pytest.raises(InputError) as caught:
        fetch(url, **options)
    return caught.value.message


def test_an_image_arrives_also_over_redirects(server):
    assert fetch(f"{server}/ok.png", allow_private=True) == png()
    assert fetch(f"{server}/to?/to?/ok.png", allow_private=True) == png()


@pytest.mark.parametrize("path", ["/a b/\u00fc.png", "/a%20b/%C3%BC.png#part", "/utf-8"])
def test_names_with_spaces_and_accents_arrive(server, path):
    assert fetch(server + path, allow_private=True) == png()


@pytest.mark.parametrize("url", ["http://[::1/x", "http:///x", "http://h:99999/x", "http://h:x/", "http://a b/"])
def test_an_incomplete_url_has_a_reason(url):
    assert reason(url, allow_private=True) == "it is not a complete URL"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1"],
)
def test_hosts_inside_the_network_are_refused_unless_allowed(server, host):
    assert "--allow-private" in reason(server.replace("127.0.0.1", host) + "/ok.png")


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1", "::",
     "fe80::1%eth0", "fd00::1", "fec0::1", "::ffff:10.0.0.1", "::7f00:1", "64:ff9b::7f00:1", "2002:7f00:1::",
     "224.0.0.1", "ff02::1"],
)  # fmt: skip
def test_ip_addresses_that_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_ip_addresses_that_are_public(address):
    assert is_public(address)


def test_a_redirect_into_the_network_is_refused(server, monkeypatch):
    def first_is_public(address):
        asked.append(address)
        if len(asked) > 1:
            check_address(address)

    asked, check_address = [], private_networks.check_ip
    monkeypatch.setattr("tlkit.downloads.http.stream.check_host", lambda host: None)  # a name can lie
    monkeypatch.setattr("tlkit.downloads.http.stream.check_ip", first_is_public)
    assert "it leads to 127.0.0.1, which is inside this network" in reason(f"{server}/to?{server}/ok.png")
    assert len(asked) == 2


def test_the_body_of_a_redirect_is_not_read(server, hung_up):
    assert fetch(f"{server}/endless-to?/ok.png", allow_private=True) == png()
    assert hung_up.wait(60)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:image/png;base64,AAAA"])
def test_other_schemes_are_refused_also_by_redirect(server, target):
    assert "other than http" in reason(target, allow_private=True)
    assert "other than http" in reason(f"{server}/to?{target}", allow_private=True)


def test_redirects_end(server):
    loop = f"{server}/to?" * 8 + f"{server}/ok.png"
    assert "redirects more than" in reason(loop, allow_private=True)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/html", "web page"),
        ("/missing", "404"),
        ("/cut", "cut short"),
        ("/claims-huge", "larger than"),
        ("/endless", "larger than"),
        ("/bomb", "larger than"),
        ("/odd", "compression that is not supported"),
    ],
)
def test_bad_responses_have_a_reason(server, path, expected):
    assert expected in reason(server + path, allow_private=True)


@pytest.mark.parametrize(
    ("path", "limit", "expected"),
    [
        ("/silent", "read_seconds", "no response in time"),
        ("/drip", "seconds", "no complete response within 0 seconds"),
        ("/silent", "seconds", "no complete response within 0 seconds"),
    ],
)
def test_slow_responses_are_given_up(server, monkeypatch, path, limit, expected):
    monkeypatch.setattr(fetching, "LIMITS", replace(fetching.LIMITS, **{limit: 0.3}))
    assert reason(server + path, allow_private=True) == expected


def test_a_compressed_response_is_decompressed(server):
    assert fetch(f"{server}/gzip", allow_private=True) == png()


def test_a_password_goes_to_its_host_only(server):
    url = server.replace("http://", "http://user:s%2Fcret@")
    assert fetch(f"{url}/secret", allow_private=True) == png()
    assert "401" in reason(f"{url}/to?{server.replace('127.0.0.1', 'localhost')}/secret", allow_private=True)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:secret@host/x", "http://user:***@host/x"),
        ("see https://token@host:80/x and http://u:a@b@h/", "see https://***@host:80/x and http://u:***@h/"),
        ("http://u:p/w@host/x", "http://u:***@host/x"),
        ("http://u:p w@host/", "http://u:***@host/"),
        ("http://a:1/ (x); https://u:p@h/ (y)", "http://a:1/ (x); https://u:***@h/ (y)"),
        ("http://a:1 (x); https://u:p@h/ (y)", "http://a:1 (x); https://u:***@h/ (y)"),
        ("http:/u:p@host", "http:/u:***@host"),
        ("http://host:80/a@2x.png", "http://host:80/a@2x.png"),
        ("http://host/u:p@x", "http://host/u:p@x"),
        ("a:b@c", "a:b@c"),
    ],
)
def test_what_is_hidden_of_a_url(url, shown):
    assert without_password(url) == shown
    assert escape_control_chars(url) == shown


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
        (b"", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\n" * 200, "HTTP"),
    ],
)
def test_a_server_of_something_else_has_a_reason(sent, expected):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(sent)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        assert expected in reason(f"http://127.0.0.1:{listening.getsockname()[1]}/x.png", allow_private=True)
        thread.join(60)


def test_no_server_has_a_reason():
    assert "no connection" in reason("http://127.0.0.1:9/x.png", allow_private=True)


def test_private_hosts_are_refused_behind_a_proxy_too(server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, server)  # would answer for whatever it is asked
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert "--allow-private" in reason("http://10.0.0.1/ok.png")
    assert "--allow-private" in reason("http://169.254.169.254/ok.png")


def test_hanging_up_ends_every_fetch(server):
    reasons = []
    Handler.started.clear()
    thread = threading.Thread(target=lambda: reasons.append(reason(f"{server}/drip", allow_private=True)))
    thread.start()
    assert Handler.started.wait(60)
    fetching.hang_up_all()
    thread.join(60)
    assert reasons == ["no complete response within 60 seconds"]


def test_hanging_up_ends_a_tls_handshake_too(monkeypatch):
    monkeypatch.setattr("tlkit.downloads.http.stream.CONNECT_SECONDS", 600)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"https://127.0.0.1:{listening.getsockname()[1]}/x.png"
        thread = threading.Thread(target=lambda: reason(url, allow_private=True), daemon=True)
        thread.start()
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(60)
            assert connection.recv(1)  # the client's greeting, which is never answered
            fetching.hang_up_all()
            while connection.recv(1000):  # until the client hangs up
                pass
        thread.join(60)
