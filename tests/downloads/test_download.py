"""The real download code, against a server on 127.0.0.1 that cuts, corrupts and answers HTML."""

import contextlib
import gzip
import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import h5py
import numpy as np
import pytest

from tlkit.downloads import download
from tlkit.downloads import locate as locating
from tlkit.downloads.http.deadline import Deadline
from tlkit.downloads.locate import locate
from tlkit.downloads.weights_file import WeightsFile
from tlkit.errors import WeightsError


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
            if kind in ("endless", "endless page", "drip", "slow start"):
                self.without_end(kind)
                return
            if kind.startswith("to "):
                self.send_response(302)
                self.send_header("Location", kind.removeprefix("to "))
                self.end_headers()
                return
            body, status = {
                "good": (good, 200),
                "cut": (good[: len(good) // 2], 200),
                "silently cut": (good[: len(good) // 2], 200),
                "corrupt": (good[:9000] + b"\0" * 100 + good[9100:], 200),
                "html": (b"<html>please log in</html>", 200),
                "missing": (b"no", 404),
                "broken": (b"oh no", 500),
                "gzip": (gzip.compress(good), 200),
                "huge": (good, 200),
                "for friends": (good, 200 if self.headers.get("Authorization") else 401),
            }[kind]
            self.send_response(status)
            length = {"cut": len(good), "huge": 10**12}.get(kind, len(body))
            self.send_header("Content-Length", str(length))
            if kind == "gzip":
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(body)

        def without_end(self, kind):
            """A response that lasts until the client hangs up, or a minute."""
            pause = threading.Event()
            stop = time.monotonic() + 60
            with contextlib.suppress(OSError):
                if kind == "slow start":
                    while time.monotonic() < stop:
                        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                        pause.wait(0.02)
                    return
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"<html>" if kind == "endless page" else good)
                while time.monotonic() < stop:
                    self.wfile.write(b"x" if kind == "drip" else b"x" * 10_000)
                    pause.wait(0.02 if kind == "drip" else 0)

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    running.asked, running.answers = asked, answers
    running.url = f"http://127.0.0.1:{running.server_port}"
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0)


@pytest.fixture
def own(monkeypatch, tmp_path):
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tlkit" / "weights"


def file_at(server, good, *, digest=True):
    md5 = f"md5:{hashlib.md5(good).hexdigest()}"
    return WeightsFile("net.h5", f"{server.url}/published/net.h5", md5 if digest else None, architecture="net")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("first", ["good", "cut", "silently cut", "corrupt", "html", "broken"])
@pytest.mark.parametrize("digest", [True, False])
def test_a_bad_response_is_tried_again(server, good, own, first, digest):
    if first == "corrupt" and not digest:
        pytest.skip("without a published hash only the structure can be checked")
    server.answers["/published/net.h5"] = [first, "good"]
    path = locate(file_at(server, good, digest=digest))
    assert path == own / "net.h5"
    assert path.read_bytes() == good
    assert names(own) == ["net.h5"]
    assert len(server.asked) == (1 if first == "good" else 2)


@pytest.mark.parametrize("always", ["cut", "silently cut", "corrupt", "html", "missing"])
def test_a_bad_file_never_gets_the_final_name(server, good, own, always):
    server.answers["/published/net.h5"] = [always]
    with pytest.raises(WeightsError) as caught:
        locate(file_at(server, good))
    assert names(own) == []
    assert len(server.asked) == 3
    text = f"{caught.value.message} {caught.value.hint}"
    for part in ("net.h5", server.url, str(own), "--weights", "TLKIT_WEIGHTS_MIRROR"):
        assert part in text
    reason = {"html": "web page", "missing": "404", "corrupt": "digest is not the published one"}.get(always, "cut")
    assert reason in text


def refused(server, good, kind):
    server.answers["/published/net.h5"] = [kind]
    with pytest.raises(WeightsError) as caught:
        locate(file_at(server, good))
    return caught.value.message


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("endless", "larger than"),
        ("huge", "larger than"),
        ("endless page", "web page"),
        ("drip", "it stalled: fewer than"),
        ("slow start", "it stalled: fewer than"),
    ],
)
def test_a_response_without_end_ends(server, good, own, monkeypatch, kind, expected):
    monkeypatch.setattr(download, "MAX_BYTES", 10**6)
    if "stalled" in expected:  # the others may take their time on a machine that halts
        monkeypatch.setattr(download, "STALL_SECONDS", 0.3)
    assert expected in refused(server, good, kind)
    assert names(own) == []
    assert len(server.asked) == (3 if kind == "endless page" else 1)


