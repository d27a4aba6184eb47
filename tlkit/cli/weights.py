"""``tlkit weights``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from tlkit.cli.app import SOME_SKIPPED
from tlkit.cli.options import FiniteRange, format_option
from tlkit.cli.output import echo, echo_csv, echo_json, echo_table
from tlkit.utils.logging import logger
from tlkit.utils.text import format_bytes, pluralize, without_password

if TYPE_CHECKING:
    from tlkit.commands.weights import Choice, Listed, Published, Pulled, Verified

top_option: Callable[..., Any] = click.option(
    "--top/--no-top", "top", default=None,
    help="Only the files with the ImageNet classifier, or only those without.  [default: both]",
)  # fmt: skip
variant_options: tuple[Callable[..., Any], ...] = (
    click.option("--size", type=click.IntRange(1), metavar="N", help="Of MobileNets, those for this input size."),
    click.option("--alpha", type=FiniteRange(0, 10, min_open=True), metavar="A",
                 help="Of MobileNets, those of this width."),
)  # fmt: skip
force_option: Callable[..., Any] = click.option("--force", is_flag=True, help="Write over what exists.")


def choice_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which files are meant; the command receives them as ``choice``."""

    @functools.wraps(command)
    def collect(*args: Any, **values: Any) -> Any:
        from tlkit.commands.weights import Choice

        given = {name: values.pop(name) for name in ("top", "every", "alpha", "size") if name in values}
        if given.get("every") and (given["alpha"] or given["size"]):
            raise click.UsageError("--all means every width and size; leave --alpha and --size out.")
        return command(*args, choice=Choice(**given), **values)

    for option in variant_options:
        collect = option(collect)
    return collect


@click.group(short_help="List, download, check and install published weights.")
def weights() -> None:
    """The published weights: list them, fetch them ahead, check them, carry them to a machine without a network.

    They are looked for in Keras's folder (~/.keras/models), in tlkit's own (TLKIT_CACHE_DIR/weights), and on
    TLKIT_WEIGHTS_MIRROR, the address of a mirror or a shared folder; what is missing is fetched into tlkit's own.

    \b
        tlkit weights pull vgg16 mobilenet --no-top
        tlkit weights pack vgg16 efficientnetlite0 -o weights.tar
        tlkit weights unpack weights.tar
    """


@weights.command("list")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@format_option("text", "json", "csv")
def list_(names: tuple[str, ...], output_format: str) -> None:
    """List the weights files of all architectures, or of those that are named, and where they are.

    Nothing is hashed; `tlkit weights verify` does that. JSON is a list, one object a file: `architecture`, `top` (yes:
    with the ImageNet classifier, no: without, both: one file serves both), `alpha` and `size` where an architecture has
    several, `file`, `installed`, `path` when it is here, `source` (an address, or `package NAME`), `digest` as it is
    published, `bytes` when it is here. CSV has these columns.

    \b
        tlkit weights list
        tlkit weights list vgg16 resnet50 --format json
    """
    from tlkit.commands.weights import list_weights

    found = list_weights(names)
    if output_format == "json":
        echo_json([_listed(one) for one in found])
        return
    if output_format == "csv":
        rows = [_listed(one) for one in found]
        echo_csv(list(rows[0]), (list(row.values()) for row in rows))
        return
    variants = any(one.published.weights.alpha or one.published.weights.size for one in found)
    echo_table(
        ("architecture", "top", *(["variant"] if variants else []), "here", "file", "where"),
        [
            (
                one.published.architecture.name, one.published.top, *([_variant(one.published)] if variants else []),
                "-" if one.bytes is None else format_bytes(one.bytes), one.published.name,
                str(one.path) if one.path else f"from {one.published.origin}",
            )
            for one in found
        ],
        right=(3 if variants else 2,),
    )  # fmt: skip


def _variant(published: Published) -> str:
    parts = (published.weights.alpha, published.weights.size)
    return " ".join(f"{part:g}" for part in parts if part is not None) or "-"


def _facts(published: Published) -> dict[str, Any]:
    return {
        "architecture": published.architecture.name,
        "top": published.top,
        "alpha": published.weights.alpha,
        "size": published.weights.size,
        "file": published.name,
    }


def _listed(one: Listed) -> dict[str, Any]:
    return {
        **_facts(one.published),
        "installed": one.path is not None,
        "path": None if one.path is None else str(one.path),
        "source": without_password(one.published.origin),
        "digest": one.published.weights.file.digest,
        "bytes": one.bytes,
    }


@weights.command("path")
@click.argument("name")
@click.option("--top/--no-top", "top", default=True, show_default=True, help="With the ImageNet classifier or without.")
@choice_options
def path_(name: str, choice: Choice) -> None:
    """Print the path of the weights of NAME when they are here and good; fetch nothing.

    Exit code 1 when they are not here; the hint says what would fetch them and where to put them.

    \b
        tlkit weights path vgg16 --no-top
    """
    from tlkit.commands.weights import find

    click.echo(find(name, choice))


@weights.command("pull")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@top_option
@click.option("--all", "every", is_flag=True,
              help="Also other widths and sizes of those named; without a name, every file there is.")  # fmt: skip
