"""`Reserve` and `Release`, and the decisions for them: actions, with the conditions that make each happen once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple

from shop.keys import ledger_key, order_key, stock_key
from shop.orders import OrderKey, OrderLine, OrderStatus
from shop.stock.ledger import LedgerState, tagged_lines
from tablestream.dynamodb.items import Item, Key, item_bytes
from tablestream.dynamodb.transactions import Action, Decision, Move


@dataclass(frozen=True, slots=True)
class Reserve:
    """Take the stock of a pending order and confirm the order, or reject it."""

    order: OrderKey
    lines: tuple[OrderLine, ...]
    """The units that are wanted, each product once."""
    order_bytes: int = 0
    """The size of the order's item; a transaction holds 4 MB of items."""
    key: ClassVar[str] = "reserve"

    def __str__(self) -> str:
        """Put it into words, for a dry run."""
        lines = ", ".join(f"{line.quantity} {line.product_id}" for line in self.lines)
        return f"take {lines} for {self.order} and confirm it, or reject it where that is too much"


@dataclass(frozen=True, slots=True)
class Release:
    """Give back what is held for an order, which the ledger knows; hold nothing for it from now on."""

    order: OrderKey
    key: ClassVar[str] = "release"

    def __str__(self) -> str:
        """Put it into words, for a dry run."""
        return f"give back what the ledger holds for {self.order}"


class Tables(NamedTuple):
    """The names of the tables that decisions write to."""

    orders: str
    inventory: str


LEDGER_ACTION = 0
"""The place of the ledger item among a decision's own actions; an order's own item comes behind."""

AVAILABLE = "available"
"""The attribute of a stock item that says how many units there are."""

# Reserved words of DynamoDB.
_STATE_NAME = {"#state": "state"}
_STATUS_NAME = {"#status": "status"}

_BYTES_AROUND = 512
"""Attribute names, times, effect id and state of the ledger and the order."""


