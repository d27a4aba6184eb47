"""Benchmarks run by hand: this holds that what they import from tlkit exists."""

import ast
import importlib
from pathlib import Path

import pytest


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.glob("[!t]*.py")), ids=lambda path: path.name)
def test_what_a_benchmark_imports_exists(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("tlkit"):
            module = importlib.import_module(node.module)
            assert [name.name for name in node.names if not hasattr(module, name.name)] == []
