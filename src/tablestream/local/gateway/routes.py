"""An HTTP API as its template configures it: which of its routes takes a request, and what CORS adds. Plain values.

Routes are chosen as API Gateway chooses them: a path that matches in full before one with a greedy variable, a fixed
segment before a variable, a method before ANY, and `$default` last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

ANY = "ANY"
DEFAULT = "$default"
"""The key of the route that takes what no other does, and the name of the stage that is not in the path."""
LONGEST_SECONDS = 30.0
"""The time that API Gateway waits for an integration where the template says nothing, and its most."""


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """A route to a function: its method (or ANY) and path (or `$default`); `seconds` is the integration's time.

    `function` is a logical id, `qualifier` the alias or version of it that is invoked, if one is named, `payload` the
    format of its events.
    """

    method: str
    path: str
    function: str
    qualifier: str | None = None
    seconds: float = LONGEST_SECONDS
    payload: str = "2.0"

    @property
    def key(self) -> str:
        """The route's key as API Gateway writes it, `GET /users/{id}`."""
        return DEFAULT if self.path == DEFAULT else f"{self.method} {self.path}"

    def parameters(self, path: str) -> dict[str, str] | None:
        """The path's parameters by name; None for a path that is not of this route."""
        if self.path == DEFAULT:
            return {}
        names, values = self.path.split("/")[1:], path.split("/")[1:]
        if names and _is_greedy(names[-1]):
            rest = values[len(names) - 1 :]
            values = [*values[: len(names) - 1], *(["/".join(rest)] if any(rest) else [])]
        if len(names) != len(values):
            return None
        found: dict[str, str] = {}
        for name, value in zip(names, values, strict=True):
            if _is_variable(name) and value:
                found[name[1:-1].removesuffix("+")] = value
            elif name != value:
                return None
        return found

    def rank(self) -> tuple[bool, bool, Sequence[bool], bool]:
        """A value by which routes that match the same request are ordered, the one to choose first."""
        segments = self.path.split("/")[1:]
        greedy = bool(segments) and _is_greedy(segments[-1])
        return self.path == DEFAULT, greedy, [_is_variable(one) for one in segments], self.method == ANY


def _is_variable(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")


def _is_greedy(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("+}")


@dataclass(frozen=True, slots=True)
class Cors:
    """The CORS configuration of an API, which answers for it in place of the functions."""

    origins: Sequence[str] = ()
    methods: Sequence[str] = ()
    headers: Sequence[str] = ()
    exposed: Sequence[str] = ()
    max_age: int | None = None
    credentials: bool = False

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may read answers."""
        schemes = [one.removesuffix("*") for one in self.origins if one.endswith("://*")]
        return "*" in self.origins or origin in self.origins or any(origin.startswith(one) for one in schemes)

    def names(self, origin: str) -> bool:
        """Whether the origin is allowed by its own name, not because all are."""
        return origin in self.origins

    def preflight(self, origin: str) -> dict[str, str]:
        """The headers of the answer to a preflight request; none for an origin that is not allowed."""
        if not self.allows(origin):
            return {}
        told = {
            "Access-Control-Allow-Methods": ",".join(self.methods),
            "Access-Control-Allow-Headers": ",".join(self.headers),
            "Access-Control-Max-Age": "" if self.max_age is None else str(self.max_age),
        }
        return self.headers_for(origin) | {name: value for name, value in told.items() if value}

    def headers_for(self, origin: str) -> dict[str, str]:
        """The headers that any answer gets whose request names an origin; none for one that is not allowed."""
        if not self.allows(origin):
            return {}
        told = {
            "Access-Control-Allow-Origin": "*" if "*" in self.origins else origin,
            "Access-Control-Allow-Credentials": "true" if self.credentials else "",
            "Access-Control-Expose-Headers": ",".join(self.exposed),
        }
        return {name: value for name, value in told.items() if value}


class Chosen(NamedTuple):
    """The route of a request, and the parameters in its path."""

    route: HttpRoute
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class HttpApi:
    """An HTTP API, or a REST API, with its routes to functions.

    A stage other than `$default` is the first segment of its paths.
    """

    logical_id: str
    routes: Sequence[HttpRoute]
    stage: str = DEFAULT
    cors: Cors | None = None
    is_rest: bool = False

    @property
    def prefix(self) -> str:
        """The beginning of every path: the stage, or nothing."""
        return "" if self.stage == DEFAULT else f"/{self.stage}"

    def choose(self, method: str, path: str) -> Chosen | None:
        """The route that takes a request, its path as it came; None where there is none."""
        inner = path.removeprefix(self.prefix)
        if not path.startswith(self.prefix) or (inner and not inner.startswith("/")):
            return None
        for route in sorted(self.routes, key=HttpRoute.rank):
            if route.method in (method, ANY) and (parameters := route.parameters(inner or "/")) is not None:
                return Chosen(route, parameters)
        return None
