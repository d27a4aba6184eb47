import json

import pytest

from tlkit.errors import RunError
from tlkit.training.run_folder import claim_folder, read_run


def test_a_new_run_takes_the_next_free_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    taken = []
    for _ in range(3):
        with claim_folder(None, "net") as folder:
            (folder / "x").touch()
            taken.append(str(folder))
    assert taken == ["runs/net-1", "runs/net-2", "runs/net-3"]


def test_an_old_run_is_never_written_into(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.keras").touch()
    with pytest.raises(RunError, match="not empty"), claim_folder(str(tmp_path / "run"), "net"):
        pass


def test_a_failed_run_leaves_no_empty_folder(tmp_path):
    with pytest.raises(KeyError), claim_folder(str(tmp_path / "run"), "net"):
        raise KeyError
    assert not (tmp_path / "run").exists()


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


def test_two_runs_cannot_have_one_folder(tmp_path):
    with claim_folder(str(tmp_path / "run"), "net") as folder:
        with pytest.raises(RunError, match="another run is being written"), claim_folder(str(folder), "net"):
            pass
        (folder / "model.keras").touch()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["model.keras"]


def test_an_empty_folder_that_was_there_stays(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(KeyError), claim_folder(str(tmp_path / "run"), "net"):
        raise KeyError
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("way", ["file", "dangling"])
def test_a_file_in_the_way_is_said(tmp_path, monkeypatch, way):
    monkeypatch.chdir(tmp_path)
    if way == "file":
        (tmp_path / "runs").touch()
    else:
        (tmp_path / "runs").symlink_to("nowhere")
    for output in (None, "runs"):
        with pytest.raises(RunError), claim_folder(output, "net"):
            pass
