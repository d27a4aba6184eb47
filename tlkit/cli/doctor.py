"""``tlkit doctor``."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from tlkit.cli.app import report
from tlkit.cli.options import format_option
from tlkit.cli.output import echo, echo_json
from tlkit.errors import TlkitError
from tlkit.utils.text import escape_control_chars, format_bytes, pluralize, shorten

if TYPE_CHECKING:
    from tlkit.commands.doctor import Diagnosis
    from tlkit.commands.doctor.engines import Engine
    from tlkit.commands.doctor.machine import Machine
    from tlkit.commands.doctor.packages import Packages
    from tlkit.commands.doctor.settings import Settings
    from tlkit.commands.doctor.storage import Storage
    from tlkit.commands.weights import FileStatus

WIDTH = 80
"""Columns, on any terminal: the text is made to be sent to others."""
_LABEL, _LONGEST_LABEL = 12, 24
_COLUMNS = 3

Row = tuple[str, str]


@click.command(short_help="Report what this machine has, and what is broken.")
@format_option("text", "json")
@click.pass_context
def doctor(context: click.Context, /, output_format: str) -> None:
    """Report what this machine has and what of it is broken, for whoever asks for help and whoever answers.

    System, processors and memory; versions; the engines, each of which runs a small network in a process of its own;
    graphics cards; the cache, the weights in it and the free disk; keras.json and the environment. Passwords are left
    out, and nothing is downloaded. It takes some seconds.

    Exit code 1 if something is broken, with a hint for each problem; what is not installed is not broken.

    \b
        tlkit doctor
        tlkit doctor --format json > doctor.json
    """
    from tlkit import api

    found = api.doctor()
    if output_format == "json":
        echo_json(found.to_dict())
    else:
        _echo_text(found)
    for problem in found.problems:
        report(TlkitError(problem.what, hint=problem.next_step))
    if found.problems:
        context.exit(1)


def _echo_text(found: Diagnosis) -> None:
    _section(f"tlkit {found.version}", _machine(found.machine))
    _section("Packages", _packages(found.packages), label=0)
    _section("Engines", map(_engine, found.engines), label=20)
    _section("Graphics cards", _cards(found), label=20)
    _section("Cache and weights", _storage(found.storage))
    _section("Settings", _settings(found.settings), label=_LONGEST_LABEL)
    missing = [(extra.name, extra.install) for extra in found.packages.extras if not extra.installed]
    _section("Extras that are not installed", missing)
    echo(f"{pluralize(len(found.problems), 'problem')}." if found.problems else "Nothing is broken.")


def _section(title: str, rows: Iterable[Row], *, label: int = _LABEL) -> None:
    """Print labels and texts, the texts below each other and broken between words."""
    lines = [(escape_control_chars(name), escape_control_chars(text)) for name, text in rows if text]
    if not lines:
        return
    echo(title)
    indent = 2 + (label and label + 2)
    for name, text in lines:
        first, *others = textwrap.wrap(
            text, WIDTH - indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
        )
        if len(name) > label:
            echo(f"  {name}")
            name = ""
        echo(f"  {name:<{label}}  {first}" if label else f"  {first}")
        for line in others:
            echo(" " * indent + line)
    echo()


def _machine(machine: Machine) -> Iterator[Row]:
    python, processors, memory = machine.python, machine.processors, machine.memory
    kind = {"virtual": "virtual environment", "conda": "conda environment"}.get(python.environment or "", "in")
    yield "Python", f"{python.version} ({python.implementation}), {kind} {python.prefix}"
    yield "platform", machine.platform
    usable = f"{processors.usable} usable of {processors.total}"
    quota = f", CPU quota {processors.quota}" if processors.quota else ""
    yield "processors", f"{usable}{quota}{f'; {processors.model}' if processors.model else ''}"
    yield "instructions", " ".join(processors.instructions)
    parts = [
        (memory.total, "{}"),
        (memory.available, "{} available"),
        (memory.limit, "{} is the limit of this process"),
    ]
    yield "memory", ", ".join(text.format(format_bytes(size)) for size, text in parts if size is not None)


def _packages(packages: Packages) -> Iterator[Row]:
    if not packages.known:
        yield "", "The requirements of tlkit are not known here, because it was not installed by pip."
    cells = [
        f"{one.name} {one.version or one.problem or 'installed'}{'' if one.version is None else _doubt(one.problem)}"
        for one in packages.packages
    ]
    room, line = (WIDTH - 2) // _COLUMNS, ""
    for cell in cells:
        wide = f"{cell:<{-(-(len(cell) + 1) // room) * room}}"  # a long one takes several columns
        if len(line) + len(wide) > room * _COLUMNS:
            yield "", line
            line = ""
        line += wide
    yield "", line


def _doubt(problem: str | None) -> str:
    return {"older": " (too old)", "newer": " (too new)"}.get(problem or "", "")


def _engine(engine: Engine) -> Row:
    if engine.status == "not installed":
        return engine.kind.title, f"not installed: {engine.kind.install}"
    if engine.status == "broken":
        return engine.kind.title, f"broken: {engine.reason}"
    return engine.kind.title, f"works  {engine.seconds:5.1f} s"


def _cards(found: Diagnosis) -> Iterator[Row]:
    for engine in found.engines:
        if engine.kind.is_backend and engine.status == "works":
            cards = ", ".join(engine.gpus)
            yield engine.kind.title, f"{len(engine.gpus)}: {cards}" if cards else "none"
    yield "NVIDIA's driver", found.machine.driver or "none"


def _storage(storage: Storage) -> Iterator[Row]:
    cache, weights, temporary = storage.cache, storage.weights, storage.temporary
    yield "cache", str(cache.folder) if cache.folder else "none"
    yield "", f"cannot be used: {cache.problem}" if cache.problem else ""
    yield "in it", ", ".join(f"{kind} {format_bytes(size)}" for kind, size in cache.bytes.items() if size) or "nothing"
    limit = f"{format_bytes(cache.limit)} for features and models" if cache.limit is not None else ""
    yield "limit", limit
    yield "free disk", "" if cache.free is None else format_bytes(cache.free)
    here = [name if which == "all" else f"{name} ({which})" for name, which in weights.architectures.items()]
    yield "weights of", ", ".join(here) or ("no architecture" if cache.folder else "")
    yield "they are in", ", ".join(dict.fromkeys(map(_place, weights.files)))
    yield "mirror", weights.mirror or ""
    yield "", weights.mirror_problem or ""
    free = "" if temporary.free is None else f", {format_bytes(temporary.free)} free"
    yield "temporary", f"{temporary.folder}{free}" if temporary.folder else "no folder that can be written to"


def _place(status: FileStatus) -> str:
    """Return the package or the folder that a weights file is in."""
    assert status.path is not None
    assert status.file is not None
    inside = status.file.resource and status.path.as_posix().endswith(f"/{status.file.resource}")
    return f"package {status.file.package}" if inside else str(status.path.parent)


def _settings(settings: Settings) -> Iterator[Row]:
    keras, environment = settings.keras, settings.environment
    yield "keras.json", str(keras.path) if keras.exists else f"none, {keras.path}"
    if keras.exists:
        yield "", f"not used: {keras.problem}" if keras.problem else shorten(json.dumps(keras.content), 300)
    other = f"; {keras.asked_by} names {keras.asked}" if keras.asked not in (None, keras.backend) else ""
    yield "Keras computes with", f"{keras.backend}{'' if keras.installed else ', not installed'}{other}"
    for name, value in environment.variables.items():
        yield name, f"{value or '(empty)'}{' (tlkit reads no such variable)' if name in environment.unknown else ''}"
    for kind, url in environment.proxies.items():
        yield "no proxy for" if kind == "no" else f"proxy for {kind}", url
    yield "certificates", environment.certificates_problem or ""
