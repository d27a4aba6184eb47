"""What is published beside the code states the version of the code."""

import re
from pathlib import Path

import pytest
import yaml

import tlkit

pytestmark = pytest.mark.structure

ROOT = Path(__file__).parents[1]
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == tlkit.__version__
    assert f'license = "{citation["license"]}"' in pyproject
    assert citation["authors"] == [{"name": "The tlkit authors"}]
    assert {"message", "title", "abstract"} <= {*citation}


def test_the_changelog_has_this_version_with_its_date_or_what_becomes_it():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert all(re.fullmatch(r"Unreleased|\d+\.\d+\.\d+ - \d{4}-\d{2}-\d{2}", heading) for heading in headings)
    released = [heading.split()[0] for heading in headings if heading != "Unreleased"]
    assert tlkit.__version__ in released or f"This becomes {tlkit.__version__}" in text
    assert {*re.findall(r"^### (.+)$", text, re.MULTILINE)} <= KINDS
