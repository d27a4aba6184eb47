"""Every JSON document is as its schema in docs/schemas/ explains it, key by key."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import click
import h5py
import numpy as np
import pytest
import yaml
from helpers.program import invoke
from helpers.served import served
from jsonschema import Draft202012Validator
from jsonschema.validators import extend
from PIL import Image
from referencing import Registry, Resource

from tlkit.cli import COMMANDS, main
from tlkit.config_file import read_options
from tlkit.errors import ConfigError

pytestmark = pytest.mark.docs

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "schemas"
SCHEMAS = {path.name.removesuffix(".schema.json"): json.loads(path.read_text("utf-8")) for path in FOLDER.glob("*")}
REGISTRY = Registry().with_resources((schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values())
NO_DOCUMENTS = {"shared", "options"}
NO_JSON = {"serve", "completion"}
"""Commands that print no document."""

LINES = {
    "finetune": [
        "finetune demo/data/textures -o runs/two --size 64 --epochs 1 --finetune-epochs 1 --unfreeze-blocks 1",
        "finetune all -o runs/folds --recipe fast --size 64 --folds 2",
        "finetune labels.csv -o runs/labels --recipe fast --size 64 --multi-label",
        "finetune demo/data/textures -o runs/copies --recipe fast --size 64 --augment light --augment-copies 2",
    ],
    "predict": [
        "predict demo/data/photos nothing.png",
        "predict demo/data/photos --model runs/two --unknown",
        "predict demo/data/textures/train/grass/grass-00.png --model runs/two --explain why.png",
        "predict demo/data/photos/coffee.png --model runs/labels",
    ],
    "extract": [
        "extract all/train -o features.npy --precision bfloat16",
        "extract demo/data/photos -o maps.h5 --layer block5c_add --pooling none",
        "extract demo/data/photos -o narrow.npy --arch mobilenet --weights none --alpha 0.5 --depth-multiplier 2 "
        "--data-format channels_first --size 64",
        "extract demo/data/photos -o scores.npy --arch mobilenet --weights none --classes 7 --layer predictions",
        "extract demo/data/photos -o own.npy --weights base.weights.h5 --arch efficientnetlite0 --by-name",
        "extract demo/data/photos -o merged.npy --merge",
    ],
    "bottleneck": ["bottleneck all -o bottleneck --size 64", "bottleneck demo/data/textures -o few --size 64"],
    "part": [
        "extract demo/data/photos nothing.png -o parts.npy --part 2/2",
        "extract demo/data/photos -o merged.npy --part 1/1",
        "bottleneck demo/data/textures -o parts --size 64 --part 1/9",
        "predict demo/data/photos --part 1/2",
        "check demo/data/textures --part 1/9",
    ],
    "evaluate": [
        "evaluate runs/two demo/data/textures",
        "evaluate runs/two runs/two all --foreign strange --tta",
        "evaluate runs/labels labels.csv",
    ],
    "export": [
        "export runs/two -o two.onnx --precision int8 --resize-inside --max-loss 100%",
        "export runs/two -o plain/two.xml --check demo/data/photos",
    ],
    "check": ["check demo/data/textures", "check odd"],
    "compare": [
        "compare demo/data/textures --archs efficientnetlite0,vgg16 --size 64 --folds 2 --repeats 1",
        "compare all --archs efficientnetlite0 --size 64 --folds 2 --repeats 1",
    ],
    "find-lr": ["find-lr all --phase head --size 64"],
    "archs": ["archs"],
    "arch": ["archs mobilenet", "archs musictaggercrnn"],
    "inspect-h5": [
        "inspect-h5 runs/two/model.keras --arch efficientnetlite0",
        "inspect-h5 base.weights.h5 --arch efficientnetlite0",
        "inspect-h5 maps.h5 --stats",
        "inspect-h5 odd.h5 --stats",
        "inspect-h5 runs/two/model.keras --stats",
    ],
    "convert-h5": ["convert-h5 runs/two/model.keras base.weights.h5 --arch efficientnetlite0"],
    "weights": [
        "weights list",
        "weights pull efficientnetlite0 -o usb",
        "weights pull vgg16 --no-top",
        "weights install usb",
        "weights verify efficientnetlite0 base.weights.h5",
    ],
    "cache": ["cache"],
    "doctor": [],  # in an environment of its own
    "cache-clear": ["cache clear features"],
}
"""The command lines that print each document; of other documents see :func:`documents`."""
FIRST = ("finetune", "convert-h5", "part", "extract")
"""What makes the files that others read."""


@pytest.fixture(scope="module")
def documents(tmp_path_factory) -> dict[str, list[Any]]:
    """What every command prints, and the files that hold documents."""
    folder = tmp_path_factory.mktemp("documents")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing is downloaded
        make_data()
        found = {name: [printed(line) for line in LINES[name]] for name in dict.fromkeys((*FIRST, *LINES))}
        with patch.context() as broken:
            broken.setenv("TLKIT_WEIGHTS_MIRROR", "nowhere")
            found["doctor"] = [printed("doctor")]
        found["run"] = [read(path) for path in sorted(folder.glob("runs/*/run.json"))]
        found["features"] = [read(path) for path in (*folder.glob("*.npy.json"), *folder.glob("*/bottleneck_*.json"))]
        for run in ("runs/two", "runs/labels"):
            with served(folder / run) as client:
                found.setdefault("serve-model", []).append(client.get("/model").json)
                found.setdefault("serve-health", []).append(client.get("/health").json)
                found.setdefault("serve-error", []).append(client.get("/nothing").json)
                image = (folder / "demo/data/textures/train/grass/grass-00.png").read_bytes()
                found["predict"] += [client.post("/predict", image).json, client.post("/predict", b"no image").json]
        return found


def make_data() -> None:
    """Write what the command lines name, into this folder."""
    subprocess.run([sys.executable, ROOT / "examples" / "make_data.py", "demo/data"], check=True, capture_output=True)
    textures = Path("demo/data/textures")
    shutil.copytree(textures, "all")
    shutil.copytree(textures / "validation", "all/test")
    for folder in ("all/train/grass", "all/test/grass", "strange"):
        Path(folder).mkdir(exist_ok=True)
        Path(folder, "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
        Path(folder, "notes.txt").write_text("no image")
    shutil.copy("demo/data/photos/coffee.png", "strange")
    Path("plain").mkdir()
    shutil.copytree("all", "odd")  # a copy in another split, a wrong label, a stranger, a tiny image
    shutil.copy(textures / "train/grass/grass-00.png", "odd/validation/grass/copy.png")
    shutil.copy(textures / "train/brick/brick-01.png", "odd/train/gravel/brick.png")
    shutil.copy("demo/data/photos/coffee.png", "odd/train/grass/coffee.png")
    Image.new("RGB", (3, 3)).save("odd/train/grass/tiny.png")
    names = [path for kind in ("brick", "grass") for path in sorted(textures.glob(f"train/{kind}/*.png"))]
    rows = [f"{path},{path.parent.name}{'|rough' if number % 2 else ''}" for number, path in enumerate(names)]
    Path("labels.csv").write_text("\n".join(["path,labels", *rows]))
    with h5py.File("odd.h5", "w") as file:
        file["numbers"] = np.array([1.0, np.inf, np.nan])
        file["link"] = h5py.SoftLink("/numbers")
        file.attrs["long"] = h5py.Empty("f")
        file.attrs["reference"] = file["numbers"].ref


def printed(line: str) -> Any:
    """Return the document that a command line prints."""
    flag = {"bottleneck": "--json", "export": ""}.get(line.split()[0], "--format json")
    ran = invoke("-q", *shlex.split(line), *flag.split())
    assert ran.out.startswith(("{", "[")), f"tlkit {line}\n{ran.err}"
    return ran.json


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def errors(name: str, document: Any) -> list[str]:
    found = Draft202012Validator(SCHEMAS[name], registry=REGISTRY).iter_errors(document)
    return [f"{error.json_path}: {error.message}"[:300] for error in found]


DOCUMENTS = sorted({*SCHEMAS} - NO_DOCUMENTS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_are_as_the_schema_has_them(documents, name):
    assert documents.get(name), f"no command line in LINES prints {name}"
    for document in documents[name]:
        assert not errors(name, document)


NAMES_OF_DATA = {
    "left_out", "conversions", "splits", "images", "data", "data.train", "data.validation", "data.test", "arguments",
    "versions", "features.augment", "cache.bytes", "weights.architectures", "keras.content", "environment.variables",
    "environment.proxies",
}  # fmt: skip
"""Objects whose own keys are names out of the data."""


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_key_that_is_not_explained_is_an_error(documents, name):
    for document in documents[name]:
        for path, found in dict(objects_in(document)).items():
            found["planted"] = 1
            noticed = errors(name, document)
            del found["planted"]
            of_data = path in NAMES_OF_DATA or path.endswith((".conversions", ".value"))
            assert noticed or of_data, f"{name}: a key inside {path}"


def objects_in(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object of a document, with the keys that lead to it."""
    if isinstance(value, dict):
        yield path, value
        for key, inner in value.items():
            yield from objects_in(inner, f"{path}.{key}".strip("."))
    elif isinstance(value, list):
        for inner in value:
            yield from objects_in(inner, path)


