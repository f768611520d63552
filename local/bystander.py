"""Shows what deliveries led to: stock that moved, dead letters that came. Only where the stack is the shop's."""

from __future__ import annotations

import queue
import time
from typing import TYPE_CHECKING

from local.events import Advanced, Delivered
from local.letters import PARKED
from local.observations import GivenUp, Step
from local.orders import Shop

if TYPE_CHECKING:
    from rich.console import Console

    from local.cloud import Cloud
    from local.observations import Observation

SHOP_OUTPUTS = {"TableName", "InventoryTableName", "FailuresBucketName"}
GATHER_SECONDS = 0.2  # one look for several deliveries: the embedded AWS takes one request at a time


class Bystander:
    """Call it with observations from any thread; `look_after` is for the main thread. Stocks an empty shop."""

    def __init__(self, cloud: Cloud, output: Console) -> None:
        self._cloud = cloud
        self._output = output
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_shop = set(cloud.outputs) >= SHOP_OUTPUTS
        self._stock: dict[str, int] = {}
        self._parked: set[str] = set()
        if self._is_shop:
            self._shop = Shop(cloud.client("dynamodb"), cloud.outputs)
            if not self._shop.available():
                self._shop.stock()
            self._stock = self._shop.available()

    def __call__(self, observation: Observation) -> None:
        """Remember that there may be something to see."""
        led_somewhere = isinstance(observation, Step) and isinstance(observation.event, Delivered | Advanced)
        if self._is_shop and (led_somewhere or isinstance(observation, GivenUp)):
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
