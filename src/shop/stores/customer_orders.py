"""Orders as customers and the warehouse place, find and change them; what becomes of them is the worker's to decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any, NamedTuple

from boto3.dynamodb.conditions import Attr, Key

from shop.keys import (
    ORDERS,
    customer_order_key,
    order_index_key,
    order_index_partition,
    product_of,
    user_partition,
)
from shop.orders import BEFORE, OrderKey, OrderLine, OrderStatus
from shop.stock.decisions import AVAILABLE, Decider, Tables
from shop.stock.ledger import units_of
from shop.stores.entity import BY_CREATION, BY_ORDER_ID, BY_STATUS, Between, IllegalTransition, Makers, Plain
from tablestream.dynamodb import (
    ConditionFailed,
    IdempotencyKey,
    IdempotencyKeys,
    Outcome,
    Page,
    Put,
    ReadyAction,
    Table,
    TableError,
    TransactionCancelled,
)
from tablestream.dynamodb.transactions import OwnAction, Target, build
from tablestream.errors import TablestreamError
from tablestream.image import MAX_DIGITS

KIND = "Order"
RESERVED_NOW = "reserve-now"
"""The `effectId` of a ledger item that was written with its order begins so."""
_ALL_DIGITS = 300
"""More than the largest and the smallest price that there can be have in one sum."""


class WantedOrder(NamedTuple):
    """An order as a customer wants it."""

    customer: str
    lines: Sequence[Mapping[str, Any]]
    """As the order's item holds them: product, quantity, price and, where there is one, a name."""
    more: Mapping[str, Any]
    """Attributes of the caller's choice, as `shippingAddress` and `ttl`; None where there is none."""

    def asked(self) -> Plain:
        """Return the meaning of the order, which is the same for a request that is sent again."""
        return {"items": list(self.lines), **{name: value for name, value in self.more.items() if value is not None}}

    def units(self) -> tuple[OrderLine, ...]:
        """Return the units that are wanted, each product once."""
        wanted: Counter[str] = Counter()
        for line in self.lines:
            wanted[line["productId"]] += line["quantity"]
        return tuple([OrderLine(product, units) for product, units in wanted.items()])


class Shortage(NamedTuple):
    """A product of which there is less than an order wants."""

    product: str
    wanted: int
    available: int
    """0 of a product that nobody knows."""


class InsufficientInventory(TablestreamError):
    """There is less of some products than an order wants; nothing was taken, and no order written."""

    def __init__(self, shortages: Sequence[Shortage]) -> None:
        """Take the products of which there is less."""
        super().__init__("wanted more of some products than there is")
        self.shortages = shortages


