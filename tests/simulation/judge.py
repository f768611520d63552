"""Tells what a schedule came to from the stream, the tables, the topic and the bucket; not from the worker's words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tests.simulation.aws import Aws
from tests.simulation.candidates import Log
from tests.simulation.faults import ON_ITS_WAY
from tests.simulation.figures import Figures
from tests.simulation.owed import owed
from tests.simulation.wanted import Image, Record, Wanted, change_of, is_sound, reserved_at_once, wanted_of


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

    def overdue(self, records: Sequence[Record], broken: set[str]) -> int:
        """Count the effects that have not taken place by the end of an invocation, though what they need works."""
        return sum(name in self._unapplied(wanted) for wanted, name in owed(records, broken))

    def _unapplied(self, wanted: Wanted) -> Iterator[str]:
        """Yield the effects of a record that have not taken place."""
        if wanted.notification and wanted.event_id not in {message.event_id for message in self._aws.topic.published}:
            yield "notification"
        if not self._has_ledger:
            names = [name for name in ("reserve", "release") if getattr(wanted, name)]
            yield from (name for name in names if (wanted.event_id, name) not in self._log.applied)
            return
        if wanted.poison and wanted.event_id not in stored(self._aws):
            yield "poison"
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
                may_be = message.body.get("late") or ON_ITS_WAY in explained.get(cause.event_id, ())
                figures.disordered += cause.number < latest.get(cause.order, -1) and not may_be
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
            kind, image = change_of(record)
            if kind == "INSERT" and is_sound(image):
                placed[order] = lines_of(image)
                if reserved_at_once(image):
                    reserved[order] = placed[order]
            elif record["eventName"] == "MODIFY":
                images = record["dynamodb"]
                change = (images["OldImage"]["status"]["S"], images["NewImage"]["status"]["S"])
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
