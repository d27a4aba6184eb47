"""Packages that come with an extra of tlkit."""

from __future__ import annotations

from importlib.util import find_spec

from tlkit.errors import UsageError


def needs(extra: str, *modules: str) -> None:
    """Refuse to go on where a package is not installed.

    Args:
        extra: The extra of tlkit that brings it.
        modules: What is imported of it.

    Raises:
        UsageError: It is not installed.
    """
    missing = [module for module in modules if find_spec(module.partition(".")[0]) is None]
    if missing:
        name = missing[0].partition(".")[0]
        raise UsageError(f"This needs {name}, which is not installed.", hint=f"pip install 'tlkit[{extra}]'")
