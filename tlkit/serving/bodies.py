"""Read the body of a request: within limits, into memory, never to a file."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from tlkit.serving.limits import DRAIN_SECONDS, DRAINED_BYTES, Budget, Limits, Refused
from tlkit.utils.text import escape_control_chars

Result = TypeVar("Result")

_LONGEST_NAME = 255
_LONGEST_JSON = 1_000_000
_MOST_PARTS_BESIDE = 16
"""Fields of a form that are no images."""
RAW = "image"
"""What an image is called that came without a name."""


@dataclass(frozen=True)
class Upload:
    """An image that was sent.

    Attributes:
        name: As the sender calls it, without folders.
        data: The bytes of the file.
    """

    name: str
    data: bytes = field(repr=False)


class Body:
    """The body of a request, until somebody takes it: a form is held twice only while it is parsed."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def take(self) -> bytes:
        """Return the bytes, and forget them."""
        data, self._data = self._data, b""
        return data


@asynccontextmanager
async def reading(request: Request, limits: Limits, held: Budget) -> AsyncIterator[Body]:
    """Read the body of a request; its bytes count as held inside the block.

    Raises:
        Refused: It is larger than allowed, arrives too slowly, or there is no room for it now.
    """
    body = bytearray()
    claimed = 0
    try:
        try:
            async with asyncio.timeout(limits.body_seconds):
                # all of it at once: of many that come together, some are read, and not a part of each
                length = _length(request, limits)
                held.claim(length)
                claimed = length
                async for chunk in request.stream():
                    if len(body) + len(chunk) > limits.body_bytes:
                        raise _too_large(limits)
                    if (more := len(body) + len(chunk) - claimed) > 0:  # its length was not told
                        held.claim(more)
                        claimed += more
                    body += chunk
        except TimeoutError:
            raise Refused(
                408, f"The body did not arrive within {limits.body_seconds:.0f} seconds.", {"Connection": "close"}
            ) from None
        except ClientDisconnect:
            raise Refused(400, "The connection was closed before the body was complete.") from None
        except Refused as refused:
            body.clear()
            held.give_back(claimed)
            claimed = 0
            await _drain(request)
            refused.headers["Connection"] = "close"
            raise
        whole = Body(bytes(body))
        body.clear()
        yield whole
    finally:
        held.give_back(claimed)


def _length(request: Request, limits: Limits) -> int:
    """Return the length that a request tells of its body; 0 where it tells none."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        return 0
    if int(length) > limits.body_bytes:
        raise _too_large(limits)
    return int(length)


def _too_large(limits: Limits) -> Refused:
    return Refused(413, f"The body is larger than {limits.body_bytes:,} bytes, the limit of this server.")


async def _drain(request: Request) -> None:
    """Read and drop what still arrives, for a while."""
    dropped = 0
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            async for chunk in request.stream():
                dropped += len(chunk)
                if dropped > DRAINED_BYTES:
                    return
    except (TimeoutError, ClientDisconnect, RuntimeError):
        return


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Return what a coroutine returns; it is cancelled when the client goes away, its body being read.

    Raises:
        Refused: The client is gone.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Refused(400, "The connection was closed before the answer.")
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def media_type(request: Request) -> str:
    """Return the content type of a request, without its parameters; empty if it has none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def uploads(request: Request, body: bytes, limits: Limits) -> list[Upload]:
    """Return the images of a request: the body is one, or a form holds several.

    Raises:
        Refused: It is neither, it is empty, or it holds too many.
    """
    kind = media_type(request)
    if kind == "multipart/form-data":
        # in a thread: a large form must not hold up other requests
        found = await asyncio.to_thread(_parts, request.headers["content-type"], body, limits)
        if not found:
            raise Refused(400, "The form holds no file; send each image as a part with a file name.")
        return found
    # what curl calls the body of --data-binary
    if kind not in ("", "application/octet-stream", "application/x-www-form-urlencoded", "image/*") and not (
        kind.startswith("image/")
    ):
        raise Refused(
            415,
            f"The content type is {escape_control_chars(kind)[:_LONGEST_NAME]}; expected an image (image/jpeg, "
            "application/octet-stream) or multipart/form-data.",
        )
    if not body:
        raise Refused(400, "The body is empty; send the bytes of an image.")
    return [Upload(RAW, body)]


def urls(body: bytes, limits: Limits) -> list[str]:
    """Return the URLs of a JSON body ``{"urls": […]}``.

    Raises:
        Refused: It is something else, or there are too many.
    """
    if len(body) > _LONGEST_JSON:
        raise Refused(413, f"The JSON document is larger than {_LONGEST_JSON:,} bytes.")
    expected = 'expected {"urls": ["https://…", …]}'
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, f"The body is not valid JSON; {expected}.") from None
    found = document.get("urls") if isinstance(document, dict) and {*document} == {"urls"} else None
    if not isinstance(found, list) or not found or not all(isinstance(url, str) for url in found):
        raise Refused(400, f"The JSON document is something else; {expected}.")
    _check_number(len(found), limits)
    for url in found:
        if not re.match(r"https?://", url, re.IGNORECASE):
            raise Refused(400, f"{escape_control_chars(url[:_LONGEST_NAME])} is not an http or https URL.")
    return found


def _check_number(count: int, limits: Limits) -> None:
    if count > limits.images:
        raise Refused(413, f"A request may hold at most {limits.images:,} images.")


class _Form:
    """Collects the files of a form while it is parsed."""

    def __init__(self, limits: Limits) -> None:
        self.files: list[Upload] = []
        self._limits = limits
        self._others = 0
        self._header, self._value = bytearray(), bytearray()
        self._disposition: bytes | None = None
        self._data = bytearray()
        self.ended = False

    def callbacks(self) -> Any:
        """Return what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
            "on_part_end": self._end,
            "on_end": self._end_of_form,
        }

    def _begin(self) -> None:
        self._disposition, self._data = None, bytearray()

    def _header_end(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def _end(self) -> None:
        from python_multipart.multipart import parse_options_header

        _, options = parse_options_header(self._disposition or b"")
        if b"filename" not in options:
            self._others += 1
            if self._others > _MOST_PARTS_BESIDE:
                raise Refused(413, f"A form may hold at most {_MOST_PARTS_BESIDE} fields beside its images.")
            return
        _check_number(len(self.files) + 1, self._limits)
        name = clean_name(options[b"filename"].decode("utf-8", "replace")) or f"{RAW}-{len(self.files) + 1}"
        self.files.append(Upload(name, bytes(self._data)))

    def _end_of_form(self) -> None:
        self.ended = True


def _parts(content_type: str, body: bytes, limits: Limits) -> list[Upload]:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise Refused(400, "The content type multipart/form-data names no boundary.")
    form = _Form(limits)
    try:
        parser = MultipartParser(boundary, form.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Refused(400, f"The form is damaged: {escape_control_chars(error)}.") from error
    if not form.ended:
        raise Refused(400, "The form is damaged: it ends before its last boundary.")
    return form.files


def clean_name(name: str) -> str:
    """Return the last part of a file name, with control characters escaped, at most 255 characters."""
    return escape_control_chars(re.split(r"[/\\]", name)[-1]).strip()[:_LONGEST_NAME]
