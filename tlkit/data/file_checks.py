"""Read input files, and name the reason if one is not what was expected."""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

from tlkit.data.formats import modality_of, why_not_read
from tlkit.data.memory import claim_file
from tlkit.data.modality import IMAGE, Modality, other_modalities
from tlkit.data.tar_members import find_member, read_members
from tlkit.errors import DataError, InputError

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_HEAD = 512


def bytes_digest(data: bytes) -> bytes:
    """Return the SHA-256 of a file's bytes, the key under which its features are cached."""
    return hashlib.sha256(data).digest()


def check_regular(path: str | os.PathLike[str], modality: Modality) -> int:
    """Return the size of a file; raise an error unless it is a regular one of acceptable size.

    Args:
        path: The file.
        modality: What it should hold.

    Raises:
        InputError: It is not; the message is the reason alone, without the file's name.
        OSError: Its status cannot be read.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise InputError(_not_a_file(Path(path), modality))
    _check_size(status.st_size, modality)
    return status.st_size


def _check_size(size: int, modality: Modality) -> None:
    if size > modality.max_bytes:
        raise InputError(f"it has {size:,} bytes, more than the limit of {modality.max_bytes:,}")


def read_file(path: str | os.PathLike[str], modality: Modality) -> bytes:
    """Read a whole file.

    Args:
        path: The file; of one in a tar file, that of the tar file and its name there.
        modality: What it should hold.

    Raises:
        InputError: It cannot be read or is too large; the message is the reason alone, without the file's name.
    """
    try:
        claim_file(check_regular(path, modality))
        with open(path, "rb") as file:
            return file.read()
    except NotADirectoryError as error:  # a part of the path is a file: perhaps a tar file
        return _read_member(path, modality, error)
    except OSError as error:
        raise InputError(why_unreadable(error)) from error


def _read_member(path: str | os.PathLike[str], modality: Modality, error: OSError) -> bytes:
    try:
        found = find_member(path)
    except DataError as damaged:
        raise InputError(damaged.message.rstrip(".")) from damaged
    if found is None:
        raise InputError(why_unreadable(error)) from error
    shard, place = found
    _check_size(place.size, modality)
    claim_file(place.size)
    try:
        (data,) = read_members(shard, [place])
    except OSError as unreadable:
        raise InputError(why_unreadable(unreadable)) from unreadable
    if len(data) < place.size:
        raise InputError("the tar file ends inside it")
    return data


def read_standard_input(modality: Modality) -> bytes:
    """Read all of standard input; a second call returns the same bytes.

    Raises:
        InputError: It is too large, or closed.
    """
    if sys.stdin is None or sys.stdin.closed:
        raise InputError("standard input is closed")
    data = _read_stream(sys.stdin.buffer, modality.max_bytes + 1)
    if len(data) > modality.max_bytes:
        raise InputError(f"it has more bytes than the limit of {modality.max_bytes:,}")
    return data


@functools.lru_cache(maxsize=1)
def _read_stream(stream: BinaryIO, most: int) -> bytes:
    return stream.read(most)


def why_unreadable(error: OSError) -> str:
    """Return the reason why a file cannot be read, without its name."""
    if isinstance(error, FileNotFoundError):
        if error.filename is not None and os.path.islink(error.filename):
            return "it is a link to a file that does not exist"
        return "there is no such file"
    return error.strerror or str(error) or "it cannot be read"


def describe_mismatch(start: bytes, expected: Modality) -> str:
    """Return the reason why a file cannot be decoded.

    Args:
        start: The file, or its first bytes as of :func:`start_of`.
        expected: What it should hold.
    """
    start = start[:_HEAD]
    if not start:
        return "it is empty"
    if start.startswith(_LFS_POINTER):
        return f"it is a Git LFS pointer, not the {expected.singular} itself; run `git lfs pull`"
    if expected is IMAGE and (reason := why_not_read(start)):
        return reason
    if start.lstrip()[:1] == b"<":
        return f"it is a web page or XML, not {expected.with_article}"
    found = modality_of(start)
    if found is expected:
        return "its header cannot be read: it is damaged, or of an unusual kind"
    if found:
        return f"it is {found.with_article}, but the network takes {expected.plural}"
    return f"it is not {expected.with_article} in a supported format"


def start_of(source: str | os.PathLike[str] | bytes) -> bytes:
    """Return the first 512 bytes of a file, or of bytes in memory."""
    if isinstance(source, bytes):
        return source[:_HEAD]
    with Path(source).open("rb") as file:
        return file.read(_HEAD)


def _not_a_file(path: Path, modality: Modality) -> str:
    if not path.is_dir():
        return "it is not a regular file"
    if not os.access(path, os.R_OK | os.X_OK):
        return "the folder cannot be read"
    from tlkit.data.discovery import walk_files

    for other in other_modalities(modality):
        if next((file for file in walk_files(str(path), other) if not os.path.isdir(file)), None):
            return f"it is a folder of {other.plural}, but the network takes {modality.plural}"
    return f"it is a folder without {modality.plural}"