def test_every_key_that_is_explained_is_in_a_document(documents):
    seen: set[int] = set()

    def properties(validator: Any, keys: Any, instance: Any, schema: Any) -> Any:
        if isinstance(instance, dict):
            seen.update(id(inner) for key, inner in keys.items() if key in instance)
        return Draft202012Validator.VALIDATORS["properties"](validator, keys, instance, schema)

    recording = extend(Draft202012Validator, {"properties": properties})
    for name in DOCUMENTS:
        for document in documents[name]:
            assert recording(SCHEMAS[name], registry=REGISTRY).is_valid(document)
    never = [
        f"{name}: {'.'.join(path)}"
        for name in {*SCHEMAS} - {"options"}
        for path, inner in keys_of(SCHEMAS[name], ())
        if id(inner) not in seen
    ]
    assert not never


def keys_of(schema: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every key that a schema explains, with what it says of it."""
    if isinstance(schema, dict):
        for word, inner in schema.items():
            if word == "properties":
                for key, value in inner.items():
                    yield (*path, key), value
                    yield from keys_of(value, (*path, key))
            else:
                yield from keys_of(inner, path)
    elif isinstance(schema, list):
        for inner in schema:
            yield from keys_of(inner, path)


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_schemas_are_schemas_and_explain_every_key(name):
    schema = SCHEMAS[name]
    Draft202012Validator.check_schema(schema)
    assert (schema["$id"], bool(schema["description"])) == (f"{name}.schema.json", True)
    unexplained = ["$ref" in value or value.get("description") for _, value in keys_of(schema, ())]
    assert all(unexplained)
    resolver = REGISTRY.resolver(base_uri=schema["$id"])
    for reference in references(schema):
        assert resolver.lookup(reference).contents.get("description"), reference


def references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from (value for key, value in schema.items() if key == "$ref" and "properties/" not in value)
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from references(inner)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_prints_json_has_a_schema(name):
    command = main.get_command(click.Context(main), name)
    params = [param for one in (command, *getattr(command, "commands", {}).values()) for param in one.params]
    prints = name == "export" or any(
        "json" in getattr(param.type, "choices", ()) or "--json" in param.opts for param in params
    )
    assert prints == (name not in NO_JSON)
    if prints:
        assert name in SCHEMAS, f"tlkit {name} prints JSON: explain its keys in docs/schemas/{name}.schema.json"
        assert name in LINES, f"tlkit {name} prints JSON: add a command line to LINES"


def test_answers_of_the_server_are_those_of_its_openapi_document(documents):
    from tlkit.serving.limits import Limits
    from tlkit.serving.openapi import document

    known = document(Limits())["components"]["schemas"]
    for name, other in (("serve-model", "Model"), ("serve-health", "Health"), ("serve-error", "Error")):
        assert known[other]["properties"].keys() == SCHEMAS[name]["properties"].keys()
    assert {*known["Prediction"]["properties"], "error"} == {*SCHEMAS["predict"]["items"]["properties"]} - {
        "explanation"
    }


class Core(yaml.SafeLoader):
    """Reads numbers and truth values as editors do, by YAML 1.2."""

    yaml_implicit_resolvers: ClassVar = {}


for kind, pattern, first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"({pattern})$"), first)


FILES = [*ROOT.glob("configs/*.yaml"), *ROOT.glob("tlkit/recipes/*.yaml")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_of_options_are_as_the_schema_has_them(path):
    assert not errors("options", yaml.load(path.read_text("utf-8"), Loader=Core))


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("epochs: 3", True),
        ("epochs: '3'", True),
        ("epochs: three", False),
        ("epochs: -1", False),
        ("epochs: 2.5", False),
        ("epochs: [3]", False),
        ("epochs:", False),
        ("epoch: 3", False),
        ("finetune_epochs: 3", True),
        ("lr: 0.001", True),
        ("lr: 1e-3", True),
        ("lr: auto", True),
        ("lr: automatic", False),
        ("lr: 0", False),
        ("dropout: 0.5", True),
        ("dropout: 1", False),
        ("recipe: 2017", True),
        ("recipe: '2017'", True),
        ("recipe: 2018", False),
        ("ema: true", True),
        ("ema: Yes", True),
        ("ema: 'ON'", True),
        ("ema: 1", False),
        ("size: 224", True),
        ("size: 160x224", True),
        ("size: 160 x 224", False),
        ("size: 5000", False),
        ("freeze: 172", True),
        ("freeze: mixed8", True),
        ("device: gpu:1", True),
        ("device: tpu", False),
        ("output: 2017", True),
        ("head: dens", False),
        ("", True),
    ],
)
def test_an_editor_and_tlkit_find_the_same_files_right(tmp_path, text, right):
    from tlkit.config import FinetuneConfig
    from tlkit.utils.options import options_of

    assert (not errors("options", yaml.load(text, Loader=Core))) == right
    path = tmp_path / "options.yaml"
    path.write_text(text)
    items = {item.flag[2:]: item for item in options_of(FinetuneConfig)}
    try:
        for name, value in read_options(path, items).items():
            items[name].check(items[name].parse(value))
    except ConfigError:
        assert not right
    else:
        assert right