@choice_options
@format_option("text", "json")
@click.pass_context
def pull_(context: click.Context, names: tuple[str, ...], choice: Choice, output_format: str) -> None:
    """Fetch weights ahead, with the classifier and without.

    One that fails is named and the others are fetched. Exit code 0 when all are here now, 3 when some are, 1 when none
    is. JSON is a list, one object a file: `architecture`, `top`, `alpha`, `size`, `file`, `status` (fetched, here,
    failed), `path`, `error`.

    \b
        tlkit weights pull vgg16 resnet50
        tlkit weights pull mobilenet --no-top --alpha 0.5 --size 160
    """
    from tlkit.commands.weights import choose_all, pull

    if not names and not choice.every:
        raise click.UsageError("Name architectures, or say --all.")
    files = choose_all(names, choice)
    done = _say_pulled(pull(files), say=output_format == "text")
    if output_format == "json":
        echo_json([_pulled(one) for one in done])
    failed = [one for one in done if one.error is not None]
    for hint in dict.fromkeys(one.error.hint for one in failed if one.error and one.error.hint):
        echo(f"Hint: {hint}", err=True)
    if failed:
        context.exit(1 if len(failed) == len(done) else SOME_SKIPPED)


def _say_pulled(pulled: Iterable[Pulled], *, say: bool) -> list[Pulled]:
    done = []
    for one in pulled:
        done.append(one)
        if one.error is not None:
            logger.warning("%s", one.error.message)
        elif say:
            echo(f"{one.status:<7}  {one.path}")
    return done


def _pulled(one: Pulled) -> dict[str, Any]:
    return {
        **_facts(one.published),
        "status": one.status,
        "path": None if one.path is None else str(one.path),
        "error": None if one.error is None else one.error.message,
    }


@weights.command("verify")
@click.argument("names", metavar="[NAME|FILE|FOLDER]...", nargs=-1)
@format_option("text", "json", "csv")
@click.pass_context
def verify_(context: click.Context, names: tuple[str, ...], output_format: str) -> None:
    """Check the published weights that are here: all, those of NAMEs, or FILEs and FOLDERs of them.

    The digest is compared where one is published, and the layers with those of the architecture; where no digest is
    published, values that no network has are refused too. Nothing is deleted. Exit code 1 when one is bad. JSON is a
    list, one object a copy: `path`, `architecture`, `top`, `alpha`, `size`, `file`, `good`, `checks` (digest, layers),
    `problem`.

    \b
        tlkit weights verify
        tlkit weights verify /mnt/mirror
    """
    from tlkit.commands.weights import counts, verify

    found = verify(names)
    rows = [_verified(one) for one in found]
    if output_format == "json":
        echo_json(rows)
    elif output_format == "csv":
        header = ("path", "architecture", "top", "alpha", "size", "file", "good", "checks", "problem")
        echo_csv(header, ([*row.values()] for row in ({**row, "checks": " ".join(row["checks"])} for row in rows)))
    else:
        for one in found:
            what = one.problem or ", ".join(one.checks)
            echo(f"{'BAD ' if one.problem else 'good'}  {one.path}: {what}")
        echo(counts(found) if found else "No published weights file is here.")
    if any(one.problem for one in found):
        context.exit(1)


def _verified(one: Verified) -> dict[str, Any]:
    none = {"architecture": None, "top": None, "alpha": None, "size": None, "file": None}
    return {
        "path": str(one.path),
        **(_facts(one.published) if one.published else none),
        "good": one.problem is None,
        "checks": one.checks,
        "problem": one.problem,
    }


@weights.command("pack")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@top_option
@click.option("--all", "every", is_flag=True, help="Also other widths and sizes of the architectures.")
@click.option("-o", "--output", metavar="FILE.tar", required=True, help="The archive to write.")
@choice_options
@force_option
@format_option("text", "json")
def pack_(names: tuple[str, ...], choice: Choice, output: str, force: bool, output_format: str) -> None:
    """Write weights into one archive, for `tlkit weights unpack` on a machine without a network.

    What is not here is fetched first. It is a tar with a manifest; the same weights give the same bytes. JSON has
    `output` and `files`, each with `name`, `architecture`, `top`, `sha256`, `bytes`, `digest`.

    \b
        tlkit weights pack vgg16 efficientnetlite0 -o weights.tar
    """
    import dataclasses

    from tlkit.commands.weights import choose_all
    from tlkit.commands.weights_bundle import pack

    packed = pack(choose_all(names, choice), output, force=force)
    if output_format == "json":
        echo_json({"output": output, "files": [dataclasses.asdict(one) for one in packed]})
        return
    for one in packed:
        echo(f"{format_bytes(one.bytes):>9}  {one.name}")
    total = format_bytes(sum(one.bytes for one in packed))
    echo(f"{output}: {pluralize(len(packed), 'file')}, {total}.")


@weights.command("unpack")
@click.argument("file", metavar="FILE")
@force_option
@format_option("text", "json")
def unpack_(file: str, force: bool, output_format: str) -> None:
    """Install the weights of an archive that `tlkit weights pack` wrote.

    Everything is checked before anything gets its name: the files are published ones, and whole. Equal files that are
    there stay; different ones are refused without --force. JSON has `folder` and `files`, each with `name`,
    `architecture`, `top`, `sha256`, `bytes`, `digest`, `path`, and `status` (installed, replaced, there).

    \b
        tlkit weights unpack weights.tar
    """
    import dataclasses

    from tlkit.commands.weights_bundle import unpack
    from tlkit.downloads.folders import weights_folder

    done = unpack(file, force=force)
    if output_format == "json":
        rows = [{**dataclasses.asdict(one.packed), "path": str(one.path), "status": one.status} for one in done]
        echo_json({"folder": str(weights_folder()), "files": rows})
        return
    for one in done:
        echo(f"{one.status:<9}  {one.path}")
