"""Bad input in batches of 1, 9, 10 and 100: it gets the same whatever stands beside it, and nothing is silent.

The production worker over an AWS in memory. After each batch every record is counted, each dead letter has its payload
and a line in the log, and good neighbours have been processed.
"""

from __future__ import annotations

import gc
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from shop.worker import make_worker
from tablestream import (
    ConfigurationError,
    InvalidEvent,
    NoProgress,
    Report,
    Sequential,
    SystemicFailure,
    Worker,
    each,
)
from tablestream import aws as aws_module
from tablestream.testing import (
    FakeClock,
    FakeContext,
    MemoryDeadLetters,
    MemoryJournal,
    Record,
    event,
    inserted,
    modified,
)
from tests.simulation.aws import Aws
from tests.simulation.boto import VARIABLES
from tests.support.bad_input import POISON, PROCESSED, REJECTED, SKIPPED, SUCCESS, UNITS, WHOLE, line, order
from tests.support.shop_aws import ORDERS

in_batches = pytest.mark.parametrize("size", [1, 9, 10, 100])
STOCK = {"tea": 2000, "cup": 5}


@dataclass
class Bench:
    """The worker, and all that it touches."""

    caplog: pytest.LogCaptureFixture
    aws: Aws = field(default_factory=lambda: Aws(lambda: 0.0))
    reports: list[Report] = field(default_factory=list)
    table_arn: str | None = None

    def __post_init__(self) -> None:
        self.caplog.set_level(logging.INFO)
        for product, units in STOCK.items():
            self.aws.stock(product, units)
        clients = {"dynamodb": self.aws.dynamodb, "sns": self.aws.topic, "s3": self.aws.bucket}
        self.clock = FakeClock()
        variables = {**VARIABLES, "TABLE_NAME": ORDERS, "TABLE_ARN": self.table_arn or ""}
        named = aws_module.Aws(variables, clients=clients)
        worker = make_worker(named, clock=self.clock, parallel=Sequential(), observe=self.reports.append)
        self.worker = worker.handler(named)

    def send(self, records: Sequence[Any]) -> Any:
        return self.worker({"Records": list(records)}, FakeContext(clock=self.clock))

    def place(self, records: Sequence[Record]) -> None:
        """Put the orders of new records into the table, as their writer did before the stream told of them."""
        for record in records:
            stream = record["dynamodb"]
            key = (stream["Keys"]["pk"]["S"], stream["Keys"]["sk"]["S"])
            self.aws.orders.store(key, stream["NewImage"])

    def letters(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.aws.bucket.objects.values()]

    def states(self) -> dict[str, int]:
        """How many orders the ledger has in each state."""
        states = [entry["state"]["S"] for entry in self.aws.ledger().values()]
        return {state: states.count(state) for state in {*states}}

    def announced(self) -> dict[str, int]:
        types = [message.body["type"] for message in self.aws.topic.published]
        return {name: types.count(name) for name in {*types}}

    def assert_accounted(self, **counts: int) -> None:
        """Every record of the last batch has one of these outcomes, and each dead letter its line."""
        counted = {state.value: count for state, count in self.reports[-1].counts.items() if count}
        assert counted == {name: count for name, count in counts.items() if count}
        assert sum(counts.values()) == self.reports[-1].records
        stored = [line for line in self.caplog.messages if line == "dead letter stored"]
        assert len(stored) == len(self.aws.bucket.objects) == counts.get("poisoned", 0)

    def assert_nothing_happened(self) -> None:
        assert (self.aws.ledger(), self.aws.topic.published, self.letters()) == ({}, [], [])
        assert {product: self.aws.available(product) for product in STOCK} == STOCK


@pytest.fixture
def bench(caplog: pytest.LogCaptureFixture) -> Bench:
    return Bench(caplog)


def copies(bad: Record, count: int) -> list[Record]:
    """Return the same again for so many items; one is as it is."""
    return [bad] if count == 1 else [_copy(bad, number) for number in range(count)]


def _copy(bad: Record, number: int) -> Record:
    made: Record = json.loads(json.dumps(bad).replace("ORDER#bad", f"ORDER#bad-{number}"))
    if re.fullmatch("[0-9a-f]{32}", made["eventID"]):
        made["eventID"] = f"{number:032x}"
    made["dynamodb"]["SequenceNumber"] = str(10**22 + number)
    return made


def good(count: int) -> list[Record]:
    return [inserted(order(f"good-{number}"), sequence_number=10**21 + number) for number in range(count)]


def among(bad: Any, neighbours: list[Record]) -> list[Any]:
    middle = len(neighbours) // 2
    return [*neighbours[:middle], bad, *neighbours[middle:]]


def has_images(record: Record) -> bool:
    return not record["dynamodb"].keys().isdisjoint({"NewImage", "OldImage"})


# --- P ---------------------------------------------------------------------------------------------------------------


