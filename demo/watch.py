"""Shows what invocations led to in the shop: messages, stock that moved, dead letters and their reasons."""

from __future__ import annotations

import json
import queue
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.order import order_form
from demo.samples import samples
from demo.shop_api import HTTP_API
from demo.warehouse import (
    MODULE,
    SHOP_OUTPUTS,
    Bucket,
    News,
    Shop,
    id_in,
    print_letters,
    put_letter,
    restore,
    seed,
)
from tablestream import dead_letters
from tablestream.local.cli.banner import Hint
from tablestream.local.cli.session import command, program
from tablestream.local.cli.terminal import put, table
from tablestream.local.cloud.clients import CloudClients
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.cloud.server import Unseen
from tablestream.local.cloud.witness import Sent
from tablestream.local.delivery.protocol import Advanced, Delivered
from tablestream.local.trigger.destinations import Inbox
from tablestream.local.trigger.observations import DeliveryStep, GivenUp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import Console

    from tablestream.local.cli.page.server import Form
    from tablestream.local.gateway.gateway import Address
    from tablestream.local.trigger.observations import Observation


GATHER_SECONDS = 0.2  # one look for several deliveries: the embedded AWS takes one request at a time
MOST_TOLD = 10  # messages or dead letters one by one; more are counted


@contextmanager
def shop_watcher(cloud: Cloud, output: Console) -> Iterator[ShopWatcher | None]:
    """A watcher while the with block runs, in a shop with something in stock; None if the stack is no shop's."""
    if not set(cloud.outputs) >= SHOP_OUTPUTS:
        yield None
        return
    shop = Shop(cloud.client("dynamodb"), cloud.outputs)
    if not shop.available():
        shop.stock()
    yield ShopWatcher(cloud, shop, output)


class ShopWatcher:
    """Call it with observations from any thread; `look_after` is for the main thread."""

    def __init__(self, cloud: Cloud, shop: Shop, output: Console) -> None:
        self._outputs = cloud.outputs
        self._shop = shop
        self._seen = cloud.witness.reader()
        self._output = output
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._stock = shop.available()
        self._bucket = Bucket(cloud.client("s3"), cloud.outputs["FailuresBucketName"], dead_letters.PREFIX)
        self._letters = News(self._bucket)

    @property
    def hints(self) -> Sequence[Hint]:
        """Commands to try in another terminal, in the same folder."""
        return (
            Hint(command("order", module=MODULE), "place an order and see what comes of it"),
            Hint(command("order", "--poison", module=MODULE), "place one that no handler can take"),
            Hint(redrive_list(), "see what was set aside, and why"),
        )

    def forms(self, apis: Sequence[Address]) -> Sequence[Form]:
        """An order for the page, where the shop's API is served."""
        return [order_form(self._shop, one.url) for one in apis if one.api == HTTP_API]

    def __call__(self, observation: Observation) -> None:
        """Remember that there may be something to see."""
        led_somewhere = isinstance(observation, DeliveryStep) and isinstance(observation.event, Delivered | Advanced)
        if led_somewhere or isinstance(observation, GivenUp):
            self._news.put(None)

    def look_after(self, patience: float = 0.5) -> None:
        """Wait at most `patience` seconds for news, then look what has changed."""
        try:
            self._news.get(timeout=patience)
        except queue.Empty:
            return
        time.sleep(GATHER_SECONDS)
        while not self._news.empty():
            self._news.get()
        self._look()

    def place_samples(self) -> None:
        """Put the orders of the sample events in place."""
        place_samples(self._outputs)

    def _look(self) -> None:
        topic = self._outputs["TopicArn"].rpartition(":")[2]
        sent = [json.loads(one.text) for one in self._seen() if isinstance(one, Sent) and one.to == topic]
        for line in messages_told(sent):
            put(self._output, line, style="cyan")
        stock = self._shop.available()
        moved = [
            f"{name} {self._stock.get(name, 0)} -> {units}"
            for name, units in stock.items()
            if units != self._stock.get(name)
        ]
        if moved:
            put(self._output, f"stock: {', '.join(moved)}", style="cyan")
        self._stock = stock
        self._look_at_letters()

    def _look_at_letters(self) -> None:
        """Say of each record that was set aside why, of which order it is, and where it lies."""
        new = self._letters.take()
        for key in new[:MOST_TOLD]:
            put_letter(self._output, self._bucket.read(key))
        if len(new) > MOST_TOLD:
            put(self._output, f"dead letters: {len(new) - MOST_TOLD} more", style="bold red")


