"""The documentation is true: what its pages run prints what they show, and every command that they name exists."""

import shutil
from pathlib import Path

import pytest
from helpers import pages

# A translation shows the same commands and outputs: they run once.
DIFFERENT = {tuple(pages.steps(page.read_text("utf-8"))): page for page in reversed(pages.PAGES)}


def _parameter(page: Path):
    longer = pages.TESTED_BY.match(page.read_text("utf-8"))
    marks = {"check": [pytest.mark.docs], "test-all": [pytest.mark.every]}[longer[1]] if longer else []
    return pytest.param(page, id=str(page.relative_to(pages.ROOT)), marks=marks)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    pages.prepare(folder)
    return folder


@pytest.fixture
def folder(prepared, tmp_path):
    shutil.copytree(prepared, tmp_path / "page")
    return tmp_path / "page"


@pytest.mark.parametrize("page", [_parameter(page) for steps, page in reversed(DIFFERENT.items()) if steps])
def test_what_a_page_runs_prints_what_it_shows(page, folder):
    for step in pages.steps(page.read_text("utf-8")):
        printed = pages.run(step, folder)
        if step.shown is not None and not pages.agrees(step.command, step.shown, printed):
            assert pages.comparable(step.command, printed) == pages.comparable(step.command, step.shown), step.command
