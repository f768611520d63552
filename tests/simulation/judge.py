"""What a schedule came to, told from the stream, the tables, the topic and the bucket; not from the worker's own words.

The rules here are written from the specification, not with the shop's code.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.simulation.aws import Aws
from tests.simulation.candidates import Log
from tests.simulation.figures import Figures

Record = Mapping[str, Any]
Image = Mapping[str, Any]

_STATUSES = frozenset({"pending", "confirmed", "rejected", "shipped", "delivered", "cancelled"})
_SETTLED = frozenset({"shipped", "delivered", "rejected"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a record has to lead to."""

    record: Record
    event_id: str
    number: int
    order: tuple[str, str]
    poison: bool = False
    reserve: bool = False
    release: bool = False
    notification: str = ""


def wanted_of(records: Sequence[Record]) -> Iterator[Wanted]:
    """Say for each record that concerns an order what it has to lead to."""
    for record in records:
        stream, kind = record["dynamodb"], record["eventName"]
        new, old = stream.get("NewImage"), stream.get("OldImage")
        image = old if kind == "REMOVE" else new
        key = (stream["Keys"]["pk"]["S"], stream["Keys"]["sk"]["S"])
        if not key[1].startswith("ORDER#"):
            continue
        base = (record, record["eventID"], int(stream["SequenceNumber"]), key)
        if "entityType" not in image:
            yield Wanted(*base, poison=True)
        elif kind == "REMOVE" and image["status"]["S"] in _SETTLED:
            continue
        elif kind != "MODIFY" or old["status"] != new["status"]:
            yield _wanted(base, kind, image)


def _wanted(base: tuple[Record, str, int, tuple[str, str]], kind: str, image: Image) -> Wanted:
    status = image["status"]["S"]
    if not _sound(image):
        return Wanted(*base, poison=True)
    if kind == "INSERT":
        return Wanted(*base, reserve=status == "pending", notification="order.received")
    if kind == "MODIFY":
        return Wanted(*base, release=status == "cancelled", notification=f"order.{status}")
    removed = "order.expired" if "userIdentity" in base[0] else "order.removed"
    return Wanted(*base, release=True, notification=removed)


def _sound(image: Image) -> bool:
    lines = image.get("items", {}).get("L")
    if image["status"]["S"] not in _STATUSES or not lines:
        return False
    products = set()
    for line in lines:
        product, quantity = line["M"].get("productId"), line["M"].get("quantity", {}).get("N", "0")
        if product is None or Decimal(quantity) < 1 or Decimal(quantity) % 1:
            return False
        products.add(product["S"])
    return len(products) <= 98


def lines_of(image: Image) -> Counter[str]:
    """Return the units of each product that an order's image names."""
    units: Counter[str] = Counter()
    for line in image["items"]["L"]:
        units[line["M"]["productId"]["S"]] += int(line["M"]["quantity"]["N"])
    return units


def stored(aws: Aws) -> dict[str, int]:
    """Return the event ids of the records that the bucket holds, with how often."""
    found: Counter[str] = Counter()
    for body in aws.bucket.objects.values():
        content = json.loads(body)
        records = content["payload"]["Records"] if "payload" in content else [content["record"]]
        found.update(record["eventID"] for record in records)
    return found


