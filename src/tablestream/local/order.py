"""`python -m tablestream.local order`: place an order in a running `up`, or change one, and see what comes of it."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING

from tablestream.local.cli.session import running
from tablestream.local.cli.terminal import console, put
from tablestream.local.cloud.clients import Clients
from tablestream.local.letters import PARKED, Bucket, News
from tablestream.local.orders import Order, Shop
from tablestream.local.trigger.destinations import Inbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    from tablestream.local.orders import Item

PATIENCE_SECONDS = 20.0
LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line says: a new order of `lines` (as `poison` if so), or an order to cancel, ship or remove."""

    lines: Sequence[tuple[str, int]] = (("tea", 1),)
    customer: str = "ada"
    poison: bool = False
    cancel: str | None = None
    ship: str | None = None
    remove: str | None = None


def order(wish: Wish) -> int:
    """Carry the wish out and print what happens. Returns 1 if it did not come to its end. Raises NotRunningError."""
    state = running()
    clients = Clients(state.endpoint, state.dynamodb_endpoint)
    shop = Shop(clients.get("dynamodb"), state.outputs)
    bucket = Bucket(clients.get("s3"), state.outputs["FailuresBucketName"], PARKED)
    with Inbox(clients.get, state.outputs["TopicArn"]) as inbox:
        follow = Follow(shop, inbox, bucket, News(bucket), partial(put, console(), indent=2, hang=2))
        if changed := wish.cancel or wish.ship or wish.remove:
            return _change(changed, wish, shop, follow)
        return _place(wish, shop, follow)


def _place(wish: Wish, shop: Shop, follow: Follow) -> int:
    lines = [("tea", -1)] if wish.poison else wish.lines
    placed = Order(uuid.uuid4().hex[:8], lines, wish.customer)
    shop.place(placed)
    told = ", which no handler can take" if wish.poison else ""
    print(f"placed {placed.order_id}{told}: {', '.join(f'{quantity} x {product}' for product, quantity in lines)}")
    if wish.poison:
        return 0 if follow(placed.order_id, placed.key, set()) is End.SET_ASIDE else 1
    ending = {"order.confirmed", "order.rejected", "order.cancelled"}
    return 0 if follow(placed.order_id, placed.key, ending) is End.ANNOUNCED else 1


def _change(order_id: str, wish: Wish, shop: Shop, follow: Follow) -> int:
    key = shop.find(order_id)
    if key is None:
        print(f"there is no order {order_id}")
        return 1
    status = "removed" if wish.remove else "cancelled" if wish.cancel else "shipped"
    if (shop.order(key) or {}).get("status") == status:
        print(f"{order_id} is {status} already")
        return 1
    if wish.remove:
        shop.remove(key)
    else:
        shop.set_status(key, status)
    return 0 if follow(order_id, key, {f"order.{status}"}) is End.ANNOUNCED else 1


class End(Enum):
    """How the way of an order's change ended."""

    ANNOUNCED = auto()
    SET_ASIDE = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Follow:
    """Tells what comes of an order's change, from the inbox and the new dead letters."""

    shop: Shop
    inbox: Inbox
    bucket: Bucket
    news: News
    tell: Callable[[str], None]

    def __call__(self, order_id: str, key: Item, ending: AbstractSet[str]) -> End:
        """Wait for a message of one of the types `ending`, or for a dead letter of the order with this key."""
        until = time.monotonic() + PATIENCE_SECONDS
        while (end := self._look(order_id, key, ending)) is End.UNKNOWN and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
        ledger = self.shop.ledger_of(key)
        self.tell(f"ledger: {ledger['state'] if ledger else 'nothing'}; stock: {_stock(self.shop)}")
        if end is End.UNKNOWN:
            self.tell(f"nothing more came of it within {PATIENCE_SECONDS:.0f} s: see the other terminal")
        return end

    def _look(self, order_id: str, key: Item, ending: AbstractSet[str]) -> End:
        end = End.UNKNOWN
        for message in self.inbox.take():
            if message.get("orderId") == order_id:
                self.tell(f"{message['type']}{f': {reason}' if (reason := message.get('reason')) else ''}")
                end = End.ANNOUNCED if message["type"] in ending else end
        for letter in map(self.bucket.read, self.news.take()):
            if letter.body.get("record", {}).get("dynamodb", {}).get("Keys") == key:
                self.tell(f"dead letter: {letter.body.get('reason')}")
                self.tell(f"in {letter.key}")
                end = End.SET_ASIDE
        return end


def _stock(shop: Shop) -> str:
    return ", ".join(f"{product} {units}" for product, units in shop.available().items())
