"""The inventory sink against the embedded AWS: what the expressions mean, and what cancellations really look like."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest
from botocore.exceptions import ReadTimeoutError

from shop.orders import MAX_PRODUCTS
from shop.stock import Release, Reserve
from shop.stock.decisions import Tables
from shop.stock.sink import InventorySink
from tablestream.run import Backoff, Run
from tablestream.sink import DONE, Answer
from tablestream.testing import FakeClock, effects
from tests.support.orders import order_key, release, reserve
from tests.support.shop_aws import INVENTORY, ORDERS, ShopAws, shop_aws


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[ShopAws]:
    with shop_aws(monkeypatch) as made:
        yield made


class Losing:
    """A client whose transactions take effect, but whose answers are lost every time until told otherwise."""

    def __init__(self, client: Any, losses: int) -> None:
        self._client = client
        self._losses = losses
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def transact_write_items(self, **request: object) -> object:
        self.calls += 1
        answer = self._client.transact_write_items(**request)
        if self.calls <= self._losses:
            raise ReadTimeoutError(endpoint_url="https://dynamodb")
        return answer


def apply(aws: ShopAws, *wanted: Reserve | Release, client: object = None) -> Sequence[Answer]:
    sink = InventorySink(
        cast("Any", client or aws.dynamodb),
        Tables(ORDERS, INVENTORY),
    )
    run = Run(clock=FakeClock(), backoff=Backoff(uniform=random.Random(1).uniform))
    return sink.apply(effects(*wanted), run)


def place(aws: ShopAws, number: int, status: str = "pending", /, **lines: int) -> Reserve:
    aws.put(ORDERS, {**order_key(number)._asdict(), "status": status, "email": "jane@example.com"})
    return reserve(number, **lines)


def test_a_reserve_confirms_the_order_and_leaves_the_rest_of_it_alone(aws: ShopAws) -> None:
    aws.stock(tea=5)
    assert apply(aws, place(aws, 1, tea=2)) == [DONE]
    assert aws.available("tea") == 3
    assert aws.order(order_key(1)) == {
        **order_key(1)._asdict(),
        "status": "confirmed",
        "version": 1,
        "updatedAt": "2025-11-20T12:00:00.000Z",
        "email": "jane@example.com",
    }
    assert (aws.ledger(order_key(1))["state"], aws.ledger(order_key(1))["lines"]) == ("RESERVED", {"tea": 2})


def test_repeats_take_nothing_more(aws: ShopAws) -> None:
    aws.stock(tea=5)
    placed = place(aws, 1, tea=2)
    assert [*apply(aws, placed), *apply(aws, placed)] == [DONE, DONE]
    assert aws.available("tea") == 3
    assert aws.order(order_key(1))["version"] == 1


def test_scarce_stock_goes_to_earlier_orders_and_unknown_products_to_nobody(aws: ShopAws) -> None:
    aws.stock(tea=5, cup=9)
    placed = [place(aws, 1, tea=3, cup=1), place(aws, 2, tea=3), place(aws, 3, tea=2), place(aws, 4, gold=1, cup=1)]
    assert apply(aws, *placed) == [DONE] * 4
    assert [aws.order(order_key(number))["status"] for number in range(1, 5)] == [
        "confirmed",
        "rejected",
        "confirmed",
        "rejected",
    ]
    assert aws.order(order_key(2))["statusReason"] == "Not enough in stock: tea (3 ordered, 2 available)."
    assert aws.order(order_key(4))["statusReason"] == "Unknown product: gold."
    assert aws.ledger(order_key(4))["reason"] == "Unknown product: gold."
    assert (aws.available("tea"), aws.available("cup")) == (0, 8)


def test_a_cancelled_or_missing_order_is_withdrawn_and_stays_as_it_is(aws: ShopAws) -> None:
    aws.stock(tea=5)
    placed = [place(aws, 1, "cancelled", tea=1), reserve(2, tea=1)]
    assert apply(aws, *placed, place(aws, 3, tea=1)) == [DONE] * 3
    assert [aws.ledger(order_key(number))["state"] for number in (1, 2, 3)] == ["WITHDRAWN", "WITHDRAWN", "RESERVED"]
    assert (aws.order(order_key(1))["status"], aws.order(order_key(2))) == ("cancelled", {})


def test_a_release_gives_back_once_and_a_tombstone_stops_a_late_reserve(aws: ShopAws) -> None:
    aws.stock(tea=5)
    apply(aws, place(aws, 1, tea=2))
    releases = [release(1), release(2)]
    assert [*apply(aws, *releases), *apply(aws, *releases)] == [DONE] * 4
    assert apply(aws, place(aws, 2, tea=2)) == [DONE]
    assert aws.available("tea") == 5
    assert [aws.ledger(order_key(number))["state"] for number in (1, 2)] == ["RELEASED", "WITHDRAWN"]


def test_units_come_back_even_if_the_stock_item_has_gone(aws: ShopAws) -> None:
    aws.stock(tea=5)
    apply(aws, place(aws, 1, tea=2))
    aws.dynamodb.delete_item(TableName=INVENTORY, Key={"pk": {"S": "PRODUCT#tea"}, "sk": {"S": "STOCK"}})
    assert apply(aws, release(1)) == [DONE]
    assert aws.available("tea") == 2


@pytest.mark.parametrize("losses", [1, 2, 4, 5])
def test_answers_that_are_lost_take_no_stock_twice(aws: ShopAws, losses: int) -> None:
    # The emulator does not know tokens: here it is the ledger alone that stops the repetition.
    aws.stock(tea=5)
    client = Losing(aws.dynamodb, losses)
    assert apply(aws, place(aws, 1, tea=2), place(aws, 2, tea=1), client=client) == [DONE, DONE]
    assert aws.available("tea") == 2
    assert [aws.order(order_key(number))["version"] for number in (1, 2)] == [1, 1]


def test_an_order_of_as_many_products_as_possible_moves_both_ways(aws: ShopAws) -> None:
    lines = {f"p{number}": 1 for number in range(MAX_PRODUCTS)}
    aws.stock(**dict.fromkeys(lines, 1))
    apply(aws, place(aws, 1, **lines))
    assert aws.order(order_key(1))["status"] == "confirmed"
    apply(aws, release(1))
    assert aws.available("p97") == 1


def test_more_orders_than_a_transaction_holds(aws: ShopAws) -> None:
    aws.stock(tea=100)
    assert apply(aws, *[place(aws, number, tea=1) for number in range(110)]) == [DONE] * 110
    statuses = [aws.order(order_key(number))["status"] for number in range(110)]
    assert statuses == ["confirmed"] * 100 + ["rejected"] * 10
    assert apply(aws, *[release(number) for number in range(110)]) == [DONE] * 110
    assert aws.available("tea") == 100


def test_stock_without_a_number_is_no_stock(aws: ShopAws) -> None:
    aws.put(INVENTORY, {"pk": "PRODUCT#tea", "sk": "STOCK"})
    assert apply(aws, place(aws, 1, tea=1)) == [DONE]
    assert aws.order(order_key(1))["statusReason"] == "Not enough in stock: tea (1 ordered, 0 available)."
