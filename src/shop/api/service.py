"""`Api`: the HTTP API as a function of an HTTP API's event, with every error in one shape and a log line a request."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError

from shop.api.answers import JSON, Endpoint, refusal
from shop.api.json_text import read
from shop.api.problems import (
    WRONG_ID,
    FieldProblem,
    Problem,
    camel,
    internal,
    invalid,
    not_found,
    problem_of,
    problems_of,
    wrong_method,
)
from shop.api.routes import endpoints
from shop.api.schemas import ID, MAX_ID
from shop.stock.decisions import Tables
from shop.stores import Stores
from shop.stores.entity import INDEXES, Makers
from tablestream.dynamodb import NotFound, Nulls, Table
from tablestream.errors import error_class_of, place_of
from tablestream.run import CALL_SHARE, Clock, Deadline, Run, SystemClock

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
    from aws_lambda_powertools.utilities.typing import LambdaContext

MAX_BODY_BYTES = 256 * 1024
MARGIN_SECONDS = 6.0
"""The part of the function's timeout that is kept back for the call that is under way and the answer."""
_SHOWN = 40
DOCUMENT = Path(__file__).with_name("openapi.json")
"""The OpenAPI document, written when the package is built."""


class Current:
    """The request that is under way: Lambda gives an environment one after the other."""

    def __init__(self) -> None:
        self.request_id = ""
        self.units = 0.0
        self.route = ""
        self.failure: Exception | None = None
        self._remaining: Callable[[], float] = lambda: float("inf")

    def begin(self, event: Mapping[str, Any], context: LambdaContext | None) -> None:
        """Take a request that begins, with the id by which the gateway, the caller and the log name it."""
        asked = event.get("requestContext") or {}
        self.request_id = str(asked.get("requestId") or getattr(context, "aws_request_id", ""))
        self.units = 0.0
        self.route = "none"
        self.failure = None
        self._remaining = Deadline.of(context, MARGIN_SECONDS).remaining

    def count(self, _operation: str, units: float) -> None:
        """Add what a call has consumed."""
        self.units += units

    def remaining(self) -> float:
        """Return the seconds that are left before no call may begin."""
        return self._remaining()


def table_of(name: str, client: Any, current: Current, clock: Clock) -> Table:
    """Return the shop's table, whose calls end before the function does, and whose capacity is counted."""
    run = Run(Deadline(current.remaining, MARGIN_SECONDS * CALL_SHARE), clock)
    return Table(name, client, indexes=INDEXES, nulls=Nulls.KEEP, run=run, observe=current.count)


