"""Run short programs in processes of their own, of which any may crash, hang or never stop to print."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

_KEPT = 64_000
"""Bytes of what a process printed last."""
_STEP_SECONDS = 0.02


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        status: Its exit code, or minus the number of the signal that ended it; None if it had to be ended.
        stdout: What it printed last.
        stderr: The same.
        seconds: How long it ran.
    """

    status: int | None
    stdout: str
    stderr: str
    seconds: float


def run_all(
    commands: Iterable[Sequence[str]], *, environment: Mapping[str, str], limit: float, at_once: int
) -> Iterator[Ended]:
    """Run commands, several at a time, and yield how each ended, in their order.

    None outlives the iteration, whatever ends it.

    Args:
        commands: What to run.
        environment: The environment of all.
        limit: Seconds after which a process is ended.
        at_once: How many run at the same time.
    """
    waiting = list(commands)
    running: list[_Process] = []
    try:
        while waiting or running:
            alive = [process.runs() for process in running]
            if waiting and sum(alive) < at_once:
                running.append(_Process(waiting.pop(0), environment, limit))
            elif not alive[0]:
                yield running.pop(0).ended()
            else:
                time.sleep(_STEP_SECONDS)
    finally:
        for process in running:
            process.end()


class _Process:
    def __init__(self, command: Sequence[str], environment: Mapping[str, str], limit: float) -> None:
        self._started, self._limit, self._timed_out = time.monotonic(), limit, False
        self._seconds: float | None = None
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
            start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._tails = [_Tail(self._process.stdout), _Tail(self._process.stderr)]

    def runs(self) -> bool:
        """Return whether it still runs; one that has taken too long is ended."""
        if self._seconds is not None:
            return False
        elapsed = time.monotonic() - self._started
        if self._process.poll() is None:
            if elapsed <= self._limit:
                return True
            self._timed_out = True
            self.end()
        self._seconds = elapsed
        return False

    def end(self) -> None:
        """End it and what it has started, if it still runs."""
        if self._process.poll() is None:
            with suppress(OSError):
                if os.name == "nt":
                    self._process.kill()
                else:
                    os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def ended(self) -> Ended:
        """Return how it ended."""
        stdout, stderr = (tail.text() for tail in self._tails)
        return Ended(None if self._timed_out else self._process.returncode, stdout, stderr, self._seconds or 0.0)


class _Tail:
    """Reads a pipe to its end in a thread, and keeps what came last."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe, self._content = pipe, b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._pipe:
            while block := os.read(self._pipe.fileno(), _KEPT):
                self._content = (self._content + block)[-_KEPT:]

    def text(self) -> str:
        self._thread.join(1)  # a process that it has started may hold the pipe open
        return self._content.decode("utf-8", "replace")
