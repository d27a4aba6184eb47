"""The one place where an error becomes a message and an exit code."""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import Any

import click

from tlkit.errors import TlkitError
from tlkit.progress import logger
from tlkit.text import printable

INTERRUPTED = 130
SOME_SKIPPED = 3


class _Notes(logging.Handler):
    """Log records as lines on stderr; an active progress bar moves down for them."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "Warning: " if record.levelno >= logging.WARNING else ""
        line = f"{prefix}{record.getMessage()}"
        if "tqdm" in sys.modules:
            sys.modules["tqdm"].tqdm.write(line, file=sys.stderr)
        else:
            click.echo(line, err=True)


def set_up_output(context: click.Context, *, verbose: bool, quiet: bool) -> None:
    """Decide how much is said, before anything can say it."""
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


def report(error: TlkitError) -> None:
    """Print an error as ``Error: …`` and, where there is one, ``Hint: …``."""
    click.echo(f"Error: {error.message}", err=True)
    if error.hint:
        click.echo(f"Hint: {error.hint}", err=True)


class TlkitGroup(click.Group):
    """A group whose commands end with a message instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn what it raises into lines on stderr and an exit code."""
        try:
            return super().invoke(ctx)
        except TlkitError as error:
            if ctx.params.get("verbose"):
                raise
            report(error)
            ctx.exit(error.exit_code)
        except (KeyboardInterrupt, click.Abort):
            signal.signal(
                signal.SIGINT, signal.SIG_DFL
            )  # threads may take a moment to end; a second Ctrl-C does not wait
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except BrokenPipeError:
            # whoever read our output has gone; point stdout elsewhere so that closing it says nothing
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)
        except MemoryError:
            report(TlkitError("There is not enough memory.", hint="Try a smaller --batch-size or --size."))
            ctx.exit(1)
        except Exception as error:
            if ctx.params.get("verbose"):
                raise
            first = str(error).strip().splitlines()
            report(
                TlkitError(
                    f"{type(error).__name__}: {printable(first[0]) if first else 'no reason given'}",
                    hint="tlkit did not expect this; run it again as `tlkit -v …` to see where it happened.",
                )
            )
            ctx.exit(1)
