"""`python -m local up`: the embedded AWS with the stream trigger, until it is told to stop."""

from __future__ import annotations

import json
import queue
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local.cloud import Cloud
from local.errors import UsageError
from local.events import Advanced, Delivered
from local.lambda_api import LambdaApi
from local.letters import PARKED
from local.observations import GivenUp, Step
from local.orders import Order, Shop
from local.recording import Recording, read
from local.running import Options, Running
from local.signals import stop_signals
from local.stack import STACK
from local.state import announced
from local.view import View, changes, console, table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from rich.console import Console

    from local.observations import Observation

SHOP_OUTPUTS = {"TableName", "InventoryTableName", "FailuresBucketName"}


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What the command line says. `parameters` are the template's."""

    template: Path
    host: str
    port: int
    dynamodb_endpoint: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    reload: bool = False
    logs: bool = False
    record: Path | None = None
    replay: Path | None = None


def up(options: UpOptions) -> int:
    """Run until SIGINT or SIGTERM. Returns the exit status."""
    output = console()
    with ExitStack() as stack:
        stop = stack.enter_context(stop_signals())
        cloud = stack.enter_context(
            Cloud(
                options.template,
                host=options.host,
                port=options.port,
                parameters=options.parameters,
                dynamodb_endpoint=options.dynamodb_endpoint,
            )
        )
        observe, news = _observers(stack, options, output)
        running = stack.enter_context(Running(cloud, observe, Options(reload=options.reload)))
        stack.enter_context(announced(cloud.endpoint, options.dynamodb_endpoint, cloud.outputs))
        bystander = _Bystander(cloud, output)
        runtimes = [running.runtime(name) for name in cloud.functions]
        api = LambdaApi({runtime.function.name: runtime for runtime in runtimes}, options.host)
        stack.enter_context(api)
        _greet(output, cloud, running, api)
        if options.replay is not None:
            _replay(options.replay, cloud, running, output)
        while not stop.is_set():
            bystander.look_after(news)
    output.print("stopped")
    return 0


def _observers(
    stack: ExitStack, options: UpOptions, output: Console
) -> tuple[Callable[[Observation], None], queue.SimpleQueue[Observation]]:
    news: queue.SimpleQueue[Observation] = queue.SimpleQueue()
    observers: list[Callable[[Observation], None]] = [View(output, logs=options.logs), news.put]
    if options.record is not None:
        observers.append(Recording(stack.enter_context(options.record.open("a", encoding="utf-8"))))

    def observe(observation: Observation) -> None:
        for observer in observers:
            observer(observation)

    return observe, news


class _Bystander:
    """Shows what deliveries led to: stock that moved, dead letters that came. Only where the stack is the shop's."""

    def __init__(self, cloud: Cloud, output: Console) -> None:
        self._cloud = cloud
        self._output = output
        self._is_shop = set(cloud.outputs) >= SHOP_OUTPUTS
        self._stock: dict[str, int] = {}
        self._parked: set[str] = set()
        if self._is_shop:
            self._shop = Shop(cloud.client("dynamodb"), cloud.outputs)
            if not self._shop.available():
                self._shop.stock()
            self._stock = self._shop.available()

    def look_after(self, news: queue.SimpleQueue[Observation], patience: float = 0.5) -> None:
        """Wait at most `patience` seconds for news, then look what has changed."""
        try:
            observation = news.get(timeout=patience)
        except queue.Empty:
            return
        led_somewhere = isinstance(observation, Step) and isinstance(observation.event, Delivered | Advanced)
        if self._is_shop and (led_somewhere or isinstance(observation, GivenUp)):
            self._look()

    def _look(self) -> None:
        stock = self._shop.available()
        moved = [
            f"{name} {self._stock.get(name, 0)} -> {units}"
            for name, units in stock.items()
            if units != self._stock.get(name)
        ]
        if moved:
            self._output.print(f"         stock: {', '.join(moved)}", style="cyan", soft_wrap=True)
        self._stock = stock
        bucket = self._cloud.outputs["FailuresBucketName"]
        pages = self._cloud.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PARKED)
        parked = {entry["Key"] for page in pages for entry in page.get("Contents", [])}
        for key in sorted(parked - self._parked):
            self._output.print(f"         dead letter: s3://{bucket}/{key}", style="bold red", soft_wrap=True)
        self._parked = parked


def _greet(output: Console, cloud: Cloud, running: Running, api: LambdaApi) -> None:
    output.print(f"Embedded AWS at {cloud.endpoint}", style="bold", soft_wrap=True)
    output.print(table("Stack", ["output", "value"], sorted(cloud.outputs.items())))
    for name, settings in running.settings.items():
        output.print(
            f"{name}: batch size {settings.batch_size}, window {settings.batching_window} s, "
            f"{settings.parallelization} at a time, retries {settings.max_retries}, max age {settings.max_age} s",
            soft_wrap=True,
        )
        for note in settings.notes:
            output.print(f"{name}: {note}", style="yellow", soft_wrap=True)
    for note in cloud.notes:
        output.print(note, style="yellow", soft_wrap=True)
    if "TableName" in cloud.outputs:
        output.print(f"\nFrom another terminal:\n  make order\n  {_aws_line(cloud)}", soft_wrap=True)
        exports = cloud.aws_environment() | {"AWS_ENDPOINT_URL_LAMBDA": api.endpoint}
        output.print("\nThe operator's tools, and any AWS SDK, with:", soft_wrap=True)
        output.print("  export " + " ".join(f"{name}={value}" for name, value in exports.items()), soft_wrap=True)
        output.print(f"  python -m ops redrive list --stack {STACK}", soft_wrap=True)
    output.print("\nCtrl-C ends it.\n")


def _aws_line(cloud: Cloud) -> str:
    item = json.dumps(Order("from-the-shell", [("tea", 1)]).item())
    settings = "AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_REGION=us-east-1"
    endpoint = cloud.dynamodb_endpoint or cloud.endpoint
    return (
        f"{settings} aws dynamodb put-item --endpoint-url {endpoint} "
        f"--table-name {cloud.outputs['TableName']} --item '{item}'"
    )


def _replay(path: Path, cloud: Cloud, running: Running, output: Console) -> None:
    functions = {mapping.logical_id: mapping.function for mapping in cloud.mappings}
    for number, recorded in enumerate(read(path), 1):
        if recorded.mapping not in functions:
            raise UsageError(f"{path} line {number}: the template has no event source mapping {recorded.mapping}")
        invocation = running.runtime(functions[recorded.mapping]).invoke(recorded.event)
        same = (invocation.payload, invocation.error is None) == (recorded.payload, recorded.error is None)
        what = changes(recorded.event["Records"])
        answer = invocation.error["errorType"] if invocation.error else json.dumps(invocation.payload)
        output.print(f"replay {number}: {what} -> {answer} ({'as' if same else 'not as'} recorded)", soft_wrap=True)