def redrive_list() -> str:
    """The command that lists dead letters: that of make, where make has started us."""
    shown = command("redrive", "list")
    if shown.startswith("make "):
        return shown
    return f"{program()} exec {program('tablestream.ops')} redrive list --stack {{stack}}"


def place_samples(outputs: Mapping[str, str]) -> None:
    """Put the orders of the sample events in place, for `sam local invoke -e events/...`.

    An event tells of a change that was made, so its order has to be there; but no stream may tell of it, or the trigger
    would deliver it first.
    """
    for event in samples().values():
        restore(Unseen(), outputs, event)


def messages_told(messages: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """A line for each message that went out: type, id, and the reason if it gives one. Many are counted."""
    if len(messages) > MOST_TOLD:
        counts = Counter(str(message.get("type")) for message in messages)
        return [f"messages: {', '.join(f'{count} {kind}' for kind, count in counts.items())}"]
    return [f"message: {message_told(message)}" for message in messages]


def message_told(message: Mapping[str, Any]) -> str:
    """Type, id and reason of one message; of the rest nothing, as it is about a customer."""
    reason = f": {message['reason']}" if message.get("reason") else ""
    return f"{message.get('type')} {id_in(message)}".rstrip() + reason


@contextmanager
def prepare_for_event(event: Any, template: Path = Path("template.yaml")) -> Iterator[Cloud]:
    """A fresh embedded AWS in which `event` has just happened (see `warehouse.seed`)."""
    with Cloud(template) as cloud:
        seed(cloud.client("dynamodb"), cloud.outputs, event)
        yield cloud


@contextmanager
def around_invocation(output: Console, cloud: Cloud, event: Any) -> Iterator[None]:
    """Put the world in place in which `event` happened, and print at the end what the function did in it."""
    seed(cloud.client("dynamodb"), cloud.outputs, event)
    with effects_shown(output, cloud):
        yield


@contextmanager
def effects_shown(output: Console, cloud: Cloud) -> Iterator[None]:
    """Print what the shop's function has done within the with block: stock, orders, messages, dead letters."""
    shop = Shop(cloud.client("dynamodb"), cloud.outputs)
    with Inbox(CloudClients(cloud.endpoint).get, cloud.outputs["TopicArn"]) as inbox:
        before = shop.available()
        yield
        stock = [(name, before.get(name, 0), units) for name, units in shop.available().items()]
        output.print(table("Stock", ["product", "before", "after"], stock))
        _print_effects(output, cloud, shop, inbox)


def _print_effects(output: Console, cloud: Cloud, shop: Shop, inbox: Inbox) -> None:
    found = [order for order in shop.orders() if "orderId" in order]  # the table may hold other items too
    states = {(entry["pk"].removeprefix("LEDGER#"), entry["sk"]): entry["state"] for entry in shop.ledger()}
    orders = [
        (o["orderId"], o.get("status"), states.get((o["pk"], o["sk"]), ""), o.get("statusReason", "")) for o in found
    ]
    output.print(table("Orders", ["order", "status", "ledger", "reason"], orders))
    messages = [(message["type"], id_in(message), message.get("reason") or "") for message in inbox.take()]
    output.print(table("Messages", ["type", "about", "reason"], messages))
    print_letters(output, Bucket(cloud.client("s3"), cloud.outputs["FailuresBucketName"]).letters())
