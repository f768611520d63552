"""Packed by the sizes that the stream says, a transaction holds as many bytes as DynamoDB allows, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop.keys import MAX_PRODUCT_ID_BYTES
from shop.orders import OrderKey, OrderLine
from shop.stock import Reserve
from shop.stock.decisions import Decider, Tables
from tablestream.dynamodb.items import item_bytes
from tablestream.dynamodb.transactions import MAX_ACTIONS, Decision, Transaction, build, pack
from tablestream.testing import image, inserted
from tests.support.orders import line, nth_order

TRANSACTION_BYTES = 4 * 1024 * 1024
"""The limit of TransactWriteItems on all items together; DynamoDB Local 1.25.1 takes this many and refuses one more."""
LARGEST_ORDER = 400 * 1024 - 50
"""Room is left for what the worker adds to an order."""
TABLES = Tables("orders", "inventory")
NOW = 1_763_640_000.0


def order(number: int, letter: str, size: int, products: list[str]) -> dict[str, Any]:
    """Return an order whose text fills its item to some bytes."""
    bare = nth_order(number, items=[line(product) for product in products], note="")
    return bare | {"note": letter * ((size - item_bytes(image(bare))) // len(letter.encode()))}


def decision(made: dict[str, Any]) -> Decision:
    """Return the decision for an order, with the size that its stream record says."""
    lines = tuple(OrderLine(line["productId"], line["quantity"]) for line in made["items"])
    size = inserted(made)["dynamodb"]["SizeBytes"]
    return Decider(TABLES, NOW).confirm(Reserve(OrderKey(made["pk"], made["sk"]), lines, size), "0" * 32)


def items(transaction: Transaction, orders: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Return the items of a transaction as they are once it is carried out."""
    for action in build(transaction.decisions)[0]:
        if "Put" in action:
            yield action["Put"]["Item"]
        elif action["Update"]["TableName"] == "orders":
            decided = orders[action["Update"]["Key"]["sk"]["S"]]
            yield image(decided | {"status": "confirmed", "updatedAt": "2025-11-20T12:00:00.000Z", "version": 10**9})
        else:
            yield action["Update"]["Key"] | image({"available": 10**9, "updatedAt": "2025-11-20T12:00:00.000Z"})


@pytest.mark.parametrize("letter", ["x", "é", "\N{GRINNING FACE}"])
@pytest.mark.parametrize(("size", "fit"), [(LARGEST_ORDER, 9), (100 * 1024, 38), (50 * 1024, 49), (1024, 49)])
def test_orders_of_one_size_fill_a_transaction(letter: str, size: int, fit: int) -> None:
    orders = {f"ORDER#{number}": order(number, letter, size, ["tea"]) for number in range(60)}
    (chain,) = pack([decision(made) for made in orders.values()])
    assert len(chain[0].decisions) == fit
    filled = sum(map(item_bytes, items(chain[0], orders)))
    assert filled <= TRANSACTION_BYTES
    assert filled + size > 0.9 * TRANSACTION_BYTES or 2 * (fit + 1) + 1 > MAX_ACTIONS


@given(st.lists(st.tuples(st.integers(500, LARGEST_ORDER), st.sampled_from("xé"), st.integers(1, 12)), max_size=60))
def test_no_transaction_is_larger_than_dynamodb_takes(wanted: list[tuple[int, str, int]]) -> None:
    products = [f"{number:02}".ljust(MAX_PRODUCT_ID_BYTES, "p") for number in range(12)]
    orders = {
        f"ORDER#{number}": order(number, letter, max(size, count * 2200 + 500), products[:count])
        for number, (size, letter, count) in enumerate(wanted)
    }
    for chain in pack([decision(made) for made in orders.values()]):
        for transaction in chain:
            assert sum(map(item_bytes, items(transaction, orders))) <= TRANSACTION_BYTES
