"""CPU of an HTTP request: the event of an HTTP API in, the answer out, with AWS at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.calls import control, environment, stub
from benchmarks.children import Child
from benchmarks.records import Shop
from benchmarks.sampling import Sample, in_turn
from benchmarks.toolchain import FOLDER, Toolchain
from tablestream.testing import image

OURS = "tablestream"
RESOLVER = "Powertools resolver, pydantic, boto3 client"
FASTAPI = "FastAPI, Mangum, boto3 resource"
CONTENDERS = {OURS: "api.ours", RESOLVER: "api.resolver", FASTAPI: "api.fastapi_mangum"}

_USER = "0123456789ab"
_PAGE = 20
_REQUESTS_A_ROUND = 300

Figures = Mapping[str, Mapping[str, Mapping[str, Sample]]]
"""Request → contender → `cpu` in microseconds a request."""


def measure(tools: Toolchain, rounds: int) -> Figures:
    """Measure all contenders in turn."""
    with ExitStack() as stack:
        port = stack.enter_context(stub(tools))
        children = {name: stack.enter_context(_start(tools, port, name)) for name in CONTENDERS}
        return {
            title: in_turn({name: _question(child, port, path) for name, child in children.items()}, rounds)
            for title, path in written().items()
        }


def _start(tools: Toolchain, port: int, name: str) -> Child:
    """Start a contender with its libraries: ours as it is packaged."""
    folders = (tools.api_package,) if name == OURS else (tools.api_peers,)
    command = [tools.python, "-m", "benchmarks.contenders.serve", CONTENDERS[name]]
    return Child(command, {**tools.path(*folders), **environment(port)})


def _question(child: Child, port: int, path: Path) -> Callable[[], Mapping[str, float]]:
    def ask() -> Mapping[str, float]:
        control(port, answers())
        answer = child.ask(body=str(path), copies=1, groups=_REQUESTS_A_ROUND)
        return {"cpu": answer["process"] / 1000}

    return ask


def answers() -> Mapping[str, Any]:
    """Return what the stub of DynamoDB gives: a user, and a page of orders."""
    return {"item": _user(), "page": _orders()}


def written() -> Mapping[str, Path]:
    """Write the events of the requests; return their files by what is asked."""
    lines = [{"productId": line["productId"], "quantity": 1, "price": 12.5} for line in Shop().order()["items"]]
    order = {"items": lines, "shippingAddress": {"street": "Lindenstrasse 5", "city": "Springfield", "country": "DE"}}
    events = {
        "GET a user": _event("GET", f"/users/{_USER}"),
        "POST an order of 3 lines": _event("POST", f"/users/{_USER}/orders", json.dumps(order)),
        f"GET a page of {_PAGE} orders": _event("GET", f"/users/{_USER}/orders", query=f"limit={_PAGE}"),
    }
    FOLDER.mkdir(exist_ok=True)
    paths = {title: FOLDER / f"request-{number}.json" for number, title in enumerate(events)}
    for title, path in paths.items():
        path.write_text(json.dumps(events[title]), encoding="utf-8")
    return paths


def _event(method: str, path: str, body: str | None = None, query: str = "") -> dict[str, Any]:
    """Return the event of an HTTP API (payload format 2.0)."""
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "bench"}
    told = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"accept": "application/json", "host": "api.example.com", "user-agent": "bench"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": http,
            "requestId": "request-1",
            "routeKey": "$default",
            "stage": "$default",
            "time": "20/Nov/2026:12:00:00 +0000",
            "timeEpoch": 1795176000000,
        },
        "isBase64Encoded": False,
    }
    if query:
        told["queryStringParameters"] = dict(part.split("=") for part in query.split("&"))
    if body is not None:
        told |= {"body": body}
        told["headers"] |= {"content-type": "application/json"}  # type: ignore[operator]
    return told


def _user() -> Mapping[str, Any]:
    """Return a user's item, with type tags, of about the size of an order's."""
    order = Shop().order()
    profile = {"address": order["address"], "note": order["note"], "newsletter": True}
    item = {
        "pk": f"USER#{_USER}",
        "sk": f"PROFILE#{_USER}",
        "entityType": "User",
        "userId": _USER,
        "email": "ada@example.com",
        "name": "Ada Lovelace",
        "profile": profile,
        "tags": {"vip", "wholesale"},
        "viewCount": 12,
        "ttl": 1_826_712_000,
        "createdAt": order["createdAt"],
        "updatedAt": order["updatedAt"],
        "version": 3,
    }
    return image(item)


def _orders() -> list[Mapping[str, Any]]:
    """Return the items of a page, with type tags."""
    shop = Shop()
    return [image(shop.order()) for _ in range(_PAGE)]
