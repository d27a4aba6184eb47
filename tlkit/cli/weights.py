"""``tlkit weights``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from tlkit.cli.app import SOME_SKIPPED
from tlkit.cli.options import complete_architecture, complete_architecture_or_file, complete_folder, format_option
from tlkit.cli.output import echo, echo_csv, echo_json, echo_table
from tlkit.utils.text import format_bytes, pluralize

if TYPE_CHECKING:
    from tlkit.commands.weights import FileStatus


@click.group(short_help="List, download and verify published weights.")
def weights() -> None:
    """List, download and verify the published weights; carry them to a machine without a network.

    They are searched for in Keras's folder (~/.keras/models), in tlkit's own (~/.cache/tlkit/weights, or tlkit/weights
    in TLKIT_CACHE_DIR), and in TLKIT_WEIGHTS_MIRROR, the URL of a mirror or a shared folder. Missing ones are
    downloaded into tlkit's own.

    \b
        tlkit weights pull vgg16 mobilenet --no-top
        tlkit weights pull vgg16 efficientnetlite0 -o usb-stick/weights
        tlkit weights install usb-stick/weights
    """


@weights.command("list", short_help="List published weights files and where they are.")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=complete_architecture)
@format_option("text", "json", "csv")
def list_(names: tuple[str, ...], output_format: str) -> None:
    """List the weights files of all architectures, or of NAMEs, and where they are.

    Those with a size are on this machine. No file is read; `tlkit weights verify` does that.

    \b
        tlkit weights list
        tlkit weights list vgg16 resnet50 --format json
    """
    from tlkit.commands.weights import list_weights

    found = list_weights(names)
    if output_format != "text":
        _echo(found, output_format)
        return
    table = []
    for one in found:
        assert one.file is not None
        variant = " ".join(f"{part:g}" for part in (one.file.alpha, one.file.size) if part is not None)
        size = "-" if one.bytes is None else format_bytes(one.bytes)
        table.append((one.file.architecture, one.file.top, variant or "-", size, str(one.path or one.file.name)))
    echo_table(("architecture", "top", "variant", "size", "file"), table, right=(3,))


@weights.command("path", short_help="Print the path of a weights file.")
@click.argument("name", shell_complete=complete_architecture)
@click.option("--top/--no-top", default=True, show_default=True, help="With the ImageNet classifier, or without.")
@click.option("--alpha", type=float, metavar="A", help="Width of a MobileNet.  [default: 1]")
@click.option("--size", type=int, metavar="N", help="Input size that a MobileNet was trained at.  [default: 224]")
def path_(name: str, **variant: Any) -> None:
    """Print the path of the weights of NAME if they are on this machine and good; download nothing.

    Exit code 1 if they are not; the hint names the command that downloads them.

    \b
        tlkit weights path vgg16 --no-top
    """
    from tlkit.commands.weights import VariantFilter, find

    click.echo(find(name, VariantFilter(**variant)))


@weights.command("pull", short_help="Download weights ahead, for this machine or another.")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=complete_architecture)
@click.option("-o", "--output", metavar="DIR", shell_complete=complete_folder,
              help="Collect the files in DIR, for `weights install DIR` or TLKIT_WEIGHTS_MIRROR=DIR.")  # fmt: skip
@click.option("--top/--no-top", "top", default=None,
              help="Only with the ImageNet classifier, or only without.  [default: both]")  # fmt: skip
@click.option("--all", "every", is_flag=True, help="All widths and sizes of NAMEs; without a NAME, every file.")
@click.option("--alpha", type=float, metavar="A", help="Width of a MobileNet.  [default: 1]")
@click.option("--size", type=int, metavar="N", help="Input size that a MobileNet was trained at.  [default: 224]")
@click.option("--force", is_flag=True, help="Replace files in DIR that are not the published ones.")
@format_option("text", "json")
@click.pass_context
def pull_(
    context: click.Context,
    /,
    names: tuple[str, ...],
    output: str | None,
    force: bool,
    output_format: str,
    **variant: Any,
) -> None:
    """Download weights ahead, with the classifier and without.

    If a file fails, it is named and the others are downloaded. Exit code 0 if all are on this machine now, 3 if some
    are, 1 if none is.

    \b
        tlkit weights pull vgg16 resnet50
        tlkit weights pull mobilenet --no-top --alpha 0.5 --size 160
        tlkit weights pull vgg16 efficientnetlite0 -o usb-stick/weights
    """
    from tlkit.commands.weights import VariantFilter, select_all
    from tlkit.commands.weights_transfer import pull

    chosen = VariantFilter(**variant)
    if not names and not chosen.every:
        raise click.UsageError("Name architectures, or use --all.")
    done: list[FileStatus] = []
    for one in pull(select_all(names, chosen), output, force=force):
        done.append(one)
        if one.problem:
            echo(f"Warning: {one.problem}", err=True)
        elif output_format == "text":
            echo(f"{one.status:<10}  {one.path}")
    if output_format == "json":
        _echo(done, output_format)
    failed = [one for one in done if one.problem]
    for hint in dict.fromkeys(one.hint for one in failed if one.hint):
        echo(f"Hint: {hint}", err=True)
    if failed:
        context.exit(1 if len(failed) == len(done) else SOME_SKIPPED)


@weights.command("install", short_help="Install a folder of weights files.")
@click.argument("folder", metavar="DIR", shell_complete=complete_folder)
@click.option("--force", is_flag=True, help="Replace files that exist and differ.")
@format_option("text", "json")
def install_(folder: str, force: bool, output_format: str) -> None:
    """Install the weights files in DIR, which `tlkit weights pull -o DIR` collected on another machine.

    Every file is checked before the first is written: its name, its published digest, its layers.

    \b
        tlkit weights install usb-stick/weights
    """
    from tlkit.commands.weights_transfer import install

    done = install(folder, force=force)
    if output_format == "json":
        _echo(done, output_format)
        return
    for one in done:
        echo(f"{one.status:<9}  {one.path}")


@weights.command("verify", short_help="Verify weights files by digest and layers.")
@click.argument("names", metavar="[NAME|FILE|DIR]...", nargs=-1, shell_complete=complete_architecture_or_file)
@format_option("text", "json", "csv")
@click.pass_context
def verify_(context: click.Context, names: tuple[str, ...], output_format: str) -> None:
    """Verify the published weights on this machine: all, those of NAMEs, or FILEs and DIRs of them.

    Digests are compared where they were published, and the layers with those of the architecture; files without a
    published digest must hold plausible values too. Nothing is deleted. Exit code 1 if one is bad.

    \b
        tlkit weights verify
        tlkit weights verify /mnt/mirror
    """
    from tlkit.commands.weights import verify

    found = verify(names)
    bad = sum(one.status == "bad" for one in found)
    if output_format != "text":
        _echo(found, output_format)
    else:
        for one in found:
            digest = one.file.digest if one.file else None
            echo(f"{one.status:<4}  {one.path}: {one.problem or digest or 'layers and values'}")
        good = pluralize(len(found) - bad, "good file")
        echo(f"{good}{f', {bad:,} bad' if bad else ''}." if found else "No published weights file is on this machine.")
    if bad:
        context.exit(1)


def _echo(found: Sequence[FileStatus], output_format: str) -> None:
    rows = [one.to_dict() for one in found]
    if output_format == "json":
        echo_json(rows)
    else:
        from tlkit.commands.weights import FileStatus

        echo_csv(list(FileStatus(None, None, "").to_dict()), [list(row.values()) for row in rows])
