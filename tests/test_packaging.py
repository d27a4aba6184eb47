"""How the project is packaged, and what its forms and workflows are."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import tlkit

ROOT = Path(__file__).parents[1]
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").iterdir())
CONFIG = GITHUB / "ISSUE_TEMPLATE" / "config.yml"
FORMS = sorted({*CONFIG.parent.iterdir()} - {CONFIG})

pytestmark = pytest.mark.structure


def read_yaml(path):
    return yaml.load(path.read_text("utf-8"), yaml.BaseLoader)  # which leaves `on` and 3.10 as they are


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-workflows", WORKFLOWS),
        ("github-issue-forms", FORMS),
        ("github-issue-config", [CONFIG]),
    ],
)
def test_what_the_hosting_platform_reads_fits_its_schema(schema, files):
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *files]
    done = subprocess.run(words, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_careful(path):
    workflow = read_yaml(path)
    assert path.read_text("utf-8").startswith("#")
    assert "has not been run by its authors" in path.read_text("utf-8").lower()
    assert workflow["permissions"] == {"contents": "read"}
    assert "concurrency" in workflow
    for job in workflow["jobs"].values():
        assert int(job["timeout-minutes"]) <= 360
        for step in job["steps"]:
            assert re.fullmatch(r"[\w-]+/[\w/-]+@(v\d+|release/v\d+)", step.get("uses", "a/b@v1"))


def test_the_tested_versions_of_python_are_those_of_the_classifiers():
    matrix = read_yaml(GITHUB / "workflows" / "tests.yml")["jobs"]["test"]["strategy"]["matrix"]
    stated = [line.rpartition(" ")[2] for line in PROJECT["project"]["classifiers"] if "Python :: 3." in line]
    assert matrix["python"] == stated
    assert PROJECT["project"]["requires-python"] == f">={stated[0]}"
    experimental = {entry["python"] for entry in matrix["include"]}
    assert not experimental & {*stated}
    assert all(entry["experimental"] == "true" for entry in matrix["include"])


def test_make_check_and_pre_commit_run_the_same_programs():
    hooks = read_yaml(ROOT / ".pre-commit-config.yaml")["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"]
    programs = [hook["entry"].replace(" --force-exclude", "") for hook in hooks[0]["hooks"]]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    checked = re.search(r"^check:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)[1].split("\n")
    assert programs == [line.strip().removesuffix(" .") for line in checked if line and "pytest" not in line]


def test_a_bug_comes_with_what_doctor_prints():
    form = read_yaml(GITHUB / "ISSUE_TEMPLATE" / "bug.yml")
    asked = [part for part in form["body"] if "tlkit doctor" in part["attributes"].get("label", "")]
    assert [part["validations"]["required"] for part in asked] == ["true"]


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
