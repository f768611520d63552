"""Events and answers of payload format 1.0, those of REST APIs and of HTTP APIs whose integration asks for it.

As the API Gateway developer guide has them ("Lambda proxy integrations in API Gateway", "Payload format version"). What
format 2.0 has alike is here for both: `context_of`, `forwarded`, `answered`.
"""

from __future__ import annotations

import base64
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request as HttpRequest
from werkzeug.wrappers import Response

from tablestream.local.gateway.routes import Chosen, HttpApi

Json = Any  # what an event or an answer holds
_ACCOUNT = "123456789012"
FORBIDDEN_HEADERS = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})
"""Headers that are the server's own."""


def event_one(
    api: HttpApi, chosen: Chosen, request: HttpRequest, gateway_id: str, at: float, body: Mapping[str, Json]
) -> dict[str, Json]:
    """The event of a request in payload format 1.0; `at` is unix seconds, `body` the members of the body."""
    headers = _lists([*request.headers, *forwarded(request)])
    query = _lists(parse_qsl(request.query_string.decode("ascii", "replace"), keep_blank_values=True))
    method, inner = request.method, request.path.removeprefix(api.prefix) or "/"
    event: dict[str, Json] = {
        "resource": chosen.route.path,
        "path": inner if api.is_rest else request.path,
        "httpMethod": method,
        "headers": _last(headers),
        "multiValueHeaders": headers,
        "queryStringParameters": _last(query) or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": dict(chosen.parameters) or None,
        "stageVariables": None,
        "requestContext": context_of(api, chosen, request, gateway_id, at),
        "body": None,
        "isBase64Encoded": False,
        **body,
    }
    return event if api.is_rest else {"version": "1.0", **event}


def context_of(api: HttpApi, chosen: Chosen, request: HttpRequest, gateway_id: str, at: float) -> dict[str, Json]:
    """The requestContext of a request, in the payload format of its route; `at` is unix seconds."""
    context: dict[str, Json] = {
        "accountId": _ACCOUNT,
        "apiId": api.logical_id.lower(),
        "domainName": request.host,
        "domainPrefix": request.host.partition(".")[0],
        "requestId": gateway_id,
        "stage": api.stage,
    }
    line = {"path": request.path, "protocol": str(request.environ.get("SERVER_PROTOCOL", "HTTP/1.1"))}
    caller = {
        "sourceIp": request.remote_addr or "127.0.0.1",
        "userAgent": request.headers.get("User-Agent", ""),
    }
    asked, epoch = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(at)), int(at * 1000)
    if chosen.route.payload == "2.0":
        context |= {
            "http": {"method": request.method, **line, **caller},
            "routeKey": chosen.route.key,
            "time": asked,
            "timeEpoch": epoch,
        }
    else:
        context |= {
            "extendedRequestId": gateway_id,
            "httpMethod": request.method,
            "identity": caller,
            **line,
            "requestTime": asked,
            "requestTimeEpoch": epoch,
            "resourcePath": chosen.route.path,
        }
    return dict(sorted(context.items()))  # the samples in events/ are compared as text


def answered(payload: Json, headers: Headers) -> Response:
    """The response with the status and the body of an answer. Raises what one that API Gateway cannot read raises."""
    status = HTTPStatus(int(payload["statusCode"]))
    body = payload.get("body") or ""
    if not isinstance(body, str):
        raise TypeError("body")
    content = base64.b64decode(body, validate=True) if payload.get("isBase64Encoded") else body.encode()
    return Response(content, status, headers)


def response_one(payload: Json) -> Response:
    """The response for an answer in payload format 1.0. Raises what `answered` raises."""
    headers = Headers()
    for name, value in (payload.get("headers") or {}).items():
        _set(headers, name, [value])
    for name, values in (payload.get("multiValueHeaders") or {}).items():
        headers.remove(name)
        _set(headers, name, values)
    headers.setdefault("Content-Type", "application/json")
    return answered(payload, headers)


def missing_route() -> Response:
    """The answer of a REST API to a path that it has not, in its own words."""
    return Response(json.dumps({"message": "Missing Authentication Token"}), 403, content_type="application/json")


def bad_gateway() -> Response:
    """The answer of a REST API for a function that failed, or whose answer it cannot read."""
    return Response(json.dumps({"message": "Internal server error"}), 502, content_type="application/json")


def header_text(value: Json) -> str:
    """The text of a header's value. Raises TypeError for one that is none."""
    if isinstance(value, dict | list) or value is None:
        raise TypeError("a header")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _set(headers: Headers, name: str, values: Iterable[Json]) -> None:
    if name.lower() not in FORBIDDEN_HEADERS:
        for value in values:
            headers.add(name, header_text(value))


def forwarded(request: HttpRequest) -> list[tuple[str, str]]:
    """The headers that API Gateway adds: where a request came from."""
    return [
        ("X-Forwarded-For", request.remote_addr or "127.0.0.1"),
        ("X-Forwarded-Port", str(request.environ.get("SERVER_PORT", ""))),
        ("X-Forwarded-Proto", request.scheme),
    ]


def _lists(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name, value in pairs:
        found[name].append(value)
    return dict(found)


def _last(lists: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: values[-1] for name, values in lists.items()}
