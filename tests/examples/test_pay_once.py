"""A payment under a key, and the same with Powertools' Idempotency: what is left where the process dies on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyAlreadyInProgressError
from moto import mock_aws

from examples.pay_once import TooLittleMoney, pay
from examples.why.claimed import claimed
from tablestream.dynamodb import IdempotencyKeyReused, Table
from tests.support.dynamodb import create_table

BALANCE = {"pk": "ann", "sk": "BALANCE"}
PAYMENT = {"payer": "ann", "amount": 7, "key": "k1"}
LONG, SHORT = 60_000, 1
"""The milliseconds that Lambda says are left: so long Powertools takes a claim for one that somebody works on."""


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Bank:
    """A table of accounts, and a process that dies at the call of AWS that is said."""

    client: Any
    dies: tuple[str, int] | None = None
    """Whether before or after a call, and the number of the call."""
    calls: dict[str, int] = field(default_factory=lambda: {"before": 0, "after": 0})

    def __post_init__(self) -> None:
        self.accounts = Table("accounts", self.client)
        self.accounts.put({**BALANCE, "balance": 100})
        for moment in self.calls:
            self.client.meta.events.register(f"{moment}-call.dynamodb", self._counting(moment))
        self.calls |= {"before": 0, "after": 0}

    def _counting(self, moment: str) -> Callable[..., None]:
        def called(**_: object) -> None:
            self.calls[moment] += 1
            if self.dies == (moment, self.calls[moment]):
                self.dies = None
                raise Killed

        return called

    @property
    def paid(self) -> int:
        """The payments that have been taken."""
        item = self.accounts.get(BALANCE, consistent=True) or {}
        return int(100 - item["balance"]) // 7


@pytest.fixture
def bank() -> Iterator[Bank]:
    with mock_aws():
        client: Any = boto3.client("dynamodb", "eu-central-1", aws_access_key_id="k", aws_secret_access_key="k")
        create_table(client, "accounts", ["pk", "sk"])
        create_table(client, "keys", ["id"])
        yield Bank(client)


@dataclass(frozen=True)
class Context:
    """Lambda's context, as far as Powertools reads it."""

    milliseconds: int

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


def paid_by_powertools(bank: Bank, milliseconds: int = LONG) -> Any:
    keys = DynamoDBPersistenceLayer(table_name="keys", boto3_client=bank.client)
    return claimed(bank.accounts, keys)(dict(PAYMENT), Context(milliseconds))


def paid_by_us(bank: Bank) -> str:
    return pay(bank.accounts, "ann", 7, "k1")


def test_a_payment_that_is_sent_again_is_taken_once_and_has_one_answer(bank: Bank) -> None:
    first = paid_by_us(bank)
    assert bank.calls["before"] == 1
    assert paid_by_us(bank) == first
    assert bank.paid == 1
    with pytest.raises(IdempotencyKeyReused):
        pay(bank.accounts, "ann", 8, "k1")
    with pytest.raises(TooLittleMoney):
        pay(bank.accounts, "ann", 1000, "k2")
    assert bank.paid == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_wherever_the_process_dies_the_next_send_pays_once(bank: Bank, moment: str) -> None:
    bank.dies = (moment, 1)
    with pytest.raises(Killed):
        paid_by_us(bank)
    paid_by_us(bank)
    assert bank.paid == 1


def test_a_claim_takes_three_writes(bank: Bank) -> None:
    first = paid_by_powertools(bank)
    assert bank.calls["before"] == 3
    assert (paid_by_powertools(bank), bank.paid) == (first, 1)


BETWEEN = [("after", 2), ("before", 3)]
"""The money is taken, and the key is not yet marked."""


@pytest.mark.parametrize("dies", BETWEEN)
def test_a_claim_of_a_process_that_died_is_refused_while_it_could_still_run(bank: Bank, dies: tuple[str, int]) -> None:
    bank.dies = dies
    with pytest.raises(Killed):
        paid_by_powertools(bank)
    with pytest.raises(IdempotencyAlreadyInProgressError):
        paid_by_powertools(bank)
    assert bank.paid == 1


@pytest.mark.parametrize(
    ("dies", "paid"), [(("after", 1), 1), *[(between, 2) for between in BETWEEN], (("after", 3), 1)]
)
def test_after_that_it_is_paid_again_where_the_process_died_between_the_money_and_the_mark(
    bank: Bank, dies: tuple[str, int], paid: int
) -> None:
    bank.dies = dies
    with pytest.raises(Killed):
        paid_by_powertools(bank, SHORT)
    time.sleep(0.05)
    paid_by_powertools(bank, SHORT)
    assert bank.paid == paid
