"""Steps packed into as few transactions as DynamoDB's limits and the order of the stream allow. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from shop.orders import OrderKey
from shop.steps import Step

MAX_ACTIONS = 100
"""Actions of a transaction (DynamoDB's TransactWriteItems)."""
MAX_BYTES = 4_000_000
"""Items of a transaction together: DynamoDB's limit is 4 MB, the rest is slack for what is only estimated here."""

_BYTES_OF_STOCK = 1024
_BYTES_AROUND = 512
"""Attribute names, times, effect id and state of the ledger and the order."""


class Transaction(NamedTuple):
    """Steps that are carried out together or not at all, in stream order."""

    steps: tuple[Step, ...]


Chain = tuple[Transaction, ...]
"""Transactions to be carried out one after the other, up to the first that fails."""


def pack(steps: Sequence[Step], alone: AbstractSet[OrderKey] = frozenset()) -> list[Chain]:
    """Pack steps, given in stream order, into chains that share no product and so can run side by side.

    Within a chain steps keep their order, so that an order never overtakes an earlier one for stock. Chains that are
    short enough are put together in one transaction. The orders in `alone` get transactions of their own.
    """
    long: list[Chain] = []
    short: list[_Load] = []
    for group in _sharing_products(steps):
        loads = _fill(group, alone)
        if len(loads) > 1 or loads[0].steps[0].order in alone:
            long.append(tuple([load.close() for load in loads]))
        else:
            short.append(loads[0])
    return [*long, *[(load.close(),) for load in _together(short)]]


def _sharing_products(steps: Sequence[Step]) -> Iterable[list[Step]]:
    """Group the steps that share products, directly or through others (union-find)."""
    leader = list(range(len(steps)))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = index = leader[leader[index]]
        return index

    first_with: dict[str, int] = {}
    for index, step in enumerate(steps):
        for product, _ in step.lines:
            other = find(first_with.setdefault(product, index))
            mine = find(index)
            leader[max(mine, other)] = min(mine, other)
    groups: dict[int, list[Step]] = {}
    for index, step in enumerate(steps):
        groups.setdefault(find(index), []).append(step)
    return groups.values()


class _Load:
    """A transaction being filled."""

    __slots__ = ("actions", "products", "size", "steps")

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.products: set[str] = set()
        self.actions = 0
        self.size = 0

    def add(self, steps: Sequence[Step], actions: int, products: AbstractSet[str], size: int) -> bool:
        """Add steps if there is room, or if the load is empty: a single step always fits a transaction."""
        new = len(products - self.products)
        size += new * _BYTES_OF_STOCK
        if self.steps and (self.actions + actions + new > MAX_ACTIONS or self.size + size > MAX_BYTES):
            return False
        self.steps.extend(steps)
        self.products |= products
        self.actions += actions + new
        self.size += size
        return True

    def close(self) -> Transaction:
        return Transaction(tuple(self.steps))


def _fill(steps: Sequence[Step], alone: AbstractSet[OrderKey]) -> list[_Load]:
    """Fill transactions in order; the last one is closed when the next step does not fit, or wants to be alone."""
    loads: list[_Load] = []
    closed = True
    for step in steps:
        own = step.order in alone
        products = {product for product, _ in step.moves}
        if closed or own or not loads[-1].add((step,), step.own_actions, products, _size(step)):
            loads.append(_Load())
            loads[-1].add((step,), step.own_actions, products, _size(step))
        closed = own
    return loads


def _together(loads: Iterable[_Load]) -> list[_Load]:
    """Put loads that share no product together, in order, as long as they fit."""
    joined: list[_Load] = []
    for load in loads:
        own_actions = load.actions - len(load.products)
        own_size = load.size - len(load.products) * _BYTES_OF_STOCK
        if not joined or not joined[-1].add(load.steps, own_actions, load.products, own_size):
            joined.append(load)
    return joined


def _size(step: Step) -> int:
    """Estimate the bytes of the order and the ledger item, in the worst case of what text takes in UTF-8."""
    text = (
        sum([len(product) + 21 for product, _ in step.moves]) + len(step.reason or "") + 2 * sum(map(len, step.order))
    )
    return step.order_bytes + 4 * text + _BYTES_AROUND
