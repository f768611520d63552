"""Who gets what there is, and what those are told who do not."""

from __future__ import annotations

import pytest

from shop.orders import OrderKey, OrderLine
from shop.stock import Reserve
from shop.stock.sink import allocate


def wanting(**lines: int) -> Reserve:
    return Reserve(OrderKey("USER", "ORDER"), tuple(OrderLine(*line) for line in lines.items()))


def test_stock_goes_to_the_earlier_orders_and_what_was_known_stays_as_it_was() -> None:
    stock = {"tea": 5}
    reasons = allocate([wanting(tea=3), wanting(tea=3), wanting(tea=2), wanting(tea=1)], stock)
    assert [reason is None for reason in reasons] == [True, False, True, False]
    assert stock == {"tea": 5}


def test_an_order_that_cannot_have_all_takes_nothing() -> None:
    reasons = allocate([wanting(tea=1, cup=2), wanting(tea=1)], {"tea": 1, "cup": 1})
    assert [reason is None for reason in reasons] == [False, True]


def test_stock_that_is_not_known_is_taken_to_suffice() -> None:
    assert allocate([wanting(tea=1_000_000)], {"cup": 0}) == [None]


@pytest.mark.parametrize(
    ("order", "told"),
    [
        (wanting(tea=3), "Not enough in stock: tea (3 ordered, 2 available)."),
        (wanting(gold=1), "Unknown product: gold."),
        (wanting(tea=3, gold=1), "Not enough in stock: tea (3 ordered, 2 available). Unknown product: gold."),
        (wanting(**{"x" * 100: 1}), f"Unknown product: {'x' * 60}…."),
        (
            wanting(**{f"p{number}": 1 for number in range(7)}),
            "Unknown product: p0, p1, p2, p3, p4 and 2 more.",
        ),
    ],
)
def test_the_reason_is_one_that_a_customer_can_read(order: Reserve, told: str) -> None:
    stock = {"tea": 2} | {line.product_id: None for line in order.lines if line.product_id != "tea"}
    assert allocate([order], stock) == [told]
