"""Reading many items: by hundreds, of several tables, and around a key that DynamoDB does not take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from tablestream.dynamodb.errors import ErrorKind
from tablestream.dynamodb.items import Key
from tablestream.dynamodb.once import Readings, get_items
from tablestream.run import Run
from tablestream.testing import FakeClock, client_error
from tablestream.testing.dynamodb import MemoryDynamoDB


class Tables:
    """Two tables with some items; refuses calls with a key in `invalid`, raises `faults`."""

    def __init__(self, *existing: Key) -> None:
        self.db = MemoryDynamoDB()
        for table in ("stock", "orders"):
            self.db.create(table, "pk", "sk")
        for key in existing:
            self.db.put_item(TableName=key.table, Item=key.tagged())
        self.db.before = self._meddle
        self.calls: list[tuple[str, int]] = []
        self.faults: list[str] = []
        self.invalid: set[Key] = set()

    def _meddle(self, operation: str, request: Mapping[str, Any]) -> None:
        ((table, wanted),) = request["RequestItems"].items()
        assert wanted["ConsistentRead"] is True
        self.calls.append((table, len(wanted["Keys"])))
        if self.faults:
            raise client_error(self.faults.pop(0), operation)
        if any(key.tagged() in wanted["Keys"] for key in self.invalid):
            raise client_error("ValidationException", operation)

    def read(self, keys: Sequence[Key]) -> Readings:
        client: Any = self.db
        return get_items(client, keys, Run(clock=FakeClock()))


def key(number: int, table: str = "stock") -> Key:
    return Key.of(table, {"sk": number, "pk": "PRODUCT"})


def test_items_of_several_tables_are_read_by_their_keys_and_what_is_not_there_is_none() -> None:
    tables = Tables(key(1), key(2, "orders"))
    readings = tables.read([key(1), key(2), key(1, "orders"), key(2, "orders")])
    assert {found: item is not None for found, item in readings.items.items()} == {
        key(1): True,
        key(2): False,
        key(1, "orders"): False,
        key(2, "orders"): True,
    }
    assert sorted(tables.calls) == [("orders", 2), ("stock", 2)]


def test_a_call_takes_a_hundred_keys_and_what_is_left_unprocessed_is_asked_for_again() -> None:
    tables = Tables()
    tables.db.processes = 60
    assert len(tables.read([key(number) for number in range(120)]).items) == 120
    assert [count for _, count in tables.calls] == [100, 40, 20]


def test_a_key_that_dynamodb_does_not_take_is_found_and_the_others_are_read() -> None:
    tables = Tables(*[key(number) for number in range(7)])
    tables.invalid = {key(4)}
    readings = tables.read([key(number) for number in range(7)])
    assert {*readings.items} == {key(number) for number in range(7) if number != 4}
    assert {found: failure.kind for found, failure in readings.failed.items()} == {key(4): ErrorKind.INVALID}


@pytest.mark.parametrize(
    ("code", "kind", "calls"),
    [("AccessDeniedException", ErrorKind.CONFIGURATION, 1), ("ThrottlingException", ErrorKind.THROTTLE, 9)],
)
def test_what_cannot_be_read_is_told_with_its_reason(code: str, kind: ErrorKind, calls: int) -> None:
    tables = Tables(key(1))
    tables.faults = [code] * 50
    readings = tables.read([key(1)])
    assert (readings.items, readings.failed[key(1)].kind, len(tables.calls)) == ({}, kind, calls)


def test_keys_are_equal_in_whatever_order_and_however_a_number_is_written() -> None:
    one = Key.of("stock", {"pk": "a", "sk": 10})
    assert one == Key.of("stock", {"sk": Decimal("1E+1"), "pk": "a"})
    assert Key.in_item({"sk": {"N": "10.0"}, "pk": {"S": "a"}, "more": {"S": "b"}}, one) == one
    assert one.tagged() == {"pk": {"S": "a"}, "sk": {"N": "10"}}
    assert len({one, Key.of("other", {"pk": "a", "sk": 10})}) == 2
