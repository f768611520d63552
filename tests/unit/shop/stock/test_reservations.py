"""What the undecided reserves learns, and what it makes of it."""

from __future__ import annotations

from shop.keys import stock_key
from shop.orders import OrderKey, OrderLine
from shop.stock import Reserve
from shop.stock.counts import InventoryCounts
from shop.stock.decisions import Tables, iso_time
from shop.stock.ledger import LedgerState
from shop.stock.sink import Reservations
from tablestream.dynamodb.items import Item
from tablestream.dynamodb.transactions import Refusal
from tablestream.sink import Effect

TEA = stock_key("inventory", "tea")
NOW = 1_763_640_000.0625


def wanting(number: int, units: int) -> Effect[Reserve]:
    return Effect(Reserve(OrderKey("USER", f"ORDER#{number}"), (OrderLine("tea", units),)), f"effect-{number}")


def stock(available: int) -> Item:
    return {"pk": {"S": "PRODUCT#tea"}, "sk": {"S": "STOCK"}, "available": {"N": str(available)}}


def states(reservations: Reservations) -> list[str]:
    return [decision.actions[0]["Put"]["Item"]["state"]["S"] for decision in reservations.plan(NOW)]


def test_what_has_been_taken_is_no_longer_there() -> None:
    reservations = Reservations([wanting(1, 3), wanting(2, 3)], Tables("orders", "inventory"), InventoryCounts())
    reservations.refused([Refusal(TEA, stock(5))])
    first, _ = reservations.plan(NOW)
    reservations.committed([first])
    assert states(reservations) == [LedgerState.REJECTED]


def test_the_same_stock_is_news_once_until_it_has_been_forgotten() -> None:
    reservations = Reservations([wanting(1, 1)], Tables("orders", "inventory"), InventoryCounts())
    told = [Refusal(TEA, stock(5))]
    assert [reservations.refused(told), reservations.refused(told)] == [True, False]
    reservations.plan(NOW)
    reservations.waited()
    assert reservations.refused(told)


def test_a_product_that_was_not_shown_is_news_once_and_read() -> None:
    reservations = Reservations([wanting(1, 1)], Tables("orders", "inventory"), InventoryCounts())
    told = [Refusal(TEA, None)]
    assert [reservations.refused(told), reservations.refused(told)] == [True, False]
    assert reservations.unread() == [TEA]


def test_stock_told_just_before_a_wait_is_still_believed_after_it() -> None:
    reservations = Reservations([wanting(1, 9)], Tables("orders", "inventory"), InventoryCounts())
    reservations.plan(NOW)
    reservations.refused([Refusal(TEA, stock(5))])
    reservations.waited()
    assert states(reservations) == [LedgerState.REJECTED]


def test_times_are_utc_to_the_millisecond() -> None:
    assert iso_time(NOW) == "2025-11-20T12:00:00.062Z"
