"""Who may ask."""

import socket

import pytest
from helpers.served import served

from tlkit.serving.guard import names_of_machine

pytestmark = pytest.mark.usefixtures("toy")
ORIGIN = "https://example.org"


def test_names_that_are_not_this_machine_are_refused(server):
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "", "[", "0"):
        refused = server.get("/health", Host=host)
        assert (refused.status, list(refused.json)) == (421, ["error"]), host
    for host in ("localhost", f"localhost:{server.port}", "127.0.0.1:1", "LOCALHOST", "[::1]:80", "192.0.2.1:8000"):
        assert server.get("/health", Host=host).status == 200, host


def test_a_server_for_others_goes_by_the_names_of_its_machine(run):
    name = socket.gethostname()
    with served(run, hosts=("models.example", *names_of_machine())) as client:
        for host in ("models.example", "Models.Example.:80", name, f"{name.partition('.')[0]}.local:8000"):
            assert client.get("/health", Host=host).status == 200, host
        refused = client.get("/model", Host="evil.example")
        assert refused.status == 421
        assert "--cors-origin http://NAME:PORT" in refused.json["error"]


def test_pages_of_other_origins_may_not_ask(server, brick):
    own = f"127.0.0.1:{server.port}"
    for origin in ("https://evil.example", "null", "http://127.0.0.1", f"http://localhost:{server.port}", own):
        for path in ("/predict", "/explain"):
            refused = server.post(path, brick, Origin=origin)
            assert (refused.status, list(refused.json)) == (403, ["error"]), origin
            assert "Access-Control-Allow-Origin" not in refused.headers
    assert server.post("/predict", brick, Origin=f"http://{own}").status == 200
    asked = server.ask("OPTIONS", "/predict", Origin=ORIGIN, Access_Control_Request_Method="POST")
    assert (asked.status, "Access-Control-Allow-Origin" in asked.headers) == (403, False)
    assert "Access-Control-Allow-Origin" not in server.get("/model", Origin=ORIGIN).headers


def test_an_origin_that_is_allowed_may(run, brick):
    with served(run, origins=(ORIGIN,)) as client:
        answer = client.post("/predict", brick, Origin=ORIGIN)
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
        assert answer.headers["Vary"] == "Origin"
        asked = client.ask("OPTIONS", "/predict", Origin=ORIGIN, Access_Control_Request_Method="POST")
        assert (asked.status, asked.headers["Access-Control-Allow-Methods"]) == (204, "GET, POST")
        assert client.post("/predict", brick, Origin="https://example.org.evil.example").status == 403
        # behind a proxy of that name
        assert client.post("/predict", brick, Origin=ORIGIN, Host="example.org").status == 200


def test_every_answer_carries_the_headers_that_protect_the_page(server):
    for path in ("/", "/page.js", "/health", "/nothing"):
        headers = server.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"], path
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