class Api:
    """The API: an event of an HTTP API in, the answer out."""

    def __init__(
        self,
        tables: Tables,
        client: Any,
        tell: Callable[[Mapping[str, object]], None],
        *,
        docs: bool = False,
        clock: Clock | None = None,
        makers: Makers | None = None,
    ) -> None:
        """Take the tables' names, a client of DynamoDB, and what takes the fields of each request's log line.

        `docs` serves /docs and /openapi.json as well.
        """
        clock = clock or SystemClock()
        makers = makers or Makers(clock.now)
        self._tell = tell
        self._current = Current()
        table = table_of(tables.orders, client, self._current, clock)
        stores = Stores.of(table, tables.inventory, makers)
        self.endpoints: Sequence[Endpoint] = endpoints(stores, makers)
        self._runs = {one.run for one in self.endpoints}
        self._shown = {one.path: _shown_path(one.path) for one in self.endpoints}
        self._patterns = [(_pattern(one.path), one) for one in self.endpoints]
        self.app = self._resolver(docs=docs)

    def answer(self, event: Mapping[str, Any], context: LambdaContext | None) -> dict[str, Any]:
        """Answer a request of payload version 2.0."""
        began = time.perf_counter()
        current = self._current
        current.begin(event, context)
        try:
            taken = _with_text(event)
        except Problem as problem:
            answered = _without_resolver(refusal(problem, current.request_id))
        else:
            answered = self.app.resolve(taken, context)  # type: ignore[arg-type]  # a call by hand has no context
        self._log(answered["statusCode"], time.perf_counter() - began)
        return answered

    def _log(self, status: int, seconds: float) -> None:
        fields: dict[str, object] = {
            "requestId": self._current.request_id,
            "route": self._current.route,
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
            "capacityUnits": round(self._current.units, 1),
        }
        failure = self._current.failure
        if failure is not None:
            fields |= {"failure": error_class_of(failure), "place": place_of(failure)}
        self._tell(fields)

    # --- routing -----------------------------------------------------------------------------------------------------

    def _resolver(self, *, docs: bool) -> APIGatewayHttpResolver:
        app = APIGatewayHttpResolver(enable_validation=True, json_body_deserializer=read)
        app.use([self._only_known_parameters()])
        for one in self.endpoints:
            app.route(one.path, one.method, status_code=one.status)(one.run)
        if docs:
            app.get("/openapi.json", include_in_schema=False, enable_validation=False)(self._document)
            app.get("/docs", include_in_schema=False, enable_validation=False)(self._docs)
        app.exception_handler(RequestValidationError)(self._refused)
        app.exception_handler(Exception)(self._failed)
        app.not_found(self._not_found)
        return app

    def _only_known_parameters(self) -> Callable[..., Response[Any]]:
        """Return what refuses query parameters that a route does not have: a filter that is misspelled would be lost.

        A function, not a method: Powertools notes at it what it has found out about it, or asks for each request.
        """

        def known_parameters(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
            unknown = self._unknown_parameters()
            if unknown:
                raise invalid(unknown)
            response: Response[Any] = next_middleware(app)
            return response

        return known_parameters

    def _unknown_parameters(self) -> list[FieldProblem]:
        route = self.app.context["_route"]
        if route.func not in self._runs:  # none of ours: Powertools makes one for what it does not find
            return []
        self._current.route = f"{route.method} {self._shown[route.path]}"
        given = self.app.current_event.query_string_parameters
        if not given:
            return []
        known = {field.alias for field in route.dependant.query_params}
        return [FieldProblem(name, "wanted no such parameter, got one") for name in given if name not in known]

    # --- errors ------------------------------------------------------------------------------------------------------

    def _refused(self, error: RequestValidationError) -> Response[str]:
        """Answer a request whose values are wrong: with all of them, and with the parameters that nobody knows."""
        return self._failed(invalid([*problems_of(error.errors()), *self._unknown_parameters()]))

    def _failed(self, error: Exception) -> Response[str]:
        named = re.findall(r"{(\w+)Id}", self._current.route)
        problem = not_found(named[-1]) if named and isinstance(error, NotFound) else problem_of(error)
        if problem is None:
            self._current.failure = error
            problem = internal()
        return refusal(problem, self._current.request_id)

    def _not_found(self, _: Exception) -> Response[str]:
        """Answer a path that there is not, one that has another method, and one with an id that cannot be one."""
        event = self.app.current_event
        matches = [(one, found) for pattern, one in self._patterns if (found := pattern.fullmatch(event.path))]
        if not matches:
            return self._failed(Problem(404, "NOT_FOUND", "There is no such path"))
        literal = [(one, found) for one, found in matches if not found.groupdict()]
        matches = literal or matches
        self._current.route = f"{event.http_method} {self._shown[matches[0][0].path]}"
        for one, found in matches:
            if one.method == event.http_method:
                return self._failed(invalid(_wrong_ids(found.groupdict())))
        return self._failed(wrong_method([one.method for one, _ in matches]))

    # --- documentation -----------------------------------------------------------------------------------------------

    def _document(self) -> Response[str]:
        self._current.route = "GET /openapi.json"
        return Response(HTTPStatus.OK, JSON, self._openapi())

    def _docs(self) -> Response[str]:
        from aws_lambda_powertools.event_handler.openapi import swagger_ui

        self._current.route = "GET /docs"
        scripts = Path(swagger_ui.__file__).parent
        page = swagger_ui.generate_swagger_html(
            self._openapi(),
            (scripts / "swagger-ui-bundle.min.js").read_text(encoding="utf-8"),
            (scripts / "swagger-ui.min.css").read_text(encoding="utf-8"),
            "",
            None,
        )
        return Response(HTTPStatus.OK, "text/html; charset=utf-8", page)

    def _openapi(self) -> str:
        """Return the document that was written when the package was built; in a checkout, make it."""
        if DOCUMENT.is_file():
            return DOCUMENT.read_text(encoding="utf-8")
        from shop.api.openapi import document

        return document(self)


def _with_text(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request whose body is JSON text of a size that is taken; raises `Problem` for another one."""
    body = event.get("body")
    if not body:
        return dict(event)
    if len(body) > MAX_BODY_BYTES * 4 // 3 + 4:
        raise _too_large(len(body))
    if event.get("isBase64Encoded"):
        try:
            data = base64.b64decode(body, validate=True)
            body = data.decode()
        except ValueError:
            raise invalid([FieldProblem("body", "wanted JSON in UTF-8, got other bytes")]) from None
    size = len(body) if body.isascii() else len(body.encode("utf-8", "surrogatepass"))
    if size > MAX_BODY_BYTES:
        raise _too_large(size)
    kind = next((value for name, value in (event.get("headers") or {}).items() if name.lower() == "content-type"), "")
    if kind.partition(";")[0].strip().lower() != JSON:
        raise invalid([FieldProblem("content-type", f"wanted {JSON}, got {kind[:_SHOWN] or 'none'}")])
    return {**event, "body": body, "isBase64Encoded": False}


def _too_large(size: int) -> Problem:
    return invalid([FieldProblem("body", f"wanted at most {MAX_BODY_BYTES} bytes, got {size}")])


def _without_resolver(response: Response[str]) -> dict[str, Any]:
    """Return a response as the gateway takes it."""
    headers = {**response.headers}
    return {"statusCode": response.status_code, "body": response.body, "isBase64Encoded": False, "headers": headers}


def _shown_path(path: str) -> str:
    """Return a path as callers know it."""
    return re.sub(r"<(\w+)>", lambda found: f"{{{camel(found[1])}}}", path)


def _pattern(path: str) -> re.Pattern[str]:
    """Return the pattern of a path with anything for an id."""
    return re.compile(re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", path), re.DOTALL)


def _wrong_ids(parts: Mapping[str, str]) -> list[FieldProblem]:
    return [
        FieldProblem(camel(name), WRONG_ID)
        for name, value in parts.items()
        if len(value) > MAX_ID or not re.fullmatch(ID, value)
    ]
