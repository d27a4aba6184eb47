"""The exceptions of tlkit: what is wrong, what to do next, and the exit code of the command."""

from __future__ import annotations

from typing import Any

OUT_OF_MEMORY = (
    "bad_alloc", "bad allocation", "Failed to allocate", "ResourceExhaustedError", "RESOURCE_EXHAUSTED",
)  # fmt: skip
"""Parts of what C++ (the second: of Windows), OpenVINO, TensorFlow and JAX raise where memory does not suffice."""


class TlkitError(Exception):
    """Base of all errors of tlkit.

    Args:
        message: One line: what it is about, what was expected, what was given.
        hint: One line with the next step for the user, if there is one.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the hint, to cross from one process to another."""
        return _rebuild, (type(self), self.message, self.hint)


def _rebuild(kind: type[TlkitError], message: str, hint: str | None) -> TlkitError:
    return kind(message, hint=hint)


class UsageError(TlkitError):
    """The options contradict each other or name something that does not exist."""

    exit_code = 2


class ArchitectureError(UsageError):
    """An architecture cannot be built as asked (size, width, layout)."""


class WeightsError(TlkitError):
    """Weights are missing, damaged, or do not fit the model."""


class ModelError(TlkitError):
    """A model file that cannot be rebuilt."""


class InputError(TlkitError):
    """An image or recording that cannot be read. Commands report it and continue with the others."""


class FeatureError(TlkitError):
    """Features that are damaged, cannot be written, or differ in provenance from what was requested."""


class DataError(TlkitError):
    """A data folder that cannot be trained on."""


class TrainingError(TlkitError):
    """A training that diverged."""


class RunError(TlkitError):
    """A run folder that is incomplete, or that contradicts the options."""


class ConfigError(UsageError):
    """An unknown option, a missing one, or one with an invalid value."""
