"""Download weights files ahead, and carry them to another machine. No network is built."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from tlkit.commands.weights import FileStatus, known_files, thorough
from tlkit.downloads.locate import LocalFile, find_local, locate, mirror, weights_folder
from tlkit.downloads.weights_file import WeightsFile
from tlkit.errors import TlkitError, WeightsError
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.cache_dir import create_folder
from tlkit.utils.hashing import file_digest
from tlkit.utils.interrupt import resumable_by_repeating
from tlkit.utils.output_file import check_output
from tlkit.utils.text import did_you_mean, format_bytes


def pull(files: Sequence[WeightsFile], output: str | None = None, *, force: bool = False) -> Iterator[FileStatus]:
    """Download files, one after the other; one that fails does not stop the others.

    What only a shared folder has is copied too: it may be gone tomorrow.

    Args:
        files: The files.
        output: A folder that shall hold all of them, for :func:`install` or as a mirror; None for tlkit's own.
        force: Replace files in ``output`` that are not the published ones.

    Raises:
        WeightsError: ``output`` cannot be created.
    """
    if output is not None:
        _create(Path(output))
    with resumable_by_repeating():
        for file in files:
            try:
                yield _pull(file, None if output is None else Path(output), force)
            except TlkitError as error:
                yield FileStatus(file, None, "failed", error.message, error.hint)


def _pull(file: WeightsFile, output: Path | None, force: bool) -> FileStatus:
    target, problem = (output or weights_folder()) / file.name, thorough(file)
    if output and target.is_file() and problem(target) is None:
        return FileStatus(file, target, "present")
    if output:
        check_output(target, lambda path: problem(path) is None, force=force)
    found = find_local(file, problem)
    if not isinstance(found, LocalFile):
        return FileStatus(file, locate(file, problem, folder=output), "downloaded")
    if output is None and found.path.parent != mirror()[1]:
        return FileStatus(file, found.path, "present")
    _copy_all([(file, found.path, target)])
    return FileStatus(file, target, "copied")


def install(folder: str, *, force: bool = False) -> list[FileStatus]:
    """Copy a folder of weights files into tlkit's own, where every command finds them.

    Every file is checked before the first is written: it is a published one, its digest, its layers.

    Args:
        folder: What :func:`pull` wrote, or any folder of published weights files.
        force: Replace files that exist and differ.

    Raises:
        WeightsError: A file is not good, or a different one exists; nothing was written.
    """
    source, target = Path(folder), weights_folder()
    files = _published_in(source)
    for path, file in files.items():
        problem = thorough(file)(path)
        if problem:
            raise _not_installed(source, f"{path.name} is damaged or another file: {problem}")
    status = {}
    for path, file in files.items():
        existing = target / file.name
        same = existing.is_file() and file_digest(existing) == file_digest(path)
        status[path] = "present" if same else "replaced" if existing.exists() or existing.is_symlink() else "installed"
        if status[path] == "replaced" and not force:
            raise WeightsError(
                f"{existing} exists and differs from {path}; nothing was installed.",
                hint="`tlkit weights verify` checks both; --force replaces it.",
            )
    new = [(file, path, target / file.name) for path, file in files.items() if status[path] != "present"]
    _copy_all(new)
    return [FileStatus(file, target / file.name, status[path]) for path, file in files.items()]


def _published_in(folder: Path) -> dict[Path, WeightsFile]:
    """Return the files of a folder that holds published weights files and nothing else."""
    known = known_files()
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise WeightsError(f"{folder} cannot be read: {error.strerror}.") from error
    for path in paths:
        if path.name not in known:
            near = did_you_mean(path.name, known)
            raise _not_installed(folder, f"{path.name} is not a published weights file", near)
        if path.is_symlink() or not path.is_file():
            raise _not_installed(folder, f"{path.name} is not a regular file")
    if not paths:
        raise _not_installed(folder, "it holds no weights files")
    return {path: known[path.name] for path in paths}


def _not_installed(folder: Path, reason: str, hint: str | None = None) -> WeightsError:
    return WeightsError(
        f"Nothing was installed from {folder}: {reason}.",
        hint=hint or "`tlkit weights pull NAME... -o DIR` makes such a folder.",
    )


def _copy_all(copies: Sequence[tuple[WeightsFile, Path, Path]]) -> None:
    """Copy files that were found good, all of them or none."""
    folder = copies[0][2].parent if copies else weights_folder()
    _create(folder)
    try:
        needed, free = sum(source.stat().st_size for _, source, _ in copies), shutil.disk_usage(folder).free
        if free < needed:
            raise WeightsError(f"{folder} has {format_bytes(free)} free, but {format_bytes(needed)} are needed.")
        with ExitStack() as parts:
            for file, source, target in copies:
                part = parts.enter_context(atomic_write(target))
                shutil.copyfile(source, part)
                problem = thorough(file)(part)
                if problem or file_digest(part) != file_digest(source):
                    raise WeightsError(f"{source} changed while it was copied: {problem or 'its digest is another'}.")
    except OSError as error:
        raise WeightsError(
            f"Cannot write to {folder}: {error.strerror or error}.", hint="Make room, or name another folder."
        ) from error


def _create(folder: Path) -> None:
    try:
        create_folder(folder)
    except OSError as error:
        raise WeightsError(f"Cannot create the folder {folder}: {error.strerror}.") from error
