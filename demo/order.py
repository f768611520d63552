"""`python -m demo order`: place an order by the HTTP API of a running `up`, or change one, and see what comes of it."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Any

from demo.shop_api import HTTP_API, ApiRefusal, ShopApi
from demo.warehouse import MODULE, PRODUCTS, SHOP_OUTPUTS, Bucket, NewOrder, News, Shop, put_letter
from tablestream import dead_letters
from tablestream.local.cli.control import CALLS, TEXT, Argument, Command
from tablestream.local.cli.page.server import Field, Form
from tablestream.local.cli.session import running
from tablestream.local.cli.terminal import console, put
from tablestream.local.cloud.clients import CloudClients
from tablestream.local.errors import UsageError
from tablestream.local.trigger.destinations import Inbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from rich.console import Console

    from demo.warehouse import Item

    Say = Callable[[str], None]

PATIENCE_SECONDS = 20.0
LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Wish:
    """A wish of the command line: a new order of `lines` (as `poison` if so), or an order to cancel, ship or remove."""

    lines: Sequence[tuple[str, int]] = (("tea", 1),)
    customer: str = "ada"
    poison: bool = False
    cancel: str | None = None
    ship: str | None = None
    remove: str | None = None


def order(wish: Wish) -> int:
    """Carry the wish out and print what happens. Returns 1 if it did not come to its end.

    Raises NotRunningError, and UsageError where what runs is no shop.
    """
    state = running(MODULE)
    if not set(state.outputs) >= SHOP_OUTPUTS or HTTP_API not in state.apis:
        wanted = f"the API {HTTP_API} and the outputs {', '.join(sorted(SHOP_OUTPUTS))}"
        raise UsageError(f"the stack {state.stack} is no shop: wanted {wanted}")
    clients = CloudClients(state.endpoint, state.dynamodb_endpoint, state.variables["AWS_REGION"])
    shop, api = Shop(clients.get("dynamodb"), state.outputs), ShopApi(state.apis[HTTP_API])
    bucket = Bucket(clients.get("s3"), state.outputs["FailuresBucketName"], dead_letters.PREFIX)
    output = console()
    say: Say = partial(put, output, indent=0, hang=2)
    with Inbox(clients.get, state.outputs["TopicArn"]) as inbox:
        follow = Follow(shop, inbox, bucket, News(bucket), output)
        try:
            if changed := wish.cancel or wish.ship or wish.remove:
                return _change(changed, wish, api, follow, say)
            return _place_poison(wish, shop, follow, say) if wish.poison else _place(wish, api, follow, say)
        except ApiRefusal as refusal:
            say(str(refusal))
            return 1


def _place_poison(wish: Wish, shop: Shop, follow: Follow, say: Say) -> int:
    """Write to the table what the API would refuse, as another program might."""
    placed = _poison(wish.customer)
    shop.place(placed)
    say(_told(placed))
    return 0 if follow(placed.order_id, placed.key, set()) is End.SET_ASIDE else 1


def _poison(customer: str) -> NewOrder:
    return NewOrder(uuid.uuid4().hex[:8], [("tea", -1)], customer)


def _told(poison: NewOrder) -> str:
    return f"placed {poison.order_id}, which no handler can take, past the API: {_lines(poison)}"


def _lines(order: NewOrder) -> str:
    return ", ".join(f"{quantity} x {product}" for product, quantity in order.lines)


def _place(wish: Wish, api: ShopApi, follow: Follow, say: Say) -> int:
    order = NewOrder("", wish.lines, wish.customer)
    placed = replace(order, order_id=api.place(order))
    say(f"placed {placed.order_id}: {_lines(placed)}")
    ending = {"order.confirmed", "order.rejected", "order.cancelled"}
    return 0 if follow(placed.order_id, placed.key, ending) is End.ANNOUNCED else 1


def _change(order_id: str, wish: Wish, api: ShopApi, follow: Follow, say: Say) -> int:
    order = api.find(order_id)
    if order is None:
        say(f"there is no order {order_id}")
        return 1
    status = "removed" if wish.remove else "cancelled" if wish.cancel else "shipped"
    if order["status"] == status:
        say(f"{order_id} is {status} already")
        return 1
    if wish.remove:
        api.remove(order_id)
    else:
        api.set_status(order_id, status)
    key = NewOrder(order_id, (), order["customerId"]).key
    return 0 if follow(order_id, key, {f"order.{status}"}) is End.ANNOUNCED else 1


def order_form(shop: Shop, url: str) -> Form:
    """The form that places an order by the API at this URL, or past it one that no handler can take."""

    def place(asked: Mapping[str, Any]) -> str:
        if asked["poison"]:
            shop.place(placed := _poison(asked["customer"]))
            return _told(placed)
        placed = NewOrder("", [(asked["product"], asked["quantity"])], asked["customer"])
        return f"placed {ShopApi(url).place(placed)}: {_lines(placed)}"

    products = sorted(PRODUCTS)
    fields = (
        Field("product", "Product", "choice", products[-1], products),
        Field("quantity", "Quantity", "number", 1),
        Field("customer", "Customer", value="ada"),
        Field("poison", "that no handler can take", "tick", value=False),
    )
    takes = {
        "product": Argument(f"one of {', '.join(products)}", lambda value: value in products, required=True),
        "quantity": CALLS,
        "customer": TEXT,
        "poison": Argument("true or false", lambda value: isinstance(value, bool)),
    }
    return Form("order", "An order", "Place it", fields, Command(place, takes))


class End(Enum):
    """The end of the way of an order's change."""

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
    output: Console

    def tell(self, line: str) -> None:
        """Print a line below that of the order."""
        put(self.output, line, indent=2, hang=2)

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
                put_letter(self.output, letter, indent=2)
                end = End.SET_ASIDE
        return end


def _stock(shop: Shop) -> str:
    return ", ".join(f"{product} {units}" for product, units in shop.available().items())
