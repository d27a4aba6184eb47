"""Pages of the documentation are as the code has it, and none is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tlkit
from tlkit.cli import COMMANDS

pytestmark = pytest.mark.docs

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def generate(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "docs" / "generate.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=60)


def test_pages_do_not_differ_from_the_code():
    done = generate("--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture
def page(tmp_path) -> Path:
    path = tmp_path / "predict.md"
    path.write_text(
        (REFERENCE / "commands" / "predict.md").read_text("utf-8").replace("Number of", "How many"), "utf-8"
    )
    return path


def test_a_page_that_differs_is_named_and_mended(page):
    before = page.read_text("utf-8")
    done = generate("--check", page)
    assert (done.returncode, page.read_text("utf-8")) == (1, before)
    assert done.stdout == f"{page} differs from the code.\nRun `python docs/generate.py`, and look at what changed.\n"
    assert generate(page).stdout == f"{page} is written.\n"
    assert page.read_text("utf-8") == (REFERENCE / "commands" / "predict.md").read_text("utf-8")
    assert generate("--check", page).returncode == 0


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        ("comand predict -->\n<!-- end -->", "there is no region 'comand'; expected architectures, "),
        ("command predct -->\n<!-- end -->", "there is no command 'predct'"),
        ("command predict -->\n", "a generated region has no <!-- end -->"),
    ],
)
def test_a_wrong_mark_is_named(tmp_path, mark, reason):
    path = tmp_path / "page.md"
    path.write_text(f"# Page\n\n<!-- generated: {mark}\n", "utf-8")
    done = generate(path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {path}: {reason}")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_page(name):
    path = REFERENCE / "commands" / f"{name}.md"
    assert path.exists(), f"tlkit {name} has no page {path.relative_to(ROOT)}; see those of other commands"
    text = path.read_text("utf-8")
    for part in (f"# tlkit {name}\n", f"<!-- generated: command {name} -->", "\n## Example"):
        assert part in text, f"{path.relative_to(ROOT)} lacks {part.strip()}"


def test_every_function_is_on_the_page_of_python():
    text = (REFERENCE / "python.md").read_text("utf-8")
    missing = [
        name for name in tlkit.__all__ if name != "TlkitError" and f".. autofunction:: tlkit.{name}\n" not in text
    ]
    assert not missing, f"docs/reference/python.md lacks {', '.join(missing)}"


def test_every_schema_is_on_a_page():
    text = "".join(path.read_text("utf-8") for path in REFERENCE.rglob("*.md"))
    for path in (ROOT / "docs" / "schemas").glob("*.schema.json"):
        name = path.name.removesuffix(".schema.json")
        mark = "<!-- generated: option-keys" if name == "options" else f"<!-- generated: json {name} "
        assert mark in text, f"no page of docs/reference/ has {mark}-->"
