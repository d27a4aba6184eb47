"""Images in object stores and other file systems: URLs such as ``s3://bucket/a.jpg``.

pyarrow opens ``s3://``, ``gs://`` and ``hdfs://``, and fsspec any other protocol it knows, such as ``abfs://`` and
``hf://``. Credentials and servers are those of the environment, and so are time limits and retries of the libraries.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tlkit.data.discovery import is_hidden
from tlkit.data.memory import claim_file
from tlkit.data.modality import Modality
from tlkit.errors import InputError, TlkitError
from tlkit.utils.extras import needs
from tlkit.utils.text import format_bytes, shorten

_ARROW = {"s3", "gs", "gcs", "hdfs", "viewfs"}
"""Schemes that pyarrow opens by itself. Not Azure's: without credentials, pyarrow 26 ends the process."""


_GOOGLE_SECONDS = 30
"""For which pyarrow tries again; its own limit is a quarter of an hour."""
_LONGEST = 300
"""Characters of a reason."""
MAX_BYTES = 2**30
"""Larger files are refused: they are read into memory whole."""


def read_remote(url: str, *, allow_private: bool = False) -> bytes:
    """Read a whole file.

    Args:
        url: ``s3://bucket/a.jpg``; what follows its bucket is taken as it stands.
        allow_private: Also accept an ``endpoint_override`` that is a loopback, link-local or private IP address.

    Raises:
        InputError: It cannot be read or is too large. The message is the reason alone.
        TlkitError: pyarrow or fsspec is not installed.
    """
    with _one_line():
        system, path = _open(url, allow_private)
        with system.open_input_file(path) as file:
            size = file.size()
            if size > MAX_BYTES:
                raise InputError(f"it is larger than {format_bytes(MAX_BYTES)}")
            claim_file(size)
            data: bytes = file.read(size)
    if len(data) < size:
        raise InputError(f"it ends after {len(data):,} of {size:,} bytes")
    return data


def list_remote(url: str, modality: Modality, left_out: Counter[str]) -> list[str]:
    """Return the URLs of the files of a modality below a folder, sorted by name at every level.

    A file counts by the end of its name. Hidden names are skipped.

    Args:
        url: A folder; one that names a file of the modality is not looked up.
        modality: What to search for.
        left_out: Counts the files that are something else, by the end of their names.

    Returns:
        The URLs; none where it is no folder, or cannot be listed: reading it tells why.

    Raises:
        TlkitError: pyarrow or fsspec is not installed.
    """
    start, mark, query = _parts(url)
    if modality.has_name(start):
        return []
    try:
        with _one_line():
            system, path = _open(url, allow_private=True)
            from pyarrow.fs import FileSelector, FileType

            if system.get_file_info(path).type != FileType.Directory:
                return []
            found = [
                file.path[len(path.rstrip("/")) :].strip("/")
                for file in system.get_file_info(FileSelector(path, recursive=True))
                if file.type == FileType.File
            ]
    except InputError:
        return []
    found.sort(key=lambda name: name.split("/"))
    shown = [name for name in found if not any(map(is_hidden, name.split("/")))]
    left_out.update(os.path.splitext(name)[1].lower() for name in shown if not modality.has_name(name))
    return [f"{start.rstrip('/')}/{name}{mark}{query}" for name in shown if modality.has_name(name)]


def _parts(url: str) -> tuple[str, str, str]:
    """Return a URL without its options, the mark between them, and the options; only pyarrow's has some."""
    start, mark, query = url.rpartition("?")
    is_options = mark and url.partition(":")[0].lower() in _ARROW and "=" in query
    return (start, mark, query) if is_options else (url, "", "")


def _open(url: str, allow_private: bool) -> tuple[Any, str]:
    """Return the file system of a URL, and its path there."""
    scheme = url.partition(":")[0].lower()
    needs("remote", "pyarrow", *(() if scheme in _ARROW else ("fsspec",)), by=f"reading {scheme}://")
    if scheme in _ARROW:
        start, mark, query = _parts(url)
        server, _, path = start.partition("://")[2].partition("/")
        if not allow_private:
            _check_endpoints(query)
        system, root = _arrow_system(f"{scheme}://{server}/{mark}{query}")
        return system, f"{root.rstrip('/')}/{path}"
    from fsspec.core import url_to_fs
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    system, path = url_to_fs(url)
    return PyFileSystem(FSSpecHandler(system)), path


@functools.lru_cache(maxsize=64)
def _arrow_system(url: str) -> tuple[Any, str]:
    """Return the file system of a bucket, opened once: it looks for the bucket's region, and keeps connections."""
    from pyarrow.fs import FileSystem

    if url.startswith("gs") and "retry_limit_seconds" not in url:
        url += f"{'&' if '?' in url else '?'}retry_limit_seconds={_GOOGLE_SECONDS}"
    system, root = FileSystem.from_uri(url)
    return system, root


def _check_endpoints(query: str) -> None:
    """Refuse a server inside this network: a table may come from anywhere, and may not make this machine ask it."""
    from tlkit.downloads.http.private_networks import PrivateHostError, check_host

    for endpoint in parse_qs(query).get("endpoint_override", ()):
        host = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").hostname
        try:
            check_host(host or "")
        except PrivateHostError as error:
            raise InputError(str(error)) from error


@contextmanager
def _one_line() -> Iterator[None]:
    """Turn whatever a file system raises into a reason of one line."""
    try:
        yield
    except TlkitError:
        raise
    except FileNotFoundError as error:
        raise InputError("there is no such file") from error
    except ImportError as error:  # fsspec names the package of a protocol
        raise InputError(f"a package is missing: {_first_line(error)}") from error
    except Exception as error:  # of boto, aiohttp, pyarrow, …
        raise InputError(f"it cannot be read: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return shorten(lines[0].rstrip(".") if lines else type(error).__name__, _LONGEST)
