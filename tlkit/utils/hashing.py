"""Digests of files, written ``algorithm:hex`` as pooch does."""

from __future__ import annotations

import hashlib
from pathlib import Path


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """``"sha256:…"`` of the file's bytes, read in pieces.

    Args:
        path: The file.
        algorithm: A name that hashlib knows.
    """
    with path.open("rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def digest_problem(path: Path, expected: str) -> str | None:
    """What is wrong with the file when it does not have the digest ``expected``; None when it has."""
    got = file_digest(path, expected.partition(":")[0])
    return None if got == expected else f"its digest is {got}, expected {expected}"
