"""The examples run: the script, the notebook, and the scripts for schedulers of many machines."""

import json
import re
import shlex
import shutil

import pytest
from helpers import pages
from helpers.pages import ROOT, Step

pytestmark = pytest.mark.docs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    pages.prepare(folder)
    return folder


def test_the_script_runs(folder):
    lines = pages.run(Step((ROOT / "examples" / "library.py").read_text("utf-8")), folder).splitlines()
    assert "coffee.png espresso" in lines
    assert lines[-1] == "grass-00.png grass"


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.ipynb")), ids=lambda path: path.name)
def test_a_notebook_runs(path, folder):
    notebook = json.loads(path.read_text("utf-8"))
    assert (notebook["nbformat"], not any(cell.get("outputs") for cell in notebook["cells"])) == (4, True)
    code = "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
    printed = pages.run(Step(code), folder)
    assert "engine is 'opnvino'; expected auto, keras or openvino. Did you mean openvino?" in printed


def test_scripts_for_many_machines_give_what_one_gives(folder, tmp_path):
    text = (ROOT / "docs" / "guides" / "many-machines.md").read_text("utf-8")
    slurm = re.search(r"```bash\n(#!/bin/bash\n.*?)```", text, re.DOTALL)[1]
    kubernetes = re.search(r'command: \[sh, -c, "(.*?)"\]', text)[1]
    shutil.copytree(folder / "demo", tmp_path / "demo")
    pages.run(Step("tlkit extract demo/data/photos -o one.npy", ""), tmp_path)
    for variable, script, numbers in (
        ("SLURM_ARRAY_TASK_ID", slurm, (3, 1, 2)),
        ("JOB_COMPLETION_INDEX", kubernetes, (0, 1, 2)),
    ):
        for number in numbers:
            pages.run(Step(f"env {variable}={number} sh -c {shlex.quote(script)}", ""), tmp_path)
        pages.run(Step("tlkit extract demo/data/photos -o photos.npy --merge", ""), tmp_path)
        assert (tmp_path / "photos.npy").read_bytes() == (tmp_path / "one.npy").read_bytes()
        (tmp_path / "photos.npy").unlink()
        (tmp_path / "photos.npy.json").unlink()
