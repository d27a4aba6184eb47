"""The keys of JSON documents, from their schemas: the one place where they are explained."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from generators.markdown import definition, paragraph, sections
from tlkit.utils.options import join_or

SCHEMAS = Path(__file__).parents[1] / "schemas"
SHARED = "shared"
"""Name of the schema, and of the page, of what several documents have."""

Schema = dict[str, Any]


@cache
def load(file: str) -> Schema:
    """Read a schema by the name of its file.

    Raises:
        OSError: There is none.
    """
    found: Schema = json.loads((SCHEMAS / file).read_text("utf-8"))
    return found


@dataclass(frozen=True)
class Place:
    """A schema inside a file, with what stands beside its ``$ref``.

    Attributes:
        file: Name of the file.
        schema: The schema; references are followed.
        section: Name of the definition, if it has a section of its own.
    """

    file: str
    schema: Schema
    section: str | None = None

    @classmethod
    def of(cls, schema: Schema, file: str) -> Place:
        """Follow the reference of a schema, if it is one."""
        if "$ref" not in schema:
            return cls(file, schema)
        other, _, pointer = schema["$ref"].partition("#")
        file, found = other or file, load(other or file)
        for word in filter(None, pointer.split("/")):
            found = found[word]
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        section = found.get("title") if pointer else None
        target = cls.of(found, file)
        return cls(target.file, {**target.schema, **beside}, section)

    def inside(self, schema: Schema) -> Place:
        """Return a schema that stands in this one."""
        return Place.of(schema, self.file)

    @property
    def parts(self) -> list[Place]:
        """The schema, and those that it takes all of."""
        return [self, *(part for each in self.schema.get("allOf", ()) for part in self.inside(each).parts)]

    @property
    def properties(self) -> list[tuple[str, Place, bool]]:
        """Each key, with its schema and whether it is always there."""
        required = {key for part in self.parts for key in part.schema.get("required", ())}
        return [
            (key, part.inside(schema), key in required)
            for part in self.parts
            for key, schema in part.schema.get("properties", {}).items()
        ]

    @property
    def link(self) -> str:
        """Where its section is, from any page of documents."""
        assert self.section is not None
        page = f"{self.file.removesuffix('.schema.json')}.md"
        return f"[{self.section}]({page}#{self.section.lower().replace(' ', '-')})"


def document(name: str, *keys: str) -> str:
    """Return the keys of a document, and those of its parts that have a section of their own.

    Args:
        name: Name of the schema.
        keys: Only these, and what is below them; none for all.
    """
    file = f"{name}.schema.json"
    root = Place(file, load(file))
    own = [
        sections(f"## {one['title']}", _described(Place(file, one)))
        for one in root.schema.get("$defs", {}).values()
        if "title" in one
    ]
    if name == SHARED:
        return sections(*own)
    return sections(_described(root, *keys), *own, f"Schema: [{file}](../../schemas/{file})")


def documents() -> str:
    """Return a definition list of all documents, with the pages that explain them."""
    pages = {
        name: page.name
        for page in sorted((SCHEMAS.parent / "reference" / "json").glob("*.md"))
        for name in re.findall(r"<!-- generated: json ([\w-]+)", page.read_text("utf-8"))
    }
    names = [path.name.removesuffix(".schema.json") for path in SCHEMAS.glob("*.schema.json")]
    schemas = {name: load(f"{name}.schema.json") for name in names if name in pages and name != SHARED}
    ordered = sorted(schemas, key=lambda name: schemas[name]["title"].lower())
    return sections(
        *(
            f"[{schemas[name]['title']}]({pages[name]})\n{paragraph(': ' + schemas[name]['description'], '  ')}"
            for name in ordered
        )
    )


def _described(place: Place, *keys: str) -> str:
    listed = place.inside(place.schema["items"]) if place.schema.get("type") == "array" else None
    entries = [
        definition(path, _sentence(each.schema["description"]), kind=kind(each) + ("" if always else ", optional"))
        for path, each, always in _keys(listed or place, "")
        if not keys or re.split(r"\W", path)[0] in keys
    ]
    return sections(paragraph(place.schema["description"]), *entries)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].removesuffix('.')}."


def _keys(place: Place, path: str) -> Iterator[tuple[str, Place, bool]]:
    """Yield the keys of a schema and all below them, with their paths, such as ``phases[].name``."""
    for key, each, always in place.properties:
        yield f"{path}{key}", each, always
        yield from _below(each, f"{path}{key}")


def _below(place: Place, path: str) -> Iterator[tuple[str, Place, bool]]:
    if place.section is None:
        yield from _keys(place, f"{path}.")
        for key, step in (("items", "[]"), ("additionalProperties", ".*")):
            if isinstance(place.schema.get(key), dict):
                yield from _below(place.inside(place.schema[key]), f"{path}{step}")


def kind(place: Place) -> str:
    """Return what a value is, in words."""
    if place.section is not None:
        return place.link
    schema = place.schema
    if "enum" in schema:
        return join_or([_word(value) for value in schema["enum"]])
    if "const" in schema:
        return _word(schema["const"])
    if "anyOf" in schema:
        return join_or([kind(place.inside(each)) for each in schema["anyOf"]])
    types = schema.get("type", ["anything"])
    return join_or([_type(name, place) for name in ([types] if isinstance(types, str) else types)])


def _word(value: object) -> str:
    return "null" if value is None else f"`{value}`"


def _type(name: str, place: Place) -> str:
    schema = place.schema
    if name == "array":
        same = schema.get("minItems") == schema.get("maxItems")
        count = f"{schema['maxItems']} " if same and "maxItems" in schema else ""
        return f"list of {count}{_plural(kind(place.inside(schema['items'])))}"
    if name == "object" and "properties" not in schema and schema.get("additionalProperties"):
        inner = place.inside(schema["additionalProperties"])
        several = isinstance(inner.schema.get("type"), list)
        return f"object of {'values' if several else _plural(kind(inner)).partition(' of ')[0]} by name"
    if name == "number" and (schema.get("minimum"), schema.get("maximum")) == (0, 1):
        return "number from 0 to 1"
    return {"string": "text", "integer": "whole number", "boolean": "true or false"}.get(name, name)


def _plural(text: str) -> str:
    return re.sub(r"^(text|(?:whole )?number|object|list)\b", r"\1s", text).removesuffix(" from 0 to 1")
