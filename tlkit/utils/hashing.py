"""Digests of files, written ``algorithm:hex``."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tlkit.utils.findings import recall, remember, same_version


def file_digest(path: Path, algorithm: str = "sha256", *, read: bool = False) -> str:
    """Return ``"sha256:…"`` of a file's bytes, which are read once for each version of the file.

    The digest is remembered, by this process and in tlkit's cache, with path, device, inode, size and times; see
    :mod:`tlkit.utils.findings`. That of a file which changed within the last two seconds is not: it could change again
    without a trace.

    Args:
        path: The file.
        algorithm: A name that hashlib knows.
        read: Read the bytes, whatever is remembered: damage of a disk leaves no trace in the times of a file.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        digest = None if read else recall(algorithm, path, before)
        if digest is None:
            digest = f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
            if same_version(before, os.fstat(file.fileno())):
                remember(algorithm, path, before, digest)
    return digest


def digest_problem(path: Path, expected: str, *, read: bool = False) -> str | None:
    """Return what is wrong with a file whose digest is not ``expected``; None if it is.

    Args:
        path: The file.
        expected: ``algorithm:hex``.
        read: As for :func:`file_digest`.

    Raises:
        OSError: It cannot be read.
    """
    actual = file_digest(path, expected.partition(":")[0], read=read)
    return None if actual == expected else f"its digest is {actual}, expected {expected}"