class OrderStore:
    """The access patterns of orders: by customer, by id, by status and by date."""

    def __init__(self, table: Table, inventory: str, makers: Makers, keys: IdempotencyKeys) -> None:
        """Take the shop's table, the inventory's name, what makes times and ids, and the keys that are remembered."""
        self._table = table
        self._tables = Tables(table.name, inventory)
        self._makers = makers
        self._keys = keys

    def place(self, order: WantedOrder, key: str | None) -> Plain:
        """Write a new order, pending until the worker has decided it; return the item.

        With a key an order is placed once, and a repeat returns the same: as it was placed, whatever has become of it.
        Raises `IdempotencyKeyReused` for a key under which the customer has placed another order.
        """
        item = self._item(order, OrderStatus.PENDING)
        if key is None:
            self._table.put(item, if_absent=True)
            return item
        known_by = IdempotencyKey(f"orders/{order.customer}", key, order.asked())
        outcome = self._keys.transact(known_by, [Put(item, if_absent=True)], _known_of(item))
        return _as_answered(item, outcome)

    def place_reserved(self, order: WantedOrder, key: str | None) -> Plain:
        """Write a confirmed order with its ledger item and take its stock, all in one transaction; return the item.

        It is decided as the worker decides, at once, and the worker finds nothing to do. Raises `InsufficientInventory`
        where there is less than is wanted, `StockItemError` for a stock item that says no number, and
        `IdempotencyKeyReused`; with a key as `place`.
        """
        item = self._item(order, OrderStatus.CONFIRMED)
        lines = order.units()
        placed = OrderKey(item["pk"], item["sk"])
        decider = Decider(self._tables, self._makers.now())
        decision = decider.place(placed, self._table.schema.item(item), lines, f"{RESERVED_NOW}/{item['orderId']}")
        actions, targets = build([decision])
        known_by = None if key is None else IdempotencyKey(f"orders-now/{order.customer}", key, order.asked())
        try:
            outcome = self._keys.transact(known_by, [ReadyAction(action) for action in actions], _known_of(item))
        except TransactionCancelled as cancelled:
            short = list(_short(zip(targets, cancelled.reasons, strict=False), dict(lines)))
            if not short:
                raise next(filter(None, cancelled.reasons), cancelled) from None
            raise InsufficientInventory(short) from None
        return _as_answered(item, outcome)

    def _item(self, order: WantedOrder, status: OrderStatus) -> Plain:
        order_id = self._makers.ulid()
        attributes = {
            "orderId": order_id,
            "customerId": order.customer,
            "status": status.value,
            "items": list(order.lines),
            "total": total_of(order.lines),
            **order_index_key(order.customer, order_id),
            **order.more,
        }
        return self._makers.entity(KIND, customer_order_key(order.customer, order_id), attributes)

    def get(self, user_id: str, order_id: str) -> Plain | None:
        """Return an order; None where there is no such order."""
        return self._table.get(customer_order_key(user_id, order_id))

    def find(self, order_id: str) -> Plain | None:
        """Return the order with this id, whoever's it is; None where there is none, or none in the index as yet."""
        found = self._table.query(Key("GSI1PK").eq(order_index_partition(order_id)), index=BY_ORDER_ID, limit=1)
        return found.items[0] if found.items else None

    def of_customer(
        self,
        user_id: str,
        status: OrderStatus | None,
        between: Between,
        *,
        newest_first: bool,
        limit: int,
        cursor: str | None,
    ) -> Page:
        """Return a page of a user's orders: by their ids, or where they are chosen by date, by their creation."""
        conditions: list[Any] = [] if status is None else [Attr("status").eq(status.value)]
        dated = between.of(Key("createdAt"))
        if dated is None:
            wanted, index = Key("sk").begins_with(ORDERS), None
        else:
            # The index holds all that the user has, so orders are told by their keys there.
            wanted, index, conditions = dated, BY_CREATION, [Attr("sk").begins_with(ORDERS), *conditions]
        return self._table.query(
            Key("pk").eq(user_partition(user_id)) & wanted,
            index=index,
            filter=_all(conditions),
            limit=limit,
            cursor=cursor,
            newest_first=newest_first,
        )

    def with_status(self, status: OrderStatus, between: Between, *, limit: int, cursor: str | None) -> Page:
        """Return a page of all orders with a status, the newest first."""
        wanted = Key("status").eq(status.value)
        dated = between.of(Key("createdAt"))
        return self._table.query(
            wanted if dated is None else wanted & dated, index=BY_STATUS, limit=limit, cursor=cursor, newest_first=True
        )

    def change_status(self, user_id: str, order_id: str, status: OrderStatus, version: int) -> Plain:
        """Give an order another status; return the item as it is then.

        Raises `NotFound`; `VersionConflict` and `IllegalTransition` with the order as it is.
        """
        before = [known.value for known in BEFORE.get(status, ())]
        # Where no way leads to a status, a word that no order has makes the condition fail, which tells what is there.
        allowed = Attr("status").is_in(before or [""])
        changing = self._makers.changing({"status": status.value})
        key = customer_order_key(user_id, order_id)
        try:
            return self._table.update(key, **changing._asdict(), condition=allowed, version=version)
        except ConditionFailed as failed:
            if failed.item is None or failed.item.get("version") != version:
                raise
            current = failed.item
        raise IllegalTransition(f"no order becomes {status.value} from its status", current)

    def delete(self, user_id: str, order_id: str) -> Plain:
        """Remove an order and return it as it was; raises `NotFound`."""
        return self._table.delete(customer_order_key(user_id, order_id), must_exist=True) or {}


def _known_of(item: Plain) -> Plain:
    """Return what a repeat has to know of an order: all else is in the request, which is the same."""
    return {"orderId": item["orderId"], "createdAt": item["createdAt"]}


def _as_answered(item: Plain, outcome: Outcome) -> Plain:
    """Return an order as the first send of its key got it."""
    order_id, created = outcome.answer["orderId"], outcome.answer["createdAt"]
    keys = {**customer_order_key(item["customerId"], order_id), **order_index_key(item["customerId"], order_id)}
    return {**item, **keys, "orderId": order_id, "createdAt": created, "updatedAt": created}


def _short(told: Iterable[tuple[Target, TableError | None]], wanted: Mapping[str, int]) -> Iterator[Shortage]:
    """Yield the products whose stock does not suffice, as the reasons of a cancelled transaction tell it."""
    for target, reason in told:
        if not isinstance(target, OwnAction) and isinstance(reason, ConditionFailed):
            product = product_of(target)
            has = 0 if reason.item is None else units_of(target, reason.item.get(AVAILABLE, 0))
            yield Shortage(product, wanted[product], has)


def total_of(lines: Sequence[Mapping[str, Any]]) -> int | Decimal:
    """Return what an order costs; raises `ArithmeticError` where DynamoDB has too few digits for it."""
    with localcontext() as exact:
        exact.prec = _ALL_DIGITS
        total = sum([line["quantity"] * Decimal(line["price"]) for line in lines], Decimal(0))
        if total == total.to_integral_value():
            whole = int(total)
            digits = len(str(abs(whole)))
        else:
            whole, digits = None, len(total.normalize().as_tuple().digits)
        if digits > MAX_DIGITS:
            raise ArithmeticError(f"the total has {digits} digits, wanted at most {MAX_DIGITS}")
        return total.normalize() if whole is None else whole


def _all(conditions: Sequence[Any]) -> Any:
    combined = None
    for condition in conditions:
        combined = condition if combined is None else combined & condition
    return combined
