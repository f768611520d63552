"""Counters: each effect counts once, whatever comes between."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from tablestream import (
    DONE,
    Answer,
    Backoff,
    ConfigurationError,
    Deadline,
    Effect,
    InvalidRecord,
    Run,
    Transient,
    Worker,
)
from tablestream.sinks import Counters, Increment
from tablestream.sinks.counters import CounterError
from tablestream.testing import FakeClock, effects
from tablestream.testing.doubles import cancelled, client_error
from tablestream.testing.dynamodb import MemoryDynamoDB, MemoryTable

TABLE = "lead-counts"
LOST = ReadTimeoutError(endpoint_url="https://x")


@dataclass
class Bench:
    """Workers on one DynamoDB in memory; `faults` are used up one a transaction."""

    faults: list[str] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    clock: FakeClock = field(default_factory=FakeClock)
    db: MemoryDynamoDB = field(default_factory=MemoryDynamoDB)
    before_call: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        self.db.tables[TABLE] = MemoryTable(("pk",))

    def batch_get_item(self, **request: Any) -> Any:
        return self.db.batch_get_item(**request)

    def transact_write_items(self, **request: Any) -> Any:
        before, self.before_call = self.before_call, lambda: None
        before()
        fault = self.faults.pop(0) if self.faults else ""
        self.calls.append(len(request["TransactItems"]))
        if fault == "unsent":
            raise LOST
        if fault == "conflict":
            reasons = [{"Code": "None"} for _ in request["TransactItems"]]
            raise cancelled([*reasons[1:], {"Code": "TransactionConflict"}])
        if fault not in {"", "lost"}:
            raise client_error(fault, "TransactWriteItems")
        answer = self.db.transact_write_items(**request)
        if fault == "lost":
            raise LOST
        return answer

    def apply(
        self, *wanted: Effect[Increment], deadline: Deadline | None = None, remember_days: int | None = None
    ) -> Sequence[Answer]:
        client: Any = self
        sink = Counters(table=TABLE, client=client, remember_days=remember_days)
        backoff = Backoff(uniform=random.Random(1).uniform)
        return sink.apply(wanted, Run(deadline or Deadline.of(None, 0), clock=self.clock, backoff=backoff))

    def counted(self, counter: str, attribute: str = "leads") -> int | Decimal:
        item = self.db.tables[TABLE].items.get((counter,), {})
        return Decimal(item.get(attribute, {"N": "0"})["N"])


def won(amount: int = 1) -> Increment:
    return Increment({"pk": "won"}, leads=amount)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_effect_counts_once_however_often_it_comes(bench: Bench) -> None:
    (one,) = effects(won())
    assert [*bench.apply(one), *bench.apply(one), *bench.apply(one, one)] == [DONE] * 4
    assert bench.counted("won") == 1
    assert bench.db.tables[TABLE].items["ONCE#effect-0",] == {"pk": {"S": "ONCE#effect-0"}}


def test_the_effects_of_a_batch_share_an_action_on_their_counter(bench: Bench) -> None:
    wanted = effects(*[won(number) for number in range(150)], Increment({"pk": "lost"}, leads=1))
    assert bench.apply(*wanted) == [DONE] * 151
    assert (bench.counted("won"), bench.counted("lost")) == (sum(range(150)), 1)
    assert bench.calls == [100, 52, 2]


def test_several_amounts_of_one_effect_are_carried_out_together(bench: Bench) -> None:
    bench.apply(*effects(Increment({"pk": "won"}, leads=1, value=Decimal("9.90")), Increment({"pk": "won"}, value=1)))
    assert (bench.counted("won"), bench.counted("won", "value")) == (1, Decimal("10.90"))


def test_what_is_partly_counted_goes_on_where_it_ended(bench: Bench) -> None:
    wanted = effects(*[won() for _ in range(5)])
    bench.apply(wanted[1], wanted[3])
    assert bench.apply(*wanted) == [DONE] * 5
    assert bench.counted("won") == 5


@pytest.mark.parametrize("fault", ["lost", "unsent", "conflict", "ThrottlingException", "InternalServerError"])
@pytest.mark.parametrize("times", [1, 2, 30])
def test_a_fault_neither_loses_nor_repeats_a_count(bench: Bench, fault: str, times: int) -> None:
    wanted = effects(won(), won(2))
    bench.faults = [fault] * times
    first = bench.apply(*wanted)
    assert (first == [DONE, DONE]) or times == 30
    bench.faults = []
    assert bench.apply(*wanted) == [DONE, DONE]
    assert bench.counted("won") == 3


def test_two_workers_with_the_same_records_count_them_once(bench: Bench) -> None:
    wanted = effects(*[won() for _ in range(10)])
    bench.before_call = lambda: bench.apply(*wanted[3:])
    assert bench.apply(*wanted) == [DONE] * 10
    assert bench.counted("won") == 10


def test_after_the_deadline_nothing_is_counted(bench: Bench) -> None:
    (answer,) = bench.apply(*effects(won()), deadline=Deadline(lambda: 0.0))
    assert isinstance(answer, Transient)
    assert bench.calls == []


def test_a_missing_permission_is_not_tried_again(bench: Bench) -> None:
    bench.faults = ["AccessDeniedException"] * 5
    assert {type(answer) for answer in bench.apply(*effects(won(), won()))} == {Transient}
    assert len(bench.faults) == 4


def test_ledger_items_stay_for_ever_unless_a_time_is_given(bench: Bench) -> None:
    bench.apply(*effects(won()), remember_days=90)
    expires = int(bench.clock.now()) + 90 * 86_400
    assert bench.db.tables[TABLE].items["ONCE#effect-0",]["ttl"] == {"N": str(expires)}


def test_an_id_that_is_long_or_no_ascii_is_hashed(bench: Bench) -> None:
    ids = ["x" * 5000, "é", "\ud800"]
    assert bench.apply(*[Effect(won(), name) for name in ids]) == [DONE] * 3
    keys = [pk for (pk,) in bench.db.tables[TABLE].items if pk != "won"]
    assert {len(pk) for pk in keys} == {len("ONCE#") + 64}
    assert len(keys) == 3


def test_the_ledgers_key_does_not_depend_on_the_order_of_the_attributes(bench: Bench) -> None:
    bench.db.tables[TABLE] = MemoryTable(("pk", "sk"))
    bench.apply(Effect(Increment({"pk": "won", "sk": "2025"}, leads=1), "e"))
    bench.apply(Effect(Increment({"sk": "2025", "pk": "won"}, leads=1), "e"))
    assert bench.db.tables[TABLE].items["won", "2025"]["leads"] == {"N": "1"}


class Broken(Bench):
    """A counter that holds text: DynamoDB refuses the transaction, with or without a reason."""

    def transact_write_items(self, **request: Any) -> Any:
        items = request["TransactItems"]
        if any(action.get("Update", {}).get("Key") == {"pk": {"S": "won"}} for action in items):
            raise client_error("ValidationException", "TransactWriteItems")
        return super().transact_write_items(**request)


def test_a_counter_that_is_no_number_holds_up_its_own_effects_and_sets_nothing_aside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Broken()
    bench.db.tables[TABLE].store(("won",), {"pk": {"S": "won"}, "leads": {"S": "many"}})
    first, second = bench.apply(*effects(won(), Increment({"pk": "lost"}, leads=1)))
    assert isinstance(first, Transient)
    assert isinstance(first.error, CounterError)
    assert second == DONE
    assert [record.message for record in caplog.records] == ["counter cannot be changed"]


# --- the effect ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counter", "amounts"),
    [
        ({"pk": None}, {"leads": 1}),
        ({"pk": ""}, {"leads": 1}),
        ({"pk": True}, {"leads": 1}),
        ({"pk": ["won"]}, {"leads": 1}),
        ({"pk": "x" * 2049}, {"leads": 1}),
        ({"pk": "\ud800"}, {"leads": 1}),
        ({"pk": "ONCE#1"}, {"leads": 1}),
        ({"pk": "won"}, {"leads": True}),
        ({"pk": "won"}, {"leads": "1"}),
        ({"pk": "won"}, {"leads": 0.5}),
        ({"pk": "won"}, {"leads": None}),
        ({"pk": "won"}, {"leads": Decimal("NaN")}),
        ({"pk": "won"}, {"leads": 10**38 + 1}),
        ({"pk": "won"}, {"leads": Decimal("1E+126")}),
    ],
)
def test_a_value_that_cannot_be_counted_is_a_bad_record(counter: Any, amounts: Any) -> None:
    with pytest.raises(InvalidRecord, match="wanted"):
        Increment(counter, amounts)


@pytest.mark.parametrize(
    ("counter", "amounts"),
    [
        ({}, {"leads": 1}),
        ("won", {"leads": 1}),
        ({1: "won"}, {"leads": 1}),
        ({"pk": 5}, {"leads": 1}),
        ({"pk": "won"}, {}),
        ({"pk": "won"}, {"": 1}),
        ({"pk": "won"}, {"pk": 1}),
    ],
)
def test_a_call_that_is_always_wrong_is_a_mistake_of_the_code(counter: Any, amounts: Any) -> None:
    with pytest.raises(TypeError, match="wanted"):
        Increment(counter, amounts)


def test_equal_increments_are_equal_and_cannot_be_changed() -> None:
    one = Increment({"pk": "won"}, leads=1)
    assert one == Increment({"pk": "won"}, {"leads": 1}) != Increment({"pk": "won"}, leads=2)
    with pytest.raises(AttributeError):
        one.key = "other"  # type: ignore[misc]


def test_the_table_is_looked_up_by_name_or_taken_as_it_is() -> None:
    names = {"JOURNAL_TABLE": "journal", "FAILURES_BUCKET": "failures"}
    arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/lead-counts"
    with pytest.raises(ConfigurationError, match=r"^LEAD_COUNTS_TABLE: wanted a table's name, got nothing$"):
        Worker(sinks=[Counters("lead-counts")]).handler(names)
    Worker(sinks=[Counters("lead-counts")]).handler({**names, "LEAD_COUNTS_TABLE": "counts"})
    for sink in (Counters(arn), Counters(table="lead-counts"), Counters("lead-counts")):
        assert sink.name == "lead-counts"
    Worker(sinks=[Counters(arn)]).handler(names)
    Worker(sinks=[Counters(table="counts")]).handler(names)
    with pytest.raises(ConfigurationError, match="got both or neither"):
        Counters()
    with pytest.raises(ConfigurationError, match="remember_days: wanted at least 1"):
        Counters("lead-counts", remember_days=0)


# --- all at once -----------------------------------------------------------------------------------------------------

FAULTS = ["", "", "", "lost", "unsent", "conflict", "ThrottlingException", "InternalServerError"]


@pytest.mark.uncounted
@pytest.mark.parametrize("seed", range(60))
def test_whatever_fails_and_however_often_it_comes_each_effect_counts_once(seed: int) -> None:
    rng = random.Random(seed)
    bench = Bench(faults=[rng.choice(FAULTS) for _ in range(40)])
    counters = ["new", "won", "lost"]
    wanted = effects(
        *[Increment({"pk": rng.choice(counters)}, leads=rng.choice([-1, 1, 2])) for _ in range(rng.randint(1, 250))]
    )
    done: set[str] = set()
    for _ in range(200):
        batch = rng.sample(wanted, rng.randint(1, len(wanted)))  # shards, redeliveries and redrives in any order
        if rng.random() < 0.5:  # another worker comes in between with some of the same
            other = rng.sample(batch, rng.randint(1, len(batch)))
            bench.before_call = partial(bench.apply, *other)
        answers = bench.apply(*batch, deadline=_after(rng.choice([1, 2, 5, 100])))
        done |= {effect.id for effect, answer in zip(batch, answers, strict=True) if answer == DONE}
        if len(done) == len(wanted):
            break
    assert len(done) == len(wanted)
    expected: Counter[str] = Counter()
    for effect in wanted:
        expected[str(effect.value.counter["pk"])] += int(effect.value.amounts["leads"])
    assert {name: bench.counted(name) for name in counters} == {name: expected[name] for name in counters}


def _after(questions: int) -> Deadline:
    """Return a deadline that comes after so many looks at it."""
    left = iter(range(questions))
    return Deadline(lambda: 100.0 if next(left, None) is not None else 0.0)
