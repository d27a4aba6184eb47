"""Read files that may be damaged in another process: HDF5 is C, and a damaged file can crash it or never end.

The other process is a fresh Python, not a fork: a fork copies locks that other threads hold (TensorFlow has dozens of
threads) and does not exist on Windows. It imports this process's packages, from the same folders, and what the function
needs; nothing is shared but two pipes.
"""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from tlkit.errors import WeightsError
from tlkit.keras_files.hdf5.spare_process import SpareProcess, take_spare
from tlkit.utils.logging import logger

Result = TypeVar("Result")

_PACKAGES = str(Path(__file__).parents[3])

CPU_SECONDS = 120
"""Processor time that reading a file may take; the 100,000 groups of a hostile one take 5 seconds."""
_START = "import sys; sys.path.insert(0, sys.argv.pop()); from tlkit.keras_files.hdf5.worker import serve; serve()"


class SubprocessCall(Generic[Result]):
    """A function that runs in a process of its own, from now on.

    Args:
        function: Importable by its name; it reads the file.
        arguments: Its arguments; they and the result must pickle.
        path: The file, for messages.
        cpu_seconds: Processor time after which the process is ended.
    """

    def __init__(
        self, function: Callable[..., Result], *arguments: Any, path: Path, cpu_seconds: int = CPU_SECONDS
    ) -> None:
        self._path, self._cpu_seconds = path, cpu_seconds
        self._lock = threading.Lock()
        self._outcome: tuple[Any, Exception | None] | None = None
        self._process = take_spare() or _start()
        # a call whose result nobody waits for ends with it
        weakref.finalize(self, _abandon, self._process)
        pipe, self._process.stdin = self._process.stdin, None
        assert pipe is not None
        try:
            with pipe:
                pickle.dump([*sys.path, _PACKAGES], pipe)
                pickle.dump((logger.getEffectiveLevel(), cpu_seconds), pipe)
                pickle.dump((function, arguments), pipe)
        except BrokenPipeError:  # it has ended already; result() reports how
            pass
        except BaseException:
            self._end()
            raise

    def result(self) -> Result:
        """Wait for the function and return its result.

        Raises:
            WeightsError: The process crashed, as HDF5 does on some damage, or used up its processor time.
            KeyboardInterrupt: Ctrl-C reached the process.
            Exception: What the function raised.
        """
        with self._lock:
            if self._outcome is None:
                self._outcome = self._collect()
        result, error = self._outcome
        if error is not None:
            raise error
        result_: Result = result
        return result_

    def _collect(self) -> tuple[Any, Exception | None]:
        timeout = self._cpu_seconds if sys.platform == "win32" else None
        try:
            answer, _ = self._process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self._end()
            return None, self._damaged("HDF5 does not finish reading it")
        except BaseException:
            self._end()
            raise
        status = self._process.returncode
        if status == 0:
            outcome: tuple[Any, Exception | None] = pickle.loads(answer)  # written by our own process
            return outcome
        if status == -signal.SIGINT:
            raise KeyboardInterrupt
        if status == 1:
            return None, RuntimeError(f"The process that was to read {self._path} did not start.")
        if sys.platform != "win32" and status == -signal.SIGXCPU:
            return None, self._damaged("HDF5 does not finish reading it")
        name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return None, self._damaged(f"HDF5 crashed reading it ({name})")

    def _damaged(self, reason: str) -> WeightsError:
        return WeightsError(f"{self._path} is damaged: {reason}.")

    def _end(self) -> None:
        _abandon(self._process)


def _start() -> subprocess.Popen[bytes]:
    # -P: without it, a pickle.py in the current folder would be imported
    command = [sys.executable, "-P", *(["-B"] if sys.dont_write_bytecode else []), "-c", _START, _PACKAGES]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _abandon(process: subprocess.Popen[bytes] | SpareProcess) -> None:
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


def run_in_subprocess(
    function: Callable[..., Result], *arguments: Any, path: Path, cpu_seconds: int = CPU_SECONDS
) -> Result:
    """Call ``function(*arguments)`` in a process of its own and return its result.

    Args:
        function: Importable by its name; it reads the file.
        arguments: Its arguments; they and the result must pickle.
        path: The file, for messages.
        cpu_seconds: Processor time after which the process is ended.

    Raises:
        WeightsError: The process crashed, as HDF5 does on some damage, or used up its processor time.
        Exception: What the function raised.
    """
    return SubprocessCall(function, *arguments, path=path, cpu_seconds=cpu_seconds).result()
