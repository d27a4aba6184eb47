"""The packages that tlkit uses: which are installed, and whether their versions are those that it requires."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from tlkit.utils.extras import is_installed

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_DEVELOPERS = {"dev", "bench", "docs", "test"}
"""Extras that no command needs."""
_BESIDE = ("jaxlib", "jax-cuda13-plugin", "jax-cuda12-plugin", "nvidia-cudnn-cu13", "nvidia-cudnn-cu12")
"""Packages of packages whose versions matter too: those of GPUs."""
_MODULES = {"pillow": "PIL", "pyyaml": "yaml"}
"""Modules that are not called as their package; a package of another name may have one, as tensorflow-cpu has."""


@dataclass(frozen=True)
class Package:
    """A package that is installed, or should be.

    Attributes:
        name: As ``pip install`` calls it.
        version: The installed one; None if it is not there, or hides its version.
        required: The versions that tlkit requires: ``>=3.15.1,<3.16``; empty for any.
        problem: ``missing``, ``older`` or ``newer`` than required; None if nothing is wrong.
    """

    name: str
    version: str | None
    required: str
    problem: str | None


@dataclass(frozen=True)
class Extra:
    """Packages that tlkit can use and does not come with.

    Attributes:
        name: Of the extra.
        installed: All of its packages are.
        missing: Those that are not.
    """

    name: str
    installed: bool
    missing: tuple[str, ...]

    @property
    def install(self) -> str:
        """The command that installs it."""
        return f"pip install 'tlkit[{self.name}]'"


@dataclass(frozen=True)
class Packages:
    """What is installed.

    Attributes:
        packages: Those that tlkit requires, and optional ones that are there.
        extras: What can be installed beside.
        known: False where the requirements of tlkit cannot be read.
    """

    packages: tuple[Package, ...]
    extras: tuple[Extra, ...]
    known: bool = True


def inspect_packages() -> Packages:
    """Compare what is installed with what tlkit requires; nothing is imported."""
    try:
        from packaging.requirements import Requirement

        required = [Requirement(line) for line in metadata.requires("tlkit") or ()]
    except (ImportError, metadata.PackageNotFoundError):  # tlkit runs from a folder, or what reads requirements is away
        return Packages((), (), known=False)
    found = {package.name: package for package in map(_installed, _of_extra(required, ""))}
    extras = []
    for name in metadata.metadata("tlkit").get_all("Provides-Extra") or ():
        if name in _DEVELOPERS:
            continue
        brought = list(map(_installed, _of_extra(required, name)))
        missing = tuple(package.name for package in brought if package.problem == "missing")
        extras.append(Extra(name, not missing, missing))
        for package in brought:
            # an old version of a package matters if its extra is there as a whole: it may have come with others
            if package.problem is None or (not missing and package.problem != "missing"):
                found.setdefault(package.name, package)
    beside = [Package(name, version, "", None) for name in _BESIDE if (version := _version(name)) is not None]
    return Packages((*found.values(), *beside), tuple(extras))


def _of_extra(required: Iterable[Requirement], extra: str) -> list[Requirement]:
    """Return the requirements of an extra on this machine, with those of extras in it; for ``""`` of tlkit itself."""
    own = [item for item in required if item.marker is None or item.marker.evaluate({"extra": extra})]
    if extra:  # those without a marker are tlkit's own
        own = [item for item in own if item.marker is not None and not item.marker.evaluate({"extra": ""})]
    packages = [item for item in own if item.name != "tlkit"]
    inner = {name for item in own if item.name == "tlkit" for name in item.extras}
    return [*packages, *(item for name in sorted(inner) for item in _of_extra(required, name))]


def _installed(requirement: Requirement) -> Package:
    # the lowest version first
    required = ",".join(sorted(map(str, requirement.specifier), key=lambda text: not text.startswith(">")))
    version = _version(requirement.name)
    if version is None:
        module = _MODULES.get(requirement.name, requirement.name.replace("-", "_"))
        return Package(requirement.name, None, required, None if is_installed(module) else "missing")
    if requirement.specifier.contains(version, prereleases=True):
        return Package(requirement.name, version, required, None)
    return Package(requirement.name, version, required, "older" if _is_older(version, requirement) else "newer")


def _is_older(version: str, requirement: Requirement) -> bool:
    """Return True if a version is below what a requirement begins with."""
    from packaging.specifiers import SpecifierSet

    lowest = [f"{one.operator.replace('==', '>=')}{one.version}" for one in requirement.specifier]
    return not SpecifierSet(",".join(text for text in lowest if re.match("[>~]", text))).contains(version, True)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
