"""What tlkit brings with it: nothing under the GPL in the default install, and the page names what extras bring."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from generators.licences import NOT_SHIPPED, licence
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PAGE = (ROOT / "docs" / "reference" / "licences.md").read_text("utf-8")


def needed(requirements: Iterable[str], extra: str = "") -> set[str]:
    """The packages that requirements bring here, and what these need in turn."""
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    left = [(Requirement(each), extra) for each in requirements]
    while left:
        requirement, extra = left.pop()
        name = canonicalize_name(requirement.name)
        if name == "tlkit" or (requirement.marker and not requirement.marker.evaluate({"extra": extra})):
            continue
        found.add(name)
        for wanted in {"", *requirement.extras} - {asked for other, asked in seen if other == name}:
            seen.add((name, wanted))
            try:
                left += [(Requirement(each), wanted) for each in requires(name) or ()]
            except PackageNotFoundError:
                pytest.skip(f"{name} is not installed")
    return found


def under(pattern: str, names: set[str]) -> set[str]:
    return {name for name in names if re.search(pattern, licence(name))}


GPL = r"\b(AGPL|GPL|GNU General|GNU Affero)"


def test_nothing_of_the_default_install_is_under_the_gpl():
    names = needed(PROJECT["dependencies"])
    assert len(names) > 30
    assert not under(GPL, names)
    assert not under("LGPL|Lesser", names)


def test_what_extras_bring_under_the_gpl_is_said():
    for extra, requirements in PROJECT["optional-dependencies"].items():
        if extra in NOT_SHIPPED:
            continue
        names = needed(requirements, extra)
        assert under(GPL, names) == ({"pillow-heif"} if extra == "heif" else set()), extra
        assert under("LGPL|Lesser", names) == ({"soundfile", "soxr"} if extra == "audio" else set()), extra
    for name in ("pillow-heif", "soundfile", "soxr"):
        assert f"| `{name}` |" in PAGE
        assert name in PAGE.partition("<!-- end -->")[2]


def test_a_licence_that_is_not_known_is_an_error():
    with pytest.raises(LookupError, match="no-such-package is not installed"):
        licence("no-such-package")
