"""Read input files, and name the reason if one is not what was expected."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from tlkit.data.modality import AUDIO, IMAGE, Modality, other_modalities
from tlkit.errors import InputError

_MAGIC: tuple[tuple[bytes, Modality], ...] = (
    (b"\xff\xd8\xff", IMAGE), (b"\x89PNG\r\n", IMAGE), (b"GIF8", IMAGE), (b"BM", IMAGE), (b"II*\0", IMAGE),
    (b"MM\0*", IMAGE), (b"fLaC", AUDIO), (b"OggS", AUDIO), (b"ID3", AUDIO), (b"\xff\xfb", AUDIO), (b"\xff\xf3", AUDIO),
    (b"\xff\xf2", AUDIO), (b"RF64", AUDIO),
)  # fmt: skip
_IN_RIFF = {b"WAVE": AUDIO, b"WEBP": IMAGE}


def bytes_digest(data: bytes) -> bytes:
    """Return the SHA-256 of a file's bytes, the key under which its features are cached."""
    return hashlib.sha256(data).digest()


def check_regular(path: str | os.PathLike[str], modality: Modality) -> None:
    """Raise an error unless a path is a regular file of acceptable size.

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
    if status.st_size > modality.max_bytes:
        raise InputError(f"it has {status.st_size:,} bytes, more than the limit of {modality.max_bytes:,}")


def read_file(path: str, modality: Modality) -> bytes:
    """Read a whole file.

    Args:
        path: The file.
        modality: What it should hold.

    Raises:
        InputError: It cannot be read or is too large; the message is the reason alone, without the file's name.
    """
    try:
        check_regular(path, modality)
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InputError(why_unreadable(error)) from error


def why_unreadable(error: OSError) -> str:
    """Return the reason why a file cannot be read, without its name."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    return error.strerror or str(error) or "it cannot be read"


def describe_mismatch(start: bytes, expected: Modality) -> str:
    """Return the reason why a file is not of the expected modality.

    Args:
        start: Its first bytes, as of :func:`start_of`.
        expected: What it should hold.
    """
    if not start:
        return "it is empty"
    if start.lstrip()[:1] == b"<":
        return f"it is a web page or XML, not {expected.with_article}"
    found = _IN_RIFF.get(start[8:12]) if start[:4] == b"RIFF" else None
    found = found or next((kind for magic, kind in _MAGIC if start.startswith(magic)), None)
    if found and found is not expected:
        return f"it is {found.with_article}, but the network takes {expected.plural}"
    return f"it is not {expected.with_article} in a supported format"


def start_of(source: str | os.PathLike[str] | bytes) -> bytes:
    """Return the first 512 bytes of a file, or of bytes in memory."""
    if isinstance(source, bytes):
        return source[:512]
    with Path(source).open("rb") as file:
        return file.read(512)


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
