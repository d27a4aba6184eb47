"""One tree of errors. Each says what is wrong, what to do next, and how the command ends."""

from __future__ import annotations

from typing import Any


class TlkitError(Exception):
    """Base of everything tlkit refuses.

    Args:
        message: One line that names the thing, what was expected and what came.
        hint: One line with the next step the user can take, where there is one.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the hint, to cross from one process to another."""
        return _again, (type(self), self.message, self.hint)


def _again(kind: type[TlkitError], message: str, hint: str | None) -> TlkitError:
    return kind(message, hint=hint)


class UsageError(TlkitError):
    """The options contradict each other or name something that does not exist."""

    exit_code = 2


class ArchitectureError(UsageError):
    """An architecture cannot be built as asked (size, width, layout)."""


class WeightsError(TlkitError):
    """Weights are missing, damaged, or do not fit the model."""


class ModelError(TlkitError):
    """A model file that cannot be rebuilt as it is."""


class InputError(TlkitError):
    """One picture or clip that cannot be read. Commands name it, skip it and go on."""


class FeatureError(TlkitError):
    """Cached features that are damaged, cannot be written, or are of something else than was asked for."""


class DataError(TlkitError):
    """A data folder that cannot be trained on as it is."""


class TrainingError(TlkitError):
    """A training that came apart."""


class RunError(TlkitError):
    """A run folder that is incomplete, or that contradicts the options."""


class ConfigError(UsageError):
    """A configuration file with an unknown key or a value of the wrong kind."""
