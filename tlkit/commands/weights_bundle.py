"""Weights for a machine without a network: packed here, installed there."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tlkit.architectures.verify_weights import fit_problem
from tlkit.commands.weights import Published, known_files, pull
from tlkit.downloads.bundle import OpenArchive, Packed, open_archive, write_archive
from tlkit.downloads.folders import weights_folder
from tlkit.downloads.weights_file import PackagedFile
from tlkit.errors import UsageError, WeightsError
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.hashing import file_digest
from tlkit.utils.logging import logger
from tlkit.utils.text import format_bytes

ENDING = ".tar"


def pack(files: Sequence[Published], output: str, *, force: bool = False) -> list[Packed]:
    """Write files into one archive; those that are not here are fetched first.

    Args:
        files: Which.
        output: The archive, ``NAME.tar``.
        force: Write over it where it exists.

    Returns:
        What it holds, by name.

    Raises:
        TlkitError: A file cannot be had, or the archive cannot be written; nothing is written then.
    """
    path = Path(output)
    if path.suffix != ENDING:
        raise UsageError(
            f"{output} must end in {ENDING}.",
            hint=f"Name it {path.stem}{ENDING}.",
        )
    if path.exists() and not force:
        raise UsageError(f"{path} exists.", hint="Name another file, or say --force to write over it.")
    if not path.parent.is_dir():
        raise WeightsError(f"There is no folder {path.parent} to write to.")
    packed, failed = [], []
    for done in pull(files):
        if done.error is not None:
            failed.append(done)
            logger.warning("%s is missing: %s", done.published.name, done.error.message)
        elif done.path is not None:
            packed.append((_facts(done.published, done.path), done.path))
    if failed:
        raise WeightsError(
            f"{path} is not written: {len(failed)} of {len(failed) + len(packed)} files cannot be had.",
            hint=failed[0].error.hint if failed[0].error else None,
        )
    write_archive(path, packed)
    return sorted((facts for facts, _ in packed), key=lambda facts: facts.name)


def _facts(published: Published, path: Path) -> Packed:
    return Packed(
        name=published.name,
        architecture=published.architecture.name,
        top=published.top,
        sha256=file_digest(path).partition(":")[2],
        bytes=path.stat().st_size,
        digest=published.weights.file.digest,
    )


@dataclass(frozen=True)
class Unpacked:
    """What became of one file of an archive.

    Attributes:
        packed: The file.
        path: Where it is now.
        status: ``installed``, ``replaced`` or ``there``.
    """

    packed: Packed
    path: Path
    status: str


def unpack(archive: str, *, force: bool = False) -> list[Unpacked]:
    """Install the files of an archive into tlkit's weights folder, where every command finds them.

    Every file is checked before the first gets its name: it is one of the table, its digests, its layers.

    Args:
        archive: What :func:`pack` wrote.
        force: Replace files that are there and differ.

    Raises:
        TlkitError: Something is wrong with the archive, or a file that differs is there; nothing has changed then.
    """
    path, folder = Path(archive), weights_folder()
    with open_archive(path) as opened:
        known = known_files()
        for packed in opened.files:
            _compare_with_table(path, packed, known.get(packed.name))
        for packed in opened.files:
            opened.check(packed)
        there = {packed.name: _is_there(packed, folder) for packed in opened.files}
        different = [name for name, same in there.items() if same is False]
        if different and not force:
            raise WeightsError(
                f"{folder / different[0]} is there and differs from what {path} holds; nothing was written.",
                hint="`tlkit weights verify` says which is good; --force replaces what is there.",
            )
        _install(opened, [packed for packed in opened.files if not there[packed.name]], known, folder, path)
        states = {None: "installed", False: "replaced", True: "there"}
        return [Unpacked(packed, folder / packed.name, states[there[packed.name]]) for packed in opened.files]


def _compare_with_table(path: Path, packed: Packed, published: Published | None) -> None:
    hint = "Nothing was written. Was it packed by another version of tlkit?"
    if published is None:
        raise WeightsError(
            f"{path} is not unpacked: {packed.name} is no published weights file.",
            hint=hint,
        )
    if (packed.architecture, packed.top, packed.digest) != (
        published.architecture.name, published.top, published.weights.file.digest,
    ):  # fmt: skip
        raise WeightsError(
            f"{path} is not unpacked: its manifest says of {packed.name} what tlkit knows otherwise.",
            hint=hint,
        )


def _is_there(packed: Packed, folder: Path) -> bool | None:
    """True for the same file, False for another, None for none."""
    path = folder / packed.name
    if not path.exists() and not path.is_symlink():
        return None
    return path.is_file() and file_digest(path) == f"sha256:{packed.sha256}"


def _install(
    opened: OpenArchive, files: Sequence[Packed], known: dict[str, Published], folder: Path, archive: Path
) -> None:
    """Write files beside their names, look at their layers, and only then give all of them their names."""
    if not files:
        return
    needed = sum(packed.bytes for packed in files)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise WeightsError(
                f"{folder} has {format_bytes(free)} free, and {format_bytes(needed)} are needed; nothing was written.",
                hint="TLKIT_CACHE_DIR names another folder.",
            )
        with ExitStack() as parts:
            for packed in files:
                part = parts.enter_context(atomic_write(folder / packed.name))
                with part.open("wb") as target:
                    opened.copy(packed, target)
                published = known[packed.name]
                file = published.weights.file
                wrong = None if isinstance(file, PackagedFile) else fit_problem(part, published.architecture, file)
                if wrong:
                    raise WeightsError(
                        f"{archive} is not unpacked: {packed.name} is damaged or another file: {wrong}.",
                        hint="Nothing was written; pack it again where `tlkit weights verify` finds it good.",
                    )
    except OSError as error:
        raise WeightsError(
            f"Cannot write to {folder}: {error.strerror or str(error)}.",
            hint="TLKIT_CACHE_DIR names another folder.",
        ) from error
