"""How the code is put together: imports point one way."""

import ast
import re
from pathlib import Path

import pytest

import tlkit

pytestmark = pytest.mark.structure

ROOT = Path(tlkit.__file__).parent
# The house, from the top down: a module imports its own room and those further down. Rooms on one storey know nothing
# of each other.
STOREYS = [
    {"cli"},
    {"api"},
    {"commands"},
    {"serving", "exporting"},
    {"training"},
    {"distributed"},
    {"features"},
    {"inference", "architectures", "reporting", "analysis"},
    {"data"},
    {"downloads"},
    {"keras_files"},
    {"backend"},
    {"config"},
    {"config_file"},
    {"utils", "keras_private"},
    {"errors"},
    {"__init__"},
]
MOST_FOLDERS = 18
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
BELOW = [path for path in FILES if path != ROOT / "__init__.py"]  # which imports the API, at first use


@pytest.mark.parametrize("path", BELOW, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    relative = path.relative_to(ROOT)
    own = relative.parts[0].removesuffix(".py")
    if own == "__main__":
        own = "cli"
    for module in imports(path):
        other = room(module)
        assert other == own or HEIGHT[other] < HEIGHT[own], f"{relative} ({own}) imports {module}"


def test_the_house_holds_exactly_these_rooms():
    modules = {path.stem for path in ROOT.glob("*.py")} - {"__main__"}
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert modules | folders == {*HEIGHT}
    assert len(folders) <= MOST_FOLDERS


def test_only_one_place_knows_click():
    knows = {path.relative_to(ROOT).parts[0] for path in FILES if "import click" in path.read_text("utf-8")}
    assert knows == {"cli"}


def test_tensorflow_by_name_only_where_keras_has_no_word():
    by_name = {
        str(path.relative_to(ROOT)) for path in FILES if re.search(r"(import|from) tensorflow", path.read_text("utf-8"))
    }
    assert by_name == {"backend.py", "keras_private.py"}


# Names of other objects that begin with an underscore and are public all the same.
PUBLIC = {"_replace", "_exit"}


def private_names(path: Path):
    """Underscored attributes of objects that the module does not define, and imports from ``keras.src``."""
    tree = ast.parse(path.read_text("utf-8"))
    own = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
            own.add(node.attr)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr) and node.attr not in own | PUBLIC:
            yield node.attr
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "hasattr", "setattr"):
            yield from (arg.value for arg in node.args[1:2] if re.match("_[^_]", str(getattr(arg, "value", ""))))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras.src"):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("keras.src"))


def test_what_the_tests_import_first_is_on_every_system():
    """A module that cannot be imported ends the tests of Windows before the first."""
    tests = Path(__file__).parent
    for path in {*tests.rglob("*.py")} - {*tests.glob("benchmarks/*")}:
        for node in ast.parse(path.read_text("utf-8")).body:
            names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not {"fcntl", "grp", "pty", "pwd", "resource", "termios"}.intersection(names), path


def test_private_keras_is_used_in_one_module():
    private = {(str(path.relative_to(ROOT)), name) for path in FILES for name in private_names(path)}
    assert {name for path, name in private if path == "keras_private.py"} >= {"_nodes_by_depth", "_keras_history"}
    assert not {(path, name) for path, name in private if path != "keras_private.py"}


def test_keras_private_is_checked_on_the_versions_that_are_admitted():
    text = (ROOT / "keras_private.py").read_text("utf-8")
    checked = re.search(r"Checked on Keras (\d+)\.(\d+)\.(\d+)\.", text)
    major, minor, patch = map(int, checked.groups())
    pyproject = (ROOT.parent / "pyproject.toml").read_text("utf-8")
    assert f'"keras>={major}.{minor}.{patch},<{major}.{minor + 1}"' in pyproject
