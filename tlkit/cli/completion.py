"""``tlkit completion``."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from tlkit.cli.shells import SHELLS, completion_script
from tlkit.errors import ConfigError
from tlkit.utils.options import join_or
from tlkit.utils.text import did_you_mean


def _complete(context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem | str]:
    return [name for name in SHELLS if name.startswith(incomplete)]


@click.command(short_help="Print the script that completes commands in a shell.")
@click.argument("shell", metavar="|".join(SHELLS), shell_complete=_complete)
def completion(shell: str) -> None:
    """Print the script with which a shell completes commands, options, their choices, architectures and file names.

    It takes effect in new shells, once this line is in the startup file:

    \b
        eval "$(tlkit completion bash)"       # ~/.bashrc
        eval "$(tlkit completion zsh)"        # ~/.zshrc, below compinit
        tlkit completion fish | source        # ~/.config/fish/config.fish
    """
    if shell not in SHELLS:
        raise ConfigError(f"SHELL is {shell!r}; expected {join_or(SHELLS)}.", hint=did_you_mean(shell, SHELLS))
    click.echo(completion_script(shell), nl=False)
