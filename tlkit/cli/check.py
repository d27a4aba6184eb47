"""``tlkit check``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tlkit.cli.options import format_option, job_command
from tlkit.cli.output import echo, echo_csv, echo_json
from tlkit.cli.parts import end_with_part
from tlkit.config import CheckConfig
from tlkit.utils.text import pluralize

if TYPE_CHECKING:
    from tlkit.commands.check import CheckResult

_MOST = 10
"""Most findings of a kind that the text lists."""


@job_command(CheckConfig, summary="Look for copies, leaks, wrong labels and outliers in your images.")
@format_option("text", "json", "csv")
@click.pass_context
def check(context: click.Context, /, options: dict[str, Any], output_format: str) -> None:
    """Check the images in DATA before training: what cannot be read, copies, leaks between splits, labels that are
    probably wrong, images like none of their class, classes that are too small.

    Copies are exact, byte for byte, or near: recompressed, resized, cropped by a few percent or mirrored. Features of
    the network are computed once and cached, as for `tlkit finetune`. Nothing is changed or deleted.

    \b
        tlkit check data/
        tlkit check data/ --report check.html
        tlkit check data/ --write-list odd.txt
        tlkit finetune data/ --exclude odd.txt
    """
    from tlkit import api

    result = api.check(**options)
    if options.get("part"):
        end_with_part(context, result, as_json=output_format == "json")
    if output_format == "json":
        echo_json(result.to_dict())
    elif output_format == "csv":
        echo_csv(("kind", "file", "label", "score", "note"), _as_rows(result))
    else:
        _echo_text(result)
    if options.get("strict") and result.findings:
        context.exit(1)


def _as_rows(result: CheckResult) -> Iterator[tuple[Any, ...]]:
    for bad in result.unreadable:
        yield "unreadable", bad.file, None, None, bad.error
    for group in result.duplicates:
        for file in group.files[1:]:
            yield (
                "duplicate",
                file,
                None,
                f"{group.similarity:.3f}",
                f"{group.kind} of {group.files[0]}, {group.relation}",
            )
    for error in result.label_errors:
        yield "label error", error.file, error.label, f"{error.score:.3f}", f"probably {error.suggested}"
    for outlier in result.outliers:
        yield "outlier", outlier.file, outlier.label, f"{outlier.score:.3f}", None
    for odd in result.unusual:
        yield "unusual", odd.file, None, None, odd.reason
    for warning in result.warnings:
        yield "warning", None, None, None, warning


def _echo_text(result: CheckResult) -> None:
    from tlkit.commands.check import leak_sentence

    echo(f"{pluralize(result.images, 'image')}, {pluralize(len(result.classes), 'class', 'classes')}")
    copies: dict[str, list[str]] = {relation: [] for relation in ("across splits", "across classes", "within class")}
    for group in result.duplicates:
        copies[group.relation].append(f"{' = '.join(group.files[:4])}  ({group.kind}, {group.similarity:.3f})")
    _list("unreadable", "unreadable", [f"{each.file}: {each.error}" for each in result.unreadable])
    for relation, groups in copies.items():
        where = relation.replace("within", "within a")
        _list(f"group of copies {where}", f"groups of copies {where}", groups)
        if relation == "across splits":
            for sentence in leak_sentence(result):
                echo(f"  {sentence}")
    _list(
        "label that is probably wrong",
        "labels that are probably wrong",
        [f"{each.file}: {each.label}, probably {each.suggested}  ({each.score:.2f})" for each in result.label_errors],
    )
    _list(
        "image like none of its class",
        "images like none of their class",
        [f"{each.file}: {each.label}  ({each.score:.1f})" for each in result.outliers],
    )
    _list("odd size or mode", "odd sizes and modes", [f"{each.file}: {each.reason}" for each in result.unusual])
    _list("warning", "warnings", list(result.warnings))
    if not result.findings:
        echo("Nothing was found.")


def _list(singular: str, plural: str, lines: list[str]) -> None:
    if not lines:
        return
    echo()
    echo(pluralize(len(lines), singular, plural))
    for line in lines[:_MOST]:
        echo(f"  {line}")
    if len(lines) > _MOST:
        echo(f"  and {len(lines) - _MOST:,} more; --report FILE shows them, --format json lists all")
