"""Digests of files, written ``algorithm:hex`` as pooch does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


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


def digest_json(content: Mapping[str, Any]) -> str:
    """Return 32 hexadecimal digits of the SHA-256 of a JSON object: the same whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
