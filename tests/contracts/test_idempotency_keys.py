"""Idempotency keys in moto and in DynamoDB Local: one effect and one answer a key, from eight at once too."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from boto3.dynamodb.conditions import Attr

from tablestream import Run
from tablestream.dynamodb import (
    ConditionFailed,
    IdempotencyKey,
    IdempotencyKeyReused,
    IdempotencyKeys,
    Table,
    TableAction,
    TransactionCancelled,
    Update,
)
from tablestream.testing import FakeClock

ACCOUNT = {"pk": "ACCOUNT#ann", "sk": "BALANCE"}
KEY = IdempotencyKey("payments/ann", "f3a1-&%~", {"amount": 7, "note": None})
TAKE: list[TableAction] = [Update(ACCOUNT, add={"balance": -7}, condition=Attr("balance").gte(7))]


def balance(table: Table) -> int:
    item = table.get(ACCOUNT, consistent=True)
    assert item is not None
    return int(item["balance"])


def test_a_repeat_gets_the_first_answer_as_it_was_though_the_money_is_gone(table: Table) -> None:
    table.put({**ACCOUNT, "balance": 10})
    keys = IdempotencyKeys(table)
    answer = {"id": "first", "fee": Decimal("0.10"), "tags": frozenset({"a"}), "note": None, "lines": [{"name": None}]}
    assert keys.transact(KEY, TAKE, answer) == (answer, False)
    assert keys.transact(KEY, TAKE, {"id": "second"}) == ({**answer, "fee": Decimal("0.1")}, True)
    assert balance(table) == 3


def test_another_request_is_refused_and_a_refusal_is_not_remembered(table: Table) -> None:
    table.put({**ACCOUNT, "balance": 5})
    keys = IdempotencyKeys(table)
    with pytest.raises(TransactionCancelled) as told:
        keys.transact(KEY, TAKE, "first")
    (reason,) = told.value.reasons
    assert isinstance(reason, ConditionFailed)
    assert reason.item == {**ACCOUNT, "balance": 5}
    table.put({**ACCOUNT, "balance": 7})
    assert keys.transact(KEY, TAKE, "second") == ("second", False)
    with pytest.raises(IdempotencyKeyReused):
        keys.transact(KEY._replace(asked={"amount": 8}), TAKE, "third")


def test_a_record_whose_time_is_over_counts_as_none(table: Table) -> None:
    clock = FakeClock()
    keys = IdempotencyKeys(table.within(Run(clock=clock)), seconds=60)
    table.put({**ACCOUNT, "balance": 100})
    assert not keys.transact(KEY, TAKE, 1).replayed
    clock.sleep(59)
    assert keys.transact(KEY, TAKE, 2) == (1, True)
    clock.sleep(1)
    assert keys.transact(KEY, TAKE, 3) == (3, False)


def test_of_eight_at_once_one_takes_effect(table: Table, backend: str) -> None:
    if backend == "moto":
        pytest.skip("moto puts its tables back after a transaction that failed, with what others wrote meanwhile")
    table.put({**ACCOUNT, "balance": 100})
    keys = IdempotencyKeys(table.within(Run()))
    for number in range(5):
        key = KEY._replace(key=f"k{number}")
        with ThreadPoolExecutor(8) as threads:
            outcomes = list(threads.map(lambda send, key=key: keys.transact(key, TAKE, send), range(8)))
        assert len({outcome.answer for outcome in outcomes}) == 1
        assert [outcome.replayed for outcome in outcomes].count(False) == 1
    assert balance(table) == 100 - 5 * 7
