import json
import os

import keras
import pytest

from tlkit.errors import RunError
from tlkit.training.run_folder import (
    MODEL,
    RunRecord,
    load_model,
    read_run,
    verified_digest,
    write_model,
    write_record,
)
from tlkit.utils.hashing import file_digest


@pytest.mark.parametrize("record", ["{}", "not json", "[1]", json.dumps({"architecture": "x"})])
def test_a_record_that_makes_no_sense_is_refused(tmp_path, record):
    (tmp_path / "model.keras").touch()
    (tmp_path / "run.json").write_text(record)
    with pytest.raises(RunError, match=r"run\.json"):
        read_run(tmp_path)


def test_what_is_no_run_says_how_to_make_one(tmp_path):
    for folder, says in ((tmp_path / "nothing", "no run folder"), (tmp_path, "not a finished run")):
        with pytest.raises(RunError, match=says) as caught:
            read_run(folder)
        assert "tlkit finetune" in caught.value.hint


def test_an_unfinished_run_says_how_to_resume_it(tmp_path):
    (tmp_path / "unfinished.json").write_text("{}")
    with pytest.raises(RunError, match="not finished") as caught:
        read_run(tmp_path)
    assert caught.value.hint == f"Resume it: tlkit finetune --resume {tmp_path}"


# -- the digest of the model -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    return keras.Sequential([keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])


@pytest.fixture
def run(tmp_path, model):
    """A run folder with the model and the digest in its record."""
    folder = tmp_path / "run"
    folder.mkdir()
    write_model(folder, model.save, [])
    record = RunRecord(
        architecture="toy", classes=["a", "b"], preprocessing="tf", size=(8, 8), resize="squash", weights={}, head={},
        freeze={}, arguments={}, versions={}, created="", data={}, results={}, model_digest=file_digest(folder / MODEL),
    )  # fmt: skip
    write_record(folder, record)
    return folder


def other(path, model):
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]).save(path)


def flipped(path, model):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def in_a_new_archive(path, model):
    """Another weight, and a CRC-32 that is right."""
    kernel, bias = model.get_weights()
    changed = keras.models.clone_model(model)
    changed.set_weights([kernel, bias + 1])
    changed.save(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (other, "is not the model that this run saved"),
        (in_a_new_archive, "is not the model that this run saved"),
        (flipped, "is damaged"),
        (lambda path, model: os.truncate(path, 2000), "is a damaged archive: it is cut short"),
        (lambda path, model: path.write_bytes(b""), "it is empty"),
        (lambda path, model: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "a Git LFS pointer"),
    ],
)
def test_a_model_that_is_not_the_one_that_was_saved_is_refused(run, model, change, says):
    assert verified_digest(run, read_run(run)) == file_digest(run / MODEL)
    change(run / MODEL, model)
    for read in (verified_digest, load_model):
        with pytest.raises(RunError, match=says) as caught:
            read(run, read_run(run))
        assert str(run / MODEL) in caught.value.message


def test_a_run_without_a_digest_is_read_and_its_archive_compared(run, model):
    record = json.loads((run / "run.json").read_text())
    del record["model_digest"]  # of an older tlkit
    (run / "run.json").write_text(json.dumps(record))
    assert verified_digest(run, read_run(run)).startswith("sha256:")
    loaded = load_model(run, read_run(run))
    assert [array.tolist() for array in loaded.get_weights()] == [array.tolist() for array in model.get_weights()]
    flipped(run / MODEL, model)
    with pytest.raises(RunError, match="is damaged"):
        verified_digest(run, read_run(run))


def test_a_digest_that_makes_no_sense_is_refused(run):
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "model_digest": 7}))
    with pytest.raises(RunError, match="not a valid record"):
        read_run(run)
