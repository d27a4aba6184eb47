"""Weights files and what is known of them as one archive, to carry to a machine without a network.

It is a plain tar: weights hardly compress (7% of float32 for minutes of work), nothing in it can grow when it is
opened, and every system reads it. The first member, ``manifest.json``, says what the others are, so that a wrong one
is refused before gigabytes are read. The same files give the same bytes: names are sorted, times and owners are zero.

Reading takes only what writing makes, plain files with short names. ``tarfile`` is not asked to read: it follows
extended headers, which can give a member another name and size, and sparse ones, which can make it of any size.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

from tlkit.errors import WeightsError
from tlkit.keras_files import check_is_file
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.text import format_bytes

MANIFEST = "manifest.json"
FORMAT, VERSION = "tlkit-weights", 1
MAX_MANIFEST, MAX_FILE = 10**6, 2 * 10**9
"""Bytes; the largest published file has 1.4 GB."""
_PIECE = 1 << 20
_KINDS = {
    tarfile.LNKTYPE: "a link", tarfile.SYMTYPE: "a symbolic link", tarfile.DIRTYPE: "a folder",
    tarfile.CHRTYPE: "a device", tarfile.BLKTYPE: "a device", tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file", tarfile.XHDTYPE: "an extended header",
    tarfile.XGLTYPE: "an extended header", tarfile.GNUTYPE_LONGNAME: "an extended header",
    tarfile.GNUTYPE_LONGLINK: "an extended header",
}  # fmt: skip


@dataclass(frozen=True)
class Packed:
    """One file of an archive, as the manifest has it.

    Attributes:
        name: Its name, without a folder.
        architecture: Whose it is.
        top: ``yes`` with the classifier, ``no`` without, ``both`` where it serves both.
        sha256: Of its bytes, in hex.
        bytes: How many.
        digest: The published digest, ``md5:…`` or ``sha256:…``; None where none is published.
    """

    name: str
    architecture: str
    top: str
    sha256: str
    bytes: int
    digest: str | None


def write_archive(output: Path, files: Sequence[tuple[Packed, Path]]) -> None:
    """Write files as an archive, whole or not at all.

    Raises:
        WeightsError: It cannot be written, or a file is not what it was a moment ago.
    """
    files = sorted(files, key=lambda item: item[0].name)
    manifest = {"format": FORMAT, "version": VERSION, "files": [asdict(packed) for packed, _ in files]}
    text = (json.dumps(manifest, indent=1) + "\n").encode()
    try:
        with atomic_write(output) as part, part.open("wb") as archive:
            archive.write(_header(MANIFEST, len(text)) + _padded(text))
            for packed, path in files:
                archive.write(_header(packed.name, packed.bytes))
                with path.open("rb") as file:
                    got = _copy(file, packed.bytes, archive)
                    if got != packed.sha256 or file.read(1):
                        raise WeightsError(f"{path} changed while it was packed.", hint="Try again.")
                archive.write(_padded(b"", packed.bytes))
            archive.write(bytes(2 * tarfile.BLOCKSIZE))
    except OSError as error:
        raise WeightsError(f"Cannot write {output}: {error.strerror or error}.") from error


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def _padded(data: bytes, size: int | None = None) -> bytes:
    """The bytes, filled up to whole blocks."""
    return data + bytes(-(len(data) if size is None else size) % tarfile.BLOCKSIZE)


def _copy(source: BinaryIO, size: int, target: BinaryIO | None = None) -> str:
    """SHA-256, in hex, of the next ``size`` bytes, which go to ``target`` too."""
    digest, left = hashlib.sha256(), size
    while left and (piece := source.read(min(_PIECE, left))):
        digest.update(piece)
        left -= len(piece)
        if target:
            target.write(piece)
    return digest.hexdigest()


class OpenArchive:
    """An archive whose members and manifest agree; no member was read yet.

    Args:
        file: The open file.
        path: Where it is, for messages.
        packed: What the manifest says.
        starts: Where each member's bytes begin.
    """

    def __init__(self, file: BinaryIO, path: Path, packed: Sequence[Packed], starts: Mapping[str, int]) -> None:
        self.files = tuple(packed)
        self._file, self._path, self._starts = file, path, starts

    def check(self, packed: Packed) -> None:
        """Read a member and compare its digests, the published one too.

        Raises:
            WeightsError: It has another.
        """
        algorithm, _, expected = (packed.digest or f"sha256:{packed.sha256}").partition(":")
        published = hashlib.new(algorithm)
        self._file.seek(self._starts[packed.name])
        own = _copy(self._file, packed.bytes, _Digester(published))  # type: ignore[arg-type]
        if own != packed.sha256:
            raise _refused(self._path, f"{packed.name} is damaged: its SHA-256 is not what the manifest says")
        if published.hexdigest() != expected:
            raise _refused(self._path, f"{packed.name} is not the published file: its {algorithm} is another")

    def copy(self, packed: Packed, target: BinaryIO) -> None:
        """Write the bytes of a member to an open file.

        Raises:
            WeightsError: They are not what was checked.
        """
        self._file.seek(self._starts[packed.name])
        if _copy(self._file, packed.bytes, target) != packed.sha256:
            raise _refused(self._path, f"{packed.name} changed while it was unpacked")


class _Digester:
    def __init__(self, digest: Any) -> None:
        self.write: Callable[[bytes], Any] = digest.update


@contextmanager
def open_archive(path: Path) -> Iterator[OpenArchive]:
    """Open an archive and look at its manifest and at the name, kind and size of every member.

    Raises:
        WeightsError: It is none, it is cut short, or it holds what `tlkit weights pack` never writes.
    """
    check_is_file(path)
    try:
        with path.open("rb") as file:
            members = list(_members(file, path))
            if not members or members[0][0] != MANIFEST:
                raise _refused(path, f"it does not begin with {MANIFEST}")
            (_, start, size), *others = members
            if size > MAX_MANIFEST:
                raise _refused(path, f"its manifest has {format_bytes(size)}")
            file.seek(start)
            packed = _manifest(file.read(size), path)
            starts: dict[str, int] = {}
            sizes = {one.name: one.bytes for one in packed}
            for name, start, size in others:
                if name in starts:
                    raise _refused(path, f"it holds {name} twice")
                if name not in sizes:
                    raise _refused(path, f"it holds {name}, of which the manifest says nothing")
                if size != sizes[name]:
                    raise _refused(path, f"{name} has {size:,} bytes, the manifest says {sizes[name]:,}")
                starts[name] = start
            missing = [name for name in sizes if name not in starts]
            if missing:
                raise _refused(path, f"it does not hold {missing[0]}, which is in its manifest")
            yield OpenArchive(file, path, packed, starts)
    except OSError as error:
        if error.filename is not None and str(error.filename) != str(path):  # of what is written, not of the archive
            raise
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}.") from error


def _members(file: BinaryIO, path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, start and size of every member; only headers are read."""
    end = file.seek(0, 2)
    position = 0
    while True:
        file.seek(position)
        block = file.read(tarfile.BLOCKSIZE)
        if position == 0 and block[:2] in (b"\x1f\x8b", b"PK", b"BZ", b"\xfd7"):
            raise _refused(path, "it is compressed, and `tlkit weights pack` writes a plain tar")
        if not block.strip(b"\0") and len(block) == tarfile.BLOCKSIZE and position:
            rest = file.read(20 * tarfile.BLOCKSIZE + 1)
            if len(rest) > 20 * tarfile.BLOCKSIZE or rest.strip(b"\0"):
                raise _refused(path, "something follows its end")
            return
        try:
            member = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        except (tarfile.HeaderError, UnicodeError) as error:
            raise _refused(path, "it is cut short or damaged" if position else "it is no tar archive") from error
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            kind = _KINDS.get(member.type, "a member of an unknown kind")
            raise _refused(path, f"{member.name} in it is {kind}, not a file")
        if not 0 <= member.size <= MAX_FILE:
            raise _refused(path, f"{member.name} claims {member.size:,} bytes")
        start = position + tarfile.BLOCKSIZE
        position = start + member.size + -member.size % tarfile.BLOCKSIZE
        if position > end:
            raise _refused(path, "it is cut short")
        yield member.name, start, member.size


def _manifest(text: bytes, path: Path) -> list[Packed]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refused(path, "its manifest is no JSON") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _refused(path, f"its manifest does not say that it is {FORMAT}")
    version = document.get("version")
    if version != VERSION or isinstance(version, bool):
        raise _refused(path, f"it has version {version} of the format, and this tlkit reads {VERSION}")
    join_truncated = document.get("files")
    if not isinstance(join_truncated, list) or set(document) != {"format", "version", "files"}:
        raise _refused(path, "its manifest is not made as this version makes it")
    packed = []
    for number, item in enumerate(join_truncated, start=1):
        wanted = {field.name: str if field.type != "int" else int for field in fields(Packed)}
        if (
            not isinstance(item, dict)
            or set(item) != set(wanted)
            or not all(
                type(item[key]) is kind or (key == "digest" and item[key] is None) for key, kind in wanted.items()
            )
        ):
            raise _refused(path, f"file {number} in its manifest is not described as this version does it")
        packed.append(Packed(**item))
    names = [one.name for one in packed]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise _refused(path, f"its manifest has {twice} twice")
    return packed


def _refused(path: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"{path} is not unpacked: {reason}.",
        hint="Pack it again with `tlkit weights pack`; nothing was written.",
    )
