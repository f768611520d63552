"""Reserves being settled: what is known about orders and stock, and what to do about it next. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shop.allocation import allocate
from shop.cases import Cases, InventoryCounts
from shop.effects import Reserve
from shop.ledger import Item, ItemKey, Stock, StockItemError
from shop.orders import OrderKey
from shop.packing import Transaction
from shop.steps import Step, Target, Verdict
from shop.transactions import Refusal
from tablestream.sink import Effect


class Reservations:
    """Decides reserves: at first all are taken to be possible, then the refusals tell."""

    def __init__(self, reserves: Iterable[Effect[Reserve]], stock: Stock, counts: InventoryCounts) -> None:
        """Take the reserves of one call, in stream order; `stock` reads stock items."""
        self.cases = Cases(reserves, counts)
        self._items = stock
        self._withdrawn: set[OrderKey] = set()
        self._stock: dict[str, int | None] = {}
        self._unread: set[str] = set()
        self._told: set[str] = set()

    def unread(self) -> list[ItemKey]:
        """Return the stock items that are doubted, or missing where a refusal should have shown them."""
        return [ItemKey.stock(product) for product in sorted(self._unread | self.cases.doubted)]

    def read(self, key: ItemKey, item: Item | None) -> None:
        """Learn a stock item; None when it does not exist."""
        product = key.product_id
        self._unread.discard(product)
        self._learn(product, item)

    def _learn(self, product: str, item: Item | None) -> None:
        try:
            self._stock[product] = self._items.available(ItemKey.stock(product), item)
        except StockItemError as error:
            self._stock.pop(product, None)
            wanting = [order for order, reserve in self.cases.open.items() if product in dict(reserve.value.lines)]
            self.cases.hold_up(product, wanting, error)
        else:
            self.cases.trust(product)

    def impossible(self, key: ItemKey, problem: str) -> None:  # noqa: ARG002 -- the customer is told that it is unknown
        """Learn that a product's id is none that DynamoDB can hold: so there is no such product.

        Where the item was only doubted, it is not what is wrong.
        """
        if key.product_id in self._unread:
            self.read(key, None)
        else:
            self.cases.trust(key.product_id)

    def plan(self) -> list[Step]:
        """Return the next step for each open order, in stream order."""
        self._told.clear()
        reserves = [reserve.value for order, reserve in self.cases.open.items() if order not in self._withdrawn]
        reasons = iter(allocate(reserves, self._stock))
        return [
            Step(Verdict.WITHDRAW, order, reserve.id) if order in self._withdrawn else _decision(reserve, next(reasons))
            for order, reserve in self.cases.open.items()
        ]

    def committed(self, transaction: Transaction) -> None:
        """Learn that steps have taken effect, and with them the stock they took."""
        self.cases.commit(transaction.steps)
        for step in transaction.steps:
            for product, quantity in step.moves:
                available = self._stock.get(product)
                if available is not None:
                    self._stock[product] = available - quantity

    def refused(self, refusals: Sequence[Refusal]) -> bool:
        """Learn why a transaction was refused; return whether that was news."""
        news = [self._refused(refusal.target, refusal.item) for refusal in refusals]
        return any(news)

    def _refused(self, target: Target, item: Item | None) -> bool:
        if target.product_id is not None:
            return self._short(target.product_id, item)
        if target.order is None or target.order not in self.cases.open:
            return False
        if target.is_ledger:
            # Decided by an earlier delivery, or withdrawn by a release that came first.
            self.cases.close(target.order)
            return True
        news = target.order not in self._withdrawn
        self._withdrawn.add(target.order)
        return news

    def _short(self, product: str, item: Item | None) -> bool:
        news = product not in self._stock and product not in self._unread
        self._told.add(product)
        if item is None:
            self._unread.add(product)
        else:
            self._learn(product, item)
        return news

    def waited(self) -> None:
        """Forget the stock that was not told just before the wait: others may have taken some or brought some."""
        self._stock = {product: units for product, units in self._stock.items() if product in self._told}


def _decision(reserve: Effect[Reserve], reason: str | None) -> Step:
    verdict = Verdict.CONFIRM if reason is None else Verdict.REJECT
    wanted = reserve.value
    return Step(verdict, wanted.order, reserve.id, wanted.lines, reason, wanted.order_bytes)
