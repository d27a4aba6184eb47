"""Options of a job, stated once: a dataclass field carries its type, default, range and help.

:class:`Options` checks every field where the dataclass is built, so the command line, YAML and Python meet the same
errors; the command line is generated from :func:`options_of`.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import numbers
import os
import re
import reprlib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass
from typing import Any, Self

from tlkit.errors import ConfigError
from tlkit.utils.logging import logger
from tlkit.utils.text import did_you_mean

Size = tuple[int, int]
"""Height and width in pixels."""

MAX_SIDE = 4096
"""Input height and width in pixels; the feature maps of a network take gigabytes there."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option of a job.

    Attributes:
        name: The field: ``batch_size``.
        kind: ``bool``, ``int``, ``float``, ``str``, ``choice``, ``size`` or ``paths``.
        help: One or two sentences for ``--help``.
        default: ``dataclasses.MISSING`` if it must be given.
        optional: None is allowed.
        choices: The allowed words of a ``choice``, or beside a number.
        at_least: Smallest number.
        at_most: Largest number.
        above: Numbers must be greater than this.
        below: Numbers must be less than this.
        path: The text is a path: ``os.PathLike`` is accepted, and the shell completes file names.
        number: The text may be given as an int.
        argument: An argument of the command line, not an option.
        short: A short flag: ``-o``.
        bare: The value that its flag means without one; None if it needs one.
        pattern: Regular expression that a text matches as a whole.
        values: What a valid value is, for messages, where that is more than type and range.
        metavar: Placeholder of the value in ``--help``.
        unset: What None means, for ``--help``: ``the architecture's``.
        group: Heading in ``--help``.
    """

    name: str
    kind: str
    help: str
    default: Any
    optional: bool
    choices: tuple[str, ...] = ()
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None
    path: bool = False
    number: bool = False
    argument: bool = False
    short: str | None = None
    bare: str | None = None
    pattern: str | None = None
    values: str | None = None
    metavar: str | None = None
    unset: str | None = None
    group: str = "Options"

    @property
    def flag(self) -> str:
        """Its name on the command line: ``--batch-size``."""
        return f"--{self.name.replace('_', '-')}"

    def check(self, value: Any) -> Any:
        """Return the value in the type of the field.

        Raises:
            ConfigError: A wrong type, a word that is no choice, a number out of range.
        """
        if value is None and self.optional:
            return None
        checked = _CHECKS[self.kind](self, value)
        if checked is not None:
            return checked
        hint = closest(value, self.choices) if isinstance(value, str) else None
        infinite = isinstance(value, float) and math.isinf(value)
        expected = self.expected.replace("a number", "a finite number") if infinite else self.expected
        raise ConfigError(f"{self.name} is {reprlib.repr(value)}; expected {expected}.", hint=hint)

    def parse(self, text: str) -> Any:
        """Read a value from the text of a command line or a YAML file; text of another kind stays as it is."""
        if self.kind == "bool":
            return _BOOLEANS.get(text.lower(), text)
        if text in self.choices:
            return text
        for number in {"int": (int, float), "float": (float,)}.get(self.kind, ()):
            try:
                return number(text)
            except ValueError:
                continue
        return text

    def format(self, value: Any) -> str:
        """Return a value as the user types it: ``160x224``, ``yes``; a dash and what None means, if it is None."""
        if value is None:
            return f"– ({self.unset})" if self.unset else "–"
        if self.kind == "bool":
            return "yes" if value else "no"
        if self.kind == "size":
            return f"{value[0]}x{value[1]}"
        return " ".join(value) if self.kind == "paths" else str(value)

    @property
    def expected(self) -> str:
        """What a valid value is, for messages."""
        if self.values is not None:
            return self.values
        if self.kind == "choice":
            return join_or(self.choices)
        if self.kind in ("int", "float"):
            return join_or((*self.choices, self._expected_number))
        if self.kind == "size":
            return "N, HxW or (height, width), in pixels"
        if self.kind == "bool":
            return "True or False"
        return "a path or a list of paths" if self.kind == "paths" else "a path" if self.path else "text"

    @property
    def _expected_number(self) -> str:
        noun = "a whole number" if self.kind == "int" else "a number"
        if None not in (self.at_least, self.at_most):
            return f"{noun} from {self.at_least:,} to {self.at_most:,}"
        low = f"of at least {self.at_least:,}" if self.at_least is not None else None
        low = f"above {self.above:g}" if self.above is not None else low
        high = f"at most {self.at_most:,}" if self.at_most is not None else None
        high = f"below {self.below:g}" if self.below is not None else high
        return f"{noun} {' and '.join(word for word in (low, high) if word)}".rstrip()


_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def join_or(words: Iterable[str]) -> str:
    """Join words as ``auto, keras or openvino``."""
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def _bool(option: Option, value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _choice(option: Option, value: Any) -> str | None:
    return value if isinstance(value, str) and value in option.choices else None


def _is_int(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _number(option: Option, value: Any) -> float | str | None:
    if isinstance(value, str) and value in option.choices:
        return value
    real = option.kind == "float" and isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real and not _is_int(value):
        return None
    try:
        number = float(value) if real else int(value)
    except OverflowError:
        return None
    in_range = (
        math.isfinite(number)
        and (option.at_least is None or number >= option.at_least)
        and (option.at_most is None or number <= option.at_most)
        and (option.above is None or number > option.above)
        and (option.below is None or number < option.below)
    )
    return number if in_range else None


def _text(option: Option, value: Any) -> str | None:
    if option.path and isinstance(value, os.PathLike):
        value = os.fspath(value)
    if option.number and _is_int(value):
        value = str(int(value))
    valid = isinstance(value, str) and value and re.fullmatch(option.pattern or ".*", value, re.DOTALL)
    return str(value) if valid else None


def _size(option: Option, value: Any) -> Size | None:
    if isinstance(value, str):
        match = re.fullmatch(r"(\d{1,20})(?:x(\d{1,20}))?", value.strip().lower(), re.ASCII)
        value = (int(match[1]), int(match[2] or match[1])) if match else None
    elif isinstance(value, numbers.Integral):
        value = (value, value)
    if not isinstance(value, tuple | list) or len(value) != 2:
        return None
    height, width = value
    if not all(_is_int(side) and side >= 1 for side in value):
        return None
    if max(value) > MAX_SIDE:
        raise ConfigError(
            f"{option.name} is {height}x{width}, which is too large: a side has at most {MAX_SIDE:,} pixels."
        )
    return int(height), int(width)


def _paths(option: Option, value: Any) -> tuple[str, ...] | None:
    if isinstance(value, bytes | Mapping):
        return None
    items = [value] if isinstance(value, str | os.PathLike) else list(value) if isinstance(value, Iterable) else [None]
    paths = tuple(path for path in (_text(option, item) for item in items) if path is not None)
    return paths if len(paths) == len(items) else None


_CHECKS: dict[str, Any] = {
    "bool": _bool,
    "choice": _choice,
    "int": _number,
    "float": _number,
    "str": _text,
    "size": _size,
    "paths": _paths,
}


_OTHER_WORDS = {
    "learning_rate": "lr",
    "early_stopping": "patience",
    "balanced": "auto",
    "balance": "auto",
    "val": "validation",
}
"""What Keras, scikit-learn and data sets call it."""


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return a hint of the option or choice that a word may be meant for, or None."""
    known = list(known)
    other = _OTHER_WORDS.get(word.lower().replace("-", "_"))
    return f"Did you mean {other}?" if other in known else did_you_mean(word, known)


