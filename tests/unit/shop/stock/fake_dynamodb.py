"""DynamoDB as far as sinks use it, in memory, strict about limits, with faults on order.

It is for thousands of calls with faults in between; what expressions mean is tested against the emulator.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from botocore.exceptions import ReadTimeoutError

from tablestream.testing.errors import cancelled, client_error
from tests.simulation.expressions import condition, update

Key = tuple[str, str, str]
Item = dict[str, Any]

ORDERS, INVENTORY = "orders", "inventory"


class FakeDynamoDB:
    """`faults` are carried out one a call; None means to do what is asked.

    A code refuses the call, `unsent` and `lost` break the connection before and after it took effect, `busy` cancels it
    for a conflict, `mixed` for a conflict and whatever conditions do not hold.
    """

    def __init__(self) -> None:
        self.items: dict[Key, Item] = {}
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
        self._tokens: set[str] = set()

    # What tests say and ask.

    def stock(self, **units: int) -> None:
        for product, available in units.items():
            self._put(INVENTORY, f"PRODUCT#{product}", "STOCK", available={"N": str(available)})

    def order(self, pk: str, sk: str, status: str = "pending") -> None:
        self._put(ORDERS, pk, sk, status={"S": status})

    def break_stock(self, product: str, available: Mapping[str, Any]) -> None:
        """Have a stock item say something that is no number, with its type tag."""
        self._put(INVENTORY, f"PRODUCT#{product}", "STOCK", available=available)

    def _put(self, table: str, pk: str, sk: str, **attributes: object) -> None:
        self.items[table, pk, sk] = {"pk": {"S": pk}, "sk": {"S": sk}, **attributes}

    def available(self, product: str) -> int:
        return int(Decimal(self.items[INVENTORY, f"PRODUCT#{product}", "STOCK"]["available"]["N"]))

    def status(self, pk: str, sk: str) -> str:
        status: str = self.items[ORDERS, pk, sk]["status"]["S"]
        return status

    def ledger(self, pk: str, sk: str) -> Item | None:
        return self.items.get((INVENTORY, f"LEDGER#{pk}", sk))

    def state(self, pk: str, sk: str) -> str | None:
        entry = self.ledger(pk, sk)
        return None if entry is None else entry["state"]["S"]

    def held(self, product: str) -> int:
        entries = [item for item in self.items.values() if item.get("state") == {"S": "RESERVED"}]
        return sum(int(entry["lines"]["M"].get(product, {"N": "0"})["N"]) for entry in entries)

    # What the sink calls.

    def transact_write_items(self, *, TransactItems: list[Any], ClientRequestToken: str) -> dict[str, Any]:  # noqa: N803 -- boto3 names
        request = {"TransactItems": TransactItems, "ClientRequestToken": ClientRequestToken}
        self.before_call()
        self.calls.append(copy.deepcopy(request))
        fault = self.faults.pop(0) if self.faults else None
        if fault == "unsent":
            raise ReadTimeoutError(endpoint_url="https://dynamodb")
        if fault == "busy":
            reasons = [{"Code": "None"} for _ in TransactItems]
            reasons[-1] = {"Code": "TransactionConflict"}
            raise cancelled(reasons)
        if fault == "mixed":
            reasons = [self._reason(action, _target(action)) for action in TransactItems]
            reasons[-1] = {"Code": "TransactionConflict"}
            raise cancelled(reasons)
        if fault not in {None, "lost"}:
            raise client_error(fault, status=500 if fault == "InternalServerError" else 400)
        self._transact(TransactItems, ClientRequestToken)
        if fault == "lost":
            raise ReadTimeoutError(endpoint_url="https://dynamodb")
        return {}

    def batch_get_item(self, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803 -- boto3's name
        self.before_read()
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise client_error(fault)
        ((table, wanted),) = RequestItems.items()
        keys = wanted["Keys"]
        self.reads.append(len(keys))
        assert wanted["ConsistentRead"] is True
        assert len({str(key) for key in keys}) == len(keys) <= 100
        if self.invalid & {key["pk"]["S"] for key in keys}:
            raise client_error("ValidationException")
        taken, left = keys[: self.batch_get_takes], keys[self.batch_get_takes :]
        found = [self.items.get((table, key["pk"]["S"], key["sk"]["S"])) for key in taken]
        return {
            "Responses": {table: [copy.deepcopy(item) for item in found if item is not None]},
            "UnprocessedKeys": {table: {"Keys": left, "ConsistentRead": True}} if left else {},
        }

    def _transact(self, actions: list[Any], token: str) -> None:
        if token in self._tokens:
            return
        targets = [_target(action) for action in actions]
        assert len(actions) <= 100, "a transaction has at most 100 actions"
        assert len(set(targets)) == len(targets), "a transaction may touch an item once"
        if any(pk in self.invalid for _, pk, _ in targets):
            raise client_error("ValidationException")
        reasons = [self._reason(action, target) for action, target in zip(actions, targets, strict=True)]
        if any(reason["Code"] != "None" for reason in reasons):
            raise cancelled(reasons)
        for action, target in zip(actions, targets, strict=True):
            self.items[target] = self._written(action, target)
        self._tokens.add(token)

    def _reason(self, action: Mapping[str, Any], target: Key) -> dict[str, Any]:
        if target[1] in self.unfit:
            return {"Code": "ValidationError", "Message": "does not fit"}
        operation = action.get("Put") or action["Update"]
        old = self.items.get(target)
        names, values = operation.get("ExpressionAttributeNames", {}), operation.get("ExpressionAttributeValues", {})
        text = operation.get("ConditionExpression")
        if text is None or condition(text)(old or {}, names, values):
            try:
                self._written(action, target)
            except TypeError:
                if not self.tells_reasons:
                    raise client_error("ValidationException") from None
                return {"Code": "ValidationError", "Message": "An operand in the update has an incorrect data type"}
            return {"Code": "None"}
        assert operation["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
        shown = {"Item": copy.deepcopy(old)} if old is not None and self.shows_items else {}
        return {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed", **shown}

    def _written(self, action: Mapping[str, Any], target: Key) -> Item:
        """Return an item as an action leaves it; raises `TypeError` for one that cannot be applied."""
        if "Put" in action:
            return copy.deepcopy(dict(action["Put"]["Item"]))
        operation = action["Update"]
        old = self.items.get(target, {"pk": {"S": target[1]}, "sk": {"S": target[2]}})
        new = copy.deepcopy(old)
        names, values = operation.get("ExpressionAttributeNames", {}), operation["ExpressionAttributeValues"]
        update(operation["UpdateExpression"])(old, new, names, values)
        return new


def _target(action: Mapping[str, Any]) -> Key:
    operation = action.get("Put") or action["Update"]
    key = operation.get("Key") or operation["Item"]
    return operation["TableName"], key["pk"]["S"], key["sk"]["S"]