class Judge:
    """Looks at a schedule's world, before and after the redrive."""

    def __init__(
        self, aws: Aws, records: Sequence[Record], stock: Sequence[int], log: Log, *, has_ledger: bool
    ) -> None:
        self._aws = aws
        self._records = records
        self._stock = stock
        self._log = log
        self._has_ledger = has_ledger

    def before_redrive(self, figures: Figures) -> None:
        """Count what is lost or parked that should not be."""
        parked, wanted = stored(self._aws), list(wanted_of(self._records))
        queued = {event_id for message in self._aws.queue for event_id in message["eventIds"]}
        figures.records += len(wanted)
        for each in wanted:
            if each.poison:
                figures.poison_missing += each.event_id not in parked
            else:
                figures.lost += len(list(self._unapplied(each))) if each.event_id not in parked else 0
                figures.good_parked += each.event_id in parked or each.event_id in queued

    def after_redrive(self, figures: Figures, explained: Mapping[str, Mapping[str, float]]) -> None:
        """Count what is wrong in the end."""
        wanted = {each.event_id: each for each in wanted_of(self._records)}
        for each in wanted.values():
            if not each.poison:
                figures.missing += len(list(self._unapplied(each)))
        self._judge_messages(figures, wanted, explained)
        self._judge_stock(figures)
        if self._has_ledger:
            self.judge_books(figures)

    def _unapplied(self, wanted: Wanted) -> Iterator[str]:
        """Yield the effects of a record that have not taken place."""
        if wanted.notification and wanted.event_id not in {message.event_id for message in self._aws.topic.published}:
            yield "notification"
        if not self._has_ledger:
            names = [name for name in ("reserve", "release") if getattr(wanted, name)]
            yield from (name for name in names if (wanted.event_id, name) not in self._log.applied)
            return
        entry = self._aws.ledger().get(wanted.order)
        if wanted.reserve and entry is None:
            yield "reserve"
        if wanted.release and (entry is None or entry["state"]["S"] == "RESERVED"):
            yield "release"

    def _judge_messages(
        self, figures: Figures, wanted: Mapping[str, Wanted], explained: Mapping[str, Mapping[str, float]]
    ) -> None:
        latest: dict[tuple[str, str], int] = {}
        seen: set[str] = set()
        for message in self._aws.topic.published:
            cause = wanted.get(message.event_id)
            if cause is None or cause.poison or message.body["type"] != cause.notification:
                figures.wrong += 1
            elif message.event_id in seen:
                figures.repeated += 1
                causes = explained.get(message.event_id, {}).values()
                figures.unexplained += not any(since <= message.at for since in causes)
            else:
                seen.add(message.event_id)
                late = cause.number < latest.get(cause.order, -1)
                figures.disordered += late and not message.body.get("late")
                latest[cause.order] = max(cause.number, latest.get(cause.order, -1))

    def _judge_stock(self, figures: Figures) -> None:
        """Compare each product's stock with the orders' history: confirmed by the worker, and not given back."""
        held: Counter[str] = Counter()
        for order, lines in self._reserved_lines().items():
            if not self._given_back(order):
                held.update(lines)
        for number, units in enumerate(self._stock):
            figures.stock += self._aws.available(f"p{number}") != units - held[f"p{number}"]

    def _reserved_lines(self) -> dict[tuple[str, str], Counter[str]]:
        placed: dict[tuple[str, str], Counter[str]] = {}
        reserved: dict[tuple[str, str], Counter[str]] = {}
        for record, order in self._orders():
            new = record["dynamodb"].get("NewImage")
            if record["eventName"] == "INSERT" and _sound(new):
                placed[order] = lines_of(new)
            elif record["eventName"] == "MODIFY":
                change = (record["dynamodb"]["OldImage"]["status"]["S"], new["status"]["S"])
                if change == ("pending", "confirmed"):
                    reserved[order] = placed[order]
        return reserved

    def _given_back(self, order: tuple[str, str]) -> bool:
        return any(each.release for each in wanted_of(self._records) if each.order == order)

    def _orders(self) -> Iterator[tuple[Record, tuple[str, str]]]:
        for record in self._records:
            keys = record["dynamodb"]["Keys"]
            if keys["sk"]["S"].startswith("ORDER#"):
                yield record, (keys["pk"]["S"], keys["sk"]["S"])

    def judge_books(self, figures: Figures) -> None:
        """Check that available and held units add up, that nothing is negative, and that versions count up."""
        held: Counter[str] = Counter()
        for entry in self._aws.ledger().values():
            if entry["state"]["S"] == "RESERVED":
                held.update({product: int(units["N"]) for product, units in entry["lines"]["M"].items()})
        for number, units in enumerate(self._stock):
            available = self._aws.available(f"p{number}")
            figures.books += available < 0 or available + held[f"p{number}"] != units
        for record in self._records:
            images = record["dynamodb"]
            if record["eventName"] == "MODIFY" and "version" in images["NewImage"]:
                figures.books += int(images["NewImage"]["version"]["N"]) != int(images["OldImage"]["version"]["N"]) + 1
