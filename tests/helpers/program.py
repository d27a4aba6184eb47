"""Run the program, in this process (:func:`invoke`) or in one of its own (:func:`run`, :func:`start`).

``python -m helpers.program COMMAND …`` is ``tlkit`` with the toy base registered. ``FAIL_AFTER`` in the environment,
``2:SIGKILL`` or ``2:ENOSPC``, ends it after so many batches of features were stored: by a signal to itself, or by a
disk that is full from then on.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from helpers.toy import registered
from tlkit.__main__ import main as run_program
from tlkit.cli import main

COMMAND = (sys.executable, "-m", "helpers.program")


@dataclass(frozen=True)
class Ran:
    """How the program ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document on stdout."""
        return json.loads(self.out)


def invoke(*arguments: Any, input: bytes | None = None) -> Ran:
    """Run it in this process; an exception that it does not turn into a message is raised."""
    own = {"TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL")}  # -v sets it, for its own process
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "warnoptions", ["error"])  # as with `python -W`: the program leaves warnings as they are
        result = CliRunner().invoke(main, [str(argument) for argument in arguments], env=own, input=input)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


def environment(**more: str) -> Mapping[str, str]:
    """The environment of such a process: it finds ``helpers``, and ``tlkit`` where this process found it."""
    path = [str(Path(__file__).parents[1]), *filter(None, sys.path)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), **more}


def run(*arguments: Any, fail_after: str = "") -> subprocess.CompletedProcess[str]:
    """Run it to its end, in a process of its own."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, env=environment(FAIL_AFTER=fail_after), capture_output=True, text=True, timeout=120)


def start(*arguments: Any) -> subprocess.Popen[str]:
    """Start it in a process of its own; its stderr is a pipe to read from."""
    return subprocess.Popen([*COMMAND, *map(str, arguments)], env=environment(), stderr=subprocess.PIPE, text=True)


def _fail_after(batches: int, how: str) -> None:
    from tlkit.features.store import FeatureStore

    append, calls = FeatureStore.append, []

    def full(*given: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def counted(self: Any, *given: Any) -> None:
        append(self, *given)
        calls.append(1)
        if len(calls) == batches and how == "ENOSPC":
            os.pwrite = full
        elif len(calls) == batches:
            os.kill(os.getpid(), signal.Signals[how])
            time.sleep(5)

    FeatureStore.append = counted  # type: ignore[method-assign]


if __name__ == "__main__":
    if os.environ.get("FAIL_AFTER"):
        batches, _, how = os.environ["FAIL_AFTER"].partition(":")
        _fail_after(int(batches), how)
    with registered():
        run_program()
