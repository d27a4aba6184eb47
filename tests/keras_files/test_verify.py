"""Damage is found in another process, once for each file."""

import os

import numpy as np
import pytest
from keras_writers import networks
from keras_writers.building import keras_model
from keras_writers.dialects import write_full_keras2, write_keras2

from tlkit.errors import WeightsError
from tlkit.keras_files import load_model, load_weights, start_verifying, verify, verify_readable
from tlkit.utils import findings

TWINS = networks.twins()


@pytest.fixture
def started(monkeypatch):
    """The files that were read in another process, from here on."""
    paths = []

    class Call(verify.SubprocessCall):
        def __init__(self, *arguments, path, **options):
            paths.append(path.name)
            super().__init__(*arguments, path=path, **options)

    monkeypatch.setattr(verify, "SubprocessCall", Call)
    forget(monkeypatch)
    return paths


def forget(monkeypatch):
    """What a new process remembers: nothing."""
    monkeypatch.setattr(verify, "_calls", {})
    monkeypatch.setattr(verify, "_whole", {})
    monkeypatch.setattr(findings, "_recalled", {})


@pytest.fixture
def whole(tmp_path, monkeypatch):
    """A file that counts as old, though it was written just now."""
    monkeypatch.setattr(findings, "SETTLED_NS", -(10**9))
    return write_keras2(tmp_path / "whole.h5", TWINS)


def damaged(path):
    with path.open("r+b") as file:
        file.seek(-8 - 400, os.SEEK_END)
        file.write(b"\xff" * 400)
        file.truncate(path.stat().st_size - 8)
    return path


def test_a_file_found_whole_is_not_read_again(started, whole, monkeypatch):
    for _ in range(2):
        verify_readable(whole)
    forget(monkeypatch)
    verify_readable(whole)
    load_weights(keras_model(TWINS), whole)
    assert started == ["whole.h5"]


def test_a_file_that_changed_is_read_again(started, whole, monkeypatch):
    """Also one with the same size and the same modification time."""
    verify_readable(whole)
    status = whole.stat()
    with whole.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x01")
    os.utime(whole, ns=(status.st_atime_ns, status.st_mtime_ns))
    forget(monkeypatch)
    verify_readable(whole)
    assert started == ["whole.h5", "whole.h5"]


def test_a_file_that_may_still_change_is_remembered_by_this_process_only(started, whole, monkeypatch):
    monkeypatch.setattr(findings, "SETTLED_NS", 10**10)
    verify_readable(whole)
    verify_readable(whole)
    assert len(started) == 1
    forget(monkeypatch)
    verify_readable(whole)
    assert len(started) == 2


def test_a_damaged_file_is_refused_each_time(started, whole, monkeypatch):
    damaged(whole)
    for _ in range(2):
        with pytest.raises(WeightsError, match=r"whole\.h5"):
            verify_readable(whole)
    forget(monkeypatch)
    with pytest.raises(WeightsError, match=r"whole\.h5"):
        load_weights(keras_model(TWINS), whole)
    assert len(started) == 2


def test_it_goes_on_while_something_else_is_done(started, whole):
    start_verifying(whole)
    assert started == ["whole.h5"]
    verify_readable(whole)
    assert started == ["whole.h5"]


def test_a_model_is_verified_before_it_is_opened(started, tmp_path):
    path = write_full_keras2(tmp_path / "model.h5", TWINS)
    assert load_model(path).header.is_model
    assert started == ["model.h5"]


def test_a_cache_that_cannot_be_written_is_no_error(started, whole, monkeypatch, tmp_path):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "a file" / "inside"))
    verify_readable(whole)
    verify_readable(whole)
    assert started == ["whole.h5"]


def test_no_file_is_an_error(tmp_path):
    with pytest.raises(WeightsError, match="There is no file"):
        start_verifying(tmp_path / "nothing.h5")


def test_load_weights_takes_a_file_known_to_be_whole_as_it_is(started, whole):
    model = keras_model(TWINS)
    load_weights(model, whole, verify=False)
    assert started == []
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
