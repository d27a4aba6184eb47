"""Find damage in a weights or model file before this process opens it.

The file is read in a process of its own. A file found whole is not read again: its verdict is an empty file in tlkit's
cache, named by a hash of its path, inode, size and times.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from contextlib import suppress
from pathlib import Path

from tlkit import __version__
from tlkit.keras_files.foreign import foreign_error, foreign_file
from tlkit.keras_files.hdf5.subprocess_guard import SubprocessCall
from tlkit.keras_files.hdf5.validate import check_is_file, is_archive, is_hdf5
from tlkit.utils.cache_dir import VERIFIED, cache_folder, create_folder

CHECKS = 2
"""Version of what is checked, increased with it: files found whole by less are read again. 2 added the CRC-32."""
MAX_VERDICTS = 1000
_VERDICT = re.compile(r"[0-9a-f]{64}")
_SETTLED = 2
"""Seconds after which a file that changes has another modification time, on every file system."""

_calls: dict[str, SubprocessCall[None]] = {}
_whole: set[str] = set()
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
    key = _start(path)
    call = _calls.get(key)
    if key in _whole or call is None:
        return
    call.result()
    _whole.update((key, _key(path, "CRC-32")))  # opening it compares that too
    with suppress(OSError):  # a read-only home: this process remembers
        _remember(key, path)


def _start(path: Path) -> str:
    check_is_file(path)
    if not is_hdf5(path) and (not is_archive(path) or foreign_file(path)):
        raise foreign_error(path)
    key = _key(path)
    with _lock:
        if key not in _whole and key not in _calls:
            if (_folder() / key).exists():
                _whole.add(key)
            else:
                _calls[key] = SubprocessCall(_read, path, path=path)
    return key


def check_crc(path: Path) -> None:
    """Compare the members of an archive with their CRC-32; one that was found whole is not read again.

    Raises:
        WeightsError: It is damaged.
    """
    from tlkit.keras_files.hdf5.keras_archive import compare_crc

    key = _key(path, "CRC-32")
    if key in _whole or (_folder() / key).exists():
        return
    compare_crc(path)
    _whole.add(key)
    with suppress(OSError):
        _remember(key, path)


def _key(path: Path, *check: str) -> str:
    status = path.stat()
    times = status.st_mtime_ns, status.st_ctime_ns  # the time of change too: the modification time can be set back
    what = (path.resolve(), status.st_ino, status.st_size, *times, __version__, CHECKS, *check)
    return hashlib.sha256(repr(what).encode("utf-8", "surrogateescape")).hexdigest()


def _folder() -> Path:
    return cache_folder() / VERIFIED


def _remember(key: str, path: Path) -> None:
    if time.time() - path.stat().st_mtime < _SETTLED:
        return  # it may change once more without getting another modification time
    folder = _folder()
    create_folder(folder)
    (folder / key).touch()
    verdicts = [path for path in folder.iterdir() if _VERDICT.fullmatch(path.name)]
    if len(verdicts) > MAX_VERDICTS:
        for verdict in sorted(verdicts, key=lambda verdict: verdict.stat().st_mtime)[: len(verdicts) // 2]:
            verdict.unlink(missing_ok=True)


def _read(path: Path) -> None:
    """Read what loading will read, in the other process."""
    from tlkit.keras_files.hdf5.filters import require_filters
    from tlkit.keras_files.keras_file import open_file

    with open_file(path) as file:
        for layer in file.layers:
            for tensor in layer.tensors:
                require_filters(tensor.values, path)
                tensor.values[(slice(0, 1),) * tensor.values.ndim]  # the first chunk, through its filters
