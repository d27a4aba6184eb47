"""What the server tells of itself, and heat maps."""

import io
import json

import pytest
from PIL import Image

import tlkit

pytestmark = pytest.mark.usefixtures("toy")


def test_model_and_health(server, run):
    document = server.get("/model").json
    assert document["classes"] == ["brick", "grass"]
    assert (document["name"], document["architecture"], document["size"]) == (run.name, "toy", [32, 32])
    assert (document["knows_unknown"], document["multi_label"], document["urls"]) == (True, False, False)
    assert document["tlkit"] == tlkit.__version__
    assert str(run.parent) not in json.dumps(document)
    assert server.get("/health").json == {"status": "ok"}


def test_a_heat_map(server, brick, tlkit, run):
    maps = {}
    for label in (None, "brick", "grass"):
        drawn = server.post("/explain" + (f"?label={label}" if label else ""), brick)
        assert (drawn.status, drawn.headers["Content-Type"]) == (200, "image/png")
        with Image.open(io.BytesIO(drawn.body)) as image:
            assert image.size == (32, 32)
            maps[label] = image.convert("RGB").tobytes()
    best = server.post("/predict", brick).json[0]["predictions"][0]["label"]
    assert maps[None] == maps[best]
    assert maps["brick"] != maps["grass"]
    assert server.post_form("/explain", [("a.png", brick)]).body == server.post("/explain", brick).body
    assert server.post("/explain?label=nothing", brick).status == 400
    assert server.post_form("/explain", [("a.png", brick)] * 2).status == 400
    unreadable = server.post("/explain", b"words")
    assert (unreadable.status, list(unreadable.json)) == (422, ["error"])


def test_metrics_count(server, brick):
    before = {name: server.metric(name) for name in ('tlkit_images_total{result="classified"}',
                                                     'tlkit_images_total{result="failed"}')}  # fmt: skip
    server.post_form("/predict", [("a", brick), ("b", b"words"), ("c", brick)])
    after = {name: server.metric(name) for name in before}
    assert [after[name] - before[name] for name in before] == [2, 1]
    kind = server.get("/metrics").headers["Content-Type"]
    assert kind.startswith("text/plain; version=0.0.4")


def refs(document):
    if isinstance(document, dict):
        yield from [document["$ref"]] if "$ref" in document else []
        document = list(document.values())
    if isinstance(document, list):
        for item in document:
            yield from refs(item)


def test_the_openapi_document_describes_what_is_there(server, brick):
    document = server.get("/openapi.json").json
    assert document["openapi"].startswith("3.1.")
    schemas = document["components"]["schemas"]
    assert {*refs(document)} == {f"#/components/schemas/{name}" for name in schemas}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            body = brick if method == "post" else None
            answer = server.ask(method.upper(), path, body)
            content = operation["responses"][str(answer.status)]["content"]
            assert [*content] == [answer.headers["Content-Type"].partition(";")[0]], path
    model = server.get("/model").json
    assert {*model} == {*schemas["Model"]["properties"]} == {*schemas["Model"]["required"]}
    predicted = server.post("/predict", brick).json[0]
    assert {*schemas["Prediction"]["required"]} <= {*predicted} <= {*schemas["Prediction"]["properties"]}
    assert {*predicted["predictions"][0]} == {*schemas["ClassScore"]["properties"]}


def test_other_routes_and_methods(server, run):
    for path in ("/nothing", "/../etc/passwd", "/page.html", "//etc/passwd", "/static/../app.py"):
        assert (server.get(path).status, list(server.get(path).json)) == (404, ["error"]), path
    assert server.get("/predict").status == 405
    assert server.post("/health", b"").status == 405


def test_an_error_inside_tells_nothing_of_the_machine(server, monkeypatch, brick):
    def broken(*arguments):
        raise RuntimeError("in /secret/folder")

    monkeypatch.setattr("tlkit.serving.service.best_classes", broken)
    answer = server.post("/predict", brick)
    assert answer.status == 500
    assert "secret" not in answer.body.decode()
    monkeypatch.undo()
    assert server.post("/predict", brick).status == 200
