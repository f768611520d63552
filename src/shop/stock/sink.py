"""`InventorySink`: reserves and releases carried out, each exactly once, in as few transactions as possible.

What is undecided, `Releases` and `Reservations`, is pure: it is told what was read and what became of a transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from shop.keys import ledger_key, product_of, stock_key
from shop.orders import OrderLine
from shop.stock.counts import DecisionKind, InventoryCounts
from shop.stock.decisions import LEDGER_ACTION, Decider, Release, Reserve, Tables
from shop.stock.ledger import LedgerEntry, LedgerState, StockItemError, available, name_of
from tablestream.aws import TABLE, Aws
from tablestream.dynamodb.items import Item, Key
from tablestream.dynamodb.once import OpenDecisions, settle
from tablestream.dynamodb.transactions import Decision, OwnAction, Refusal
from tablestream.run import Run
from tablestream.sink import Answer, Effect, Permanent

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = logging.getLogger("tablestream.shop")

E = TypeVar("E", Reserve, Release)


def _ignore(_counts: InventoryCounts) -> None:
    """Count nothing."""


class InventorySink:
    """Moves stock for orders, together with their status and the ledger; see `tablestream.dynamodb.once`."""

    name = "inventory"
    takes = (Reserve, Release)
    idempotent = True

    def __init__(
        self,
        client: DynamoDBClient | None = None,
        tables: Tables | None = None,
        *,
        observe: Callable[[InventoryCounts], None] = _ignore,
    ) -> None:
        """Take what gets the counts of each call; client and tables come from `connect`, or are given."""
        self._client = client
        self._tables = tables
        self._observe = observe

    def connect(self, aws: Aws) -> InventorySink:
        """Return the sink with its client and the tables `TABLE_NAME` and `INVENTORY_TABLE`."""
        wanted = "a table's name"
        tables = Tables(aws.named("TABLE_NAME", TABLE, wanted), aws.named("INVENTORY_TABLE", TABLE, wanted))
        aws.distinct("TABLE_NAME", "INVENTORY_TABLE", "JOURNAL_TABLE")
        return InventorySink(aws.dynamodb, tables, observe=self._observe)

    def apply(self, effects: Sequence[Effect[Reserve | Release]], run: Run) -> Sequence[Answer]:
        """Carry out releases, then reserves, so that what comes back can be given out; answer for each effect."""
        if self._client is None or self._tables is None:
            raise RuntimeError("the inventory is not connected: worker.handler() does that")
        counts = InventoryCounts()
        releases, reserves = _of(Release, effects), _of(Reserve, effects)
        released = _settled(self._client, Releases(releases, self._tables, counts), run, counts) if releases else {}
        reserved = _settled(self._client, Reservations(reserves, self._tables, counts), run, counts) if reserves else {}
        self._observe(counts)
        return [(released if isinstance(effect.value, Release) else reserved)[effect.value.order] for effect in effects]


def _settled(
    client: DynamoDBClient, undecided: Releases | Reservations, run: Run, counts: InventoryCounts
) -> Mapping[Hashable, Answer]:
    """Decide what can be decided; return the answers by order."""
    settle(client, undecided, run)
    decisions = undecided.decisions
    counts.conflicts += decisions.conflicts
    for key, error in decisions.broken.items():
        item = {"table": key.table, "item_key": name_of(key), "error_class": type(error).__name__}
        logger.error("stock item cannot be read", extra=item)
    return decisions.answers()


def _of(kind: type[E], effects: Sequence[Effect[Any]]) -> list[Effect[E]]:
    return [effect for effect in effects if isinstance(effect.value, kind)]


# --- releases --------------------------------------------------------------------------------------------------------


class Releases:
    """Decides releases by the ledger: reserved lines go back, an order without a ledger item gets a tombstone."""

    def __init__(self, releases: Iterable[Effect[Release]], tables: Tables, counts: InventoryCounts) -> None:
        """Take the releases of one call, in stream order."""
        self.decisions = OpenDecisions([(release.value.order, release) for release in releases])
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


# --- reserves --------------------------------------------------------------------------------------------------------


class Reservations:
    """Decides reserves: at first all are taken to be possible, then the refusals tell."""

    def __init__(self, reserves: Iterable[Effect[Reserve]], tables: Tables, counts: InventoryCounts) -> None:
        """Take the reserves of one call, in stream order."""
        self.decisions = OpenDecisions([(reserve.value.order, reserve) for reserve in reserves])
        self._tables = tables
        self._counts = counts
        self._withdrawn: set[Hashable] = set()
        self._stock: dict[str, int | None] = {}
        self._unread: set[str] = set()
        self._told: set[str] = set()
        self._kinds: dict[Hashable, DecisionKind] = {}

    def unread(self) -> list[Key]:
        """Return the stock items that are doubted, or missing where a refusal should have shown them."""
        missing = {stock_key(self._tables.inventory, product) for product in self._unread}
        return sorted(missing | self.decisions.doubted)

    def read(self, key: Key, item: Item | None) -> None:
        """Learn a stock item; None when it does not exist."""
        self._unread.discard(product_of(key))
        self._learn(key, item)

    def _learn(self, key: Key, item: Item | None) -> None:
        product = product_of(key)
        try:
            self._stock[product] = available(key, item)
        except StockItemError as error:
            self._stock.pop(product, None)
            wanting = [order for order, reserve in self.decisions.open.items() if product in dict(reserve.value.lines)]
            self.decisions.hold_up(key, wanting, error)
        else:
            self.decisions.trust(key)

    def impossible(self, key: Key, problem: str) -> None:  # the customer is told that it is unknown
        """Learn that a product's id is none that DynamoDB can hold: so there is no such product.

        Where the item was only doubted, it is not what is wrong.
        """
        if product_of(key) in self._unread:
            self.read(key, None)
        else:
            self.decisions.trust(key)

    def plan(self, now: float) -> list[Decision]:
        """Return the next decision for each open order, in stream order."""
        self._told.clear()
        decider = Decider(self._tables, now)
        reserves = [reserve.value for order, reserve in self.decisions.open.items() if order not in self._withdrawn]
        reasons = iter(allocate(reserves, self._stock))
        return [
            self._withdraw(decider, reserve)
            if order in self._withdrawn
            else self._decide(decider, reserve, next(reasons))
            for order, reserve in self.decisions.open.items()
        ]

    def _withdraw(self, decider: Decider, reserve: Effect[Reserve]) -> Decision:
        self._kinds[reserve.value.order] = DecisionKind.WITHDRAW
        return decider.withdraw(reserve.value.order, reserve.id)

    def _decide(self, decider: Decider, reserve: Effect[Reserve], reason: str | None) -> Decision:
        if reason is None:
            self._kinds[reserve.value.order] = DecisionKind.CONFIRM
            return decider.confirm(reserve.value, reserve.id)
        self._kinds[reserve.value.order] = DecisionKind.REJECT
        return decider.reject(reserve.value, reserve.id, reason)

    def committed(self, decisions: Sequence[Decision]) -> None:
        """Learn that decisions have taken effect, and with them the stock they took."""
        for decision in decisions:
            self._counts.count(self._kinds[decision.subject], decision)
            self.decisions.close(decision.subject)
            for move in decision.moves if self._stock else ():
                product = product_of(move.key)
                known = self._stock.get(product)
                if known is not None:
                    self._stock[product] = known + int(move.amount)

    def refused(self, refusals: Sequence[Refusal]) -> bool:
        """Learn why a transaction was refused; return whether that was news."""
        news = [self._refused(refusal) for refusal in refusals]
        return any(news)

    def _refused(self, refusal: Refusal) -> bool:
        target = refusal.target
        if not isinstance(target, OwnAction):
            return self._short(target, refusal.item)
        if target.subject not in self.decisions.open:
            return False
        if target.place == LEDGER_ACTION:
            # Decided by an earlier delivery, or withdrawn by a release that came first.
            self.decisions.close(target.subject)
            return True
        news = target.subject not in self._withdrawn
        self._withdrawn.add(target.subject)
        return news

    def _short(self, key: Key, item: Item | None) -> bool:
        product = product_of(key)
        news = product not in self._stock and product not in self._unread
        self._told.add(product)
        if item is None:
            self._unread.add(product)
        else:
            self._learn(key, item)
        return news

    def waited(self) -> None:
        """Forget the stock that was not told just before the wait: others may have taken some or brought some."""
        self._stock = {product: units for product, units in self._stock.items() if product in self._told}


# --- allocation ------------------------------------------------------------------------------------------------------

Stock = Mapping[str, int | None]
"""Units available by product, as far as known; None for a product that does not exist."""

_PRODUCTS_NAMED = 5
_ID_SHOWN = 60


def allocate(reserves: Iterable[Reserve], stock: Stock) -> list[str | None]:
    """Return, for each order in stream order, None when it can have all its lines, else why not.

    An order gets all its lines or nothing, and then takes nothing from those after it. Products whose stock is not
    known are taken to suffice: whether they do is the transaction's condition to say.
    """
    left = dict(stock)
    return [_take(reserve.lines, left) for reserve in reserves]


def _take(lines: Sequence[OrderLine], left: dict[str, int | None]) -> str | None:
    if not left:
        return None
    short = [line for line in lines if line.product_id in left and (left[line.product_id] or 0) < line.quantity]
    if short:
        return _reason(short, left)
    for product, quantity in lines:
        available = left.get(product)
        if available is not None:
            left[product] = available - quantity
    return None


def _reason(short: Sequence[OrderLine], left: Stock) -> str:
    """Say in a sentence or two, for the customer, which lines cannot be had; long orders and long ids are shortened."""
    missing = [line for line in short if left[line.product_id] is not None]
    unknown = [line for line in short if left[line.product_id] is None]
    sentences = []
    if missing:
        named = [
            f"{_shown(line.product_id)} ({line.quantity} ordered, {left[line.product_id]} available)"
            for line in missing
        ]
        sentences.append(f"Not enough in stock: {_listed(named)}.")
    if unknown:
        sentences.append(f"Unknown product: {_listed([_shown(line.product_id) for line in unknown])}.")
    return " ".join(sentences)


def _listed(named: Sequence[str]) -> str:
    more = len(named) - _PRODUCTS_NAMED
    return ", ".join(named[:_PRODUCTS_NAMED]) + (f" and {more} more" if more > 0 else "")


def _shown(product_id: str) -> str:
    return product_id if len(product_id) <= _ID_SHOWN else f"{product_id[:_ID_SHOWN]}…"
