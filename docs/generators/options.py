"""The keys of files for `--config`: for readers, and as a JSON Schema for editors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, dataclass, field
from typing import Any

import click

from generators.commands import get
from generators.markdown import default, definition, prose, sections
from tlkit.cli import COMMANDS
from tlkit.cli.options import JobCommand
from tlkit.utils.options import MAX_SIDE, Option, options_of

_FLAGS = ("true", "false", "yes", "no", "on", "off")
_WHOLE = r"[-+]?(0|[1-9][0-9_]*)"
_NUMBER = r"[-+]?(0|[1-9][0-9_]*)?(\.[0-9]*)?([eE][-+]?[0-9]+)?"
_SIZE = r"[1-9][0-9]*([xX][0-9]+)?"


@dataclass
class Meaning:
    """What a key means to some commands.

    Attributes:
        option: The option of the command line.
        commands: Names of the commands.
    """

    option: Option
    commands: list[str] = field(default_factory=list)

    @property
    def default(self) -> str:
        """What is so without the key, as Markdown; empty where nothing is."""
        value = self.option.unset if self.option.default in (None, MISSING) else self.option.default
        if value is None:
            return ""
        return default(str(value).lower() if self.option.kind == "bool" else str(value))

    @property
    def values(self) -> str:
        """What values it takes, as Markdown."""
        words = {"bool": "true or false", "size": "N or HxW, in pixels"}
        text = words.get(self.option.kind, self.option.expected)
        for choice in self.option.choices:
            text = re.sub(rf"(?<![`\w]){choice}(?![`\w])", f"`{choice}`", text)
        return text

    @property
    def sentences(self) -> str:
        """The help of the option, and its default."""
        return f"{prose(self.option.help)}{f' Default: {self.default}.' if self.default else ''}"


def meanings() -> dict[str, list[Meaning]]:
    """Return what each key means, by its name; once for all commands that it means the same to."""
    found: dict[str, dict[str, Meaning]] = {}
    for name in COMMANDS:
        command = get(name)
        if isinstance(command, JobCommand) and any(param.name == "config" for param in command.params):
            for option in _keys(command):
                meaning = Meaning(option)
                same = found.setdefault(option.flag[2:], {})
                same.setdefault(f"{meaning.sentences} {meaning.values}", meaning).commands.append(name)
    return {key: list(found[key].values()) for key in sorted(found)}


def _keys(command: JobCommand) -> Iterator[Option]:
    yield from (item for item in options_of(command.config) if not item.argument)
    known = {item.name for item in options_of(command.config)}
    for param in command.params:
        if isinstance(param, click.Option) and param.name not in {*known, "config"}:
            choices = tuple(param.type.choices) if isinstance(param.type, click.Choice) else ()
            kind = "bool" if param.is_flag else "choice" if choices else "str"
            name = max(param.opts, key=len).removeprefix("--")
            default = param.default if choices else False if kind == "bool" else None
            yield Option(name=name, kind=kind, help=param.help or "", default=default, optional=True, choices=choices)


def option_keys() -> str:
    """Return a definition list of all keys."""
    return sections(
        *(
            definition(key, *(f"{one.sentences} Values: {one.values}. Commands: {_names(one)}." for one in found))
            for key, found in meanings().items()
        )
    )


def _names(meaning: Meaning) -> str:
    return ", ".join(f"`{name}`" for name in meaning.commands)


def options_schema() -> str:
    """Return a JSON Schema of files for `--config`."""
    keys = {key: _schema(found) for key, found in meanings().items()}
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "options.schema.json",
        "title": "Options of tlkit",
        "description": "A file for --config. A value is the text that stands there, so that numbers may be in quotes.",
        "type": ["object", "null"],
        "properties": keys,
        "patternProperties": {
            f"^{key.replace('-', '[-_]')}$": {"$ref": f"#/properties/{key}"} for key in keys if "-" in key
        },
        "additionalProperties": False,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _schema(found: list[Meaning]) -> dict[str, Any]:
    texts = [each.sentences.replace("`", "").replace("\\", "") for each in found]
    of = [f"{text} ({', '.join(each.commands)})" for text, each in zip(texts, found, strict=True)]
    schema: dict[str, Any] = {"description": "\n".join(of)}
    defaults = [each.option.default for each in found]
    if all(default == defaults[0] and default not in (None, MISSING) for default in defaults):
        schema["default"] = defaults[0]
    values = list({json.dumps(each): each for each in (_values(each.option) for each in found)}.values())
    if all(each.keys() == {"enum"} for each in values):
        values = [{"enum": list(dict.fromkeys(word for each in values for word in each["enum"]))}]
    return {**schema, **(values[0] if len(values) == 1 else {"anyOf": values})}


def _values(option: Option) -> dict[str, Any]:
    """Return what a value may be to an editor, which reads numbers and truth values where tlkit reads text."""
    if option.kind == "bool":
        return {"type": ["boolean", "string"], "pattern": _whole_text(map(_any_case, _FLAGS))}
    if option.kind == "choice":
        return {"enum": [*option.choices, *(int(word) for word in option.choices if word.isdecimal())]}
    if option.kind == "size":
        return {"type": ["integer", "string"], "minimum": 1, "maximum": MAX_SIDE, "pattern": _whole_text([_SIZE])}
    if option.kind in ("int", "float"):
        limits = {
            "minimum": option.at_least, "maximum": option.at_most,
            "exclusiveMinimum": option.above, "exclusiveMaximum": option.below,
        }  # fmt: skip
        number = {
            "type": ["integer" if option.kind == "int" else "number", "string"],
            **{name: limit for name, limit in limits.items() if limit is not None},
            "pattern": _whole_text([_WHOLE if option.kind == "int" else _NUMBER]),
        }
        return {"anyOf": [{"enum": list(option.choices)}, number]} if option.choices else number
    if option.pattern:
        return {"type": "string", "pattern": _whole_text([option.pattern])}
    return {"type": ["string", "number", "boolean"], "minLength": 1}


def _whole_text(patterns: Iterable[str]) -> str:
    return f"^({'|'.join(patterns)})$"


def _any_case(word: str) -> str:
    return re.sub(r"[a-z]", lambda letter: f"[{letter[0]}{letter[0].upper()}]", word)
