"""Find damage in a weights or model file before this process opens it.

The file is read in a process of its own. A version of it that was found whole is not read again
(:mod:`tlkit.utils.findings`).
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from tlkit import __version__
from tlkit.keras_files.foreign import foreign_error, foreign_file
from tlkit.keras_files.hdf5.subprocess_guard import SubprocessCall
from tlkit.keras_files.hdf5.validate import check_is_file, is_archive, is_hdf5
from tlkit.utils.findings import recall, remember, same_version

CHECKS = 2
"""Version of what is checked, increased with it: files found whole by less are read again. 2 added the CRC-32."""
READABLE, CRC = (f"{check} by tlkit {__version__}, {CHECKS}" for check in ("whole", "CRC-32"))
_WHOLE = "whole"

_calls: dict[Path, tuple[os.stat_result, SubprocessCall[None]]] = {}
_whole: dict[tuple[str, Path], os.stat_result] = {}
"""Of each check, the version of a file that this process found whole; it may be too new to be remembered."""
_lock = threading.Lock()


def start_verifying(path: Path) -> None:
    """Start :func:`verify_readable` in the background, for instance before an import that takes seconds.

    Raises:
        WeightsError: There is no such file, or it is neither HDF5 nor a .keras archive.
    """
    _start(path)


def verify_readable(path: Path) -> None:
    """Read the structure of a weights or model file and the first values of each tensor, in another process.

    Of an archive, every byte is compared with its CRC-32.

    Raises:
        WeightsError: It is damaged, points outside itself, or is packed with a filter that is not installed.
    """
    _start(path)
    started = _calls.get(path.resolve())
    if started is None or _is_whole(READABLE, path, started[0]):
        return
    started[1].result()
    for check in (READABLE, CRC):  # opening it compares that too
        _found_whole(check, path, started[0])


def _start(path: Path) -> None:
    check_is_file(path)
    if not is_hdf5(path) and (not is_archive(path) or foreign_file(path)):
        raise foreign_error(path)
    status, key = path.stat(), path.resolve()
    with _lock:
        if _is_whole(READABLE, path, status):
            _calls.pop(key, None)
        elif key not in _calls or not same_version(_calls[key][0], status):
            _calls[key] = status, SubprocessCall(_read, path, path=path)


def check_crc(path: Path) -> None:
    """Compare the members of an archive with their CRC-32; one that was found whole is not read again.

    Raises:
        WeightsError: It is damaged.
    """
    from tlkit.keras_files.hdf5.keras_archive import compare_crc

    status = path.stat()
    if not _is_whole(CRC, path, status):
        compare_crc(path)
        _found_whole(CRC, path, status)


def _is_whole(check: str, path: Path, status: os.stat_result) -> bool:
    known = _whole.get((check, path.resolve()))
    return (known is not None and same_version(known, status)) or recall(check, path.resolve(), status) == _WHOLE


def _found_whole(check: str, path: Path, status: os.stat_result) -> None:
    _whole[check, path.resolve()] = status
    if same_version(status, path.stat()):
        remember(check, path.resolve(), status, _WHOLE)


def _read(path: Path) -> None:
    """Read what loading will read, in the other process."""
    from tlkit.keras_files.hdf5.filters import require_filters
    from tlkit.keras_files.keras_file import open_file

    with open_file(path) as file:
        for layer in file.layers:
            for tensor in layer.tensors:
                require_filters(tensor.values, path)
                tensor.values[(slice(0, 1),) * tensor.values.ndim]  # the first chunk, through its filters
