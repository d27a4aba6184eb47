"""Packages that come with an extra of tlkit."""

from __future__ import annotations

from importlib.util import find_spec

from tlkit.errors import TlkitError


def is_installed(module: str) -> bool:
    """Return True if a module could be imported."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it is in is not
        return False


def needs(extra: str | None, *modules: str, by: str = "this") -> None:
    """Refuse to go on where a package is not installed, before any work is done.

    Args:
        extra: The extra of tlkit that brings it; None for what comes with tlkit itself.
        modules: What is imported of it.
        by: What needs it, for the message.

    Raises:
        TlkitError: It is not installed.
    """
    missing = [module.replace("_", "-") for module in modules if not is_installed(module)]
    if missing:
        raise TlkitError(
            f"{by[:1].upper()}{by[1:]} needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not "
            "installed.",
            hint=f"pip install 'tlkit[{extra}]'" if extra else f"pip install {' '.join(missing)}",
        )
