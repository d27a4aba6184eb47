import json

import pytest

from tlkit.errors import RunError
from tlkit.training.run_folder import read_run


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
