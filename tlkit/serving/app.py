"""The routes of the server: the page, and JSON for programs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tlkit.errors import TlkitError
from tlkit.serving.batching import EndingError
from tlkit.serving.bodies import media_type, reading, uploads, urls, while_connected
from tlkit.serving.guard import Guard
from tlkit.serving.limits import Refused
from tlkit.serving.metrics import CONTENT_TYPE
from tlkit.serving.openapi import document
from tlkit.serving.service import Service
from tlkit.utils.logging import logger

Handler = Callable[[Request], Awaitable[Response]]

_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}


def make_app(service: Service, *, hosts: Collection[str] = (), origins: Collection[str] = ()) -> ASGIApp:
    """Return the ASGI application.

    Args:
        service: What answers.
        hosts: Names that the server goes by.
        origins: Other origins whose pages may ask.
    """
    routes = _Routes(service)
    table: list[tuple[str, str, Handler]] = [
        ("/predict", "POST", routes.predict),
        ("/explain", "POST", routes.explain),
        ("/health", "GET", routes.health),
        ("/model", "GET", routes.model),
        ("/metrics", "GET", routes.metrics),
        ("/openapi.json", "GET", routes.openapi),
        *((path, "GET", _file(name, kind)) for path, (name, kind) in _FILES.items()),
    ]
    app = Starlette(
        routes=[Route(path, _counted(service, path, handler), methods=[method]) for path, method, handler in table],
        exception_handlers={HTTPException: _http_error, Exception: _internal_error},
    )
    return Guard(app, hosts=hosts, origins=origins)


class _Json(JSONResponse):
    """JSON in ASCII, as the command line prints it: names with undecodable bytes stay valid."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class _Routes:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._openapi = document(service.limits)

    async def predict(self, request: Request) -> Response:
        service = self._service
        top = _top(request.query_params, service.top)
        _check_query(request.query_params, {"top"})
        as_urls = media_type(request) == "application/json"
        if as_urls and not service.allow_urls:
            raise Refused(403, "This server fetches no URLs; `tlkit serve --allow-urls` does.")
        async with reading(request, service.limits, service.held) as body:
            if as_urls:
                found = await while_connected(request, service.predict_urls(urls(body.take(), service.limits), top))
            else:
                images = await uploads(request, body.take(), service.limits)
                found = await while_connected(request, service.predict(images, top))
        failed = all(prediction.error is not None for prediction in found)
        return _Json([prediction.to_dict() for prediction in found], 422 if failed else 200)

    async def explain(self, request: Request) -> Response:
        _check_query(request.query_params, {"label"})
        async with reading(request, self._service.limits, self._service.held) as body:
            images = await uploads(request, body.take(), self._service.limits)
            if len(images) != 1:
                raise Refused(400, f"A heat map is of one image; the request holds {len(images)}.")
            drawn = await while_connected(request, self._service.explain(images[0], request.query_params.get("label")))
        return Response(drawn, media_type="image/png")

    async def health(self, request: Request) -> Response:
        return _Json({"status": "ok"}) if self._service.works else _Json({"status": "failed"}, 503)

    async def model(self, request: Request) -> Response:
        return _Json(self._service.model())

    async def metrics(self, request: Request) -> Response:
        return Response(self._service.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def openapi(self, request: Request) -> Response:
        return _Json(self._openapi)


def _file(name: str, kind: str) -> Handler:
    content = (resources.files("tlkit.serving") / name).read_bytes()

    async def send(request: Request) -> Response:
        return Response(content, headers={"Content-Type": kind})

    return send


def _counted(service: Service, path: str, handler: Handler) -> Handler:
    """Count what a route answers, and answer refusals as JSON."""
    seconds = service.metrics.seconds.labels(path)

    async def answer(request: Request) -> Response:
        start = time.perf_counter()
        status = 500
        try:
            try:
                response = await handler(request)
            except Refused as refused:
                response = _error(refused.status, refused.message, refused.headers)
            except (asyncio.CancelledError, EndingError):  # it took longer than the end of the server waits
                response = _error(503, EndingError.MESSAGE, {"Connection": "close"})
            except TlkitError as error:
                logger.error("%s", error.message)
                response = _error(500, error.message)
            status = response.status_code
            return response
        finally:
            seconds.observe(time.perf_counter() - start)
            service.metrics.requests.labels(path, str(status)).inc()

    return answer


def _top(query: Mapping[str, str], default: int) -> int:
    text = query.get("top")
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) >= 1):
        raise Refused(400, "top is the number of classes to list; expected a whole number of at least 1.")
    return int(text)


def _check_query(query: Mapping[str, Any], known: Collection[str]) -> None:
    if {*query} - {*known}:
        raise Refused(400, f"There is no such parameter; the parameters are {', '.join(sorted(known))}.")


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return _Json({"error": message}, status, headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, f"{error.detail}.", error.headers)


async def _internal_error(request: Request, error: Exception) -> Response:
    return _error(500, "An internal error, which the log of the server describes.")
