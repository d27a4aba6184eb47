"""The SHA-256 of data files, remembered from one start to the next: a memo of digests, and nothing else.

Features are keyed by digests alone, never by paths or times. This only saves reading a file again whose path, device,
inode, size, time of modification and time of change are what they were when it was hashed. It is a SQLite file in
tlkit's cache; one that is damaged, locked or not writable is as good as none.
"""

from __future__ import annotations

import hashlib
import os
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tlkit.utils.cache_dir import create_folder
from tlkit.utils.findings import findings_folder, is_settled, version_of
from tlkit.utils.logging import logger

if TYPE_CHECKING:
    import sqlite3

MOST = 5_000_000
"""Digests that are kept, in half a gigabyte; the oldest half goes first."""
_NAME = "digests.sqlite"
_WAIT_SECONDS = 5.0
"""For another process that writes."""


def known_key(path: str, status: os.stat_result, place: Sequence[int] = ()) -> bytes | None:
    """Return what a version of a file is remembered by; None if it could still change without a trace.

    Args:
        path: The file.
        status: Its status, from before it is read.
        place: Where in it the bytes are, of a part of a file.
    """
    if not is_settled(status):
        return None
    text = repr((os.path.abspath(path), *version_of(status), *place))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:16]


class KnownDigests:
    """The digests of files that were hashed before, to open with ``with``; what is new is written at the end."""

    def __enter__(self) -> KnownDigests:
        self._lock, self._connection = threading.Lock(), _connect()
        self._new: dict[bytes, bytes] = {}
        return self

    def __exit__(self, *error: object) -> None:
        self.save()
        self._close()

    def recall(self, keys: Iterable[bytes | None]) -> dict[bytes, bytes]:
        """Return the digests that are known, by their keys; it may be called in any thread."""
        asked = [key for key in keys if key is not None]
        marks = ",".join("?" * len(asked))
        found: list[tuple[bytes, bytes]] = []
        with self._connected() as connection:
            if connection and asked:
                found = connection.execute(f"SELECT key, value FROM digests WHERE key IN ({marks})", asked).fetchall()
        return {key: value[:32] for key, value in found if value == _checked(key, value[:32])}

    def remember(self, key: bytes, digest: bytes) -> None:
        """Remember a digest, once it is saved; it may be called in any thread."""
        self._new[key] = _checked(key, digest)

    def save(self) -> None:
        """Write what is new."""
        new, self._new = self._new, {}
        with self._connected() as connection:
            if not new or not connection:
                return
            with connection:
                connection.executemany("INSERT OR REPLACE INTO digests (key, value) VALUES (?, ?)", new.items())
                first, last = connection.execute("SELECT min(number), max(number) FROM digests").fetchone()
                if last - first >= MOST:
                    connection.execute("DELETE FROM digests WHERE number <= ?", [last - MOST // 2])

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection | None]:
        """Hold the connection in one thread; what SQLite cannot do is left undone, and a damaged file is removed."""
        import sqlite3

        with self._lock:
            try:
                yield self._connection
            except sqlite3.OperationalError:  # locked, full or not writable
                pass
            except sqlite3.DatabaseError:
                self._close()
                forget_digests()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def forget_digests() -> None:
    """Remove every digest; where that is not allowed, they stay."""
    for path in findings_folder().glob(f"{_NAME}*"):
        with suppress(OSError):
            path.unlink()


def _checked(key: bytes, digest: bytes) -> bytes:
    """Return a digest with a checksum behind it: bytes that a disk lost must not pass for a digest."""
    return digest + zlib.crc32(key + digest).to_bytes(4, "big")


def _connect() -> sqlite3.Connection | None:
    """Open the file, and create it where there is none; one that is damaged is removed first."""
    import sqlite3  # most commands hash no data files

    path = findings_folder() / _NAME
    try:
        create_folder(path.parent)
        try:
            return _opened(path)
        except sqlite3.OperationalError:  # locked, or not writable
            raise
        except sqlite3.DatabaseError:
            forget_digests()
            return _opened(path)
    except (sqlite3.Error, OSError) as error:
        logger.debug("Digests of files are not remembered: %s.", error)
        return None


def _opened(path: Path) -> sqlite3.Connection:
    import sqlite3

    connection = sqlite3.connect(path, timeout=_WAIT_SECONDS, check_same_thread=False)
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS digests (number INTEGER PRIMARY KEY, key BLOB UNIQUE NOT NULL, "
            "value BLOB NOT NULL)"
        )
    except sqlite3.Error:
        connection.close()
        raise
    return connection
