"""A day of the shop in a few seconds, on an empty machine: what `make run` plays."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from demo.checks import ACCOUNTS, ORDERS, SENDS, TRANSFER, Row, World, by_name, print_report
from demo.shop_api import HTTP_API, ShopApi
from demo.warehouse import PRODUCTS, Bucket, Shop
from tablestream.local.application import Options, Running, hurried
from tablestream.local.cli.terminal import console, put
from tablestream.local.cli.view import View
from tablestream.local.cloud.clients import CloudClients
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.cloud.faults import Fault
from tablestream.local.delivery.protocol import Advanced, Delivered, Invoked, Retried, Split
from tablestream.local.trigger.destinations import Inbox
from tablestream.local.trigger.observations import DeliveryStep, Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from rich.console import Console

    from tablestream.local.cloud.faults import Faults
    from tablestream.local.runtime.function import FunctionSpec
    from tablestream.local.trigger.observations import Observation


SETTLE_SECONDS = 30  # for a machine under load; a few hundred milliseconds are usual
OUTAGE_SECONDS = 30
MARGIN = "DEADLINE_MARGIN_SECONDS"
"""The variable of the time that the worker keeps back for its answer."""

FIRST = tuple(ORDERS)[:10]


class ScenarioError(Exception):
    """The scenario could not be played to its end; the message says where it stuck."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Plays the day. `say` gets a line for each act; `journalled` counts the entries of the worker's journal.

    Customers come by the `api`, which gives each order an id; `placed` has them by the orders' names in `demo.checks`.
    """

    shop: Shop
    api: ShopApi
    running: Running
    faults: Faults
    watch: Watch
    inventory_table: str
    journalled: Callable[[], int]
    say: Callable[[str], None]
    placed: dict[str, str] = field(default_factory=dict)
    transfers: list[str] = field(default_factory=list)
    """The id that each send of the transfer was answered with."""

    def play(self) -> None:
        """Play all acts, each delivered to its end before the next. Raises ScenarioError."""
        self.shop.stock(PRODUCTS)
        for act in (self._open, self._at_once, self._change, self._poison, self._outage):
            self.say(f"\n{(act.__doc__ or '').strip()}")
            act()
            if not self.running.settle(SETTLE_SECONDS):
                raise ScenarioError(f"not delivered within {SETTLE_SECONDS} s: {act.__doc__}")

    def _open(self) -> None:
        """Ten orders by HTTP, delivered together: short of stock, of an unknown product, one product on two lines."""
        self._place(*FIRST)

    def _at_once(self) -> None:
        """An order with its stock in one call, and a transfer that is sent twice under one key."""
        self.placed["at-once"] = self.api.place(ORDERS["at-once"], reserve=True)
        for account, balance in ACCOUNTS.items():
            self.api.open_account(account, balance)
        self.transfers.extend([self.api.transfer(*TRANSFER, key="rent-may") for _ in range(SENDS)])

    def _change(self) -> None:
        """Some are shipped, cancelled before and after, removed by hand and by Time to Live."""
        with self.running.held():
            self._set("shipped", "shipped-cancelled", "shipped-removed")
            self._set("cancelled", "cancelled", "shipped-cancelled")
            for name in ("removed", "shipped-removed"):
                self.api.remove(self.placed[name])
            # The embedded DynamoDB removes nothing by TTL: remove it, and let the record say who did.
            expired = replace(ORDERS["expired"], order_id=self.placed["expired"])
            self.running.corrections.mark_expired(expired.key)
            self.shop.remove(expired.key)

    def _poison(self) -> None:
        """A record that no retry can cure, written past the API, between two good ones."""
        with self.running.held():
            self._place("before-poison", held=False)
            self.shop.place(ORDERS["poison"])
            self._place("after-poison", held=False)

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
                self.placed[name] = self.api.place(ORDERS[name])

    def _set(self, status: str, *names: str) -> None:
        for name in names:
            self.api.set_status(self.placed[name], status)

    def _was_felt(self, watch: Watch) -> bool:
        """All that the audit asks for: a partial answer, a batch without progress, and effects to remember."""
        return watch.count(Advanced) > 0 and watch.count(Split) > 0 and self.journalled() > 0


POLL_INTERVAL = 0.05  # seconds; nobody wants to wait for the documented rate here


def impatient(function: FunctionSpec) -> FunctionSpec:
    """The worker with one and a half seconds before its deadline, so that an outage is felt soon; others as they are.

    Less, and a machine under load gets nothing done before it: then there is nothing for the journal to remember. The
    margin is wide, so that an invocation answers in part and is not killed.
    """
    if MARGIN not in function.environment:
        return function  # it keeps to its own margin, as the API does
    return replace(function, timeout=8.0, environment={**function.environment, MARGIN: "6.5"})


def run(template: Path, *, verbose: bool = False) -> int:
    """Play the scenario and check what came of it. Returns the exit status."""
    began, output = time.monotonic(), console()
    try:
        broken = _played(template, output, verbose=verbose)
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the last line says that it did
        output.print_exception()
        broken = f"{type(error).__name__}: {error}"
    seconds = time.monotonic() - began
    verdict = f"FAILED: {broken}" if broken else "OK: every invariant holds"
    put(output, f"{verdict} ({seconds:.1f} s)", indent=0, style="bold red" if broken else "bold green")
    return 1 if broken else 0


def _played(template: Path, output: Console, *, verbose: bool) -> str:
    """Play it; returns what went wrong, or nothing."""
    watch, view = Watch(), View(output, verbose=verbose)

    def observe(observation: Observation) -> None:
        view(observation)
        watch(observation)

    with Cloud(template) as cloud, Inbox(CloudClients(cloud.endpoint).get, cloud.outputs["TopicArn"]) as inbox:
        options = Options(poll_interval=POLL_INTERVAL, settings=hurried, function=impatient)
        shop = Shop(cloud.client("dynamodb"), cloud.outputs)
        with Running(cloud, observe, options) as running, running.apis(port=0) as apis:
            api = ShopApi(next(one.url for one in apis if one.api == HTTP_API))
            say = partial(put, output, indent=0, style="bold")
            inventory = cloud.outputs["InventoryTableName"]
            scenario = Scenario(shop, api, running, cloud.faults, watch, inventory, partial(_journalled, cloud), say)
            stuck = _play(scenario)
            balances = {} if stuck else {account: api.balance(account) for account in ACCOUNTS}
        output.print()
        world = by_name(_world(cloud, shop, inbox.take()), scenario.placed)
        world = replace(world, balances=balances, transfers=scenario.transfers)
        holds = print_report(output, world, watch.deliveries())
    return stuck or ("" if holds else "an invariant is broken, see above")


def _play(scenario: Scenario) -> str:
    try:
        scenario.play()
    except ScenarioError as error:
        return str(error)
    return ""


def _world(cloud: Cloud, shop: Shop, messages: Sequence[Mapping[str, Any]]) -> World:
    return World(
        available=shop.available(),
        ledger=shop.ledger(),
        orders=shop.orders(),
        notifications=messages,
        letters=Bucket(cloud.client("s3"), cloud.outputs["FailuresBucketName"]).letters(),
        journal=_journalled(cloud),
        faults=cloud.faults.answered,
    )


def _journalled(cloud: Cloud) -> int:
    """Entries in the worker's journal."""
    found = cloud.client("dynamodb").scan(TableName=cloud.outputs["JournalTableName"], Select="COUNT")
    return int(found["Count"])


