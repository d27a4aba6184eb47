"""The OpenAPI document of the server."""

from __future__ import annotations

from typing import Any

import tlkit
from tlkit.serving.limits import Limits

Document = dict[str, Any]

_STRING, _INTEGER, _NUMBER, _BOOLEAN = ({"type": kind} for kind in ("string", "integer", "number", "boolean"))
_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}
_BINARY: Document = {}  # of OpenAPI 3.1: bytes that are no text have no type
_REFUSALS = {
    "400": "The request is malformed: its parameters, its form or its JSON.",
    "403": "A page of another origin asks, or URLs are not allowed.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large, or holds too many images.",
    "415": "The content type is no image, form or, with --allow-urls, JSON.",
    "421": "The Host header is no name of this server.",
    "500": "An internal error, which the log of the server describes.",
}


def document(limits: Limits) -> Document:
    """Return the document, OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tlkit serve",
            "version": tlkit.__version__,
            "summary": "Classify images.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": {
            "/predict": {"post": _predict(limits)},
            "/explain": {"post": _explain()},
            "/health": {"get": _health()},
            "/model": {"get": _get("model", "What classifies: class names, input size, limits.", _ref("Model"))},
            "/metrics": {"get": _get("metrics", "Counters, as Prometheus reads them.", _STRING, "text/plain")},
        },
        "components": {"schemas": _schemas()},
    }


def _ref(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}


def _health() -> Document:
    operation = _get("health", "Whether images are computed.", _ref("Health"))
    failed = {"503": {**operation["responses"]["200"], "description": "They are no longer."}}
    return {**operation, "responses": {**operation["responses"], **failed}}


def _get(name: str, summary: str, schema: Document, kind: str = "application/json") -> Document:
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": {"description": summary, "content": {kind: {"schema": schema}}}, **_errors("421")},
    }


def _errors(*statuses: str) -> Document:
    content = {"application/json": {"schema": _ref("Error")}}
    return {status: {"description": _REFUSALS[status], "content": content} for status in statuses}


def _busy() -> Document:
    return {
        "503": {
            "description": "The queue is full; try again after the seconds of Retry-After.",
            "headers": {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}},
            "content": {"application/json": {"schema": _ref("Error")}},
        }
    }


def _images(most: int) -> Document:
    several = {"type": "array", "items": _BINARY, "minItems": 1, "maxItems": most}
    return {
        "image/*": {"schema": _BINARY},
        "application/octet-stream": {"schema": _BINARY},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "description": "Every part with a file name is an image, whatever the field is called.",
                "properties": {"images": several},
            }
        },
    }


def _predict(limits: Limits) -> Document:
    predictions = {"application/json": {"schema": _ref("Predictions")}}
    return {
        "operationId": "predict",
        "summary": "Classify images.",
        "description": "An image as the body, several as a form, or, with --allow-urls, URLs of images as JSON. The "
        f"body has at most {limits.body_bytes:,} bytes and {limits.images:,} images.",
        "parameters": [
            {
                "name": "top",
                "in": "query",
                "description": "Number of classes to list per image.",
                "schema": {"type": "integer", "minimum": 1},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {**_images(limits.images), "application/json": {"schema": _ref("Urls")}},
        },
        "responses": {
            "200": {
                "description": "One object per image, in order; one that cannot be read has an error.",
                "content": predictions,
            },
            "422": {"description": "No image can be read; each has an error.", "content": predictions},
            **_errors("400", "403", "408", "413", "415", "421", "500"),
            **_busy(),
        },
    }


def _explain() -> Document:
    unreadable = {
        "description": "The image cannot be read.",
        "content": {"application/json": {"schema": _ref("Error")}},
    }
    return {
        "operationId": "explain",
        "summary": "Draw where an image shows a class.",
        "description": "Parts of the image are covered: the map is bright where that costs the class most. It takes "
        "the network more than a hundred times.",
        "parameters": [
            {
                "name": "label",
                "in": "query",
                "description": "Label or name of the class; the most probable one without it.",
                "schema": _STRING,
            }
        ],
        "requestBody": {"required": True, "content": _images(1)},
        "responses": {
            "200": {"description": "A heat map over the image.", "content": {"image/png": {"schema": _BINARY}}},
            "422": unreadable,
            **_errors("400", "403", "408", "413", "415", "421", "500"),
            **_busy(),
        },
    }


def _object(properties: Document, *optional: str) -> Document:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


def _array(items: Document) -> Document:
    return {"type": "array", "items": items}


def _schemas() -> Document:
    score = _object({"rank": {"type": "integer", "minimum": 1}, "label": _STRING, "name": _STRING,
                     "probability": _PROBABILITY})  # fmt: skip
    prediction = {
        "input": {**_STRING, "description": "File name, or URL without its password; image where it has no name."},
        "predictions": {**_array(_ref("ClassScore")), "description": "Most probable first."},
        "labels": {**_array(_STRING), "description": "Of a run that gives several labels an image: those it is given."},
        "known": {**_BOOLEAN, "description": "Of a run: whether it is like the images that it was trained on."},
        "unknown_score": {**_NUMBER, "description": "How strange it is: above 1 it is unknown."},
    }
    return {
        "ClassScore": score,
        "Prediction": _object(prediction, "labels", "known", "unknown_score"),
        "Failure": _object({"input": _STRING, "error": _STRING}),
        "Predictions": _array({"oneOf": [_ref("Prediction"), _ref("Failure")]}),
        "Urls": _object({"urls": {**_array({"type": "string", "format": "uri"}), "minItems": 1}}),
        "Error": _object({"error": _STRING}),
        "Health": _object({"status": {"type": "string", "enum": ["ok", "failed"]}}),
        "Model": _object(
            {
                "name": _STRING,
                "architecture": {"type": ["string", "null"]},
                "classes": _array(_STRING),
                "labels": _array(_STRING),
                "multi_label": _BOOLEAN,
                "thresholds": {"type": ["array", "null"], "items": _PROBABILITY},
                "knows_unknown": _BOOLEAN,
                "size": {**_array(_INTEGER), "description": "Height and width in pixels."},
                "channels": _INTEGER,
                "resize": _STRING,
                "preprocessing": _STRING,
                "engine": _STRING,
                "precision": _STRING,
                "top": _INTEGER,
                "urls": _BOOLEAN,
                "limits": _object({"body_bytes": _INTEGER, "images": _INTEGER, "queue": _INTEGER}),
                "tlkit": _STRING,
            }
        ),
    }
