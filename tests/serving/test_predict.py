"""Images in, the JSON of `tlkit predict` out."""

import io
import json
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers.served import served
from helpers.web import serving
from PIL import Image

from tlkit.serving.limits import Limits

pytestmark = pytest.mark.usefixtures("toy")


def named(found, name):
    return [{**item, "input": name} for item in found]


def test_the_numbers_are_those_of_predict(server, run, tlkit, tmp_path, brick, photograph):
    for name, data in (("brick.png", brick), ("cat.jpg", photograph)):
        (tmp_path / name).write_bytes(data)
        expected = tlkit("predict", "--model", run, tmp_path / name, "--format", "json").json
        assert {"known", "unknown_score", "predictions"} <= expected[0].keys()
        raw = server.post("/predict", data, content_type="image/jpeg")
        assert (raw.status, raw.json) == (200, named(expected, "image"))
        form = server.post_form("/predict", [(name, data)])
        assert (form.status, form.json) == (200, named(expected, name))


def test_they_are_the_same_whatever_else_is_computed(server, photograph, brick):
    alone = {data: server.post("/predict", data).json for data in (photograph, brick)}
    before = server.metric("tlkit_batch_images_sum")
    with ThreadPoolExecutor(16) as clients:
        found = list(clients.map(lambda number: server.post("/predict", (photograph, brick)[number % 2]), range(64)))
    assert [answer.json for answer in found] == [alone[photograph], alone[brick]] * 32
    assert server.metric("tlkit_batch_images_sum") == before + 64


def test_a_bad_image_among_several_gets_an_error_and_the_others_are_answered(server, brick, photograph):
    found = server.post_form("/predict", [("a.png", brick), ("b.png", b"words"), ("c.jpg", photograph[:2000])])
    assert found.status == 200
    assert [item["input"] for item in found.json] == ["a.png", "b.png", "c.jpg"]
    assert [sorted(item) for item in found.json[1:]] == [["error", "input"]] * 2
    assert found.json[0]["predictions"][0]["rank"] == 1
    assert found.json[1]["error"] == "it is not an image in a supported format"
    assert "damaged" in found.json[2]["error"]


def test_where_no_image_can_be_read_the_status_says_so(server):
    found = server.post("/predict", b"words", content_type="image/png")
    assert (found.status, found.json) == (
        422,
        [{"input": "image", "error": "it is not an image in a supported format"}],
    )


def test_top(server, brick):
    assert len(server.post("/predict?top=1", brick).json[0]["predictions"]) == 1
    assert len(server.post("/predict", brick).json[0]["predictions"]) == 2
    for query in ("top=0", "top=-1", "top=x", "top=", "top=99999999999", "tops=1"):
        refused = server.post(f"/predict?{query}", brick)
        assert (refused.status, list(refused.json)) == (400, ["error"]), query


def test_the_body_of_curl_is_an_image(server, brick):
    assert server.post("/predict", brick, content_type="application/x-www-form-urlencoded").status == 200


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"), ("C:\\photos\\a.png", "a.png"), ("a\x1b[31m.png", "a\\x1b[31m.png"),
        ("", "image-1"), ("..", ".."), ("é.png", "é.png"), ("n" * 400, "n" * 255),
    ],
)  # fmt: skip
def test_names_are_names_and_never_paths(server, brick, name, shown):
    found = server.post_form("/predict", [(name, brick)])
    assert (found.status, found.json[0]["input"]) == (200, shown)
    assert "predictions" in found.json[0]


def test_a_run_that_gives_several_labels(toy, textures, tmp_path, tlkit, brick):
    rows = [f"{path},{path.parent.name}|textured" if number % 2 else f"{path},{path.parent.name}"
            for number, path in enumerate(sorted(textures.rglob("*.png")))]  # fmt: skip
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["path,labels", *rows]))
    options = ("--multi-label", "--recipe", "fast", "-o", tmp_path / "several")
    assert tlkit("finetune", table, *toy, *options).code == 0
    (tmp_path / "brick.png").write_bytes(brick)
    expected = tlkit("predict", "--model", tmp_path / "several", tmp_path / "brick.png", "--format", "json").json
    assert "labels" in expected[0]
    with served(tmp_path / "several") as client:
        assert client.post("/predict", brick).json == named(expected, "image")
        assert client.get("/model").json["multi_label"] is True
        assert client.post("/explain", brick).status == 200


