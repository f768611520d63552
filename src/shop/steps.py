"""`Step`: one decision for one order, and the actions of a transaction that carry it out, with their conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

from shop.ledger import ItemKey, LedgerState, tagged_lines
from shop.orders import OrderKey, OrderLine, OrderStatus

Action = Mapping[str, Any]
"""One entry of TransactItems."""


class Verdict(Enum):
    """What a step does for its order."""

    CONFIRM = "confirm"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    RELEASE = "release"


_STATES = {
    Verdict.CONFIRM: LedgerState.RESERVED,
    Verdict.REJECT: LedgerState.REJECTED,
    Verdict.WITHDRAW: LedgerState.WITHDRAWN,
}
# Reserved words of DynamoDB.
_STATE_NAME = {"#state": "state"}
_STATUS_NAME = {"#status": "status"}


class Step(NamedTuple):
    """One decision for one order."""

    verdict: Verdict
    order: OrderKey
    effect_id: str
    """Which effect led to it: consumer, event and sink; see `tablestream.Effect`."""
    lines: tuple[OrderLine, ...] = ()
    """The products that the decision rests on. Confirming takes these units, releasing gives them back."""
    reason: str | None = None
    order_bytes: int = 0

    # Members are compared by identity: a set of them would call Python for each hash.
    @property
    def writes_order(self) -> bool:
        """Whether the order's own item gets a new status."""
        return self.verdict is Verdict.CONFIRM or self.verdict is Verdict.REJECT

    @property
    def own_actions(self) -> int:
        """The number of actions besides those on stock items, which steps of one transaction share."""
        return 2 if self.writes_order else 1

    @property
    def moves(self) -> tuple[OrderLine, ...]:
        """The units that the step moves."""
        return self.lines if self.verdict is Verdict.CONFIRM or self.verdict is Verdict.RELEASE else ()


class Tables(NamedTuple):
    """The names of the tables that a transaction writes to."""

    orders: str
    inventory: str


class Target(NamedTuple):
    """What an action is about: a product's stock, or an order's ledger item or its own."""

    order: OrderKey | None = None
    is_ledger: bool = False
    product_id: str | None = None


class Actions:
    """Builds the actions of one transaction; they carry the time at which they were built."""

    def __init__(self, tables: Tables, now: str) -> None:
        """Take the tables and the time, ISO 8601."""
        self._tables = tables
        self._now = {"S": now}
        # The same for every order, so all the actions share it.
        self._of_any_status = {
            ":pending": {"S": OrderStatus.PENDING.value},
            ":zero": {"N": "0"},
            ":one": {"N": "1"},
            ":now": self._now,
        }
        self._of_confirmed = {**self._of_any_status, ":status": {"S": OrderStatus.CONFIRMED.value}}

    def build(self, steps: Sequence[Step]) -> tuple[list[Action], list[Target]]:
        """Return the actions that carry out the steps, a stock item once for all of them, and what each is about."""
        actions: list[Action] = []
        targets: list[Target] = []
        units: dict[str, int] = {}
        for step in steps:
            actions.append(self._close(step) if step.verdict is Verdict.RELEASE else self._open(step))
            targets.append(Target(step.order, is_ledger=True))
            if step.writes_order:
                actions.append(self._decide(step))
                targets.append(Target(step.order))
            sign = -1 if step.verdict is Verdict.CONFIRM else 1
            for product, quantity in step.moves:
                units[product] = units.get(product, 0) + sign * quantity
        actions.extend([self._move(product, moved) for product, moved in units.items()])
        targets.extend([Target(product_id=product) for product in units])
        return actions, targets

    # An order is decided once: its ledger item is only ever created where there is none.
    UNDECIDED = "attribute_not_exists(pk)"

    def _open(self, step: Step) -> Action:
        item = {
            **ItemKey.ledger(step.order).tagged(),
            "state": {"S": _STATES[step.verdict].value},
            "lines": tagged_lines(step.moves),
            "effectId": {"S": step.effect_id},
            "decidedAt": self._now,
        }
        if step.reason is not None:
            item["reason"] = {"S": step.reason}
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

    def _close(self, step: Step) -> Action:
        return self._update(
            self._tables.inventory,
            ItemKey.ledger(step.order).tagged(),
            self.SET_RELEASED,
            self.STILL_RESERVED,
            {
                ":reserved": {"S": LedgerState.RESERVED.value},
                ":released": {"S": LedgerState.RELEASED.value},
                ":effect": {"S": step.effect_id},
                ":now": self._now,
            },
            _STATE_NAME,
        )

    # Nobody has cancelled, removed or taken over the order. Without the condition a removed order would come back.
    STILL_PENDING = "attribute_exists(pk) AND #status = :pending"
    SET_CONFIRMED = "SET #status = :status, version = if_not_exists(version, :zero) + :one, updatedAt = :now"
    SET_REJECTED = SET_CONFIRMED + ", statusReason = :reason"

    def _decide(self, step: Step) -> Action:
        key = ItemKey(*step.order).tagged()
        if step.verdict is Verdict.CONFIRM:
            update, values = self.SET_CONFIRMED, self._of_confirmed
        else:
            reason = {":status": {"S": OrderStatus.REJECTED.value}, ":reason": {"S": step.reason or ""}}
            update, values = self.SET_REJECTED, self._of_any_status | reason
        return self._update(self._tables.orders, key, update, self.STILL_PENDING, values, _STATUS_NAME)

    # No more is taken than there is; of a product that does not exist there is nothing.
    IN_STOCK = "available >= :units"
    TAKE = "SET available = available - :units"
    # Units that come back count even if the stock item has gone meanwhile: the books must balance.
    GIVE = "ADD available :units"

    def _move(self, product: str, moved: int) -> Action:
        change: dict[str, Any] = {
            "TableName": self._tables.inventory,
            "Key": ItemKey.stock(product).tagged(),
            "UpdateExpression": self.TAKE if moved < 0 else self.GIVE,
            "ExpressionAttributeValues": {":units": {"N": str(abs(moved))}},
        }
        if moved < 0:
            change["ConditionExpression"] = self.IN_STOCK
            change["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return {"Update": change}

    @staticmethod
    def _update(
        table: str,
        key: Mapping[str, Any],
        update: str,
        condition: str,
        values: Mapping[str, Any],
        names: Mapping[str, str],
    ) -> Action:
        return {
            "Update": {
                "TableName": table,
                "Key": key,
                "UpdateExpression": update,
                "ConditionExpression": condition,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": values,
            }
        }
