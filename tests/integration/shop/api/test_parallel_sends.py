"""Many sends at the same time, to the DynamoDB Local that DYNAMODB_LOCAL_ENDPOINT names: its transactions are real."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from shop.stock.ledger import StockItemError
from shop.stores import Stores
from shop.stores.accounts import InsufficientBalance, Transfer
from shop.stores.customer_orders import InsufficientInventory, WantedOrder
from tablestream.dynamodb import Outcome, OutcomeUnknown, Unavailable
from tests.support.dynamodb import ENDPOINT
from tests.support.shop_api import INVENTORY, LocalTables, shop_stores, stock_item

SENDERS = 8
LINES = [{"productId": "tea", "quantity": 2, "price": 4}]
T = TypeVar("T")


@pytest.fixture(scope="module")
def local() -> Iterator[LocalTables]:
    if not ENDPOINT:
        pytest.skip("DYNAMODB_LOCAL_ENDPOINT names no DynamoDB Local")
    with shop_stores(ENDPOINT) as local:
        yield local


def at_once(local: LocalTables, sends: Sequence[Callable[[Stores], T]]) -> list[T]:
    """Send side by side, each until there is an answer; return the answers."""

    def send(stores: Stores, act: Callable[[Stores], T]) -> T:
        for _ in range(50):
            try:
                return act(stores)
            except (Unavailable, OutcomeUnknown):
                continue
        raise TimeoutError("wanted an answer, got none")

    with ThreadPoolExecutor(len(sends)) as pool:
        return list(pool.map(send, [local.stores() for _ in sends], sends))


@dataclass(frozen=True)
class Payment:
    transfer: Transfer
    key: str

    def __call__(self, stores: Stores) -> Outcome | None:
        try:
            return stores.accounts.transfer(self.transfer, self.key)
        except InsufficientBalance:
            return None


def balance(stores: Stores, account: str) -> tuple[int, list[Any]]:
    found = stores.accounts.get(account, 100)
    assert found is not None
    return found[0]["balance"], [entry["transferId"] for entry in found[1]]


def test_of_many_sends_of_one_key_one_moves_money(local: LocalTables) -> None:
    stores = local.stores()
    stores.accounts.open("nat", 100)
    stores.accounts.open("oli", 0)
    outcomes: list[Outcome | None] = at_once(local, [Payment(Transfer("nat", "oli", 10), "k")] * SENDERS)
    ids = {outcome.answer["transferId"] for outcome in outcomes if outcome is not None}
    assert None not in outcomes
    assert len(ids) == 1
    # None of them where the first answer was lost, so that its sender asked once more.
    assert sum(outcome is not None and not outcome.replayed for outcome in outcomes) <= 1
    assert balance(stores, "nat") == (90, [*ids])
    assert balance(stores, "oli") == (10, [*ids])


def test_of_many_sends_of_one_key_one_places_an_order(local: LocalTables) -> None:
    order = WantedOrder("max", LINES, {})
    answers = at_once(local, [lambda stores: stores.orders.place(order, "k")] * SENDERS)
    assert answers == [answers[0]] * SENDERS
    assert local.stores().orders.get("max", answers[0]["orderId"]) == answers[0]


def test_money_is_conserved_whoever_pays_whom_how_often(local: LocalTables) -> None:
    stores, accounts = local.stores(), [f"a{number}" for number in range(4)]
    for account in accounts:
        stores.accounts.open(account, 100)
    chance = random.Random(13)
    payments = []
    for number in range(12):
        sender, recipient = chance.sample(accounts, 2)
        payments += [Payment(Transfer(sender, recipient, chance.randint(1, 120)), f"k{number}")] * 2
    outcomes: list[Outcome | None] = at_once(local, payments)
    done = {payment.key: payment.transfer for payment, outcome in zip(payments, outcomes, strict=True) if outcome}
    expected = Counter(dict.fromkeys(accounts, 100))
    for transfer in done.values():
        expected.update({transfer.sender: -transfer.amount, transfer.recipient: transfer.amount})
    balances = {account: balance(stores, account)[0] for account in accounts}
    assert balances == expected
    assert sum(balances.values()) == 400
    assert 1 < len(done) < 12


def test_of_many_orders_for_the_last_units_as_many_get_them_as_there_are(local: LocalTables) -> None:
    local.dynamodb.put_item(TableName=INVENTORY, Item=stock_item("tea", 7))

    def send(customer: str) -> Callable[[Stores], Any]:
        def act(stores: Stores) -> Any:
            try:
                return stores.orders.place_reserved(WantedOrder(customer, LINES, {}), "k")
            except InsufficientInventory as short:
                return short.shortages

        return act

    answers = at_once(local, [send(f"c{number}") for number in range(4)] * 2)
    placed = {answer["orderId"] for answer in answers if isinstance(answer, dict)}
    assert len(placed) == 3
    key = {"pk": {"S": "PRODUCT#tea"}, "sk": {"S": "STOCK"}}
    assert local.dynamodb.get_item(TableName=INVENTORY, Key=key)["Item"]["available"] == {"N": "1"}
    assert [answer for answer in answers if not isinstance(answer, dict)] == [[("tea", 2, 1)]] * 2


@pytest.mark.parametrize("value", [{"S": "many"}, {"BOOL": True}, {"NULL": True}, {"N": "0.5"}])
def test_a_stock_item_that_says_no_number_is_named(local: LocalTables, value: Any) -> None:
    """Here, since moto compares what DynamoDB does not."""
    local.dynamodb.put_item(TableName=INVENTORY, Item={**stock_item("broken", 0), "available": value})
    order = WantedOrder("cy", [{"productId": "broken", "quantity": 1, "price": 4}], {})
    with pytest.raises(StockItemError, match="PRODUCT#broken / STOCK"):
        local.stores().orders.place_reserved(order, None)