@in_batches
@pytest.mark.parametrize("row", POISON)
def test_p_each_of_many_bad_records_is_stored(row: str, size: int, bench: Bench) -> None:
    bad, reason = POISON[row]
    records = copies(bad, size)
    if size > 1 and not has_images(bad):
        with pytest.raises(InvalidEvent, match="StreamViewType"):  # so many are no bad records, the stream is wrong
            bench.send(records)
        bench.assert_nothing_happened()
        return
    assert bench.send(records) == SUCCESS

    letters = sorted(bench.letters(), key=lambda letter: int(letter["sequence_number"]))
    assert [letter["record"] for letter in letters] == [json.loads(json.dumps(record)) for record in records]
    assert all(re.search(reason, letter["reason"]) for letter in letters)
    assert (bench.aws.ledger(), bench.announced()) == ({}, {})
    bench.assert_accounted(poisoned=size)


@in_batches
@pytest.mark.parametrize("row", POISON)
def test_p_one_bad_record_stops_none_of_its_neighbours(row: str, size: int, bench: Bench) -> None:
    bad, _ = POISON[row]
    neighbours = good(size - 1)
    bench.place(neighbours)
    assert bench.send(among(bad, neighbours)) == SUCCESS

    (letter,) = bench.letters()
    assert letter["record"] == json.loads(json.dumps(bad))
    assert (bench.states().get("RESERVED", 0), bench.announced().get("order.received", 0)) == (size - 1, size - 1)
    assert bench.aws.available("tea") == STOCK["tea"] - (size - 1)
    bench.assert_accounted(applied=size - 1, poisoned=1)


@in_batches
def test_two_bad_records_with_one_event_id_are_two_dead_letters(size: int, bench: Bench) -> None:
    bad, _ = POISON["items empty"]
    assert bench.send([{**record, "eventID": "same"} for record in copies(bad, size)]) == SUCCESS
    bench.assert_accounted(poisoned=size)


# --- S, B, W, and what is processed as ever --------------------------------------------------------------------------


@in_batches
@pytest.mark.parametrize("row", SKIPPED)
def test_s_each_is_skipped_and_counted(row: str, size: int, bench: Bench) -> None:
    assert bench.send(copies(SKIPPED[row], size)) == SUCCESS
    bench.assert_nothing_happened()
    bench.assert_accounted(skipped=size)


@in_batches
@pytest.mark.parametrize("row", PROCESSED)
def test_each_is_processed_as_ever(row: str, size: int, bench: Bench) -> None:
    records = copies(PROCESSED[row], size)
    bench.place(records)
    assert bench.send(records) == SUCCESS
    assert (bench.states(), bench.announced()) == ({"RESERVED": size}, {"order.received": size})
    assert bench.aws.available("tea") == STOCK["tea"] - size * UNITS.get(row, 1)
    bench.assert_accounted(applied=size)


@in_batches
@pytest.mark.parametrize("row", ["unknown product", "not enough for all lines together"])
def test_b_each_is_rejected(row: str, size: int, bench: Bench) -> None:
    records = copies(REJECTED[row][0], size)
    bench.place(records)
    assert bench.send(records) == SUCCESS
    assert (bench.states(), bench.announced()) == ({"REJECTED": size}, {"order.received": size})
    assert {item["status"]["S"] for item in bench.aws.orders.items.values()} == {"rejected"}
    bench.assert_accounted(applied=size)


@in_batches
@pytest.mark.parametrize("row", WHOLE)
def test_w_one_is_enough_to_refuse_the_batch_before_any_effect(row: str, size: int, bench: Bench) -> None:
    whole, message = WHOLE[row]
    records: Any = whole.get("Records") if isinstance(whole, dict) else None
    if row == "every record without images":
        sent: Any = {"Records": (records * size)[: max(size, 2)]}
    elif isinstance(records, list):
        sent = {"Records": among(records[-1], good(size - 1))}
    else:
        sent = whole
    with pytest.raises(InvalidEvent, match=re.sub(r"record \d", r"record \\d+", message)):
        bench.worker(sent, FakeContext(clock=bench.clock))
    bench.assert_nothing_happened()


