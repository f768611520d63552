"""A WSGI application that answers for an API: each request is an invocation of the function of its route.

Events and answers are of payload format 2.0, or 1.0 (`payload.py`). Authorisers are not asked, throttling and access
logs are not done: on this machine every route is open. Where API Gateway answers by itself, so does this, in its words.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote

from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request as HttpRequest
from werkzeug.wrappers import Response

from tablestream.local.delivery.protocol import Answered, NotInvoked
from tablestream.local.errors import UsageError
from tablestream.local.gateway.payload import (
    FORBIDDEN_HEADERS,
    answered,
    bad_gateway,
    context_of,
    event_one,
    forwarded,
    header_text,
    missing_route,
    response_one,
)
from tablestream.local.gateway.routes import Chosen, HttpApi, HttpRoute
from tablestream.local.http import Environ, Serving, StartResponse, from_elsewhere
from tablestream.local.runtime.function import Invocation
from tablestream.local.trigger.observations import RequestServed

Json = Any  # what an event or an answer holds
Invoke = Callable[[HttpRoute, Json], Invocation]
Observe = Callable[[RequestServed], None]
Changes = Callable[[str], Mapping[str, int]]
"""The number of changes of each kind that the invocation with this request id led to."""

DEFAULT_PORT = 8080
MOST_BYTES = 10 * 1024 * 1024  # of a request's body, API Gateway's limit
_TEXT = re.compile(r"text/.*|application/(json|javascript|xml|[^;]*\+json|[^;]*\+xml)")
_SHOWN = "/%=&,;:@+~!$*()'"


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request; `function` and `request_id` name the invocation behind it, `error` what went wrong."""

    response: Response
    function: str = ""
    request_id: str = ""
    error: Mapping[str, Json] | None = None


class Gateway:
    """Answers for one API (PEP 3333), from several threads at a time; `observe` gets each request that was answered."""

    def __init__(self, api: HttpApi, invoke: Invoke, observe: Observe, changes: Changes) -> None:
        self._api = api
        self._invoke = invoke
        self._observe = observe
        self._changes = changes

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = HttpRequest(environ)
        request.max_content_length = MOST_BYTES
        began = time.monotonic()
        gateway_id = uuid.uuid4().hex[:16]
        reply = self._reply(request, gateway_id)
        reply.response.headers["Apigw-Requestid"] = gateway_id
        self._observe(
            RequestServed(
                api=self._api.logical_id,
                method=request.method,
                path=_told(request),
                status=reply.response.status_code,
                error=reply.error,
                changes=self._changes(reply.request_id) if reply.request_id else {},
                seconds=time.monotonic() - began,
                at=time.time(),
            )
        )
        return reply.response(environ, start_response)

    def refusal(self, environ: Environ) -> str | None:
        """Refuse what pages from elsewhere ask for, but for origins that the API's CORS configuration names."""
        cors, origin = self._api.cors, environ.get("HTTP_ORIGIN")
        if cors is not None and origin is not None and cors.names(origin):
            environ = {name: value for name, value in environ.items() if name != "HTTP_ORIGIN"}
            environ["HTTP_SEC_FETCH_SITE"] = "none"
        return from_elsewhere(environ)

    def _reply(self, request: HttpRequest, gateway_id: str) -> Reply:
        cors, origin = self._api.cors, request.headers.get("Origin", "")
        if cors is None or not origin:
            return self._routed(request, gateway_id)
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return Reply(Response(status=204, headers=cors.preflight(origin)))
        reply = self._routed(request, gateway_id)
        for name in [name for name, _ in reply.response.headers if name.lower().startswith("access-control-")]:
            del reply.response.headers[name]  # API Gateway's own count
        reply.response.headers.update(cors.headers_for(origin))
        return reply

    def _routed(self, request: HttpRequest, gateway_id: str) -> Reply:
        chosen = self._api.choose(request.method, request.path)
        if chosen is None:
            return Reply(missing_route() if self._api.is_rest else _said(HTTPStatus.NOT_FOUND))
        try:
            event = event_of(self._api, chosen, request, gateway_id)
        except HTTPException as error:
            return Reply(_said(HTTPStatus(error.code or HTTPStatus.BAD_REQUEST)))
        invocation = self._invoke(chosen.route, event)
        response = response_to(invocation, chosen.route.payload, is_rest=self._api.is_rest)
        return Reply(response, chosen.route.function, invocation.request_id, invocation.error)


def _told(request: HttpRequest) -> str:
    """The path with its query as a terminal can show it."""
    query = f"?{quote(request.query_string, safe=_SHOWN)}" if request.query_string else ""
    return quote(request.path, safe=_SHOWN) + query


def event_of(api: HttpApi, chosen: Chosen, request: HttpRequest, gateway_id: str, now: float | None = None) -> Json:
    """The event of a request, in the payload format of its route; of 2.0 what it has nothing for is left out, as there.

    Raises HTTPException (413) for a body above API Gateway's limit. `now` is unix seconds.
    """
    at = time.time() if now is None else now
    if chosen.route.payload != "2.0":
        return event_one(api, chosen, request, gateway_id, at, _body(request))
    query = request.query_string.decode("ascii", "replace")
    optional = {
        "cookies": _cookies(request),
        "queryStringParameters": _joined(parse_qsl(query, keep_blank_values=True)),
        "pathParameters": dict(chosen.parameters),
        **_body(request),
    }
    return {
        "version": "2.0",
        "routeKey": chosen.route.key,
        "rawPath": request.path,
        "rawQueryString": query,
        "headers": _headers(request, gateway_id),
        "requestContext": context_of(api, chosen, request, gateway_id, at),
        "isBase64Encoded": False,
        **{name: value for name, value in optional.items() if value},
    }


