"""Download a weights file: into a temporary file, checked, renamed; tried again when that fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tlkit.downloads.weights_file import WeightsFile
from tlkit.errors import WeightsError
from tlkit.keras_files import SIGNATURE, structure_problem
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.cache_dir import create_folder
from tlkit.utils.hashing import digest_problem
from tlkit.utils.logging import logger, progress_bar
from tlkit.utils.text import without_password

ATTEMPTS, PAUSE_SECONDS = 3, 1.0
MAX_BYTES = 2 * 10**9
"""The largest published file has 1.4 GB; a larger one is no weights file, and may have no end."""
STALL_BYTES, STALL_SECONDS, READ_SECONDS = 32_000, 30.0, 30.0
"""How much must arrive within which time. The whole has no limit: half a GB over a slow line takes hours."""
_BEGINNING = 512
"""Bytes that show what a file is."""


def download(
    file: WeightsFile, *, urls: Sequence[str], folder: Path, problem: Callable[[Path], str | None] | None = None
) -> Path:
    """Download ``file`` into ``folder`` from the first URL that has it whole.

    A file that is cut short, has the wrong digest or is not HDF5 never gets the final name; each URL is tried up to
    three times.

    Args:
        file: The file.
        urls: Where to download it, in order.
        folder: Created if needed.
        problem: Returns what is wrong with a file that has no published digest, None if nothing is.

    Raises:
        WeightsError: No URL had it; the message names each with the reason.
    """
    try:
        create_folder(folder)
    except OSError as error:
        raise WeightsError(
            f"Cannot create the folder {folder} for {file.name}: {error.strerror}.",
            hint="Name another with TLKIT_CACHE_DIR, or give a file with --weights PATH.",
        ) from error
    failures = []
    for url in urls:
        logger.info("Downloading the weights of %s from %s", file.architecture, without_password(url))
        try:
            return _download(file, url, folder / file.name, problem or structure_problem)
        except Exception as error:  # whatever it is, the next URL may be better
            reason = f"it cannot be written: {error.strerror}" if isinstance(error, OSError) else str(error)
            failures.append(f"{without_password(url)} ({reason})")
            if len(failures) < len(urls):  # a mirror that is not reachable must not go unnoticed
                logger.warning("%s is not used: %s.", without_password(url), reason)
    raise WeightsError(
        f"The weights of {file.architecture}, {file.name}, cannot be downloaded: {'; '.join(failures)}.",
        hint=f"Put the file into {folder}, name a mirror with TLKIT_WEIGHTS_MIRROR, "
        "give a file with --weights PATH, or use --weights none for random weights.",
    )


def _download(file: WeightsFile, url: str, path: Path, problem: Callable[[Path], str | None]) -> Path:
    from tlkit.downloads.http.error_messages import HttpError

    for attempt in range(1, ATTEMPTS + 1):
        try:
            with atomic_write(path) as part:
                _receive(file, url, part)
                reason = _problem(file, part, problem)
                if reason:
                    raise HttpError(reason, retry=True)
            return path
        except HttpError as error:
            if not error.retry or attempt == ATTEMPTS:
                raise
            logger.debug("%s: %s; trying again.", without_password(url), error)
            time.sleep(attempt * PAUSE_SECONDS)
    raise AssertionError("the last attempt returns or raises")


def _problem(file: WeightsFile, path: Path, problem: Callable[[Path], str | None]) -> str | None:
    if file.digest is None:
        return problem(path)
    structure = structure_problem(path) if file.is_hdf5 else None
    if structure is None and digest_problem(path, file.digest):
        return "its digest is not the published one"
    return structure


def _receive(file: WeightsFile, url: str, path: Path) -> None:
    from tlkit.downloads.http.stream import Limits, stream

    limits = Limits(MAX_BYTES, READ_SECONDS, STALL_SECONDS, STALL_BYTES)
    with (
        stream(url, limits) as response,
        path.open("wb") as output,
        progress_bar(total=response.length, unit="B", description="download", scale=True) as bar,
    ):
        beginning = b""
        for block in response:
            output.write(block)
            bar.update(len(block))
            if file.is_hdf5 and len(beginning) < _BEGINNING:
                beginning += block
                if len(beginning) >= _BEGINNING and not beginning.startswith(SIGNATURE):
                    return  # a web page, perhaps an endless one; its beginning shows what it is