def option(default: Any = MISSING, **metadata: Any) -> Any:
    """Declare the field of an option.

    Args:
        default: Its default; without one it must be given.
        metadata: Attributes of :class:`Option`, at least ``help``.
    """
    return dataclasses.field(default=default, metadata=metadata)


def options_of(group: type[Options]) -> tuple[Option, ...]:
    """Return the options of a dataclass: its own, those of its first base, and so on, then the others it inherits."""
    return _options_of(group)  # type: ignore[arg-type]  # mypy takes the hash of an instance for that of the class


@functools.cache
def _options_of(group: type[Any]) -> tuple[Option, ...]:
    hints = typing.get_type_hints(group)
    lines: list[str] = []
    base = group
    while base is not object:
        lines += inspect.get_annotations(base)
        base = base.__bases__[0]
    fields = sorted(dataclasses.fields(group), key=lambda item: [*lines, item.name].index(item.name))
    return tuple(
        Option(name=item.name, default=item.default, **_type_of(hints[item.name]), **item.metadata) for item in fields
    )


def _type_of(hint: Any) -> dict[str, Any]:
    """Kind, choices and whether None is allowed, from a type hint."""
    optional = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    words: tuple[str, ...] = ()
    if optional:
        parts = [part for part in typing.get_args(hint) if part is not type(None)]
        optional = len(parts) < len(typing.get_args(hint))
        words = tuple(word for part in parts[1:] for word in typing.get_args(part))  # float | Literal["auto"]
        hint = parts[0]
    if typing.get_origin(hint) is typing.Literal:
        return {"kind": "choice", "choices": typing.get_args(hint), "optional": optional}
    kinds = {Size: "size", tuple[str, ...]: "paths", bool: "bool", int: "int", float: "float", str: "str"}
    return {"kind": kinds[hint], "optional": optional, **({"choices": words} if words else {})}


