"""Inspect many files in one process: what a worker process can import by its name."""

import signal

from tlkit.commands.inspect_h5 import _inspect
from tlkit.errors import TlkitError


def inspect_each(paths, seconds):
    """What went wrong with each file in another way than the documented one; None where nothing did."""
    return [inspect(path, seconds) for path in paths]


def inspect(path, seconds):
    signal.alarm(seconds)  # the end of a search that does not end
    try:
        _inspect(str(path), with_stats=True)
    except TlkitError as error:
        return unlike_one_line(error, path)
    except Exception as error:
        return f"{path.name}: {type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
    return None


def unlike_one_line(error, path):
    fine = path.name in error.message and error.message.isprintable() and len(error.message) < 1000
    return None if fine else f"{path.name}: {error.message!r}"
