"""Files inside tar files, read where they are: SHARD/MEMBER is a path, as if the tar file were a folder."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from tlkit.errors import DataError

ENDING = ".tar"
_INSIDE = re.compile(r"\.tar/", re.IGNORECASE)


class Place(NamedTuple):
    """Where a file is: its first byte in the tar file, and how many there are."""

    offset: int
    size: int


def members(path: str) -> Mapping[str, Place]:
    """Return the files in a tar file that is not compressed, by their names, in its order.

    Links, and names that lead elsewhere, are passed over.

    Raises:
        DataError: It cannot be read.
    """
    import tarfile  # every command imports this module, and hardly any reads a tar file

    try:
        status = os.stat(path)
        return _members(path, status.st_size, status.st_mtime_ns)
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{path} is no tar file that can be read: {error}.") from error


@functools.cache
def _members(path: str, size: int, changed: int) -> Mapping[str, Place]:
    import tarfile

    found = {}
    with tarfile.open(path, "r:") as archive:
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # of millions, which it would keep
            parts = [part for part in member.name.split("/") if part not in ("", ".")]
            if member.isreg() and not member.issparse() and ".." not in parts and not member.name.startswith("/"):
                found["/".join(parts)] = Place(member.offset_data, member.size)
    return found


def find_member(path: str | os.PathLike[str]) -> tuple[str, Place] | None:
    """Return the tar file that a path leads into, and where in it; None if it leads into none."""
    text = os.fspath(path)
    for found in _INSIDE.finditer(text):
        shard = text[: found.end() - 1]
        if os.path.isfile(shard):
            place = members(shard).get(text[found.end() :])
            return None if place is None else (shard, place)
    return None


def read_members(shard: str, places: Iterable[Place]) -> Iterator[bytes]:
    """Yield the bytes of files in a tar file; fewer than they should be where it ends inside one."""
    with open(shard, "rb", buffering=0) as file:
        for place in places:
            file.seek(place.offset)
            yield file.read(place.size)