class Options:
    """Base of a dataclass of options: every field is checked, and takes its declared type, where it is built."""

    def __post_init__(self) -> None:
        for item in options_of(type(self)):
            object.__setattr__(self, item.name, item.check(getattr(self, item.name)))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Build from names and values; warn of options that have no effect.

        Raises:
            ConfigError: An unknown name, a required option that is missing, or an invalid value.
        """
        known = options_of(cls)
        names = [item.name for item in known]
        for name in values:
            if name not in names:
                raise ConfigError(
                    f"There is no option {name}.",
                    hint=closest(name, names) or f"The options are {', '.join(sorted(names))}.",
                )
        for item in known:
            if item.default is MISSING and item.name not in values:
                raise ConfigError(f"{item.name} is missing; expected {item.expected}.")
        config = cls(**values)
        for name, reason in config.unused().items():
            logger.warning("--%s has no effect: %s.", name.replace("_", "-"), reason)
        return config

    def unused(self) -> dict[str, str]:
        """Return the options that were given (differ from their default) and have no effect, with the reason."""
        given = self.given()
        return {name: reason for name, reason in self.without_effect().items() if name in given}

    def without_effect(self) -> dict[str, str]:
        """Return the options that have no effect beside the others, whether given or not, with the reason."""
        return {}

    def given(self) -> dict[str, Any]:
        """Return the options that differ from their defaults."""
        values = {item.name: (getattr(self, item.name), item.default) for item in options_of(type(self))}
        return {name: value for name, (value, default) in values.items() if value != default}

    def words(self) -> list[str]:
        """Return the words of the command line that ask for these options; defaults are left out."""
        given, arguments, words = self.given(), [], []
        for item in options_of(type(self)):
            value = given.get(item.name)
            if value is None:
                continue
            if item.argument:
                arguments += list(value) if isinstance(value, tuple) else [value]
            elif item.kind == "bool":
                words.append(item.flag if value else f"--no-{item.flag[2:]}")
            else:
                words += [item.flag, item.format(value)]
        if any(argument.startswith("-") for argument in arguments):
            return [*words, "--", *arguments]
        return [*arguments, *words]

    def effective(self, **resolved: Any) -> dict[str, str]:
        """Return every option as the user types it, by its name on the command line, for a report.

        Args:
            resolved: Effective values of options, by field, that replace those of this config.
        """
        values = {item.name: getattr(self, item.name) for item in options_of(type(self))} | resolved
        return {
            str(item.metavar) if item.argument else item.flag: item.format(values[item.name])
            for item in options_of(type(self))
            if not (item.argument and values[item.name] is None)
        }

    def flags(self) -> list[str]:
        """Return the names of the options that differ from their defaults: ``--alpha``."""
        return [word for word in self.words() if word.startswith("--")]
