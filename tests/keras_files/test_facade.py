"""`tlkit.keras_files`: one module to import from, and nothing heavy behind its name."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from keras_writers import networks
from keras_writers.dialects import write_full_keras1

import tlkit
from tlkit import keras_files

ROOM = Path(keras_files.__file__).parent
HDF5 = {"tlkit.keras_files.hdf5.links", "tlkit.keras_files.hdf5.attributes"}
"""Safe access to the groups of an open file, for who keeps more than weights in HDF5: features."""


def test_importing_it_imports_nothing_heavy():
    code = (
        "import tlkit.keras_files, sys; print({'h5py', 'numpy', 'keras', 'tensorflow', 'subprocess'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_every_name_is_there_for_type_checkers_and_at_run_time():
    tree = ast.parse((ROOM / "__init__.py").read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    declared = {
        name.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for name in node.names
    }
    assert declared == {name: f"tlkit.keras_files.{module}" for name, module in keras_files._MODULES.items()}
    for name, module in declared.items():
        assert getattr(keras_files, name) is getattr(sys.modules[module], name)
    assert dir(keras_files) == sorted(declared)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = keras_files.nonsense


def test_other_rooms_import_from_the_facade():
    below = {"cli", "commands"}  # they print and return the types of this room
    imports = {
        (str(path.relative_to(ROOM.parent)), module)
        for path in Path(tlkit.__file__).parent.rglob("*.py")
        if ROOM not in path.parents and path.relative_to(ROOM.parent).parts[0] not in below
        for module in re.findall(r"from (tlkit\.keras_files\.[\w.]+) import", path.read_text("utf-8"))
    }
    assert {module for _, module in imports} <= HDF5, imports


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_full_keras1(Path("model_2016.h5"), networks.small())
    text = (ROOM / "README.md").read_text("utf-8")
    code, printed = re.search(r"```python\n(.*?)```\n+```text\n(.*?)```", text, re.DOTALL).groups()
    exec(code, {})
    assert capsys.readouterr().out == printed
