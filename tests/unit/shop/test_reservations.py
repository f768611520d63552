"""What the settlement of reserves learns, and what it makes of it."""

from __future__ import annotations

from shop.cases import InventoryCounts
from shop.effects import Reserve
from shop.ledger import Item, Stock
from shop.orders import OrderKey, OrderLine
from shop.packing import Transaction
from shop.reservations import Reservations
from shop.steps import Target, Verdict
from shop.transactions import Refusal
from tablestream.sink import Effect

TEA = Target(product_id="tea")


def wanting(number: int, units: int) -> Effect[Reserve]:
    return Effect(Reserve(OrderKey("USER", f"ORDER#{number}"), (OrderLine("tea", units),)), f"effect-{number}")


def stock(available: int) -> Item:
    return {"pk": {"S": "PRODUCT#tea"}, "sk": {"S": "STOCK"}, "available": {"N": str(available)}}


def verdicts(reservations: Reservations) -> list[Verdict]:
    return [step.verdict for step in reservations.plan()]


def test_what_has_been_taken_is_no_longer_there() -> None:
    reservations = Reservations([wanting(1, 3), wanting(2, 3)], Stock("inventory"), InventoryCounts())
    reservations.refused([Refusal(TEA, stock(5))])
    first, _ = reservations.plan()
    reservations.committed(Transaction((first,)))
    assert verdicts(reservations) == [Verdict.REJECT]


def test_the_same_stock_is_news_once_until_it_has_been_forgotten() -> None:
    reservations = Reservations([wanting(1, 1)], Stock("inventory"), InventoryCounts())
    told = [Refusal(TEA, stock(5))]
    assert [reservations.refused(told), reservations.refused(told)] == [True, False]
    reservations.plan()
    reservations.waited()
    assert reservations.refused(told)


def test_a_product_that_was_not_shown_is_news_once_and_read() -> None:
    reservations = Reservations([wanting(1, 1)], Stock("inventory"), InventoryCounts())
    told = [Refusal(TEA, None)]
    assert [reservations.refused(told), reservations.refused(told)] == [True, False]
    assert [key.pk for key in reservations.unread()] == ["PRODUCT#tea"]


def test_stock_told_just_before_a_wait_is_still_believed_after_it() -> None:
    reservations = Reservations([wanting(1, 9)], Stock("inventory"), InventoryCounts())
    reservations.plan()
    reservations.refused([Refusal(TEA, stock(5))])
    reservations.waited()
    assert verdicts(reservations) == [Verdict.REJECT]