@in_batches
@pytest.mark.parametrize("place", ["us-east-1:210987654321", "eu-west-1:123456789012"])
def test_w_a_table_of_the_same_name_elsewhere_is_refused(
    place: str, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    ours, other = (f"arn:aws:dynamodb:{at}:table/orders" for at in ("us-east-1:123456789012", place))
    bench = Bench(caplog, table_arn=ours)
    (record,) = good(1)
    foreign = {**record, "eventSourceARN": f"{other}/stream/2025-01-01T00:00:00.000"}
    with pytest.raises(InvalidEvent, match=f"wanted records of the table {ours}, got {other}"):
        bench.send(among(foreign, good(size - 1)))
    bench.assert_nothing_happened()


# --- changes of entity, and stock that nobody can read ---------------------------------------------------------------


@in_batches
def test_an_order_that_becomes_a_draft_gives_back_what_it_holds(size: int, bench: Bench) -> None:
    placed = good(size)
    bench.place(placed)
    bench.send(placed)
    confirmed = [order(f"good-{number}", "confirmed") for number in range(size)]
    drafts = [modified(item, {**item, "entityType": "Draft"}, sequence_number=2**80) for item in confirmed]
    assert bench.send(drafts) == SUCCESS
    assert (bench.states(), bench.aws.available("tea")) == ({"RELEASED": size}, STOCK["tea"])
    assert bench.announced() == {"order.received": size, "order.removed": size}
    bench.assert_accounted(applied=size)


@in_batches
def test_a_stock_item_that_nobody_can_read_holds_up_who_wants_it_and_rejects_and_parks_nobody(
    size: int, bench: Bench
) -> None:
    key = ("PRODUCT#cup", "STOCK")
    bench.aws.inventory.items[key] = {**bench.aws.inventory.items[key], "available": {"S": "plenty"}}
    line = {"productId": "cup", "quantity": 1, "price": 1}
    odd = copies(inserted(order(items=[line]), sequence_number=10**22), size)
    bench.place([*good(size), *odd])
    answer = bench.send([*good(size), *odd])

    assert answer == {"batchItemFailures": [{"itemIdentifier": str(10**22)}]}
    assert (bench.states(), bench.announced()) == ({"RESERVED": size}, {"order.received": size})
    bench.assert_accounted(applied=size, failed=size)


# --- mistakes of a program have one face, whatever the batch ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    to: str


class Unknown:
    """An effect that no sink takes."""


@dataclass
class Program:
    """Somebody's worker with one handler, and what came of it."""

    handler: Any
    sent: list[Text] = field(default_factory=list)
    letters: MemoryDeadLetters = field(default_factory=MemoryDeadLetters)

    def __post_init__(self) -> None:
        self.worker = Worker(
            sinks=[each(Text, self.sent.append, name="texts")],
            journal=MemoryJournal(),
            dead_letters=self.letters,
            clock=FakeClock(),
            parallel=Sequential(),
        )
        self.worker.on_insert()(self.handler)


def leads(count: int, first: int = 0) -> list[Record]:
    items = [{"pk": f"LEAD#{number}", "sk": "A", "name": "x"} for number in range(first, first + count)]
    return event(*[inserted(item) for item in items])["Records"]


@in_batches
def test_an_effect_that_no_sink_takes_is_a_mistake_in_the_configuration(size: int) -> None:
    program = Program(lambda _change: Unknown())
    with pytest.raises(ConfigurationError, match="returned a Unknown, which no sink takes"):
        program.worker({"Records": leads(size)})
    assert (program.sent, program.letters.letters) == ([], {})


@in_batches
def test_an_attribute_that_single_items_lack_makes_bad_records(size: int) -> None:
    program = Program(lambda change: Text(change.image["email"]))
    good = [{"pk": f"LEAD#{number}", "sk": "A", "email": "x"} for number in range(1000, 1010 + size)]
    assert program.worker(event(*map(inserted, good))) == SUCCESS
    assert program.worker({"Records": leads(min(size, 9))}) == SUCCESS
    assert len(program.sent) == len(good)
    assert program.letters.reasons == ["email: wanted a value, got none; the item has name, pk, sk"] * min(size, 9)


@in_batches
@pytest.mark.parametrize(
    "handler",
    [lambda change: Text(change.image["nmae"]), lambda change: Text(change.image["name"].missing)],
    ids=["an attribute that no item has", "any other bug"],
)
def test_a_bug_in_a_handler_makes_at_most_ten_bad_records_of_a_table(handler: Any, size: int) -> None:
    program = Program(handler)
    refused = 0
    for first in range(0, 100, size):
        try:
            program.worker({"Records": leads(size, first)})
        except SystemicFailure:
            refused += 1
    assert refused > 0
    assert len(program.letters.letters) <= 10
    assert program.sent == []


@in_batches
def test_a_sink_that_is_down_makes_no_bad_records(size: int) -> None:
    program = Program(lambda change: Text(change.image["name"]))

    def down(_text: Text) -> None:
        raise ConnectionError("no answer")

    program.worker = Worker(
        sinks=[each(Text, down, name="texts")],
        journal=MemoryJournal(),
        dead_letters=program.letters,
        clock=FakeClock(),
        parallel=Sequential(),
    )
    program.worker.on_insert()(program.handler)
    records = leads(size)
    if size == 1:
        number = records[0]["dynamodb"]["SequenceNumber"]
        assert program.worker({"Records": records}) == {"batchItemFailures": [{"itemIdentifier": number}]}
    else:
        with pytest.raises(NoProgress):
            program.worker({"Records": records})
    assert program.letters.letters == {}


@pytest.mark.parametrize("size", [10, 101])
def test_a_batch_whose_transactions_were_refused_is_freed_without_the_collector(size: int, bench: Bench) -> None:
    rejected = event(*[inserted(order(f"o{number}", items=[line("cup", 4)])) for number in range(2 * size)])["Records"]
    bench.place(rejected)
    bench.send(rejected[:size])  # what is made at the first time stays
    gc.collect()
    gc.disable()
    try:
        bench.send(rejected[size:])
        bench.caplog.clear()
        assert gc.collect() < size
    finally:
        gc.enable()
    assert bench.states() == {"RESERVED": 1, "REJECTED": 2 * size - 1}
