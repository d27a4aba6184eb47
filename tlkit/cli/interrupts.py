"""End the program on Ctrl-C and SIGTERM, in two seconds at most, wherever it is.

A signal raises ``KeyboardInterrupt``, and the work cleans up after itself. Where that takes long, because the signal
waits for a call into TensorFlow or HDF5 to return, a thread ends the process. Nothing is lost by that: what is being
written is written beside the file that it replaces.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Any, NoReturn

import click

from tlkit.utils.interrupt import before_exit, interrupted, resume_notes

GRACE_SECONDS = 1.5
_MESSAGES = {signal.SIGINT: "Interrupted.", signal.SIGTERM: "Terminated."}
_received: list[int] = []
_raised: list[int] = []
_reporting = threading.Lock()


def run(group: click.Group) -> NoReturn:
    """Run the program's command line and end the process."""
    try:
        _handle_signals()
        code: int = group.main(prog_name="tlkit", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        code = report_interrupt()
    if code:  # threads of TensorFlow and OpenVINO can keep an interpreter from ending after an error
        _end(code)
    sys.exit()


def _handle_signals() -> None:
    for number in _MESSAGES:
        signal.signal(number, _raise)
    sys.unraisablehook = _report_unraisable
    if os.name != "nt":  # Windows wakes sockets alone
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=_end_when_it_takes_long, args=(reader,), name="interrupts", daemon=True).start()


def report_interrupt() -> int:
    """Print that the program was interrupted, and return its exit code."""
    if _reporting.acquire(blocking=False):
        click.echo(_MESSAGES[_number()], err=True)
        if not _received:  # raised by a caller in this process, which lives on
            _reporting.release()
    return 128 + _number()


def _number() -> signal.Signals:
    return signal.Signals(_received[0]) if _received else signal.SIGINT


def _raise(number: int, frame: Any) -> None:
    if not _raised:  # cleaning up is not interrupted: a second signal ends the process
        _raised.append(number)
        _received.append(number)
        interrupted.set()
        raise KeyboardInterrupt


def _end_when_it_takes_long(reader: int) -> None:
    import select

    while (number := os.read(reader, 1)[0]) not in list(_MESSAGES):
        pass
    _received.append(number)
    interrupted.set()
    select.select([reader], [], [], GRACE_SECONDS)
    if _reporting.acquire(blocking=False):
        # not through sys.stderr, which the interrupted code may hold
        lines = [*(f"Warning: {note}" for note in resume_notes()), _MESSAGES[_number()]]
        with suppress(OSError):
            os.write(_stderr(), "".join(f"{line}\n" for line in lines).encode(errors="backslashreplace"))
    _end(128 + _number())


def _stderr() -> int:
    """Return the descriptor of stderr, which is not 2 while TensorFlow starts."""
    try:
        return sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        return 2


def _end(code: int) -> NoReturn:
    for farewell in before_exit:
        farewell()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def _report_unraisable(unraisable: Any) -> None:
    """Report an exception in a destructor, unless it is the interrupt."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