def test_a_slow_line_has_all_the_time_it_needs(server, good, own, monkeypatch):
    extended = []
    monkeypatch.setattr(Deadline, "extend", lambda self, seconds: extended.append(seconds))
    monkeypatch.setattr(download, "STALL_BYTES", 10)
    monkeypatch.setattr(download, "MAX_BYTES", len(good) + 45)
    assert "larger than" in refused(server, good, "drip")
    assert len(extended) > 1
    assert set(extended) == {download.STALL_SECONDS}


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/net.h5", "data:,x"])
def test_a_redirect_elsewhere_than_http_is_refused(server, good, own, target):
    assert "other than http or https" in refused(server, good, f"to {target}")


def test_a_redirect_and_a_compressed_response_arrive(server, good, own):
    server.answers.update({"/published/net.h5": ["to /other"], "/other": ["gzip"]})
    assert locate(file_at(server, good)).read_bytes() == good


def test_the_password_of_a_mirror_is_used_and_not_printed(server, good, own, monkeypatch, caplog, tlkit):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # the publisher is not asked
    mirror = server.url.replace("http://", "http://user:secret@")
    monkeypatch.setenv(locating.MIRROR_VARIABLE, f"{mirror}/mirror")
    caplog.set_level("DEBUG", "tlkit")
    with pytest.raises(WeightsError) as caught:
        locate(file_at(server, good))
    listed = tlkit("-v", "weights", "list", "vgg16", "--format", "json")
    pulled = tlkit("-v", "weights", "pull", "efficientnetlite0", "vgg16", "--top", "--format", "json")
    for text in (caught.value.message, caplog.text, listed.out, pulled.out, pulled.err):
        assert "secret" not in text
    assert "user:***@127.0.0.1" in caught.value.message
    assert "user:***@127.0.0.1" in listed.out
    server.answers["/mirror/net.h5"] = ["for friends"]
    assert locate(file_at(server, good)).read_bytes() == good


@pytest.mark.parametrize("mirror", ["ftp://127.0.0.1", "file:///mnt"])
def test_a_mirror_of_another_scheme_leads_to_no_download_from_elsewhere(server, good, own, monkeypatch, mirror):
    monkeypatch.setenv(locating.MIRROR_VARIABLE, mirror)
    assert f"{mirror} is neither a folder nor a URL of http or https" in refused(server, good, "good")
    assert server.asked == []


def test_a_good_copy_is_not_downloaded_again(server, good, own):
    server.answers["/published/net.h5"] = ["good"]
    for _ in range(2):
        locate(file_at(server, good))
    assert len(server.asked) == 1


@pytest.mark.parametrize("digest", [True, False])
def test_a_truncated_cached_file_is_replaced(server, good, own, digest, caplog):
    own.mkdir(parents=True)
    (own / "net.h5").write_bytes(good[:5000])
    server.answers["/published/net.h5"] = ["good"]
    assert locate(file_at(server, good, digest=digest)).read_bytes() == good
    assert "is not used" in caplog.text


def test_keras_cache_is_used_and_never_written(server, good, own, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    cached = tmp_path / "keras" / "models" / "net.h5"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(good)
    assert locate(file_at(server, good)) == cached
    cached.write_bytes(good[:-10])
    server.answers["/published/net.h5"] = ["good"]
    assert locate(file_at(server, good)) == own / "net.h5"
    assert cached.read_bytes() == good[:-10]


def test_a_mirror_is_asked_first_and_the_publisher_next(server, good, own, monkeypatch):
    monkeypatch.setenv(locating.MIRROR_VARIABLE, f"{server.url}/mirror")
    server.answers.update({"/mirror/net.h5": ["missing"], "/published/net.h5": ["good"]})
    locate(file_at(server, good))
    assert server.asked[0] == "/mirror/net.h5"
    assert server.asked[-1] == "/published/net.h5"


def test_without_a_network_the_hint_names_the_next_step(own):
    file = WeightsFile("net.h5", "http://127.0.0.1:9/net.h5", "md5:0")
    with pytest.raises(WeightsError) as caught:
        locate(file)
    assert "http://127.0.0.1:9/net.h5 (no connection)" in caught.value.message
    assert str(own) in caught.value.hint
    assert "--weights" in caught.value.hint


def test_a_cache_that_cannot_be_made_says_so(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match="Cannot create the folder"):
        locate(WeightsFile("net.h5", "http://127.0.0.1:9/net.h5"))
