"""A day of the shop in a few seconds: what `make run` plays, and what must have come of it."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tablestream.local.cloud.faults import Fault
from tablestream.local.delivery.protocol import Advanced, Split
from tablestream.local.orders import PRODUCTS, Order, Shop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tablestream.local.application import Running
    from tablestream.local.cloud.faults import Faults
    from tablestream.local.watch import Watch

SETTLE_SECONDS = 30  # for a machine under load; a few hundred milliseconds are usual
OUTAGE_SECONDS = 30

ORDERS = {
    order.order_id: order
    for order in (
        Order("plain", [("tea", 2), ("cup", 1)]),
        Order("second", [("pot", 1)], customer="bob"),
        Order("short", [("cup", 9)], customer="bob"),
        Order("unknown", [("hat", 1)], customer="cy"),
        Order("twice", [("tea", 1), ("tea", 3)], customer="cy"),
        Order("cancelled", [("tea", 1)], customer="dora"),
        Order("shipped-cancelled", [("tea", 1)], customer="dora"),
        Order("removed", [("pot", 1)], customer="eve"),
        Order("expired", [("cup", 1)], customer="eve", ttl=int(time.time())),
        Order("shipped-removed", [("tea", 1)], customer="fay"),
        Order("before-poison", [("tea", 1)], customer="gus"),
        Order("poison", [("tea", -1)], customer="gus"),
        Order("after-poison", [("tea", 1)], customer="gus"),
        Order("withdrawn", [("cup", 1)], customer="hal"),
        Order("patient", [("cup", 1)], customer="hal"),
    )
}
FIRST = tuple(ORDERS)[:10]


@dataclass(frozen=True, slots=True)
class Expected:
    """An order's last status (None: removed), its ledger item's state (None: none), its notifications in order."""

    status: str | None
    ledger: str | None
    notified: tuple[str, ...]


_OK = ("received", "confirmed")
EXPECTED: Mapping[str, Expected] = {
    "plain": Expected("shipped", "RESERVED", (*_OK, "shipped")),
    "second": Expected("shipped", "RESERVED", (*_OK, "shipped")),
    "short": Expected("rejected", "REJECTED", ("received", "rejected")),
    "unknown": Expected("rejected", "REJECTED", ("received", "rejected")),
    "twice": Expected("confirmed", "RESERVED", _OK),
    "cancelled": Expected("cancelled", "RELEASED", (*_OK, "cancelled")),
    "shipped-cancelled": Expected("cancelled", "RELEASED", (*_OK, "shipped", "cancelled")),
    "removed": Expected(None, "RELEASED", (*_OK, "removed")),
    "expired": Expected(None, "RELEASED", (*_OK, "expired")),
    "shipped-removed": Expected(None, "RESERVED", (*_OK, "shipped")),
    "before-poison": Expected("confirmed", "RESERVED", _OK),
    "poison": Expected("pending", None, ()),
    "after-poison": Expected("confirmed", "RESERVED", _OK),
    "withdrawn": Expected("cancelled", "WITHDRAWN", ("received", "cancelled")),
    "patient": Expected("confirmed", "RESERVED", _OK),
}
STOCK_AFTER: Mapping[str, int] = {"cup": 3, "pot": 1, "tea": 11}


class ScenarioError(Exception):
    """The scenario could not be played to its end; the message says where it stuck."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Plays the day. `say` gets a line for each act; `journalled` counts the entries of the worker's journal."""

    shop: Shop
    running: Running
    faults: Faults
    watch: Watch
    inventory_table: str
    journalled: Callable[[], int]
    say: Callable[[str], None]

    def play(self) -> None:
        """Play all acts, each delivered to its end before the next. Raises ScenarioError."""
        self.shop.stock(PRODUCTS)
        for act in (self._open, self._change, self._poison, self._outage):
            self.say(f"\n{(act.__doc__ or '').strip()}")
            act()
            if not self.running.settle(SETTLE_SECONDS):
                raise ScenarioError(f"not delivered within {SETTLE_SECONDS} s: {act.__doc__}")

    def _open(self) -> None:
        """Ten orders, placed together: short of stock, of an unknown product, with one product on two lines."""
        self._place(*FIRST)

    def _change(self) -> None:
        """Some are shipped, cancelled before and after, removed by hand and by Time to Live."""
        with self.running.held():
            self._set("shipped", "shipped-cancelled", "shipped-removed")
            self._set("cancelled", "cancelled", "shipped-cancelled")
            for order in (ORDERS["removed"], ORDERS["shipped-removed"]):
                self.shop.remove(order.key)
            # The embedded DynamoDB removes nothing by TTL: remove it, and let the record say who did.
            self.running.corrections.mark_expired(ORDERS["expired"].key)
            self.shop.remove(ORDERS["expired"].key)

    def _poison(self) -> None:
        """A record that no retry can cure, between two good ones."""
        self._place("before-poison", "poison", "after-poison")

    def _outage(self) -> None:
        """The inventory is contended, then throttled, while other changes, and changes of these orders, come in."""
        with ExitStack() as outage:
            for error, times in (("TransactionConflict", 2), ("ThrottlingException", 2)):
                self.faults.inject(Fault("TransactWriteItems", error, self.inventory_table), times)
            last = Fault("TransactWriteItems", "ProvisionedThroughputExceededException", self.inventory_table)
            outage.enter_context(self.faults.during(last))
            with self.running.held():
                self._set("shipped", "plain")
                self._place("withdrawn", "patient", held=False)
                self._set("shipped", "second")
                self._set("cancelled", "withdrawn")
            if not self.watch.wait_for(self._was_felt, OUTAGE_SECONDS):
                raise ScenarioError("the outage led to no partial answer, no halved batch or no entry in the journal")

    def _place(self, *names: str, held: bool = True) -> None:
        with self.running.held() if held else ExitStack():
            for name in names:
                self.shop.place(ORDERS[name])

    def _set(self, status: str, *names: str) -> None:
        for name in names:
            self.shop.set_status(ORDERS[name].key, status)

    def _was_felt(self, watch: Watch) -> bool:
        """All that the audit asks for: a partial answer, a batch without progress, and effects to remember."""
        return watch.count(Advanced) > 0 and watch.count(Split) > 0 and self.journalled() > 0
