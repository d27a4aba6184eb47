"""The bytes of a file, and what they are when they are not what was expected."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from tlkit.data.modality import AUDIO, IMAGE, Modality, other_modalities
from tlkit.errors import InputError

_STARTS: tuple[tuple[bytes, Modality], ...] = (
    (b"\xff\xd8\xff", IMAGE), (b"\x89PNG\r\n", IMAGE), (b"GIF8", IMAGE), (b"BM", IMAGE), (b"II*\0", IMAGE),
    (b"MM\0*", IMAGE), (b"fLaC", AUDIO), (b"OggS", AUDIO), (b"ID3", AUDIO), (b"\xff\xfb", AUDIO), (b"\xff\xf3", AUDIO),
    (b"\xff\xf2", AUDIO), (b"RF64", AUDIO),
)  # fmt: skip
_IN_RIFF = {b"WAVE": AUDIO, b"WEBP": IMAGE}


def bytes_digest(data: bytes) -> bytes:
    """SHA-256 of a file's bytes: the name under which what was computed from them is kept."""
    return hashlib.sha256(data).digest()


def check_regular(path: str | os.PathLike[str], kind: Modality) -> None:
    """Refuse what is no file, or one that is too large to be of a kind.

    Raises:
        InputError: The reason.
        OSError: It cannot be looked at.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise InputError(_not_a_file(Path(path), kind))
    if status.st_size > kind.max_bytes:
        raise InputError(f"it has {status.st_size:,} bytes, more than the {kind.max_bytes:,} that are read")


def read_file(path: str, kind: Modality) -> bytes:
    """All bytes of a file.

    Raises:
        InputError: It cannot be read, or is too large to be of its kind; the message is the reason alone.
    """
    try:
        check_regular(path, kind)
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InputError(why_unreadable(error)) from error


def why_unreadable(error: OSError) -> str:
    """The reason why a file cannot be read."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    return error.strerror or str(error) or "it cannot be read"


def what_it_is(start: bytes, wanted: Modality) -> str:
    """Why bytes that start like this are none of the wanted kind."""
    if not start:
        return "it is empty"
    if start.lstrip()[:1] == b"<":
        return f"it is a web page or XML, not {wanted.with_article}"
    found = _IN_RIFF.get(start[8:12]) if start[:4] == b"RIFF" else None
    found = found or next((kind for magic, kind in _STARTS if start.startswith(magic)), None)
    if found and found is not wanted:
        return f"it is {found.with_article}, and the network takes {wanted.plural}"
    return f"it is not {wanted.with_article} in a format that is read here"


def start_of(source: str | os.PathLike[str] | bytes) -> bytes:
    """The first bytes of a file."""
    if isinstance(source, bytes):
        return source[:512]
    with Path(source).open("rb") as file:
        return file.read(512)


def _not_a_file(path: Path, kind: Modality) -> str:
    if not path.is_dir():
        return "it is not a regular file"
    if not os.access(path, os.R_OK | os.X_OK):
        return "the folder cannot be read"
    from tlkit.data.discovery import walk_files

    for other in other_modalities(kind):
        if next((file for file in walk_files(str(path), other) if not os.path.isdir(file)), None):
            return f"it is a folder without {kind.plural}; it holds {other.plural}, and the network takes {kind.plural}"
    return f"it is a folder without {kind.plural}"
