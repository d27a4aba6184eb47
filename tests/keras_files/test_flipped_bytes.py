"""One byte of a small file changed, anywhere: a result or one line, and never the end of the process."""

import signal

import numpy as np
import pytest
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
from tlkit.keras_files.load_model import load_model

from tlkit.commands.inspect_h5 import _inspect
from tlkit.config import InspectConfig, LoadOptions
from tlkit.errors import TlkitError
from tlkit.keras_files.hdf5.subprocess_guard import run_in_subprocess, verify_readable
from tlkit.keras_files.loading.layer_spec import target_layers
from tlkit.keras_files.loading.load import load_file

TWINS = networks.twins()
MODALITIES = {
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
INSPECTIONS, BATCH, LOADS = 2_000, 50, 80


def broken_copies(tmp_path, kind, count):
    """Files with one byte changed, the same at every run."""
    write, options = MODALITIES[kind]
    data = write(tmp_path / "whole", TWINS, **options).read_bytes()
    random = np.random.default_rng(list(MODALITIES).index(kind))
    for number in range(count):
        broken = bytearray(data)
        broken[random.integers(len(data))] ^= random.integers(1, 256)
        path = tmp_path / f"broken-{number}.h5"
        path.write_bytes(broken)
        yield path


def inspect(path, seconds):
    """What went wrong in another way than the documented one; None when nothing did."""
    signal.alarm(seconds)  # in the child: the end of a search that does not end
    try:
        _inspect(InspectConfig(file=str(path), stats=True), None)
    except TlkitError as error:
        return unlike_one_line(error, path)
    except Exception as error:
        return f"{path.name}: {type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
    return None


def unlike_one_line(error, path):
    fine = path.name in error.message and error.message.isprintable() and len(error.message) < 1000
    return None if fine else f"{path.name}: {error.message!r}"


def inspect_alone(path):
    try:
        return run_in_subprocess(lambda: inspect(path, 10), path)
    except TlkitError as error:  # HDF5 ended the child
        return unlike_one_line(error, path) if "SIGALRM" not in error.message else f"{path.name} does not end"


@pytest.mark.parametrize("kind", MODALITIES)
def test_inspecting_ends_in_a_result_or_in_one_line(tmp_path, kind):
    paths = list(broken_copies(tmp_path, kind, INSPECTIONS // len(MODALITIES)))
    wrong = []
    for start in range(0, len(paths), BATCH):
        batch = paths[start : start + BATCH]
        try:
            wrong += run_in_subprocess(lambda batch=batch: [inspect(path, 10) for path in batch], batch[0])
        except TlkitError:
            wrong += map(inspect_alone, batch)
    assert list(filter(None, wrong)) == []


@pytest.mark.parametrize("kind", MODALITIES)
def test_loading_ends_in_weights_or_in_one_line(tmp_path, kind):
    """In this process, as the commands do it: what would end it is found before, in another."""
    into = keras_model(TWINS)
    wrong = []
    for path in broken_copies(tmp_path, kind, LOADS // len(MODALITIES)):
        try:
            verify_readable(path)
            if "model" in kind or kind == "archive":
                load_model(path)
            else:
                load_file(path, target_layers(into), LoadOptions(), into="the network")
        except TlkitError as error:
            wrong.append(unlike_one_line(error, path))
        except Exception as error:
            wrong.append(f"{path.name}: {type(error).__name__}: {error}")
    assert list(filter(None, wrong)) == []
