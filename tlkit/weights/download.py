"""Fetch a published weights file with pooch: a temporary file, a check, a rename, and another try."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tlkit.errors import WeightsError
from tlkit.h5.structure import structure_problem
from tlkit.progress import logger
from tlkit.text import printable
from tlkit.weights.files import PublishedFile

CONNECT_SECONDS, READ_SECONDS = 10, 30
RETRIES = 2


def download(file: PublishedFile, *, urls: Sequence[str], folder: Path, architecture: str) -> Path:
    """Fetch ``file`` into ``folder`` from the first address that has it whole.

    A download that is cut, has the wrong hash or is not HDF5 never gets the final name; each address is tried
    up to three times.

    Raises:
        WeightsError: No address had it; the message names each with the reason.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.ERROR)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WeightsError(
            f"Cannot make the folder {printable(folder)} for {file.name}: {error.strerror}.",
            hint="Name another with TLKIT_CACHE_DIR, or give a file with --weights PATH.",
        ) from error
    if file.digest is None:  # pooch would keep a copy that it cannot check; ours was found damaged
        (folder / file.name).unlink(missing_ok=True)

    failures = []
    for url in urls:
        logger.info("Downloading the weights of %s from %s", architecture, url)
        registry = pooch.create(
            path=folder, base_url="", registry={file.name: file.digest}, urls={file.name: url},
            retry_if_failed=RETRIES,
        )  # fmt: skip
        try:
            return Path(registry.fetch(file.name, downloader=_Checked()))
        except (requests.RequestException, ValueError, OSError) as error:
            failures.append(f"{url} ({_reason(error)})")
    raise WeightsError(
        f"The weights of {architecture}, {file.name}, cannot be downloaded: {'; '.join(failures)}.",
        hint=f"Put the file into {printable(folder)}, name a mirror with TLKIT_WEIGHTS_MIRROR, "
        "give a file with --weights PATH, or use --weights none for random weights.",
    )


def _reason(error: Exception) -> str:
    """A short reason; the libraries' own texts nest addresses and object names."""
    import requests

    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate cannot be verified"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the download was cut"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if isinstance(error, ValueError) and "hash" in str(error):
        return "the file has another hash than the published one"
    return printable(error)


class _Checked:
    """pooch's downloader, and then a look at the temporary file: is it HDF5, and whole?

    It fails as a hash mismatch would, so that pooch throws the file away and tries again.
    """

    def __call__(self, url: str, output_file: Any, pooch: Any) -> None:
        from pooch import HTTPDownloader

        fetch = HTTPDownloader(
            progressbar=sys.stderr.isatty() and logger.isEnabledFor(logging.INFO),
            timeout=(CONNECT_SECONDS, READ_SECONDS),
        )
        fetch(url, output_file, pooch)
        if hasattr(output_file, "flush"):
            output_file.flush()
        wrong = structure_problem(Path(getattr(output_file, "name", output_file)))
        if wrong:
            raise ValueError(wrong)
