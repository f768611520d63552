"""Requests as an HTTP API hands them to its function: events of payload version 2.0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode


def request(
    method: str, path: str, body: str | None = None, query: Mapping[str, Any] | None = None, **headers: str
) -> dict[str, Any]:
    """Return the event of a request, payload version 2.0."""
    given = {name: str(value) for name, value in (query or {}).items()}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": urlencode(given),
        "headers": {
            "host": "shop.example",
            **({} if body is None else {"content-type": "application/json"}),
            **headers,
        },
        **({"queryStringParameters": given} if given else {}),
        "requestContext": {
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "test",
            },
            "requestId": "request-1",
            "stage": "$default",
            "timeEpoch": 1_763_640_000_000,
        },
        **({} if body is None else {"body": body}),
        "isBase64Encoded": False,
    }
