"""The cache directory: where it is, its entries, and its size limit.

Only what tlkit wrote is listed, counted and removed: a folder under a name that :meth:`Provenance.key` gives, with
nothing but tlkit's files in it; a part that is being written; a weights file of a published name.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlkit.errors import ConfigError, TlkitError
from tlkit.utils.atomic_write import is_abandoned, is_part, part_prefix
from tlkit.utils.logging import logger

FOLDER_VARIABLE, LIMIT_VARIABLE = "TLKIT_CACHE_DIR", "TLKIT_CACHE_LIMIT"
DEFAULT_LIMIT = 10 * 10**9
"""Bytes that features and converted networks may take together; downloaded weights are not counted."""
KINDS = ("features", "models", "weights", "archives", "parts")
LIMITED = ("features", "models")
CLEARED = (*LIMITED, "archives")
"""What `tlkit cache clear` removes where no kind is named."""
LOCK = "lock"
VERIFIED = "verified"
"""The folder of what was found out about files, :mod:`tlkit.utils.findings`."""
_KEY = re.compile(r"[0-9a-f]{32}")
OWN_FILES = re.compile(
    r"rows-\d+\.bin|index\.bin|provenance\.json|notes\.json|lock|model\.xml|model\.bin|graph\.pb|blobs|archive\.json|content|[0-9a-f]{32}\.h5|part-\d+-of-\d+|\.part-.*",
    re.DOTALL,
)
"""Names of the files of an entry; a folder that holds another one is not tlkit's alone."""
_TAG, _TAG_TEXT = (
    "CACHEDIR.TAG",
    (
        "Signature: 8a477f597d28d172789f06886806bc55\n"
        "# This file marks a cache of tlkit, which backups may leave out. See https://bford.info/cachedir/\n"
    ),
)


def cache_folder() -> Path:
    """Return the cache directory, ``tlkit`` in ``TLKIT_CACHE_DIR`` or in the user's (``~/.cache/tlkit`` on Linux).

    A folder that a user names may hold anything; that of tlkit is its own.

    Raises:
        TlkitError: None is named, and the user has no home, as in a container that runs under any number.
    """
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given) / "tlkit"
    from platformdirs import user_cache_path

    try:
        folder = user_cache_path("tlkit")
    except RuntimeError:
        folder = None
    if folder is None or str(folder).startswith("~"):  # older versions of platformdirs leave that to others
        raise TlkitError(
            "This user has no home folder, in which the cache would be.",
            hint=f"Name a folder with `export {FOLDER_VARIABLE}=DIR`.",
        )
    return folder


def named_folder() -> Path | None:
    """Return ``TLKIT_CACHE_DIR``. Before the cache had a folder of its own there, weights were directly in it."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given) if given else None


def create_folder(folder: Path) -> None:
    """Create a folder, in the cache or elsewhere; the cache gets a ``CACHEDIR.TAG``.

    Raises:
        OSError: It cannot be created.
    """
    folder.mkdir(parents=True, exist_ok=True)
    root = cache_folder()
    if root not in (folder, *folder.parents) or (root / _TAG).exists():
        return
    with suppress(OSError):  # it only informs
        if {path.name for path in root.iterdir()} <= {*KINDS, VERIFIED}:  # a cache, and nobody's project
            with (root / _TAG).open("x", encoding="utf-8") as file:
                file.write(_TAG_TEXT)


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
    cached = 0
    with suppress(OSError):  # an unreadable cache frees nothing
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


def entries(weights: Container[str] = ()) -> list[CacheEntry]:
    """Return the entries of the cache, the least recently used first.

    Args:
        weights: Names of published weights files; a file of another name is not tlkit's.

    Raises:
        OSError: A folder of the cache cannot be read.
    """
    found = []
    for kind in KINDS:
        with suppress(FileNotFoundError, NotADirectoryError):
            for path in (cache_folder() / kind).iterdir():
                with suppress(FileNotFoundError):  # another process may remove it meanwhile
                    if _is_own(path, weights if kind == "weights" else None):
                        found.append(CacheEntry(kind, path, _size(path), path.stat().st_mtime))
    return sorted(found, key=lambda entry: (entry.used, entry.path.name))


def _is_own(path: Path, weights: Container[str] | None) -> bool:
    """Return True for a file or folder in the cache that tlkit wrote; ``weights`` are the names of weights files."""
    if path.is_symlink():
        return False
    if weights is not None:
        return path.is_file() and (path.name in weights or is_part(path))
    named = _KEY.fullmatch(path.name) or is_part(path)
    return bool(named) and path.is_dir() and all(OWN_FILES.fullmatch(inside.name) for inside in path.iterdir())


def describe(entry: CacheEntry) -> str:
    """Describe an entry in a few words, from the provenance inside it."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        if entry.kind == "archives":
            return str(json.loads((entry.path / "archive.json").read_text("utf-8"))["name"])
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
    """Remove an entry unless another process uses it; return whether it was removed.

    Raises:
        OSError: That is not allowed.
    """
    from tlkit.utils.locks import locked

    path = entry.path
    if is_part(path) and not is_abandoned(path):
        return False
    try:
        if path.is_dir() and not path.is_symlink():
            with locked(path / LOCK, wait=False):
                away = path.with_name(f"{part_prefix()}{path.name}")
                path.rename(away)
            shutil.rmtree(away)
        else:
            path.unlink()
    except (BlockingIOError, FileNotFoundError):
        return False
    return True


def keep_below_limit(*needed: Path) -> list[CacheEntry]:
    """Remove the least recently used entries until the cache is within its limit; those in use stay.

    Args:
        needed: Entries that are about to be used, and stay.

    Returns:
        The removed entries.
    """
    limit, removed = cache_limit(), []
    try:
        known = entries()
    except OSError as error:
        logger.debug("The cache cannot be read: %s.", error)
        return []
    obsolete = [entry for entry in known if is_abandoned(entry.path)]
    limited = [entry for entry in known if entry.kind in LIMITED and entry not in obsolete]
    excess = sum(entry.bytes for entry in limited) - limit
    for entry in limited:
        if excess > 0 and entry.path not in needed and not is_part(entry.path):
            obsolete.append(entry)
            excess -= entry.bytes
    for entry in obsolete:
        try:
            if remove(entry):
                removed.append(entry)
                logger.debug("Removed %s from the cache.", entry.path)
        except OSError as error:
            logger.debug("%s was not removed: %s.", entry.path, error)
    return removed
