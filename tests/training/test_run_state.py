import pytest

from tlkit.config import FinetuneConfig
from tlkit.errors import RunError
from tlkit.training.run_state import RunState, create_run_dir, open_interrupted_run, read_state, write_state


def test_a_new_run_takes_the_next_free_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    taken = []
    for _ in range(3):
        with create_run_dir(None, "net") as folder:
            (folder / "x").touch()
            taken.append(str(folder))
    assert taken == ["runs/net-1", "runs/net-2", "runs/net-3"]


def test_an_old_run_is_never_written_into(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.keras").touch()
    with pytest.raises(RunError, match="not empty"), create_run_dir(str(tmp_path / "run"), "net"):
        pass


def test_a_failed_run_leaves_no_empty_folder(tmp_path):
    with pytest.raises(KeyError), create_run_dir(str(tmp_path / "run"), "net"):
        raise KeyError
    assert not (tmp_path / "run").exists()


def test_two_runs_cannot_have_one_folder(tmp_path):
    with create_run_dir(str(tmp_path / "run"), "net") as folder:
        with pytest.raises(RunError, match="Another tlkit process is using"), create_run_dir(str(folder), "net"):
            pass
        (folder / "model.keras").touch()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["model.keras"]


def test_an_empty_folder_that_was_there_stays(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(KeyError), create_run_dir(str(tmp_path / "run"), "net"):
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
        with pytest.raises(RunError), create_run_dir(output, "net"):
            pass


def test_a_run_that_was_broken_off_is_kept_and_can_be_taken_up(tmp_path):
    config = FinetuneConfig(data="data", size=(64, 96), weights="w.h5", by_name=True)
    with pytest.raises(KeyboardInterrupt), create_run_dir(str(tmp_path / "run"), "net") as folder:
        write_state(folder, RunState(config, {}, None, 0, "digest"))
        raise KeyboardInterrupt
    with pytest.raises(RunError, match="interrupted") as caught, create_run_dir(str(tmp_path / "run"), "net"):
        pass
    assert "--resume" in caught.value.hint
    with open_interrupted_run(tmp_path / "run") as folder:
        found = read_state(folder).config
        with pytest.raises(RunError, match="Another tlkit process is using"), open_interrupted_run(tmp_path / "run"):
            pass
    assert found.size == (64, 96)
    assert found.by_name
    assert found.data.endswith("/data")
    assert found.weights.endswith("/w.h5")
    assert found.output == str(tmp_path / "run")


def test_what_cannot_be_gone_on_with(tmp_path):
    for name, says in (
        ("nothing", "no run folder"),
        ("other", "not an interrupted run"),
        ("done", "is finished"),
    ):
        if name != "nothing":
            (tmp_path / name).mkdir()
        if name == "done":
            (tmp_path / name / "run.json").touch()
        with pytest.raises(RunError, match=says), open_interrupted_run(tmp_path / name):
            pass
    (tmp_path / "other" / "unfinished.json").write_text("{}")
    with (
        pytest.raises(RunError, match=r"unfinished\.json cannot be read"),
        open_interrupted_run(tmp_path / "other") as folder,
    ):
        read_state(folder)