def _headers(request: HttpRequest, gateway_id: str) -> dict[str, str]:
    """Headers in lower case, several of a name joined; cookies have a member of their own."""
    kept = [(name.lower(), value) for name, value in request.headers if name.lower() != "cookie"]
    own = {name.lower(): value for name, value in forwarded(request)}
    return {"x-amzn-trace-id": f"Root={gateway_id}"} | own | _joined(kept)


def _cookies(request: HttpRequest) -> list[str]:
    given = request.headers.get("Cookie", "")
    return [one for one in (part.strip() for part in given.split(";")) if one]


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _body(request: HttpRequest) -> dict[str, Json]:
    """The members of the body: as text where its type is one of text, else in base64."""
    raw = request.get_data()
    if not raw:
        return {}
    if not request.mimetype or _TEXT.fullmatch(request.mimetype):
        try:
            return {"body": raw.decode("utf-8")}
        except UnicodeDecodeError:
            pass
    return {"body": base64.b64encode(raw).decode("ascii"), "isBase64Encoded": True}


def response_to(invocation: Invocation, payload: str = "2.0", *, is_rest: bool = False) -> Response:
    """The response for what came of an invocation, read as its payload format has it."""
    failed = bad_gateway() if is_rest else _said(HTTPStatus.INTERNAL_SERVER_ERROR)
    if isinstance(invocation.outcome, NotInvoked):
        return _said(HTTPStatus.SERVICE_UNAVAILABLE)
    if not isinstance(invocation.outcome, Answered):
        return failed
    try:
        return (_response if payload == "2.0" else response_one)(invocation.outcome.payload)
    except (AttributeError, LookupError, TypeError, ValueError):  # an answer that API Gateway cannot read
        return failed


def _response(payload: Json) -> Response:
    if not isinstance(payload, dict) or "statusCode" not in payload:
        return Response(json.dumps(payload), 200, content_type="application/json")
    headers = Headers()
    for name, value in (payload.get("headers") or {}).items():
        if name.lower() not in FORBIDDEN_HEADERS:
            headers[name] = header_text(value)
    for cookie in payload.get("cookies") or ():
        headers.add("Set-Cookie", header_text(cookie))
    headers.setdefault("Content-Type", "text/plain;charset=UTF-8")
    return answered(payload, headers)


_TOO_LARGE = 413


def _said(status: HTTPStatus) -> Response:
    """The answer of API Gateway itself."""
    # Python 3.13 calls this one otherwise than API Gateway, by its name as by its phrase.
    words = "Request Entity Too Large" if status == _TOO_LARGE else status.phrase
    return Response(json.dumps({"message": words}), status, content_type="application/json")


def within(seconds: float, timeout: float, invoke: Callable[[], Invocation]) -> Invocation:
    """Invoke, and wait no longer than an integration may take: then the caller is answered, and the function goes on.

    `timeout` is the function's own: what ends before needs no second thread. NotInvoked stands for "not in time", which
    API Gateway answers alike: 503.
    """
    if timeout <= seconds:
        return invoke()
    ended: list[Invocation] = []
    thread = threading.Thread(target=lambda: ended.append(invoke()), name="integration", daemon=True)
    thread.start()
    thread.join(seconds)
    return ended[0] if ended else Invocation("", NotInvoked(f"no answer within {seconds:g} s"))


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a served API on this machine: paths begin with `prefix`, its stage.

    `note` says so where it is not at the port that was expected.
    """

    api: str
    endpoint: str
    prefix: str = ""
    note: str = ""

    @property
    def url(self) -> str:
        """The beginning of the URL of each of its routes."""
        return f"{self.endpoint}{self.prefix}"


@contextmanager
def served(
    apis: Sequence[HttpApi],
    invoke: Invoke,
    observe: Observe,
    changes: Changes,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
) -> Iterator[list[Address]]:
    """Serve each API at a port of its own while the with block runs: `port`, the next one, and so on (0: free ones).

    Without `port` it is 8080, or a free one where that is taken. Raises UsageError for a port that was asked for and
    is taken.
    """
    with ExitStack() as stack:
        addresses = []
        for number, api in enumerate(apis):
            gateway = Gateway(api, invoke, observe, changes)
            serving, note = _serving(gateway, api, host, port, number)
            stack.enter_context(serving)
            addresses.append(Address(api.logical_id, serving.endpoint, api.prefix, note))
        yield addresses


def _serving(gateway: Gateway, api: HttpApi, host: str, asked: int | None, number: int) -> tuple[Serving, str]:
    """A server at the port of the API with this number, and what to say of the port."""
    port = DEFAULT_PORT + number if asked is None else asked + number if asked else 0
    make = partial(Serving, gateway, f"{api.logical_id}-http", host=host, refusal=gateway.refusal)
    try:
        return make(port=port), ""
    except OSError as error:
        if asked is None:
            return make(port=0), f"{api.logical_id}: port {port} is taken, so it has another; --api-port N chooses"
        raise UsageError(
            f"port {port} for {api.logical_id} cannot be listened on ({error.strerror}): "
            "end what is there, or take another port with --api-port N (0: a free one)"
        ) from error