def test_class_names_may_hold_bytes_that_are_no_text(run, tmp_path, brick, tlkit):
    odd = tmp_path / "odd"
    shutil.copytree(run, odd)
    record = odd / "run.json"
    record.write_text(record.read_text("utf-8").replace('"brick"', '"br\\udcffck"'), "utf-8")
    (tmp_path / "brick.png").write_bytes(brick)
    expected = tlkit("predict", "--model", odd, tmp_path / "brick.png", "--format", "json").json
    with served(odd) as client:
        assert client.post("/predict", brick).json == named(expected, "image")
        assert client.get("/model").json["classes"] == ["br\udcffck", "grass"]


def test_nothing_is_written_to_disk(server):
    opened, watching = [], threading.Event()

    def watch(event, arguments):
        if event == "open" and watching.is_set():
            path, mode, flags = arguments
            if any(letter in str(mode or "") for letter in "wxa+") or (isinstance(flags, int) and flags & 3):
                opened.append(path)

    sys.addaudithook(watch)  # it stays, and sleeps
    pixels = np.random.default_rng(0).integers(0, 256, (1000, 1200, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    assert len(buffer.getvalue()) > 3_000_000
    watching.set()
    try:
        assert server.post_form("/predict", [("a.png", buffer.getvalue())] * 3).status == 200
        assert server.post("/predict", buffer.getvalue()).status == 200
    finally:
        watching.clear()
    assert opened == []


def test_urls_are_fetched_only_where_that_is_allowed(server, run, brick):
    body = json.dumps({"urls": ["http://example.org/a.png"]}).encode()
    refused = server.post("/predict", body, content_type="application/json")
    assert refused.status == 403
    assert "--allow-urls" in refused.json["error"]


def test_urls_that_do_not_come_hold_up_nobody_and_end(run, brick, monkeypatch):
    asked, came = threading.Event(), threading.Event()

    def fetch(url):
        asked.set()
        came.wait(60)
        return brick

    monkeypatch.setattr("tlkit.data.url.fetch", fetch)
    slow = json.dumps({"urls": ["http://example.org/a.png"] * 20}).encode()
    limits = Limits(images=20, queue=20, fetch_seconds=2.0)
    with served(run, limits, allow_urls=True) as client, ThreadPoolExecutor(1) as clients:
        try:
            first = clients.submit(client.post, "/predict", slow, content_type="application/json")
            asked.wait()
            refused = client.post("/predict", slow, content_type="application/json")
            assert refused.status == 503
            assert "Enough URLs are being fetched" in refused.json["error"]
            assert client.post("/predict", brick).status == 200
            given_up = first.result()
            assert (given_up.status, len(given_up.json)) == (422, 20)
            assert {item["error"] for item in given_up.json} == {"it did not arrive within 2 seconds of the request"}
        finally:
            came.set()
        assert client.post("/predict", slow, content_type="application/json").status == 200


def test_urls(run, brick, monkeypatch):
    with (
        served(run, Limits(images=3), allow_urls=True) as client,
        serving({"/a.png": ("image/png", brick)}) as (url, asked),
    ):

        def ask(document):
            return client.post("/predict", json.dumps(document).encode(), content_type="application/json")

        private = ask({"urls": [f"{url}/a.png"]})
        assert (private.status, asked) == (422, [])
        error = private.json[0]["error"]
        assert "inside the network of the server" in error
        assert not ("--" in error or "127.0.0.1" in error), "neither options nor addresses are its business"
        monkeypatch.setattr("tlkit.data.url.fetch", lambda url: brick)
        found = ask({"urls": ["https://user:secret@example.org/a.png", "http://example.org/b.png"]})
        assert found.status == 200
        assert [item["input"] for item in found.json] == [
            "https://user:***@example.org/a.png",
            "http://example.org/b.png",
        ]
        assert found.json[1] == named(client.post("/predict", brick).json, "http://example.org/b.png")[0]
        for wrong in ([], {}, {"urls": []}, {"urls": "a"}, {"urls": [1]}, {"urls": ["file:///etc/passwd"]},
                      {"urls": ["/etc/passwd"]}, {"urls": ["http://a.b/"], "more": 1}):  # fmt: skip
            assert ask(wrong).status == 400, wrong
        assert client.post("/predict", b"[" * 100_000, content_type="application/json").status == 400
        assert ask({"urls": ["http://example.org/a.png"] * 4}).status == 413
