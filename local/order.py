"""`python -m local order`: place an order in a running `up`, or change one, and see what comes of it."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.clients import Clients
from local.inbox import Inbox
from local.letters import PARKED, letters
from local.orders import Order, Shop
from local.state import State, running

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local.orders import Item

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
    """Carry the wish out and print what happens. Returns 1 if nothing came of it. Raises NotRunningError."""
    state = running()
    clients = Clients(state.endpoint, state.dynamodb_endpoint)
    shop = Shop(clients.get("dynamodb"), state.outputs)
    with Inbox(clients, state.outputs["TopicArn"]) as inbox:
        if wish.poison:
            return _poison(wish, shop, clients, state)
        if changed := wish.cancel or wish.ship or wish.remove:
            return _change(changed, wish, shop, inbox)
        return _place(wish, shop, inbox)


def _place(wish: Wish, shop: Shop, inbox: Inbox) -> int:
    placed = Order(_new_id(), wish.lines, wish.customer)
    shop.place(placed)
    print(f"placed {placed.order_id}: {', '.join(f'{quantity} x {product}' for product, quantity in placed.lines)}")
    return _follow(placed.order_id, placed.key, shop, inbox, {"order.confirmed", "order.rejected", "order.cancelled"})


def _change(order_id: str, wish: Wish, shop: Shop, inbox: Inbox) -> int:
    key = shop.find(order_id)
    if key is None:
        print(f"there is no order {order_id}")
        return 1
    if wish.remove:
        shop.remove(key)
        return _follow(order_id, key, shop, inbox, {"order.removed"})
    status = "cancelled" if wish.cancel else "shipped"
    if (shop.order(key) or {}).get("status") == status:
        print(f"{order_id} is {status} already")
        return 1
    shop.set_status(key, status)
    return _follow(order_id, key, shop, inbox, {f"order.{status}"})


def _follow(order_id: str, key: Item, shop: Shop, inbox: Inbox, ending: set[str]) -> int:
    seen: set[str] = set()

    def look() -> bool:
        for message in inbox.take():
            if message["orderId"] == order_id:
                seen.add(message["type"])
                reason = f": {message['reason']}" if message.get("reason") else ""
                print(f"  {message['type']}{reason}")
        return bool(seen & ending)

    done = _wait(look)
    ledger = shop.ledger_of(key)
    print(f"  ledger: {ledger['state'] if ledger else 'nothing'}; stock: {_stock(shop)}")
    return _end(done=done)


def _poison(wish: Wish, shop: Shop, clients: Clients, state: State) -> int:
    s3, bucket = clients.get("s3"), state.outputs["FailuresBucketName"]
    before = {letter.key for letter in letters(s3, bucket, PARKED)}
    placed = Order(_new_id(), [("tea", -1)], wish.customer)
    shop.place(placed)
    print(f"placed {placed.order_id}, which no handler can take: -1 x tea")

    def look() -> bool:
        new = [letter for letter in letters(s3, bucket, PARKED) if letter.key not in before]
        for letter in new:
            print(f"  dead letter s3://{bucket}/{letter.key}: {letter.body.get('reason')}")
        return bool(new)

    return _end(done=_wait(look))


def _wait(look: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE_SECONDS
    while not look():
        if time.monotonic() > until:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def _end(*, done: bool) -> int:
    if not done:
        print(f"  nothing came of it within {PATIENCE_SECONDS:.0f} s: see the other terminal")
    return 0 if done else 1


def _new_id() -> str:
    return uuid.uuid4().hex[:8]


def _stock(shop: Shop) -> str:
    return ", ".join(f"{product} {units}" for product, units in shop.available().items())
