"""The command group: lazy commands, notes on stderr, errors as messages and exit codes."""

from __future__ import annotations

import errno
import importlib
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Mapping
from typing import Any

import click

from tlkit.cli.interrupts import report_interrupt
from tlkit.cli.output import wrapped
from tlkit.errors import OUT_OF_MEMORY, TlkitError
from tlkit.utils.interrupt import interrupted
from tlkit.utils.logging import logger
from tlkit.utils.text import did_you_mean, escape_control_chars, truncate

SOME_SKIPPED = 3
MAX_LINE = 4000
"""Characters of a message: names in a file may have millions."""
COMPLETION_VARIABLE = "_TLKIT_COMPLETE"
"""With what a shell asks; Click reads it too."""


class _Notes(logging.Handler):
    """Log records as lines on stderr; an active progress bar moves down for them."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "Warning: " if record.levelno >= logging.WARNING else ""
        line = wrapped(escape_control_chars(truncate(f"{prefix}{record.getMessage()}", MAX_LINE)))
        if "tqdm" in sys.modules:
            sys.modules["tqdm"].tqdm.write(line, file=sys.stderr)
        else:
            click.echo(line, err=True)


def set_up_output(context: click.Context, *, verbose: bool, quiet: bool) -> None:
    """Set the log level, before anything is logged."""
    if verbose and quiet:
        raise click.UsageError("--verbose and --quiet contradict each other.")
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    handler = _Notes()
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    context.call_on_close(lambda: logger.removeHandler(handler))
    if verbose:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
    elif not sys.warnoptions:
        warnings.simplefilter("ignore")  # of Pillow and Keras; what matters to the user is an error or a note of tlkit


def _echo(line: str) -> None:
    click.echo(wrapped(escape_control_chars(truncate(line, MAX_LINE))), err=True)


def report(error: TlkitError) -> None:
    """Print an error as ``Error: …`` and, where there is one, ``Hint: …``."""
    _echo(f"Error: {error.message}")
    if error.hint:
        _echo(f"Hint: {error.hint}")


class TlkitGroup(click.Group):
    """A group that imports commands when they are called, and ends with a message instead of a traceback.

    Args:
        lazy: ``{command: module:function}``, in the order of ``--help``.
        options: Keyword arguments of ``click.Group``.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, str], **options: Any) -> None:
        super().__init__(*args, **options)
        self.lazy = lazy

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line, or answer a shell that completes it."""
        if COMPLETION_VARIABLE in os.environ:
            from tlkit.cli import shells

            shells.register()
        return super().main(*args, **options)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; an unknown name is a usage error, or None while a shell completes a line."""
        if cmd_name not in self.lazy:
            if ctx.resilient_parsing:
                return None
            near = did_you_mean(cmd_name, self.lazy)
            ctx.fail(f"No such command {cmd_name!r}.{f' {near}' if near else ''}")
        module, _, function = self.lazy[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), function)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn exceptions into lines on stderr and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except (KeyboardInterrupt, click.Abort):
            ctx.exit(report_interrupt())
        except BrokenPipeError:
            # the reader of stdout has ended; point stdout elsewhere so that closing it raises nothing
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)
        except Exception as error:
            if interrupted.is_set():  # a module that was being imported raises an error of its own
                ctx.exit(report_interrupt())
            if ctx.params.get("verbose"):
                traceback.print_exc()
            known = _as_tlkit_error(error)
            report(known)
            ctx.exit(known.exit_code)


def _as_tlkit_error(error: Exception) -> TlkitError:
    if isinstance(error, TlkitError):
        return error
    if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
        return TlkitError("Cannot write the result: no space left on the device.")
    if isinstance(error, MemoryError) or any(sign in f"{type(error).__name__} {error}" for sign in OUT_OF_MEMORY):
        return TlkitError("Out of memory.", hint="Try a smaller --batch-size or --size.")
    lines = str(error).strip().splitlines()
    return TlkitError(
        f"{type(error).__name__}: {lines[0] if lines else 'no message'}",
        hint="This is a bug of tlkit, or of a library; `tlkit -v …` shows where it happened.",
    )
