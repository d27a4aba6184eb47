"""Read a file that may be damaged in a process of its own: HDF5 is C, and a damaged file can end the process."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from tlkit.errors import TlkitError, WeightsError

Result = TypeVar("Result")


def run_in_subprocess(read: Callable[[], Result], path: Path) -> Result:
    """Call ``read`` in a child process and give back what it returns or raises.

    Args:
        read: Reads the file; its result must pickle.
        path: The file, for messages.

    Raises:
        WeightsError: The child was ended by a signal, as HDF5 does on some damage.
        TlkitError: What ``read`` raised.
    """
    if not hasattr(os, "fork"):  # Windows
        return read()
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)
        os._exit(_answer(read, sink))
    os.close(sink)
    try:
        with os.fdopen(source, "rb") as pipe:
            answer = pipe.read()
    finally:
        _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        if os.WTERMSIG(status) == signal.SIGINT:
            raise KeyboardInterrupt
        name = signal.Signals(os.WTERMSIG(status)).name
        raise WeightsError(f"{path} is damaged: HDF5 broke off reading it ({name}).")
    answered: tuple[Result, Exception | None] = pickle.loads(answer)  # written by our own child
    result, error = answered
    if error is not None:
        raise error
    return result


def _answer(read: Callable[[], Result], sink: int) -> int:
    """What the child does: read, write the pickled result or error."""
    try:
        answer: tuple[Result | None, BaseException | None] = (read(), None)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
        return 1
    except BaseException as error:
        if not isinstance(error, TlkitError):
            error.__traceback__ = None
        answer = (None, error)
    with os.fdopen(sink, "wb") as pipe:
        try:
            pipe.write(pickle.dumps(answer))
        except Exception as error:  # what was raised does not pickle
            pipe.write(pickle.dumps((None, RuntimeError(f"{type(answer[1] or error).__name__}: {answer[1] or error}"))))
    return 0


def verify_readable(path: Path) -> None:
    """Open a weights or model file and look at every layer, in a process of its own.

    Raises:
        WeightsError: It is damaged, or points outside itself.
    """
    status = path.stat()
    _check_once(path, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _check_once(path: Path, inode: int, size: int, changed: int) -> None:
    def preprocessor() -> None:
        from tlkit.keras_files.format_detection import read_header
        from tlkit.keras_files.hdf5.open import open_file
        from tlkit.keras_files.layers import saved_layers

        with open_file(path) as opened:
            for layer in saved_layers(opened.root, read_header(opened)):
                for tensor in layer.tensors:
                    tensor.values[(slice(0, 1),) * tensor.values.ndim]  # the first chunk, through its filters

    run_in_subprocess(preprocessor, path)
