"""TensorFlow starts while the frozen part is computed."""

import subprocess
import sys

import pytest
from helpers.program import environment

SHOWN = """
import os, sys, time
from tlkit.training.start_keras import keras_starting
before = sys.stderr
with keras_starting("openvino"):
    while "tensorflow" not in sys.modules:
        time.sleep(0.01)
    print("of Python", file=sys.stderr)
    os.write(2, b"of C++\\n")
assert "keras" in sys.modules
assert sys.stderr is before
print("the end", file=sys.stderr)
"""
PREPARED = """
import sys
import tlkit.commands.finetune as finetune
from contextlib import contextmanager

@contextmanager
def not_starting(engine):
    yield
    print(sorted({"tensorflow", "keras"} & {*sys.modules}), file=sys.stderr)
    raise SystemExit

finetune.keras_starting = not_starting
from tlkit.__main__ import main
main()
"""


def run(script, *arguments, **more):
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, env=environment(**more), capture_output=True, text=True, timeout=120)


@pytest.mark.every
def test_what_tlkit_prints_meanwhile_is_shown():
    done = run(SHOWN)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["of Python", "the end"]


@pytest.mark.every
def test_an_error_meanwhile_is_shown():
    done = run(SHOWN.replace('os.write(2, b"of C++\\n")', 'raise OSError("no such disk")'))
    assert done.returncode == 1
    assert "no such disk" in done.stderr


def test_the_frozen_part_needs_no_tensorflow(textures, tmp_path):
    done = run(PREPARED, "finetune", textures, "-o", tmp_path / "run", "--size", "64", "--freeze", "block5c_add")
    assert done.stderr.splitlines()[-1] == "[]", done.stderr
