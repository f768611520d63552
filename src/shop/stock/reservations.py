"""Reserves that are undecided: what is known about orders and stock, and who gets what there is. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence

from shop.keys import product_of, stock_key
from shop.orders import OrderLine
from shop.stock import Reserve
from shop.stock.counts import DecisionKind, InventoryCounts
from shop.stock.decisions import LEDGER_ACTION, Decider, Tables
from shop.stock.ledger import StockItemError, available
from tablestream.dynamodb.items import Item, Key
from tablestream.dynamodb.once import OpenDecisions
from tablestream.dynamodb.transactions import Decision, OwnAction, Refusal
from tablestream.sink import Effect


class Reservations:
    """Decides reserves: at first all are taken to be possible, then the refusals tell."""

    def __init__(self, reserves: Iterable[Effect[Reserve]], tables: Tables, counts: InventoryCounts) -> None:
        """Take the reserves of one call, in stream order."""
        self.decisions = OpenDecisions((reserve.value.order, reserve) for reserve in reserves)
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
            for move in decision.moves:
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
