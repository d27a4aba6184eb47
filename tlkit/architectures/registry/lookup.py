"""Find an architecture in the registry by the name a user types."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.registry import ARCHITECTURES
from tlkit.config import DEFAULT_ARCHITECTURE, BuildOptions
from tlkit.errors import UsageError
from tlkit.utils.text import did_you_mean

_REGISTRY = {entry.name: entry for entry in ARCHITECTURES}


def all_architectures() -> tuple[Architecture, ...]:
    """Return every architecture, family by family."""
    return tuple(_REGISTRY.values())


def matching_architectures(beginning: str) -> list[str]:
    """Return the names that begin with what a user has typed so far; as there, ``ResNet-5`` is ``resnet5``."""
    return [name for name in _REGISTRY if name.startswith(_normalize(beginning))]


def get_architecture(name: str, options: BuildOptions | None = None) -> Architecture:
    """Return the architecture called ``name``; case, ``-``, ``_`` and spaces are ignored.

    Args:
        name: As a user types it.
        options: Arguments it is to be built with; None for the registered entry, whatever ``keras.json`` sets.

    Raises:
        UsageError: No such architecture; the hint has the closest names. Or it does not take an argument.
        ArchitectureError: It cannot be built channels first.
    """
    architecture = _REGISTRY.get(_normalize(name))
    if architecture is None:
        raise UsageError(
            f"There is no architecture called {name!r}.",
            hint=did_you_mean(_normalize(name), (DEFAULT_ARCHITECTURE, *_REGISTRY)) or "`tlkit archs` lists them all.",
        )
    return architecture if options is None else architecture.configured(options)


@contextmanager
def register(architecture: Architecture) -> Iterator[Architecture]:
    """Register an architecture inside the ``with`` block: a plugin's, or a toy base for tests.

    Every command then finds it by name. Its layer table is described from the built model, so ``builder`` is all that
    is needed; for weights that are not random, name a file (``--weights PATH``) or put the published one into
    ``TLKIT_WEIGHTS_MIRROR``.

    Args:
        architecture: The entry. Its ``builder`` is ``module:function`` with the signature of ``keras.applications``:
            ``(include_top, weights, input_shape, classes)``.

    Raises:
        ValueError: The name is taken, or is not lower case without separators.
    """
    name = architecture.name
    if name != _normalize(name):
        raise ValueError(f"an architecture is called {_normalize(name)!r}, not {name!r}")
    if name in _REGISTRY:
        raise ValueError(f"there is an architecture called {name!r} already")
    _REGISTRY[name] = architecture
    try:
        yield architecture
    finally:
        del _REGISTRY[name]


def _normalize(name: str) -> str:
    return name.lower().translate({ord(char): None for char in "-_ "})
