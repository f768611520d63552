"""`InventorySink`: reserves and releases carried out, each exactly once, in as few transactions as possible."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from shop.stock import Release, Reserve
from shop.stock.counts import InventoryCounts
from shop.stock.decisions import Tables
from shop.stock.ledger import name_of
from shop.stock.releases import Releases
from shop.stock.reservations import Reservations
from tablestream.aws import TABLE, Aws
from tablestream.dynamodb.once import settle
from tablestream.run import Run
from tablestream.sink import Answer, Effect

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = logging.getLogger("tablestream.shop")

E = TypeVar("E", Reserve, Release)


def _ignore(_counts: InventoryCounts) -> None:
    """Count nothing."""


class InventorySink:
    """Moves stock for orders, together with their status and the ledger; see `tablestream.dynamodb.once`."""

    name = "inventory"
    takes = (Reserve, Release)
    idempotent = True

    def __init__(
        self,
        client: DynamoDBClient | None = None,
        tables: Tables | None = None,
        *,
        observe: Callable[[InventoryCounts], None] = _ignore,
    ) -> None:
        """Take what gets the counts of each call; client and tables come from `connect`, or are given."""
        self._client = client
        self._tables = tables
        self._observe = observe

    def connect(self, aws: Aws) -> InventorySink:
        """Return the sink with its client and the tables `TABLE_NAME` and `INVENTORY_TABLE`."""
        wanted = "a table's name"
        tables = Tables(aws.named("TABLE_NAME", TABLE, wanted), aws.named("INVENTORY_TABLE", TABLE, wanted))
        aws.distinct("TABLE_NAME", "INVENTORY_TABLE", "JOURNAL_TABLE")
        return InventorySink(aws.dynamodb, tables, observe=self._observe)

    def apply(self, effects: Sequence[Effect[Reserve | Release]], run: Run) -> Sequence[Answer]:
        """Carry out releases, then reserves, so that what comes back can be given out; answer for each effect."""
        if self._client is None or self._tables is None:
            raise RuntimeError("the inventory is not connected: worker.handler() does that")
        counts = InventoryCounts()
        releases = Releases(_of(Release, effects), self._tables, counts)
        reservations = Reservations(_of(Reserve, effects), self._tables, counts)
        for undecided in (releases, reservations):
            settle(self._client, undecided, run)
            counts.conflicts += undecided.decisions.conflicts
            for key, error in undecided.decisions.broken.items():
                item = {"table": key.table, "item_key": name_of(key), "error_class": type(error).__name__}
                logger.error("stock item cannot be read", extra=item)
        self._observe(counts)
        released, reserved = releases.decisions.answers(), reservations.decisions.answers()
        return [(released if isinstance(effect.value, Release) else reserved)[effect.value.order] for effect in effects]


def _of(kind: type[E], effects: Sequence[Effect[Any]]) -> list[Effect[E]]:
    return [effect for effect in effects if isinstance(effect.value, kind)]
