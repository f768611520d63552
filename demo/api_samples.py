"""The sample requests in `events/api/`: one case each, as API Gateway hands it to the function.

`python -m demo events` writes them; a test sees to it that the files are what is made here, and what the function
answers to each. Customers and orders are those of the stream's sample events (`samples`), as `make local` has them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from demo.samples import as_text
from tablestream.local.gateway.gateway import event_of
from tablestream.local.gateway.routes import ANY, DEFAULT, Chosen, HttpApi, HttpRoute

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HOST = "abcdefghij.execute-api.eu-central-1.amazonaws.com"
AT = 1_763_640_000.0
"""2025-11-20T12:00:00Z, as the sample orders."""
_OPEN = ("POST", "/leads")
_LINES = [{"productId": "tea", "quantity": 2, "price": 4.5}, {"productId": "cup", "quantity": 1, "price": 12}]
_TRANSFER = {"from": "ada", "to": "bob", "amount": 750}
_LEAD = {"name": "Grace", "email": "grace@example.com", "subject": "Tea for 200", "message": "Please call me back."}


class _Asked(NamedTuple):
    """A request: a body that is no text is sent as JSON."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = {}


REQUESTS: Mapping[str, _Asked] = {
    "post-user": _Asked(
        "POST", "/users", {"userId": "ada", "email": "Ada@Example.com", "name": "Ada", "tags": ["vip"]}
    ),
    "post-user-wrong-fields": _Asked("POST", "/users", {"email": "nobody", "nmae": "Ada"}),
    "get-user": _Asked("GET", "/users/ada?fields=name,email"),
    "get-user-with-orders": _Asked("GET", "/users/ada?include=orders&consistent=true"),
    "get-users-by-email": _Asked("GET", "/users?email=ada%40example.com"),
    "patch-user": _Asked("PATCH", "/users/ada", {"name": "Ada L.", "tags": None, "expectedVersion": 1}),
    "put-settings": _Asked("PUT", "/users/ada/settings", {"theme": "dark", "newsletter": True}),
    "post-view": _Asked("POST", "/users/ada/views"),
    "post-order": _Asked("POST", "/users/ada/orders", {"items": _LINES}),
    "post-order-no-quantity": _Asked("POST", "/users/ada/orders", {"items": [{"productId": "tea", "quantity": 0}]}),
    "post-order-once": _Asked("POST", "/users/ada/orders", {"items": _LINES}, {"Idempotency-Key": "cart-7"}),
    "post-order-again": _Asked("POST", "/users/ada/orders", {"items": _LINES}, {"Idempotency-Key": "cart-7"}),
    "post-order-other": _Asked("POST", "/users/ada/orders", {"items": _LINES[:1]}, {"Idempotency-Key": "cart-7"}),
    "post-order-reserve": _Asked("POST", "/users/ada/orders?reserve=now", {"items": _LINES}),
    "post-order-reserve-too-much": _Asked(
        "POST", "/users/ada/orders?reserve=now", {"items": [{"productId": "pot", "quantity": 99, "price": 30}]}
    ),
    "put-account": _Asked("PUT", "/accounts/ada", {"balance": 1000}),
    "put-account-empty": _Asked("PUT", "/accounts/bob", {"balance": 0}),
    "post-transfer": _Asked("POST", "/transfers", _TRANSFER, {"Idempotency-Key": "rent-may"}),
    "post-transfer-again": _Asked("POST", "/transfers", _TRANSFER, {"Idempotency-Key": "rent-may"}),
    "post-transfer-too-much": _Asked("POST", "/transfers", _TRANSFER, {"Idempotency-Key": "rent-june"}),
    "post-transfer-no-key": _Asked("POST", "/transfers", _TRANSFER),
    "get-account": _Asked("GET", "/accounts/bob"),
    "get-orders": _Asked("GET", "/users/ada/orders?limit=2"),
    "get-orders-by-status": _Asked("GET", "/orders?status=confirmed&from=2025-11-01&to=2025-11-30"),
    "get-orders-foreign-cursor": _Asked("GET", "/users/ada/orders?cursor=eyJ2IjogMX0"),
    "get-order": _Asked("GET", "/orders/1001"),
    "patch-order": _Asked("PATCH", "/users/ada/orders/1001", {"status": "cancelled", "expectedVersion": 1}),
    "patch-order-old-version": _Asked("PATCH", "/users/ada/orders/1001", {"status": "cancelled", "expectedVersion": 1}),
    "post-lead": _Asked("POST", "/leads", _LEAD),
    "post-lead-form": _Asked("POST", "/leads", "name=Grace", {"Content-Type": "application/x-www-form-urlencoded"}),
    "post-lead-no-json": _Asked("POST", "/leads", '{"name": "Grace", "name": "Eve"'),
    "delete-user": _Asked("DELETE", "/users/ada"),
    "unknown-path": _Asked("GET", "/baskets/ada"),
    "unknown-method": _Asked("PUT", "/users/ada"),
}
"""The requests by the name of their file, without its suffix; one after the other, each finds what it asks for."""


def api_samples() -> dict[str, dict[str, Any]]:
    """The events by the name of their file, without its suffix."""
    return {name: _event(asked) for name, asked in REQUESTS.items()}


def write_api_samples(folder: Path) -> None:
    """Write every event to `folder` as `<name>.json`, and remove what else is there of that suffix."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {f"{name}.json": as_text(event) for name, event in api_samples().items()}
    for stale in folder.glob("*.json"):
        if stale.name not in files:
            stale.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def _event(asked: _Asked) -> dict[str, Any]:
    sent = asked.body if isinstance(asked.body, str | None) else json.dumps(asked.body)
    kind = {"Content-Type": "application/json"} if sent is not None else {}
    headers = {"Host": HOST, "User-Agent": "curl/8.5.0", "Accept": "*/*", **kind, **asked.headers}
    built = EnvironBuilder(asked.path, f"https://{HOST}", method=asked.method, headers=headers.items(), data=sent)
    request = Request(built.get_environ())
    path = asked.path.partition("?")[0]
    method, key = _OPEN if (asked.method, path) == _OPEN else (ANY, DEFAULT)
    api = HttpApi("abcdefghij", [route := HttpRoute(method, key, "Api")])
    event: dict[str, Any] = event_of(api, Chosen(route, {}), request, "5rIaDjRyFiAEPMw=", AT)
    return event
