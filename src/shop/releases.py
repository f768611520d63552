"""Releases being settled: what the ledger holds is given back, and nothing else. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shop.cases import Cases, InventoryCounts
from shop.effects import Release
from shop.ledger import Item, ItemKey, LedgerEntry, LedgerState, Stock, StockItemError
from shop.orders import OrderKey
from shop.packing import Transaction
from shop.steps import Step, Verdict
from shop.transactions import Refusal
from tablestream.sink import Effect, Permanent


class Releases:
    """Decides releases by the ledger: reserved lines go back, an order without a ledger item gets a tombstone."""

    def __init__(self, releases: Iterable[Effect[Release]], stock: Stock, counts: InventoryCounts) -> None:
        """Take the releases of one call, in stream order; `stock` reads stock items."""
        self.cases = Cases(releases, counts)
        self._items = stock
        self._ledger: dict[OrderKey, LedgerEntry | None] = {}
        self._order_of = {ItemKey.ledger(order): order for order in self.cases.open}

    def unread(self) -> list[ItemKey]:
        """Return the ledger items that are not known, and the stock items that are doubted."""
        ledger = [ItemKey.ledger(order) for order in self.cases.open if order not in self._ledger]
        return ledger + [ItemKey.stock(product) for product in sorted(self.cases.doubted)]

    def read(self, key: ItemKey, item: Item | None) -> None:
        """Learn an item, None when it does not exist; an order for which nothing is held is done."""
        if key in self._order_of:
            self._read_ledger(self._order_of[key], item)
        else:
            self._read_stock(key, item)

    def _read_stock(self, key: ItemKey, item: Item | None) -> None:
        try:
            self._items.available(key, item)
        except StockItemError as error:
            entries = {order: self._ledger.get(order) for order in self.cases.open}
            holding = [order for order, entry in entries.items() if entry and key.product_id in dict(entry.lines)]
            self.cases.hold_up(key.product_id, holding, error)
        else:
            self.cases.trust(key.product_id)

    def _read_ledger(self, order: OrderKey, item: Item | None) -> None:
        try:
            entry = None if item is None else LedgerEntry.from_item(item)
        except ValueError as error:
            self.cases.close(order, Permanent(str(error)))
            return
        self._ledger[order] = entry
        if entry is not None and entry.state is not LedgerState.RESERVED:
            self.cases.close(order)

    def impossible(self, key: ItemKey, problem: str) -> None:
        """Learn that an item can never be read: its key is an order's, or the stock item is not what is wrong."""
        if key in self._order_of:
            self.cases.close(self._order_of[key], Permanent(f"DynamoDB does not take the key of this order: {problem}"))
        else:
            self.cases.trust(key.product_id)

    def plan(self) -> list[Step]:
        """Return the next step for each open order whose ledger item is known, in stream order."""
        known = [release for order, release in self.cases.open.items() if order in self._ledger]
        return [_step(release, self._ledger[release.value.order]) for release in known]

    def committed(self, transaction: Transaction) -> None:
        """Learn that steps have taken effect."""
        self.cases.commit(transaction.steps)

    def refused(self, refusals: Sequence[Refusal]) -> bool:
        """Learn that ledger items are not what was read; return whether the refusals show what they are instead.

        A ledger item only ever moves forward, so this is news at most twice for an order.
        """
        news = [self._refused(refusal) for refusal in refusals]
        return any(news)

    def _refused(self, refusal: Refusal) -> bool:
        order = refusal.target.order
        if order is None or order not in self.cases.open:
            return False
        known = self._ledger.pop(order, None)
        if refusal.item is None:
            return False
        self.read(ItemKey.ledger(order), refusal.item)
        return order not in self.cases.open or self._ledger[order] != known

    def waited(self) -> None:
        """Keep what is known: only the worker writes the ledger, and the conditions watch it."""


def _step(release: Effect[Release], entry: LedgerEntry | None) -> Step:
    if entry is None:
        return Step(Verdict.WITHDRAW, release.value.order, release.id)
    return Step(Verdict.RELEASE, release.value.order, release.id, entry.lines)
