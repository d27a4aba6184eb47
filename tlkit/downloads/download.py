"""Fetch a weights file with pooch: a temporary file, a check, a rename, and another try."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from tlkit.downloads.weights_file import PackagedFile, WeightsFile
from tlkit.errors import WeightsError
from tlkit.keras_files import SIGNATURE, structure_problem
from tlkit.utils.logging import logger, progress_bar
from tlkit.utils.text import format_bytes, without_password

CONNECT_SECONDS, READ_SECONDS = 10.0, 30.0
RETRIES = 2
MAX_BYTES = 2 * 10**9
"""The largest published file has 1.4 GB; what is larger is no weights file, and may have no end."""
STALL_BYTES, STALL_SECONDS = 32_000, 30.0
"""What must come within which time. There is no limit on the whole: half a GB over a slow line takes hours."""

BEGINNING = 512
"""Bytes that tell what a file is."""


def download(
    file: WeightsFile,
    *,
    urls: Sequence[str],
    folder: Path,
    architecture: str,
    problem: Callable[[Path], str | None] | None = None,
) -> Path:
    """Fetch ``file`` into ``folder`` from the first address that has it whole.

    A download that is cut, has the wrong hash or is not HDF5 never gets the final name; each address is tried
    up to three times.

    Args:
        file: Which file.
        urls: Where it may be had, in order.
        folder: Where it goes; made where there is none.
        architecture: Whose it is, for messages.
        problem: Tells what is wrong with a file that has no published hash, None when nothing is.

    Raises:
        WeightsError: No address had it; the message names each with the reason.
    """
    import pooch

    from tlkit.downloads.http.error_messages import reason

    pooch.get_logger().setLevel(logging.ERROR)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WeightsError(
            f"Cannot make the folder {folder} for {file.name}: {error.strerror}.",
            hint="Name another with TLKIT_CACHE_DIR, or give a file with --weights PATH.",
        ) from error
    if file.digest is None:  # pooch would keep a copy that it cannot check; ours was found damaged
        (folder / file.name).unlink(missing_ok=True)

    failures = []
    for url in urls:
        logger.info("Downloading the weights of %s from %s", architecture, without_password(url))
        registry = pooch.create(
            path=folder, base_url="", registry={file.name: file.digest}, urls={file.name: url},
            retry_if_failed=RETRIES,
        )  # fmt: skip
        try:
            return Path(registry.fetch(file.name, downloader=_Download(file, problem or structure_problem)))
        except Exception as error:  # whatever a server makes the libraries raise, the next address may be better
            failures.append(f"{without_password(url)} ({_of_file(error) or reason(error)})")
    raise WeightsError(
        f"The weights of {architecture}, {file.name}, cannot be downloaded: {'; '.join(failures)}.",
        hint=f"Put the file into {folder}, name a mirror with TLKIT_WEIGHTS_MIRROR, "
        "give a file with --weights PATH, or use --weights none for random weights.",
    )


def _of_file(error: Exception) -> str | None:
    """The reason where the file is at fault, or the disk; None where the server or the network is."""
    import requests

    if isinstance(error, _Unfit):
        return str(error)
    if isinstance(error, ValueError) and "hash" in str(error):
        return "the file has another hash than the published one"
    of_network = isinstance(error, requests.RequestException | ConnectionError | TimeoutError)
    if isinstance(error, OSError) and error.strerror and not of_network:
        return f"it cannot be written: {error.strerror}"
    return None


class _Unfit(ValueError):
    """What came is not the file; pooch throws it away and tries again, as for a wrong hash."""


class _Download:
    """pooch's downloader: from an address into its temporary file, within limits, and then a look at that file.

    Args:
        file: What is fetched.
        problem: Tells what is wrong with what came.
    """

    def __init__(self, file: WeightsFile, problem: Callable[[Path], str | None]) -> None:
        self._hdf5 = not isinstance(file, PackagedFile)
        self._problem = problem if file.digest is None else structure_problem

    def __call__(self, url: str, output_file: Any, pooch: Any) -> None:
        path = Path(getattr(output_file, "name", output_file))
        with path.open("wb") as output:
            self._receive(url, output)
        wrong = self._problem(path) if self._hdf5 else None
        if wrong:
            raise _Unfit(wrong)

    def _receive(self, url: str, output: BinaryIO) -> None:
        from tlkit.downloads.http.deadline import Watch
        from tlkit.downloads.http.error_messages import WebError
        from tlkit.downloads.http.session import open_address, pieces

        stalled = f"it stalled: fewer than {format_bytes(STALL_BYTES)} within {STALL_SECONDS:.0f} seconds"
        too_large = f"it is larger than {format_bytes(MAX_BYTES)}, more than any weights file"
        with Watch(STALL_SECONDS) as watch:
            try:
                with open_address(url, watch, timeout=(CONNECT_SECONDS, READ_SECONDS)) as response:
                    response.raise_for_status()
                    length = response.headers.get("Content-Length", "")
                    expected = int(length) if length.isdecimal() else None
                    if expected is not None and expected > MAX_BYTES:
                        raise WebError(too_large)
                    fresh = total = 0
                    start = b""
                    with progress_bar(total=expected, unit="B", description="download", scale=True) as bar:
                        for piece in pieces(response):
                            output.write(piece)
                            bar.update(len(piece))
                            total, fresh = total + len(piece), fresh + len(piece)
                            if total > MAX_BYTES:
                                raise WebError(too_large)
                            if fresh >= STALL_BYTES:
                                watch.extend(STALL_SECONDS)
                                fresh = 0
                            if len(start) < BEGINNING:
                                start += piece
                                if self._hdf5 and len(start) >= BEGINNING and not start.startswith(SIGNATURE):
                                    return  # a web page, perhaps an endless one; its beginning tells what it is
            except Exception as error:
                if watch.late:
                    raise WebError(stalled) from error
                raise
            if watch.late:  # hanging up looks like the end of an answer that named no length
                raise WebError(stalled)
