"""How the project is packaged, and what its forms and workflows are."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

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
        ("citation-file-format", [ROOT / "CITATION.cff"]),
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


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Wheel and sdist of the repository; and again, of what is in that sdist, with other times and permissions."""

    def build(source, folder, umask):
        words = [sys.executable, "-m", "hatchling", "build", "-d", folder]
        subprocess.run(words, cwd=source, check=True, capture_output=True, umask=umask)

    folders = [tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("again")]
    build(ROOT, folders[0], 0o022)
    (sdist,) = folders[0].glob("*.tar.gz")
    unpacked = tmp_path_factory.mktemp("source")
    with tarfile.open(sdist) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # from Python 3.11.4 on
        archive.extractall(unpacked)
    source = unpacked / sdist.name.removesuffix(".tar.gz")
    for path in sorted(source.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (1_600_000_000, 1_600_000_000))
    build(source, folders[1], 0o077)
    return folders


def test_two_builds_have_the_same_bytes(built):
    files = [sorted(folder.iterdir()) for folder in built]
    assert [[path.name for path in found] for found in files] == [
        [f"tlkit-{tlkit.__version__}-py3-none-any.whl", f"tlkit-{tlkit.__version__}.tar.gz"]
    ] * 2
    for one, other in zip(*files, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_the_wheel_holds_the_package_with_its_data_and_nothing_else(built):
    (wheel,) = built[0].glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {*archive.namelist()}
    held = {name for name in names if not name.startswith(f"tlkit-{tlkit.__version__}.dist-info/")}
    ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tlkit").rglob("*")
            if path.is_file() and "__pycache__" not in path.parts}  # fmt: skip
    assert held == ours
    assert {
        "tlkit/py.typed", "tlkit/keras_files/README.md", "tlkit/serving/page.js", "tlkit/reporting/report.html.jinja",
        "tlkit/recipes/fast.yaml", "tlkit/architectures/data/layers/vgg16.tsv",
    } <= held  # fmt: skip


def test_the_sdist_holds_what_it_takes_to_build_and_to_test(built):
    (sdist,) = built[0].glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "pyproject.toml", "Makefile", "LICENSE", "README.md", "constraints.txt", "constraints-lowest.txt",
        "tests/conftest.py", "tests/helpers/toy.weights.h5", "examples/make_data.py", "configs/own-recipe.yaml",
        "docs/conf.py", ".github/workflows/tests.yml", ".pre-commit-config.yaml",
    } <= names  # fmt: skip
    assert not {name for name in names if re.match(r"\.(git/|venv|ci)|dist/|site/|demo/|.*\.pyc$", name)}


def test_the_lowest_versions_are_those_of_the_project():
    """Each bound is the version that is tested, but for what needs a newer TensorFlow or NumPy."""
    text = (ROOT / "constraints-lowest.txt").read_text("utf-8")
    tested = dict(re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE))
    extras = PROJECT["project"]["optional-dependencies"]
    apart = {"dev", "docs", "bench", "jax", "tensorboard"}
    stated = [*PROJECT["project"]["dependencies"], *(line for name in {*extras} - apart for line in extras[name])]
    for requirement in map(Requirement, stated):
        name = requirement.name.lower().replace("_", "-")
        for bound in requirement.specifier:
            release = Version(bound.version).release
            if bound.operator in (">=", "=="):
                assert Version(tested[name]).release[: len(release)] == release, str(requirement)
