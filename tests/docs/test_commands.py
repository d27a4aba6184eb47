"""Every command line in the documentation could be typed: its command, options and words exist."""

import re
import shlex

import click
import pytest
from helpers import pages

from tlkit.cli import main
from tlkit.cli.options import JobCommand
from tlkit.utils.options import options_of

pytestmark = pytest.mark.docs

INDENTED = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
SHELL = ("console", "sh", "bash")


def command_lines(text: str) -> list[str]:
    """The lines that begin with ``tlkit``, of blocks for a shell and of indented ones, without comments."""
    bodies = [body for language, body, _ in pages.blocks(text) if language in SHELL]
    bodies += [block[0] for block in INDENTED.finditer(pages.BLOCK.sub("", text))]
    lines = [line.strip().removeprefix("$ ") for body in bodies for line in body.replace("\\\n", " ").splitlines()]
    return [line for line in lines if re.match(r"(?:\w+=\S+ )*tlkit ", line)]


def check(line: str) -> None:
    """Parse one line as Click does, without running anything.

    Raises:
        click.UsageError: A command or an option that does not exist, or an argument too many.
    """
    words = shlex.split(line, comments=True)
    words = words[words.index("tlkit") + 1 :]
    for index, word in enumerate(words):
        if re.fullmatch(r"[|&;><].*|\d?>.*", word):
            words = words[:index]
            break
    command: click.Command = main
    while isinstance(command, click.Group):
        context = click.Context(command)
        _, rest, _ = command.make_parser(context).parse_args([*words])
        if not rest:
            return
        inner = command.get_command(context, rest[0])
        if inner is None:
            raise click.UsageError(f"no command {rest[0]}")
        command, words = inner, rest[1:]
    values, rest, _ = command.make_parser(click.Context(command)).parse_args([*words])
    if rest:
        raise click.UsageError(f"not understood: {rest}")
    if isinstance(command, JobCommand):
        for item in options_of(command.config):
            value = values.get(item.name)
            if isinstance(value, str) and not item.argument and not re.search("[A-Z$…]", value):
                item.check(item.parse(value))


LINES = [
    pytest.param(line, id=f"{page.relative_to(pages.ROOT)}: {line}")
    for page in pages.PAGES
    for line in command_lines(page.read_text("utf-8"))
]


@pytest.mark.parametrize("line", LINES)
def test_a_line_could_be_typed(line):
    check(line)


@pytest.mark.parametrize(
    "line", ["tlkit pedict a.jpg", "tlkit predict --tpo 3 a.jpg", "tlkit finetune d --recipe strnog", "tlkit archs a b"]
)
def test_what_does_not_exist_is_found(line):
    with pytest.raises(Exception, match="pedict|tpo|strnog|'b'"):
        check(line)


def test_every_command_stands_in_the_readme():
    text = (pages.ROOT / "README.md").read_text("utf-8")
    assert not [name for name in main.list_commands(click.Context(main)) if f"tlkit {name}" not in text]
