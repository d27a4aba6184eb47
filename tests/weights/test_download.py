"""The real download code, against a server on 127.0.0.1 that cuts, corrupts and answers HTML."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import h5py
import numpy as np
import pytest

from tlkit.errors import WeightsError
from tlkit.weights import sources
from tlkit.weights.files import PublishedFile
from tlkit.weights.sources import locate


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "net.h5"
    with h5py.File(path, "w") as file:
        file["kernel"] = np.arange(5000, dtype=np.float32)
    return path.read_bytes()


@pytest.fixture
def server(good):
    """Answers each path with the next of the bodies queued for it; the last one again and again."""
    asked: list[str] = []
    answers: dict[str, list[str]] = {}

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            asked.append(self.path)
            queue = answers.get(self.path, ["missing"])
            kind = queue.pop(0) if len(queue) > 1 else queue[0]
            body, status = {
                "good": (good, 200),
                "cut": (good[: len(good) // 2], 200),
                "silently cut": (good[: len(good) // 2], 200),
                "corrupt": (good[:9000] + b"\0" * 100 + good[9100:], 200),
                "html": (b"<html>please log in</html>", 200),
                "missing": (b"no", 404),
                "broken": (b"oh no", 500),
            }[kind]
            self.send_response(status)
            self.send_header("Content-Length", str(len(good) if kind == "cut" else len(body)))
            self.end_headers()
            self.wfile.write(body)

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    running.asked, running.answers = asked, answers
    running.url = f"http://127.0.0.1:{running.server_port}"
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)


@pytest.fixture
def own(monkeypatch, tmp_path):
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


def file_at(server, good, *, digest=True):
    md5 = f"md5:{hashlib.md5(good).hexdigest()}"
    return PublishedFile("net.h5", f"{server.url}/published/net.h5", md5 if digest else None)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("first", ["good", "cut", "silently cut", "corrupt", "html", "broken"])
@pytest.mark.parametrize("digest", [True, False])
def test_a_bad_answer_is_tried_again(server, good, own, first, digest):
    if first == "corrupt" and not digest:
        pytest.skip("without a published hash only the structure can be checked")
    server.answers["/published/net.h5"] = [first, "good"]
    path = locate(file_at(server, good, digest=digest), architecture="net")
    assert path == own / "net.h5"
    assert path.read_bytes() == good
    assert names(own) == ["net.h5"]
    assert len(server.asked) == (1 if first == "good" else 2)


@pytest.mark.parametrize("always", ["cut", "silently cut", "corrupt", "html", "missing"])
def test_a_bad_file_never_gets_the_final_name(server, good, own, always):
    server.answers["/published/net.h5"] = [always]
    with pytest.raises(WeightsError) as caught:
        locate(file_at(server, good), architecture="net")
    assert names(own) == []
    assert len(server.asked) == 3
    said = f"{caught.value.message} {caught.value.hint}"
    for part in ("net.h5", server.url, str(own), "--weights", "TLKIT_WEIGHTS_MIRROR"):
        assert part in said
    reason = {"html": "web page", "missing": "404", "corrupt": "another hash"}.get(always, "cut")
    assert reason in said


def test_once_there_it_is_not_fetched_again(server, good, own):
    server.answers["/published/net.h5"] = ["good"]
    for _ in range(2):
        locate(file_at(server, good), architecture="net")
    assert len(server.asked) == 1


@pytest.mark.parametrize("digest", [True, False])
def test_a_truncated_cached_file_is_replaced(server, good, own, digest, caplog):
    own.mkdir(parents=True)
    (own / "net.h5").write_bytes(good[:5000])
    server.answers["/published/net.h5"] = ["good"]
    assert locate(file_at(server, good, digest=digest), architecture="net").read_bytes() == good
    assert "is not used" in caplog.text


def test_keras_cache_is_used_and_never_written(server, good, own, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    cached = tmp_path / "keras" / "models" / "net.h5"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(good)
    assert locate(file_at(server, good), architecture="net") == cached
    cached.write_bytes(good[:-10])
    server.answers["/published/net.h5"] = ["good"]
    assert locate(file_at(server, good), architecture="net") == own / "net.h5"
    assert cached.read_bytes() == good[:-10]


def test_a_mirror_is_asked_first_and_the_publisher_next(server, good, own, monkeypatch):
    monkeypatch.setenv(sources.MIRROR_VARIABLE, f"{server.url}/mirror")
    server.answers.update({"/mirror/net.h5": ["missing"], "/published/net.h5": ["good"]})
    locate(file_at(server, good), architecture="net")
    assert server.asked[0] == "/mirror/net.h5"
    assert server.asked[-1] == "/published/net.h5"


def test_no_network_says_what_to_do(own):
    file = PublishedFile("net.h5", "http://127.0.0.1:9/net.h5", "md5:0")
    with pytest.raises(WeightsError) as caught:
        locate(file, architecture="net")
    assert "http://127.0.0.1:9/net.h5 (no connection)" in caught.value.message
    assert str(own) in caught.value.hint
    assert "--weights" in caught.value.hint


def test_a_cache_that_cannot_be_made_says_so(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match="Cannot make the folder"):
        locate(PublishedFile("net.h5", "http://127.0.0.1:9/net.h5"), architecture="net")
