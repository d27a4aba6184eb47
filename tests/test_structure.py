"""How the code is put together: imports point one way."""

import ast
import re
from pathlib import Path

import pytest

import tlkit

pytestmark = pytest.mark.structure

ROOT = Path(tlkit.__file__).parent
# From the top down. A module imports its own folder, and folders or files further down; those that share a line
# may import each other as the second table says.
STOREYS = [
    {"cli"},
    {"recipes", "commands"},
    {"training"},
    {"features"},
    {"engines", "inference", "reporting"},
    {"looks"},
    {"architectures"},
    {"models", "images", "audio"},
    {"data"},
    {"inputs"},
    {"downloads"},
    {"weights"},
    {"keras_files"},
    {"h5"},
    {"caches"},
    {"locks", "web"},
    {"backend", "keras_home"},
    {"config_file", "files", "progress"},
    {"utils"},
    {"config"},
    {"errors", "text"},
    {"__init__"},
]
HEIGHT = {name: -number for number, names in enumerate(STOREYS) for name in names}


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(path: Path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] == "tlkit")
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "tlkit":
            if node.module == "tlkit":
                yield from (
                    f"tlkit.{name.name}" if room(f"tlkit.{name.name}") in HEIGHT else "tlkit" for name in node.names
                )
            else:
                yield node.module
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{path}: imports are absolute")


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    relative = path.relative_to(ROOT)
    own = relative.parts[0].removesuffix(".py")
    if own == "__main__":
        own = "cli"
    for module in imports(path):
        other = room(module)
        assert other == own or HEIGHT[other] < HEIGHT[own], f"{relative} ({own}) imports {module}"


def test_only_one_place_knows_click():
    knows = {path.relative_to(ROOT).parts[0] for path in FILES if "import click" in path.read_text("utf-8")}
    assert knows == {"cli"}


def test_tensorflow_by_name_only_where_keras_has_no_word():
    by_name = {
        str(path.relative_to(ROOT)) for path in FILES if re.search(r"(import|from) tensorflow", path.read_text("utf-8"))
    }
    assert by_name == {"backend.py"}
