"""The cache directory: where it is, its entries, and its size limit."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlkit.errors import ConfigError
from tlkit.utils.atomic_write import PART, is_abandoned, part_prefix
from tlkit.utils.logging import logger

FOLDER_VARIABLE, LIMIT_VARIABLE = "TLKIT_CACHE_DIR", "TLKIT_CACHE_LIMIT"
DEFAULT_LIMIT = 10 * 10**9
"""Bytes that features and converted networks may take together; downloaded weights are not counted."""
KINDS = ("features", "models", "weights")
LIMITED = ("features", "models")
LOCK = "lock"


def cache_folder() -> Path:
    """Return the cache directory: ``TLKIT_CACHE_DIR``, else ``tlkit`` in the user's (``~/.cache/tlkit`` on Linux)."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given)
    from platformdirs import user_cache_path

    return user_cache_path("tlkit")


def cache_limit() -> int:
    """Return the size limit in bytes: ``TLKIT_CACHE_LIMIT`` (``500MB``, ``20GB``; a number alone is bytes), else 10 GB.

    Raises:
        ConfigError: It is not a size.
    """
    given = os.environ.get(LIMIT_VARIABLE)
    return DEFAULT_LIMIT if given is None else parse_bytes(given, LIMIT_VARIABLE)


def parse_bytes(text: str, what: str) -> int:
    """Parse a size such as ``500MB`` or ``1.5 TB``; units are powers of 1000.

    Args:
        text: The size.
        what: Where it was given, for messages.

    Raises:
        ConfigError: It is not a size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", text.strip().lower(), re.ASCII)
    if not match:
        raise ConfigError(f"{what} is {text!r}, which is not a size.", hint="Give a size such as 500MB or 20GB.")
    return int(float(match[1]) * 1000 ** " kmgt".index(match[2] or " "))


def cache_budget(given: str | None = None) -> int:
    """Return the bytes that the features of one run may take in the cache.

    Args:
        given: A size; None for half of the free space on its disk, at most the limit of the cache. Cached features
            count as free, so that the run that computed them finds room for them again.

    Raises:
        ConfigError: It is not a size.
    """
    if given is not None:
        return parse_bytes(given, "--cache-limit")
    folder = cache_folder()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    cached = sum(entry.bytes for entry in entries() if entry.kind == "features")
    return min((shutil.disk_usage(folder).free + cached) // 2, cache_limit())


@dataclass(frozen=True)
class CacheEntry:
    """A file or folder in the cache.

    Attributes:
        kind: One of :data:`KINDS`.
        path: Its folder or file.
        bytes: Its size on disk.
        used: When it was last used, seconds since 1970.
    """

    kind: str
    path: Path
    bytes: int
    used: float


def entries(folder: Path | None = None) -> list[CacheEntry]:
    """Return the entries of the cache, the least recently used first."""
    root = folder or cache_folder()
    found = []
    for kind in KINDS:
        with suppress(OSError):
            for path in (root / kind).iterdir():
                with suppress(OSError):  # another process may remove it meanwhile
                    found.append(CacheEntry(kind, path, _size(path), path.stat().st_mtime))
    return sorted(found, key=lambda entry: (entry.used, entry.path.name))


def describe(entry: CacheEntry) -> str:
    """Describe an entry in a few words, from the provenance inside it."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        provenance = json.loads((entry.path / "provenance.json").read_text("utf-8"))["provenance"]
        fields = (provenance.get(key) for key in ("architecture", "layer", "pooling", "size", "precision", "engine"))
        return " ".join(_joined(field) if isinstance(field, list) else str(field) for field in fields if field)
    return entry.path.name


def _joined(words: list[Any]) -> str:
    return ("x" if all(isinstance(word, int) for word in words) else "+").join(map(str, words))


def _size(path: Path) -> int:
    return sum(part.stat().st_size for part in _files(path))


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir() and not path.is_symlink():
        for part in path.iterdir():
            yield from _files(part)
    else:
        yield path


def touch(path: Path) -> None:
    """Mark an entry as used now; the least recently used are removed first."""
    with suppress(OSError):
        os.utime(path)


def remove(entry: CacheEntry) -> bool:
    """Remove an entry unless another process uses it; return whether it was removed."""
    from tlkit.utils.locks import locked

    path = entry.path
    if path.name.startswith(PART) and not is_abandoned(path):
        return False
    try:
        if path.is_dir() and not path.is_symlink():
            with locked(path / LOCK, wait=False):
                away = path.with_name(f"{part_prefix()}{path.name}")
                path.rename(away)
            shutil.rmtree(away)
        else:
            path.unlink()
    except OSError as error:
        logger.debug("%s was not removed: %s.", path, error)
        return False
    return True


def keep_below_limit(*needed: Path) -> list[CacheEntry]:
    """Remove the least recently used entries until the cache is within its limit; those in use stay.

    Args:
        needed: Entries that are about to be used, and stay.

    Returns:
        The removed entries.
    """
    known = entries()
    obsolete = [entry for entry in known if entry.path.name.startswith(PART) and is_abandoned(entry.path)]
    limited = [entry for entry in known if entry.kind in LIMITED and entry not in obsolete]
    excess = sum(entry.bytes for entry in limited) - cache_limit()
    for entry in limited:
        if excess > 0 and entry.path not in needed and not entry.path.name.startswith(PART):
            obsolete.append(entry)
            excess -= entry.bytes
    removed = [entry for entry in obsolete if remove(entry)]
    for entry in removed:
        logger.debug("Removed %s from the cache.", entry.path)
    return removed
