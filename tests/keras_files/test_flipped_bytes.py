"""One byte of a small file changed, anywhere: a result or one line, and never the end of the process."""

import numpy as np
import pytest
from helpers.inspecting import inspect, inspect_each, unlike_one_line
from keras_writers import networks
from keras_writers.building import keras_model
from keras_writers.dialects import (
    write_full_keras1,
    write_full_keras2,
    write_full_keras3h5,
    write_keras1,
    write_keras2,
    write_keras3_weights,
    write_keras_archive,
    write_nb_layers,
    write_tf_keras_weights,
)

from tlkit.errors import TlkitError
from tlkit.keras_files import load_model, load_weights, run_in_subprocess

TWINS = networks.twins()
DIALECTS = {
    "nb_layers": (write_nb_layers, {}),
    "keras1": (write_keras1, {}),
    "keras1 model": (write_full_keras1, {}),
    "keras2": (write_keras2, {"version": "2.12.0"}),
    "keras2 nested": (write_keras2, {"nested": "base", "frozen": ("bn1",), "split": 2}),
    "keras2 model": (write_full_keras2, {"version": "2.15.0"}),
    "keras3 legacy model": (write_full_keras3h5, {}),
    "keras3": (write_keras3_weights, {}),
    "tf_keras": (write_tf_keras_weights, {}),
    "archive": (write_keras_archive, {}),
}
# one of today; the others by `make test-all`
FEW = {"archive"}
KINDS = [pytest.param(kind, marks=[] if kind in FEW else [pytest.mark.every]) for kind in DIALECTS]
INSPECTIONS, BATCH, LOADS = 1_000, 50, 80


def broken_copies(tmp_path, kind, count):
    """Files with one byte changed, the same at every run."""
    write, options = DIALECTS[kind]
    data = write(tmp_path / "whole", TWINS, **options).read_bytes()
    random = np.random.default_rng(list(DIALECTS).index(kind))
    for number in range(count):
        broken = bytearray(data)
        broken[random.integers(len(data))] ^= random.integers(1, 256)
        path = tmp_path / f"broken-{number}.h5"
        path.write_bytes(broken)
        yield path


def inspect_alone(path):
    try:
        return run_in_subprocess(inspect, path, 10, path=path)
    except TlkitError as error:  # HDF5 ended the process
        return unlike_one_line(error, path) if "SIGALRM" not in error.message else f"{path.name} does not end"


@pytest.mark.parametrize("kind", KINDS)
def test_inspecting_ends_in_a_result_or_in_one_line(tmp_path, kind):
    paths = list(broken_copies(tmp_path, kind, INSPECTIONS // len(DIALECTS)))
    wrong = []
    for start in range(0, len(paths), BATCH):
        batch = paths[start : start + BATCH]
        try:
            wrong += run_in_subprocess(inspect_each, batch, 10, path=batch[0])
        except TlkitError:
            wrong += map(inspect_alone, batch)
    assert list(filter(None, wrong)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_loading_ends_in_weights_or_in_one_line(tmp_path, kind):
    """In this process, as the commands do it: what would end it is found before, in another."""
    into = keras_model(TWINS)
    wrong = []
    for path in broken_copies(tmp_path, kind, LOADS // len(DIALECTS)):
        try:
            if "model" in kind or kind == "archive":
                load_model(path)
            else:
                load_weights(into, path)
        except TlkitError as error:
            wrong.append(unlike_one_line(error, path))
        except Exception as error:
            wrong.append(f"{path.name}: {type(error).__name__}: {error}")
    assert list(filter(None, wrong)) == []
