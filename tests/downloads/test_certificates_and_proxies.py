"""Certificates and proxies of both kinds of download; servers and proxies on 127.0.0.1."""

import io
import select
import socket
import ssl
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import ProxyHandler, build_opener

import h5py
import pytest
import trustme
from PIL import Image

from tlkit.data.url import fetch
from tlkit.downloads.locate import locate
from tlkit.downloads.weights_file import WeightsFile
from tlkit.errors import TlkitError

VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(scope="module")
def bodies():
    image, weights = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(image, "PNG")
    with h5py.File(weights, "w") as file:
        file["kernel"] = [1.0, 2.0]
    return {"/x.png": image.getvalue(), "/net.h5": weights.getvalue()}


@contextmanager
def running(handler, context=None):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # clients that hang up are what is tested
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class Quiet(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def site(bodies):
    class Site(Quiet):
        def do_GET(self):
            self.answer(bodies[self.path])

    return Site


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(site, authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with running(site, context) as server:
        yield f"https://127.0.0.1:{server.server_port}"


@pytest.fixture(scope="module")
def plain(site):
    with running(site) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def proxy():
    """A proxy that forwards and tunnels, and lists the requests in ``asked``."""
    asked, passwords = [], []

    class Proxy(Quiet):
        def do_GET(self):
            asked.append(self.path)
            passwords.append(self.headers["Proxy-Authorization"])
            with build_opener(ProxyHandler({})).open(self.path, timeout=5) as response:
                self.answer(response.read())

        def do_CONNECT(self):
            asked.append(self.path)
            host, _, port = self.path.rpartition(":")
            if port == "1":
                self.send_error(403)
                return
            with socket.create_connection((host, int(port))) as other:
                self.send_response(200)
                self.end_headers()
                ends = {self.connection: other, other: self.connection}
                while ready := select.select(list(ends), [], [], 5)[0]:
                    for end in ready:
                        if not (data := end.recv(1 << 16)):
                            return
                        ends[end].sendall(data)

    with running(Proxy) as server:
        server.asked, server.passwords = asked, passwords
        server.url = f"http://127.0.0.1:{server.server_port}"
        yield server


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """Neither the certificates nor the proxies of whoever runs the tests."""
    for name in (*VARIABLES, *PROXIES, *map(str.upper, PROXIES)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("tlkit.downloads.download.PAUSE_SECONDS", 0)


@pytest.fixture(params=["image", "weights"])
def get(request, bodies):
    """Both kinds of download: ``get(server)`` checks what arrives."""

    def image(server):
        assert fetch(f"{server}/x.png", allow_private=True) == bodies["/x.png"]

    def weights(server):
        path = locate(WeightsFile("net.h5", f"{server}/net.h5"))
        assert path.read_bytes() == bodies["/net.h5"]

    return image if request.param == "image" else weights


def refused(get, server):
    with pytest.raises(TlkitError) as caught:
        get(server)
    return caught.value.message


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_certificate_of_an_own_authority(get, secure, authority, monkeypatch, tmp_path, variable):
    message = refused(get, secure)
    assert "its certificate cannot be verified" in message
    assert "SSL_CERT_FILE" in message
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv(variable, str(tmp_path / "ca.pem"))
    get(secure)


def test_all_that_is_named_is_trusted(get, secure, authority, monkeypatch, tmp_path):
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other.pem"))
    assert "cannot be verified" in refused(get, secure)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    get(secure)


def test_a_certificate_for_another_host(get, secure, authority, monkeypatch, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    message = refused(get, secure.replace("127.0.0.1", "localhost"))
    assert "certificate cannot be verified" in message
    assert "localhost" in message
    assert "SSL_CERT_FILE" not in message


def test_a_file_of_certificates_that_is_none(get, secure, plain, monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nothing.pem"))
    assert f"SSL_CERT_FILE names {tmp_path / 'nothing.pem'}, and there is no such file" in refused(get, secure)
    (tmp_path / "nothing.pem").write_text("no certificate")
    assert "not a readable file of certificates" in refused(get, secure)
    get(plain)


def test_https_to_a_server_without(get, plain):
    assert "http:// instead of https://" in refused(get, plain.replace("http:", "https:"))


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_is_used_unless_told_otherwise(get, plain, proxy, monkeypatch, name):
    monkeypatch.setenv(name, proxy.url)
    get(plain)
    assert [path.rpartition("/")[0] for path in proxy.asked] == [plain]


def test_no_proxy_is_respected(get, plain, proxy, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    get(plain)
    assert proxy.asked == []


@pytest.mark.parametrize("network", ["127.0.0.0/8", "10.0.0.0/8, 127.0.0.0/16", "127.0.0.1:{port}", "*"])
def test_no_proxy_may_name_networks_and_ports(get, plain, proxy, monkeypatch, network):
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", network.format(port=plain.rpartition(":")[2]))
    get(plain)
    assert proxy.asked == []


def test_a_proxy_without_a_scheme_and_with_a_password(get, plain, proxy, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", proxy.url.removeprefix("http://").replace("127.0.0.1", "user:pass@127.0.0.1"))
    get(plain)
    assert proxy.passwords == ["Basic dXNlcjpwYXNz"]


def test_a_socks_proxy_needs_a_package(get, plain, monkeypatch):
    monkeypatch.setitem(sys.modules, "socks", None)
    monkeypatch.delitem(sys.modules, "urllib3.contrib.socks", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:9")
    assert "pip install pysocks" in refused(get, plain)


def test_a_tunnel_through_a_proxy(get, secure, authority, proxy, monkeypatch, tmp_path):
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    assert "SSL_CERT_FILE" in refused(get, secure)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert "the proxy refused: 403" in refused(get, "https://127.0.0.1:1")
    get(secure)
    assert set(proxy.asked) == {secure.removeprefix("https://"), "127.0.0.1:1"}


def test_a_proxy_that_is_not_there(get, plain, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@127.0.0.1:9")
    message = refused(get, plain)
    assert "no connection to the proxy" in message
    assert "secret" not in message