class Decider:
    """Makes decisions; they carry the time at which they were made."""

    def __init__(self, tables: Tables, now: float) -> None:
        """Take the tables and the time, in seconds since the epoch."""
        self._tables = tables
        self._now = {"S": iso_time(now)}
        # The same for every order, so all the actions share it.
        self._of_any_status = {
            ":pending": {"S": OrderStatus.PENDING.value},
            ":zero": {"N": "0"},
            ":one": {"N": "1"},
            ":now": self._now,
        }
        self._of_confirmed = {**self._of_any_status, ":status": {"S": OrderStatus.CONFIRMED.value}}

    def confirm(self, reserve: Reserve, effect_id: str) -> Decision:
        """Take the units of an order and confirm it. No more is taken than there is."""
        entry = self._open(reserve.order, LedgerState.RESERVED, effect_id, lines=reserve.lines)
        order = self._decide(reserve.order, self.SET_CONFIRMED, self._of_confirmed)
        size = reserve.order_bytes + _size(reserve.order, reserve.lines)
        return Decision(reserve.order, (entry, order), self._taken(reserve.lines), size=size)

    def place(self, order: OrderKey, item: Item, lines: Sequence[OrderLine], effect_id: str) -> Decision:
        """Take the units of an order that is not there yet, and write it: confirmed from its first moment."""
        entry = self._open(order, LedgerState.RESERVED, effect_id, lines=lines)
        put = {
            "TableName": self._tables.orders,
            "Item": item,
            "ConditionExpression": self.UNDECIDED,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        return Decision(order, (entry, {"Put": put}), self._taken(lines), size=item_bytes(item) + _size(order, lines))

    def _taken(self, lines: Sequence[OrderLine]) -> tuple[Move, ...]:
        """Return the moves that take units, of which no more are taken than there are."""
        return tuple(
            [
                Move(stock_key(self._tables.inventory, product), AVAILABLE, -units, guarded=True)
                for product, units in lines
            ]
        )

    def reject(self, reserve: Reserve, effect_id: str, reason: str) -> Decision:
        """Reject an order for a reason in the customer's words; it rests on the stock of its products."""
        entry = self._open(reserve.order, LedgerState.REJECTED, effect_id, reason=reason)
        values = {":status": {"S": OrderStatus.REJECTED.value}, ":reason": {"S": reason}}
        order = self._decide(reserve.order, self.SET_REJECTED, self._of_any_status | values)
        stock = tuple([stock_key(self._tables.inventory, product) for product, _ in reserve.lines])
        size = reserve.order_bytes + _size(reserve.order, reason=reason)
        return Decision(reserve.order, (entry, order), rests_on=stock, size=size)

    def withdraw(self, order: OrderKey, effect_id: str) -> Decision:
        """Leave a tombstone for an order that was cancelled, removed or taken over before anything was held for it."""
        return Decision(order, (self._open(order, LedgerState.WITHDRAWN, effect_id),), size=_size(order))

    def release(self, order: OrderKey, effect_id: str, lines: Sequence[OrderLine]) -> Decision:
        """Give back the units that the ledger holds for an order, even if a stock item has gone meanwhile."""
        moves = tuple([Move(stock_key(self._tables.inventory, product), AVAILABLE, units) for product, units in lines])
        return Decision(order, (self._close(order, effect_id),), moves, size=_size(order, lines))

    # An order is decided once: its ledger item is only ever created where there is none.
    UNDECIDED = "attribute_not_exists(pk)"

    def _open(
        self,
        order: OrderKey,
        state: LedgerState,
        effect_id: str,
        *,
        lines: Sequence[OrderLine] = (),
        reason: str | None = None,
    ) -> Action:
        item = {
            **ledger_key(self._tables.inventory, order).tagged(),
            "state": {"S": state.value},
            "lines": tagged_lines(lines),
            "effectId": {"S": effect_id},
            "decidedAt": self._now,
        }
        if reason is not None:
            item["reason"] = {"S": reason}
        return {
            "Put": {
                "TableName": self._tables.inventory,
                "Item": item,
                "ConditionExpression": self.UNDECIDED,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    # A reservation is given back once.
    STILL_RESERVED = "#state = :reserved"
    SET_RELEASED = "SET #state = :released, effectId = :effect, decidedAt = :now"

    def _close(self, order: OrderKey, effect_id: str) -> Action:
        values = {
            ":reserved": {"S": LedgerState.RESERVED.value},
            ":released": {"S": LedgerState.RELEASED.value},
            ":effect": {"S": effect_id},
            ":now": self._now,
        }
        key = ledger_key(self._tables.inventory, order)
        return _update(key, self.SET_RELEASED, self.STILL_RESERVED, values, _STATE_NAME)

    # Nobody has cancelled, removed or taken over the order. Without the condition a removed order would come back.
    STILL_PENDING = "attribute_exists(pk) AND #status = :pending"
    SET_CONFIRMED = "SET #status = :status, version = if_not_exists(version, :zero) + :one, updatedAt = :now"
    SET_REJECTED = SET_CONFIRMED + ", statusReason = :reason"

    def _decide(self, order: OrderKey, update: str, values: Mapping[str, Any]) -> Action:
        return _update(order_key(self._tables.orders, order), update, self.STILL_PENDING, values, _STATUS_NAME)


def _update(key: Key, update: str, condition: str, values: Mapping[str, Any], names: Mapping[str, str]) -> Action:
    return {
        "Update": {
            "TableName": key.table,
            "Key": key.tagged(),
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }
    }


def _size(order: OrderKey, lines: Sequence[OrderLine] = (), reason: str = "") -> int:
    """Estimate the bytes of the ledger item and of what an order gets, in the worst case of text in UTF-8."""
    text = sum([len(product) + 21 for product, _ in lines]) + len(reason) + 2 * sum(map(len, order))
    return 4 * text + _BYTES_AROUND


def iso_time(seconds: float) -> str:
    """Return a time in seconds since the epoch as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
