"""The tables of the shop in memory, with faults on order."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from tablestream.testing.doubles import cancelled, client_error
from tablestream.testing.dynamodb import Item, MemoryDynamoDB

ORDERS, INVENTORY = "orders", "inventory"
_CONFLICT = {"Code": "TransactionConflict"}


class ShopDynamoDB:
    """`faults` are carried out one a call; None means to do what is asked.

    A code refuses the call, `unsent` and `lost` break the connection before and after it took effect, `busy` cancels it
    for a conflict, `mixed` for a conflict and whatever conditions do not hold.
    """

    def __init__(self) -> None:
        self.db = MemoryDynamoDB()
        self.orders = self.db.create(ORDERS, "pk", "sk").items
        self.inventory = self.db.create(INVENTORY, "pk", "sk").items
        self.calls: list[Mapping[str, Any]] = []
        self.reads: list[int] = []
        self.faults: list[str | None] = []
        self.before_call: Callable[[], None] = lambda: None
        self.before_read: Callable[[], None] = lambda: None
        self.shows_items = True
        self.batch_get_takes = 100
        self.invalid: set[str] = set()
        """Partition keys for which a whole call is refused."""
        self.unfit: set[str] = set()
        """Partition keys for which a transaction is cancelled with that reason."""
        self.tells_reasons = True
        """Whether what an update cannot be applied to cancels the transaction, or fails the call without a reason."""

    # What tests say and ask.

    def stock(self, **units: int) -> None:
        for product, available in units.items():
            self.break_stock(product, {"N": str(available)})

    def order(self, pk: str, sk: str, status: str = "pending") -> None:
        self.orders[pk, sk] = {"pk": {"S": pk}, "sk": {"S": sk}, "status": {"S": status}}

    def break_stock(self, product: str, available: Mapping[str, Any]) -> None:
        """Have a stock item say something that is no number, with its type tag."""
        pk = f"PRODUCT#{product}"
        self.inventory[pk, "STOCK"] = {"pk": {"S": pk}, "sk": {"S": "STOCK"}, "available": dict(available)}

    def available(self, product: str) -> int:
        return int(Decimal(self.inventory[f"PRODUCT#{product}", "STOCK"]["available"]["N"]))

    def status(self, pk: str, sk: str) -> str:
        status: str = self.orders[pk, sk]["status"]["S"]
        return status

    def ledger(self, pk: str, sk: str) -> Item | None:
        return self.inventory.get((f"LEDGER#{pk}", sk))

    def state(self, pk: str, sk: str) -> str | None:
        entry = self.ledger(pk, sk)
        return None if entry is None else entry["state"]["S"]

    def held(self, product: str) -> int:
        entries = [item for item in self.inventory.values() if item.get("state") == {"S": "RESERVED"}]
        return sum(int(entry["lines"]["M"].get(product, {"N": "0"})["N"]) for entry in entries)

    # What the sink calls.

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        self.before_call()
        self.calls.append(copy.deepcopy(request))
        fault = self.faults.pop(0) if self.faults else None
        actions = request["TransactItems"]
        assert all(_shows_its_item(action) for action in actions)
        if fault == "unsent":
            raise ReadTimeoutError(endpoint_url="https://dynamodb")
        if fault == "busy":
            raise cancelled([{"Code": "None"} for _ in actions[1:]] + [_CONFLICT])
        if fault not in {None, "lost", "mixed"}:
            raise client_error(str(fault), status=500 if fault == "InternalServerError" else 400)
        if any(_partition(action) in self.invalid for action in actions):
            raise client_error("ValidationException")
        self.db.reason_against = lambda action: (
            _CONFLICT if fault == "mixed" and action is actions[-1] else self._unfit(action)
        )
        try:
            answer = self.db.transact_write_items(**request)
        except ClientError as error:
            raise self._as_told(error) from None
        if fault == "lost":
            raise ReadTimeoutError(endpoint_url="https://dynamodb")
        return answer

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        self.before_read()
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise client_error(fault)
        (wanted,) = request["RequestItems"].values()
        self.reads.append(len(wanted["Keys"]))
        assert wanted["ConsistentRead"] is True
        if self.invalid & {key["pk"]["S"] for key in wanted["Keys"]}:
            raise client_error("ValidationException")
        self.db.processes = self.batch_get_takes
        return self.db.batch_get_item(**request)

    def _unfit(self, action: Mapping[str, Any]) -> dict[str, Any] | None:
        unfit = _partition(action) in self.unfit
        return {"Code": "ValidationError", "Message": "does not fit"} if unfit else None

    def _as_told(self, error: ClientError) -> ClientError:
        reasons: Any = error.response.get("CancellationReasons", [])
        if not self.tells_reasons and any(reason["Code"] == "ValidationError" for reason in reasons):
            return client_error("ValidationException")
        if not self.shows_items:
            for reason in reasons:
                reason.pop("Item", None)
        return error


def _partition(action: Mapping[str, Any]) -> str:
    ((kind, request),) = action.items()
    key = request["Item" if kind == "Put" else "Key"]
    return str(key["pk"]["S"])


def _shows_its_item(action: Mapping[str, Any]) -> bool:
    (request,) = action.values()
    return "ConditionExpression" not in request or request["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
