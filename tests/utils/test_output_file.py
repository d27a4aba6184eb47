"""What is not tlkit's stays: the rule, with each kind of thing that may be there."""

import os

import pytest

from tlkit.errors import UsageError
from tlkit.reporting.plots import FORMATS, is_plot, plot_predictions
from tlkit.utils.output_file import check_output, has_mark

MARK = "written by a test"


def own(path):
    return has_mark(path, MARK)


@pytest.fixture
def run(tmp_path):
    """A folder with the files of a finished run."""
    for name in ("model.keras", "run.json", "report.html", "mine.html"):
        (tmp_path / "run" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "run" / name).write_text(name)
    return tmp_path / "run"


def test_nothing_there_or_a_file_of_its_own_passes(tmp_path, run):
    check_output(tmp_path / "new.html", own)
    check_output(run / "new.html", own)
    for path in (tmp_path / "mine.html", run / "mine.html"):
        for text in (MARK, f"{MARK}{' ' * 200_000}", f"{' ' * 200_000}{MARK}"):
            path.write_text(text)
            check_output(path, own)


@pytest.mark.parametrize("content", ["", "precious", f"{' ' * 100_000}{MARK}{' ' * 100_000}"])
def test_a_file_of_somebody_needs_force(tmp_path, content):
    path = tmp_path / "theirs.html"
    path.write_text(content)
    with pytest.raises(UsageError) as refused:
        check_output(path, own)
    assert str(path) in refused.value.message
    assert "--force" in refused.value.hint
    check_output(path, own, force=True)
    with pytest.raises(UsageError, match="exists"):
        check_output(path)


def test_a_link_needs_force_even_to_a_file_of_its_own(tmp_path):
    (tmp_path / "mine.html").write_text(MARK)
    (tmp_path / "good").symlink_to("mine.html")
    (tmp_path / "dangling").symlink_to("nothing")
    for name in ("good", "dangling"):
        with pytest.raises(UsageError, match="is a link"):
            check_output(tmp_path / name, own)
        check_output(tmp_path / name, own, force=True)


def test_force_never_reaches_a_run_a_folder_or_a_device(tmp_path, run):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "unfinished").mkdir()
    for name in ("unfinished.json", "notes.txt"):
        (tmp_path / "unfinished" / name).touch()
    names = ("report.html", "run.json", "model.keras", "mine.html")
    refused = [*(run / name for name in names), tmp_path / "folder", tmp_path / "pipe", tmp_path / "unfinished"]
    refused += [tmp_path / "unfinished" / name for name in ("notes.txt", "run.json")]  # the latter would finish it
    for path in (*refused, os.devnull):
        with pytest.raises(UsageError):
            check_output(tmp_path / path, own, force=True)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_plot_is_recognized_in_every_format(tmp_path, cat, ending):
    from PIL import Image

    path = tmp_path / f"plot{ending}"
    plot_predictions([(Image.open(cat), "cat", [("tabby", 0.9), ("x" * 240, 0.1)])], path)
    assert is_plot(path)
    assert not is_plot(cat)
