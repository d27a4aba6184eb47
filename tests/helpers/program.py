"""The program as a process of its own, with the toy base registered: ``python -m helpers.program COMMAND …``.

``FAIL_AFTER`` in the environment, ``2:SIGKILL`` or ``2:ENOSPC``, ends it after so many batches of features were
stored: by a signal to itself, or by a disk that is full from then on.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from helpers.toy import registered

COMMAND = (sys.executable, "-m", "helpers.program")


def environment(**more: str) -> Mapping[str, str]:
    """The environment of such a process: it finds ``helpers``, and ``tlkit`` where this process found it."""
    path = [str(Path(__file__).parents[1]), *filter(None, sys.path)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), **more}


def run(*arguments: Any, fail_after: str = "") -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, env=environment(FAIL_AFTER=fail_after), capture_output=True, text=True, timeout=120)


def start(*arguments: Any) -> subprocess.Popen[str]:
    """Start it; its stderr is a pipe to read from."""
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
    from tlkit.cli import main

    with registered():
        main()
