"""Routes of orders."""

from __future__ import annotations

from datetime import datetime, timedelta

from shop.api.answers import (
    IDEMPOTENCY_KEY_REUSED,
    ILLEGAL_TRANSITION,
    INSUFFICIENT_INVENTORY,
    INVALID_CURSOR,
    NOT_FOUND,
    VERSION_CONFLICT,
    Answer,
    Endpoint,
    answer,
    page_of,
    shown,
)
from shop.api.problems import FieldProblem, invalid, invalid_cursor, not_found, sent_under
from shop.api.schemas import (
    PAGE,
    Cursor,
    Direction,
    From,
    Limit,
    MaybeKey,
    MaybeStatus,
    OrderBody,
    OrderChange,
    OrderId,
    Reserve,
    To,
    UserId,
    WantedStatus,
)
from shop.orders import MAX_PRODUCTS, OrderStatus
from shop.stock.decisions import iso_time
from shop.stores.customer_orders import OrderStore, WantedOrder
from shop.stores.entity import Between, Makers

DEFAULT_SECONDS = 7 * 24 * 3600
"""Orders with a status are those of the last seven days, where nothing else is said."""
_SINCE = "~"


class OrderRoutes:
    """Answers what is asked about orders."""

    def __init__(self, orders: OrderStore, makers: Makers) -> None:
        """Take the store of orders, and what tells the time."""
        self._orders = orders
        self._makers = makers

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        of_user, one = "/users/<user_id>/orders", "/users/<user_id>/orders/<order_id>"
        placing = (INSUFFICIENT_INVENTORY, IDEMPOTENCY_KEY_REUSED)
        changing = (NOT_FOUND, VERSION_CONFLICT, ILLEGAL_TRANSITION)
        return [
            Endpoint("POST", of_user, self.place_order, "Order", 202, placing, also=(201, "Reserved with reserve=now")),
            Endpoint("GET", of_user, self.get_orders_of_user, "OrderPage", errors=(INVALID_CURSOR,)),
            Endpoint("GET", one, self.get_order_of_user, "Order", errors=(NOT_FOUND,)),
            Endpoint("PATCH", one, self.change_order, "Order", errors=changing),
            Endpoint("DELETE", one, self.delete_order, "DeletedOrder", errors=(NOT_FOUND,)),
            Endpoint("GET", "/orders", self.get_orders, "OrderPage", errors=(INVALID_CURSOR,)),
            Endpoint("GET", "/orders/<order_id>", self.get_order, "Order", errors=(NOT_FOUND,)),
        ]

    def place_order(
        self, user_id: UserId, body: OrderBody, reserve: Reserve = None, idempotency_key: MaybeKey = None
    ) -> Answer:
        """Place an order, once for each key: pending until the worker has decided it, or confirmed with its stock.

        With reserve=now the stock is taken in the same transaction, of at most 98 products, or of 97 with a key.
        """
        order = WantedOrder(
            user_id, [line.line() for line in body.items], {"shippingAddress": body.shipping_address, "ttl": body.ttl}
        )
        try:
            with sent_under(idempotency_key):
                if reserve is None:
                    return answer(shown(self._orders.place(order, idempotency_key)), 202)
                _check_products(order, idempotency_key)
                return answer(shown(self._orders.place_reserved(order, idempotency_key)), 201)
        except ArithmeticError:
            raise invalid([FieldProblem("items", "wanted a total of at most 38 digits, got more")]) from None

    def get_orders_of_user(
        self,
        user_id: UserId,
        status: MaybeStatus = None,
        from_: From = None,
        to: To = None,
        order: Direction = "desc",
        limit: Limit = PAGE,
        cursor: Cursor = None,
    ) -> Answer:
        """Read a page of a user's orders, the newest first."""
        page = self._orders.of_customer(
            user_id, status, _between(from_, to), newest_first=order == "desc", limit=limit, cursor=cursor
        )
        return answer(page_of(page))

    def get_order_of_user(self, user_id: UserId, order_id: OrderId) -> Answer:
        """Read an order."""
        order = self._orders.get(user_id, order_id)
        if order is None:
            raise not_found("order")
        return answer(shown(order))

    def change_order(self, user_id: UserId, order_id: OrderId, body: OrderChange) -> Answer:
        """Ship, deliver or cancel an order."""
        status = OrderStatus(body.status)
        return answer(shown(self._orders.change_status(user_id, order_id, status, body.expected_version)))

    def delete_order(self, user_id: UserId, order_id: OrderId) -> Answer:
        """Delete an order."""
        return answer({"deleted": shown(self._orders.delete(user_id, order_id))})

    def get_orders(
        self, status: WantedStatus, from_: From = None, to: To = None, limit: Limit = PAGE, cursor: Cursor = None
    ) -> Answer:
        """Read a page of all orders with a status, the newest first: by default those of the last seven days."""
        suffix = ""
        if from_ is None and to is not None:
            from_ = _week_before(to)
        elif from_ is None:
            began, cursor = self._began(cursor)
            from_, suffix = iso_time(began - DEFAULT_SECONDS), f"{_SINCE}{began}"
        page = self._orders.with_status(status, _between(from_, to), limit=limit, cursor=cursor)
        return answer(page_of(page, suffix=suffix))

    def _began(self, cursor: str | None) -> tuple[int, str | None]:
        """Return when a walk through the last seven days began, and its cursor: the days must not move on its way."""
        now = int(self._makers.now())
        if cursor is None:
            return now, None
        inner, _, began = cursor.rpartition(_SINCE)
        if not (began.isascii() and began.isdigit() and len(began) <= len(str(now))):
            raise invalid_cursor()
        return int(began), inner

    def get_order(self, order_id: OrderId) -> Answer:
        """Find an order by its id."""
        order = self._orders.find(order_id)
        if order is None:
            raise not_found("order")
        return answer(shown(order))


def _check_products(order: WantedOrder, key: str | None) -> None:
    """Refuse an order with more products than there is room for beside what a key takes of a transaction."""
    products = len(order.units())
    if key is not None and products > MAX_PRODUCTS - 1:
        wanted = f"wanted at most {MAX_PRODUCTS - 1} products with an Idempotency-Key and reserve=now, got {products}"
        raise invalid([FieldProblem("items", wanted)])


def _week_before(time: str) -> str | None:
    """Return the beginning of seven days, None where the calendar has none."""
    try:
        began = datetime.fromisoformat(time) - timedelta(seconds=DEFAULT_SECONDS)
    except OverflowError:
        return None
    return f"{began.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _between(first: str | None, last: str | None) -> Between:
    if first is not None and last is not None and first > last:
        raise invalid([FieldProblem("from", "wanted a time that is not after `to`, got a later one")])
    return Between(first, last)
