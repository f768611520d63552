"""`python -m tablestream.local demo`: the scenario, from an empty machine to the last check."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tablestream.local.application import Options, Running, hurried
from tablestream.local.audit import World
from tablestream.local.cli.terminal import console, put
from tablestream.local.cli.view import View
from tablestream.local.cloud.clients import Clients
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.letters import Bucket
from tablestream.local.orders import Shop
from tablestream.local.report import print_report
from tablestream.local.scenario import Scenario, ScenarioError
from tablestream.local.trigger.destinations import Inbox
from tablestream.local.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from rich.console import Console

    from tablestream.local.runtime.function import FunctionSpec
    from tablestream.local.trigger.observations import Observation

POLL_INTERVAL = 0.05  # seconds; nobody wants to wait for the documented rate here


def impatient(function: FunctionSpec) -> FunctionSpec:
    """The function with one and a half seconds before its deadline, so that an outage is felt soon.

    Less, and a machine under load gets nothing done before it: then there is nothing for the journal to remember. The
    margin is wide, so that an invocation answers in part and is not killed.
    """
    return replace(function, timeout=8.0, environment={**function.environment, "DEADLINE_MARGIN_SECONDS": "6.5"})


def demo(template: Path, *, verbose: bool = False) -> int:
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
    """What went wrong, or nothing."""
    watch, view = Watch(), View(output, verbose=verbose)

    def observe(observation: Observation) -> None:
        view(observation)
        watch(observation)

    with Cloud(template) as cloud, Inbox(Clients(cloud.endpoint).get, cloud.outputs["TopicArn"]) as inbox:
        options = Options(poll_interval=POLL_INTERVAL, settings=hurried, function=impatient)
        shop = Shop(cloud.client("dynamodb"), cloud.outputs)
        with Running(cloud, observe, options) as running:
            say = partial(put, output, indent=0, style="bold")
            inventory = cloud.outputs["InventoryTableName"]
            scenario = Scenario(shop, running, cloud.faults, watch, inventory, partial(_journalled, cloud), say)
            stuck = _play(scenario)
        output.print()
        holds = print_report(output, _world(cloud, shop, inbox.take()), watch.deliveries())
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
