"""The process that :mod:`tlkit.keras_files.hdf5.subprocess_guard` starts: call one function, send back its result."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from typing import Any


def serve() -> None:
    """Read a request from stdin, answer on stdout and end."""
    sys.path[:] = pickle.load(sys.stdin.buffer)
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints must not end up in the answer
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own handler would wait until HDF5 returns
    request = sys.stdin.buffer
    log_level, cpu_seconds = pickle.load(request)
    _limit_cpu(cpu_seconds)
    try:
        from tlkit.utils.logging import logger

        logger.setLevel(log_level)
        function, arguments = pickle.load(request)
        outcome = _picklable(function(*arguments), None)
    except Exception as error:
        outcome = _picklable(None, error)
    answer.write(outcome)
    answer.flush()
    os._exit(0)  # nothing to clean up, and a damaged file left open can crash HDF5 when it is closed


def _picklable(result: Any, error: Exception | None) -> bytes:
    try:
        outcome = pickle.dumps((result, error))
        if error is not None:
            pickle.loads(outcome)
        return outcome
    except Exception:
        return pickle.dumps((None, RuntimeError(f"{type(error or result).__name__}: {error or result}")))


def _limit_cpu(seconds: int) -> None:
    """Have the system end this process after so much processor time; slow disks do not count."""
    try:
        import resource
    except ImportError:  # Windows: the other side has a clock
        return
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds if hard == resource.RLIM_INFINITY else min(seconds, hard), hard))