class Watch:
    """Takes observations from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._seen: list[Observation] = []

    def __call__(self, observation: Observation) -> None:
        """Remember one observation."""
        with self._changed:
            self._seen.append(observation)
            self._changed.notify_all()

    @property
    def seen(self) -> Sequence[Observation]:
        """Everything so far."""
        with self._changed:
            return tuple(self._seen)

    def count(self, *kinds: type) -> int:
        """The number of times that a delivery did one of these (classes of `tablestream.local.delivery.protocol`)."""
        return sum(isinstance(o.event, kinds) for o in self.seen if isinstance(o, DeliveryStep))

    def wait_for(self, condition: Callable[[Watch], bool], timeout: float) -> bool:
        """Wait until the condition holds; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self), timeout)

    def deliveries(self) -> list[Row]:
        """Each invocation that was answered: what came of it, how it began, how it ended."""
        invoked: dict[tuple[str, str, int], Invoked] = {}
        ended: dict[tuple[str, str, int], Ended] = {}
        rows: list[Row] = []
        for seen in self.seen:
            if isinstance(seen, Ended):
                ended[seen.mapping, seen.invoke.shard_id, seen.invoke.id] = seen
            elif isinstance(seen, DeliveryStep) and isinstance(seen.event, Invoked):
                invoked[seen.mapping, seen.shard_id, seen.event.invoke_id] = seen.event
            elif isinstance(seen, DeliveryStep) and isinstance(seen.event, Delivered | Advanced | Retried | Split):
                key = (seen.mapping, seen.shard_id, seen.event.invoke_id)
                rows.append((seen, invoked[key], ended[key]))
        return rows
