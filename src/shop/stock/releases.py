"""Releases that are undecided: what the ledger holds is given back, and nothing else. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from shop.keys import ledger_key, product_of
from shop.stock import Release
from shop.stock.counts import DecisionKind, InventoryCounts
from shop.stock.decisions import Decider, Tables
from shop.stock.ledger import LedgerEntry, LedgerState, StockItemError, available
from tablestream.dynamodb.items import Item, Key
from tablestream.dynamodb.once import OpenDecisions
from tablestream.dynamodb.transactions import Decision, OwnAction, Refusal
from tablestream.sink import Effect, Permanent


class Releases:
    """Decides releases by the ledger: reserved lines go back, an order without a ledger item gets a tombstone."""

    def __init__(self, releases: Iterable[Effect[Release]], tables: Tables, counts: InventoryCounts) -> None:
        """Take the releases of one call, in stream order."""
        self.decisions = OpenDecisions((release.value.order, release) for release in releases)
        self._tables = tables
        self._counts = counts
        self._ledger: dict[Hashable, LedgerEntry | None] = {}
        self._key_of = {
            order: ledger_key(tables.inventory, release.value.order) for order, release in self.decisions.open.items()
        }
        self._order_of = {key: order for order, key in self._key_of.items()}

    def unread(self) -> list[Key]:
        """Return the ledger items that are not known, and the stock items that are doubted."""
        ledger = [self._key_of[order] for order in self.decisions.open if order not in self._ledger]
        return ledger + sorted(self.decisions.doubted)

    def read(self, key: Key, item: Item | None) -> None:
        """Learn an item, None when it does not exist; an order for which nothing is held is done."""
        if key in self._order_of:
            self._read_ledger(self._order_of[key], item)
        else:
            self._read_stock(key, item)

    def _read_stock(self, key: Key, item: Item | None) -> None:
        try:
            available(key, item)
        except StockItemError as error:
            entries = {order: self._ledger.get(order) for order in self.decisions.open}
            product = product_of(key)
            holding = [order for order, entry in entries.items() if entry and product in dict(entry.lines)]
            self.decisions.hold_up(key, holding, error)
        else:
            self.decisions.trust(key)

    def _read_ledger(self, order: Hashable, item: Item | None) -> None:
        try:
            entry = None if item is None else LedgerEntry.from_item(item)
        except ValueError as error:
            self.decisions.close(order, Permanent(str(error)))
            return
        self._ledger[order] = entry
        if entry is not None and entry.state is not LedgerState.RESERVED:
            self.decisions.close(order)

    def impossible(self, key: Key, problem: str) -> None:
        """Learn that an item can never be read: its key is an order's, or the stock item is not what is wrong."""
        if key in self._order_of:
            reason = f"DynamoDB does not take the key of this order: {problem}"
            self.decisions.close(self._order_of[key], Permanent(reason))
        else:
            self.decisions.trust(key)

    def plan(self, now: float) -> list[Decision]:
        """Return the next decision for each open order whose ledger item is known, in stream order."""
        decider = Decider(self._tables, now)
        known = [
            (release, self._ledger[order]) for order, release in self.decisions.open.items() if order in self._ledger
        ]
        return [_decision(decider, release, entry) for release, entry in known]

    def committed(self, decisions: Sequence[Decision]) -> None:
        """Learn that decisions have taken effect."""
        for decision in decisions:
            kind = DecisionKind.WITHDRAW if self._ledger[decision.subject] is None else DecisionKind.RELEASE
            self._counts.count(kind, decision)
            self.decisions.close(decision.subject)

    def refused(self, refusals: Sequence[Refusal]) -> bool:
        """Learn that ledger items are not what was read; return whether the refusals show what they are instead.

        A ledger item only ever moves forward, so this is news at most twice for an order.
        """
        news = [self._refused(refusal) for refusal in refusals]
        return any(news)

    def _refused(self, refusal: Refusal) -> bool:
        target = refusal.target
        if not isinstance(target, OwnAction) or target.subject not in self.decisions.open:
            return False
        known = self._ledger.pop(target.subject, None)
        if refusal.item is None:
            return False
        self._read_ledger(target.subject, refusal.item)
        return target.subject not in self.decisions.open or self._ledger[target.subject] != known

    def waited(self) -> None:
        """Keep what is known: only the worker writes the ledger, and the conditions watch it."""


def _decision(decider: Decider, release: Effect[Release], entry: LedgerEntry | None) -> Decision:
    if entry is None:
        return decider.withdraw(release.value.order, release.id)
    return decider.release(release.value.order, release.id, entry.lines)
