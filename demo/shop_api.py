"""The shop's HTTP API as a customer's program calls it: orders are placed, found, changed and removed, money moves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from demo.warehouse import PRICE
from tablestream.local.errors import UsageError

if TYPE_CHECKING:
    from demo.warehouse import NewOrder

HTTP_API = "HttpApi"
"""The logical id of the shop's API in its template."""
PATIENCE_SECONDS = 30


class ApiRefusal(UsageError):
    """The API does not do what was asked; the message has its words."""


class ShopApi:
    """The API at a URL. Each answer is JSON; what is no success raises ApiRefusal."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)

    def place(self, order: NewOrder, *, reserve: bool = False) -> str:
        """Place a new order of the customer, with its stock if it is reserved at once; returns its id."""
        lines = [{"productId": product, "quantity": quantity, "price": PRICE} for product, quantity in order.lines]
        expiry = {} if order.ttl is None else {"ttl": order.ttl}
        query = "?reserve=now" if reserve else ""
        placed = self._ask("POST", f"/users/{quote(order.customer, safe='')}/orders{query}", {"items": lines, **expiry})
        return str(placed["orderId"])

    def open_account(self, account: str, balance: int) -> None:
        """Open an account with so many cents."""
        self._ask("PUT", f"/accounts/{account}", {"balance": balance})

    def transfer(self, sender: str, recipient: str, amount: int, key: str) -> str:
        """Move cents from one account to another, once for each key; returns the transfer's id."""
        moved = self._ask("POST", "/transfers", {"from": sender, "to": recipient, "amount": amount}, key=key)
        return str(moved["transferId"])

    def balance(self, account: str) -> int:
        """The cents that an account has."""
        return int(self._ask("GET", f"/accounts/{account}")["balance"])

    def find(self, order_id: str) -> dict[str, Any] | None:
        """The order with this id, whoever's it is, or None."""
        return self._ask("GET", f"/orders/{order_id}", missing=True) or None

    def set_status(self, order_id: str, status: str) -> None:
        """Change the status of an order that there is, as it is now."""
        order = self._found(order_id)
        self._ask("PATCH", _path(order), {"status": status, "expectedVersion": order["version"]})

    def remove(self, order_id: str) -> None:
        """Delete an order that there is."""
        self._ask("DELETE", _path(self._found(order_id)))

    def _found(self, order_id: str) -> dict[str, Any]:
        if (order := self.find(order_id)) is None:
            raise ApiRefusal(f"there is no order {order_id}")
        return order

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        missing: bool = False,
        key: str | None = None,
    ) -> dict[str, Any]:
        """The answer; with `missing` an empty one for what is not there."""
        connection = HTTPConnection(self._url.netloc, timeout=PATIENCE_SECONDS)
        try:
            sent = None if body is None else json.dumps(body)
            headers = {} if body is None else {"Content-Type": "application/json"}
            if key is not None:
                headers["Idempotency-Key"] = key
            connection.request(method, f"{self._url.path}{path}", sent, headers)
            answer = connection.getresponse()
            status, text = answer.status, answer.read().decode()
        finally:
            connection.close()
        if missing and status == HTTPStatus.NOT_FOUND:
            return {}
        if status >= HTTPStatus.BAD_REQUEST:
            raise ApiRefusal(f"{method} {path} is answered with {status}: {_words(text)}")
        told: dict[str, Any] = json.loads(text)
        return told


def _path(order: Mapping[str, Any]) -> str:
    return f"/users/{quote(order['customerId'], safe='')}/orders/{order['orderId']}"


def _words(text: str) -> str:
    """An error in the API's words, with the fields that it names."""
    try:
        told = json.loads(text)
        error = str(told.get("error", told.get("message")))
        fields = [f"{one['field']}: {one['message']}" for one in told.get("details", ())]
        return "; ".join([error, *(field for field in fields if field not in error)])  # one alone is the error itself
    except (AttributeError, LookupError, TypeError, ValueError):
        return text
