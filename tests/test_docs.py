"""The README is true: its commands run, and print what it says.

Run this file as a program to write what they print today into the README.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
CONSOLE = re.compile(r"```console\n\$ (?P<command>.+)\n(?P<output>(?:.*\n)*?)```")
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)

pytestmark = pytest.mark.docs


def prepare(folder: Path) -> None:
    """What `make demo` writes, and the project's own folders that the README names."""
    subprocess.run([sys.executable, ROOT / "examples" / "make_data.py", "demo/data"], cwd=folder, check=True)
    shutil.copytree(ROOT / "configs", folder / "configs")


def run(command: str, folder: Path) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        shlex.split(command), cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def comparable(command: str, output: str) -> list[str]:
    """Lines without what differs between machines: seconds, and the digits of a training and of what it made."""
    if "--model" in command:
        output = re.sub(r" *\d+\.\d%", " #%", output)
    output = re.sub(r" *\d+\.\d s\b", " # s", output)
    # of epochs that are equally good, the last digit of a loss decides
    output = re.sub(r"^Restoring the weights of .*\n", "", output, flags=re.M)
    output = re.sub(r"^Fine-tuning.*", "Fine-tuning", output, flags=re.M)
    output = re.sub(r"(loss|accuracy|acc) \d+\.\d+", r"\1 #", output)
    return [line.rstrip() for line in output.splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("readme")
    prepare(made)
    return made


def test_every_console_example_prints_what_the_readme_says(folder):
    examples = list(CONSOLE.finditer(README.read_text("utf-8")))
    assert len(examples) >= 3
    for example in examples:
        command, shown = example["command"], example["output"]
        assert comparable(command, run(command, folder)) == comparable(command, shown), command


def test_the_python_examples_run(folder):
    run("tlkit bottleneck demo/data/textures -o features", folder)
    shown = ""
    for code in PYTHON.findall(README.read_text("utf-8")):
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, text=True, capture_output=True, check=True)
        shown += done.stdout
    assert "coffee.png espresso" in shown
    assert shown.startswith("1.0")  # what scikit-learn makes of the bottleneck features


def test_the_examples_run(folder):
    script = ROOT / "examples" / "library.py"
    done = subprocess.run([sys.executable, script], cwd=folder, text=True, capture_output=True, check=True)
    assert done.stdout.splitlines()[1] == "coffee.png espresso"
    assert done.stdout.splitlines()[-1] == "grass-00.png grass"
    notebook = json.loads((ROOT / "examples" / "library.ipynb").read_text("utf-8"))
    assert (notebook["nbformat"], not any(cell.get("outputs") for cell in notebook["cells"])) == (4, True)
    code = "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, text=True, capture_output=True, check=True)
    assert "engine is 'opnvino'; expected auto, keras or openvino. Did you mean openvino?" in done.stdout


def test_the_scripts_for_many_machines_give_what_one_gives(folder, tmp_path):
    text = (ROOT / "docs" / "machines.md").read_text("utf-8")
    slurm = re.search(r"```bash\n(#!/bin/bash\n.*?)```", text, re.DOTALL)[1]
    kubernetes = re.search(r'command: \[sh, -c, "(.*?)"\]', text)[1]
    shutil.copytree(folder / "demo", tmp_path / "demo")
    run("tlkit extract demo/data/photos -o one.npy", tmp_path)
    for variable, script, numbers in (
        ("SLURM_ARRAY_TASK_ID", slurm, (3, 1, 2)),
        ("JOB_COMPLETION_INDEX", kubernetes, (0, 1, 2)),
    ):
        for number in numbers:
            run(f"env {variable}={number} sh -c {shlex.quote(script)}", tmp_path)
        run("tlkit extract demo/data/photos -o photos.npy --merge", tmp_path)
        assert (tmp_path / "photos.npy").read_bytes() == (tmp_path / "one.npy").read_bytes()
        (tmp_path / "photos.npy").unlink()
        (tmp_path / "photos.npy.json").unlink()


def test_every_option_the_readme_names_exists():
    from tlkit.cli import main

    commands = {name: main.get_command(None, name) for name in main.list_commands(None)}
    inner = [one for command in commands.values() for one in getattr(command, "commands", {}).values()]
    text = README.read_text("utf-8")
    options = {
        option
        for command in (main, *commands.values(), *inner)
        for param in command.params
        for option in (*param.opts, *param.secondary_opts)
    }
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) <= options | {"--help"}
    mentioned = set(re.findall(r"(?:^\$ |^    |`)tlkit ([a-z][a-z0-9-]*)", text, re.MULTILINE))
    assert mentioned == set(commands)


def test_numbers_in_the_readme():
    from tlkit.architectures.registry.lookup import all_architectures
    from tlkit.data.images.decode import MAX_PIXELS
    from tlkit.data.url import LIMITS

    text = README.read_text("utf-8")
    assert f"{len(all_architectures())} networks" in text
    assert f"{MAX_PIXELS // 10**6} million pixels" in text
    assert f"({LIMITS.seconds:.0f} seconds, {LIMITS.max_bytes // 10**6} MB)" in text


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name))
        text = README.read_text("utf-8")
        README.write_text(
            CONSOLE.sub(
                lambda match: f"```console\n$ {match['command']}\n{run(match['command'], Path(name))}```", text
            ),
            "utf-8",
        )
