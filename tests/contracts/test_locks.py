"""Items under a lock, in moto and in DynamoDB Local: who read what is not so any more is told."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr

from benchmarks.contenders.locks import published
from tablestream import Backoff, Run
from tablestream.dynamodb import (
    Check,
    ConditionFailed,
    Delete,
    ItemStore,
    NotFound,
    Put,
    RaceCondition,
    Table,
    TransactionCancelled,
    Update,
)
from tablestream.testing import FakeClock
from tests.support.dynamodb import indexed_table

Plain = dict[str, Any]
Store = ItemStore[Plain]
BOARD, CLOCK = {"pk": "GAME#1", "sk": "BOARD"}, {"pk": "GAME#1", "sk": "CLOCK"}
HOUR = 3600
WRITERS, EACH = 8, 12
PATIENT = Backoff(tries=60)


@pytest.fixture
def store(table: Table) -> Store:
    return ItemStore(table)


@contextmanager
def counting(client: Any) -> Iterator[list[str]]:
    """Note the operations that a client sends."""
    called: list[str] = []

    def note(model: Any, **_: Any) -> None:
        called.append(model.name)

    client.meta.events.register("before-call.dynamodb", note)
    try:
        yield called
    finally:
        client.meta.events.unregister("before-call.dynamodb", note)


# --- one and many ----------------------------------------------------------------------------------------------------


def test_one_and_many_are_set_read_in_the_order_of_their_keys_and_deleted(store: Store) -> None:
    store.set({**BOARD, "n": 1})
    assert store.get(BOARD) == {**BOARD, "n": 1}
    many = [{"pk": "GAME#1", "sk": f"MOVE#{number:03}", "n": number} for number in range(130)]
    store.set(*many)
    keys = [{"pk": item["pk"], "sk": item["sk"]} for item in reversed(many)]
    assert store.get_many([*keys, {"pk": "GAME#1", "sk": "NONE"}, BOARD]) == [*reversed(many), None, {**BOARD, "n": 1}]
    store.delete(BOARD)
    store.delete(*keys)
    assert store.query("GAME#1") == []


def test_values_are_native_maps(store: Store) -> None:
    item = {**BOARD, "tags": frozenset({"a"}), "deep": {"list": [1, None, b"\x00", {"x": True}]}}
    store.set_atomic(store.lock(BOARD), item)
    assert store.get(BOARD) == item


def test_a_partition_is_read_by_prefix_without_its_locks(store: Store) -> None:
    for key in (BOARD, CLOCK, {"pk": "GAME#1", "sk": "MOVE#1"}, {"pk": "GAME#2", "sk": "MOVE#1"}):
        store.set_atomic(store.lock(key), {**key, "n": 1})
    assert [item["sk"] for item in store.query("GAME#1")] == ["BOARD", "CLOCK", "MOVE#1"]
    assert [item["sk"] for item in store.query("GAME#1", "MOVE#")] == ["MOVE#1"]
    assert store.query("GAME#3") == []


def test_a_partition_is_read_as_it_is_asked_for(store: Store, client: Any) -> None:
    large = "x" * 300_000  # a page of DynamoDB holds 1 MB
    for number in range(8):
        store.set({"pk": "GAME#1", "sk": f"MOVE#{number}", "text": large})
    with counting(client) as called:
        stream = store.stream("GAME#1")
        assert called == []
        assert next(stream)["sk"] == "MOVE#0"
        assert called == ["Query"]
        assert [item["sk"] for item in stream] == [f"MOVE#{number}" for number in range(1, 8)]
    assert len(called) > 1


# --- under a lock ----------------------------------------------------------------------------------------------------


def test_of_two_who_read_the_same_the_second_is_told_and_writes_nothing(store: Store) -> None:
    store.set({**BOARD, "n": 0})
    mine, yours = store.read(BOARD, BOARD, CLOCK), store.read(BOARD, BOARD, CLOCK)
    assert mine.items == [{**BOARD, "n": 0}, None]
    store.set_atomic(mine.lock, {**BOARD, "n": 1}, {**CLOCK, "n": 1})
    with pytest.raises(RaceCondition):
        store.set_atomic(yours.lock, {**BOARD, "n": 2}, {**CLOCK, "n": 2})
    assert store.get_many([BOARD, CLOCK]) == [{**BOARD, "n": 1}, {**CLOCK, "n": 1}]
    store.set_atomic(mine.lock, Delete(CLOCK))
    assert store.get(CLOCK) is None


def test_what_else_stands_in_the_way_is_told_by_its_place(store: Store) -> None:
    store.set({**BOARD, "n": 1})
    lock = store.lock(BOARD)
    with pytest.raises(TransactionCancelled) as told:
        store.set_atomic(
            lock, Put({**CLOCK, "n": 1}, if_absent=True), Update(BOARD, add={"n": 1}, condition=Attr("n").eq(5))
        )
    assert told.value.failed == (1,)
    assert isinstance(told.value.reasons[1], ConditionFailed)
    with pytest.raises(TransactionCancelled) as told:
        store.set_atomic(lock, {**BOARD, "n": 2}, Check(CLOCK))
    assert isinstance(told.value.reasons[1], NotFound)
    assert store.get_many([BOARD, CLOCK]) == [{**BOARD, "n": 1}, None]
    store.set_atomic(lock, Update(BOARD, add={"n": 1}))
    assert (store.get(BOARD) or {})["n"] == 2


def test_a_lock_lasts_a_day_is_renewed_in_its_last_hour_and_is_taken_over_after_it(table: Table) -> None:
    clock = FakeClock()
    store = ItemStore(table.within(Run(clock=clock)))
    store.set_atomic(store.lock(BOARD), {**BOARD, "n": 1})
    first = store.lock(BOARD)
    clock.sleep(23.5 * HOUR)
    late = store.lock(BOARD)
    assert late.expires - first.expires == int(23.5 * HOUR)
    clock.sleep(HOUR)
    with pytest.raises(RaceCondition):
        store.set_atomic(first, {**BOARD, "n": 2})
    store.set_atomic(late, {**BOARD, "n": 3})
    clock.sleep(25 * HOUR)
    mine, yours = store.lock(BOARD), store.lock(BOARD)
    store.set_atomic(mine, {**BOARD, "n": 4})
    with pytest.raises(RaceCondition):
        store.set_atomic(yours, {**BOARD, "n": 5})
    assert (mine.version, store.get(BOARD)) == (3, {**BOARD, "n": 4})


def test_one_that_was_removed_and_made_anew_is_another(table: Table) -> None:
    clock = FakeClock()
    store = ItemStore(table.within(Run(clock=clock)))
    mine = store.lock(BOARD)
    store.set_atomic(mine, {**BOARD, "by": "me"})
    clock.sleep(60)
    store.delete({**BOARD, "sk": "BOARD#LOCK"})
    store.set_atomic(store.lock(BOARD), {**BOARD, "by": "you"})
    with pytest.raises(RaceCondition):
        store.set_atomic(mine, {**BOARD, "by": "me"})


@dataclass(frozen=True)
class Score:
    """A value of a class of one's own."""

    player: str
    points: int


class Scores:
    """Turns scores into items and back."""

    def encode(self, value: Score, /) -> Mapping[str, Any]:
        return {"pk": "SCORES", "sk": value.player, "points": value.points}

    def decode(self, item: Plain, /) -> Score:
        return Score(item["sk"], item["points"])


def test_values_of_a_class_are_kept_by_a_codec(table: Table) -> None:
    scores = ItemStore(table, Scores())
    ann, bob = ({"pk": "SCORES", "sk": name} for name in ("ann", "bob"))
    scores.set(Score("ann", 10), Score("bob", 0))

    def give(both: list[Score | None]) -> list[Score | None]:
        return [Score(one.player, one.points + change) for one, change in zip(both, (-3, 3), strict=True) if one]

    assert scores.change(ann, give, keys=[ann, bob]).items == [Score("ann", 7), Score("bob", 3)]
    assert scores.query("SCORES") == [Score("ann", 7), Score("bob", 3)]


# --- a replica that lags ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Behind:
    """A client whose eventually consistent reads come from a replica, a table that nothing has reached yet."""

    client: Any
    replica: str

    def get_item(self, **request: Any) -> Any:
        return self.client.get_item(**self._routed(request))

    def query(self, **request: Any) -> Any:
        return self.client.query(**self._routed(request))

    def batch_get_item(self, **request: Any) -> Any:
        ((table, asked),) = request["RequestItems"].items()
        where = table if asked.get("ConsistentRead") else self.replica
        answer = self.client.batch_get_item(**{**request, "RequestItems": {where: asked}})
        return {**answer, "Responses": {table: answer["Responses"].get(where, [])}}

    def _routed(self, request: Plain) -> Plain:
        return request if request.get("ConsistentRead") else {**request, "TableName": self.replica}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)


READS: Mapping[str, Callable[[Store], object]] = {
    "get": lambda store: store.get(BOARD),
    "get_many": lambda store: store.get_many([BOARD])[0],
    "query": lambda store: store.query("GAME#1")[0],
    "stream": lambda store: next(store.stream("GAME#1", "BOARD")),
    "read": lambda store: store.read(BOARD).items[0],
    "change": lambda store: store.change(BOARD, list).items[0],
}


@pytest.mark.parametrize("read", READS)
def test_what_was_written_is_read_at_once_where_a_replica_lags(table: Table, client: Any, read: str) -> None:
    with indexed_table(client) as replica:
        behind = Table(table.name, Behind(client, replica))
        assert behind.get(BOARD) is None
        store = ItemStore(behind)
        store.set_atomic(store.lock(BOARD), {**BOARD, "n": 1})
        assert behind.get(BOARD) is None
        assert READS[read](store) == {**BOARD, "n": 1}
        assert store.lock(BOARD).version >= 1


# --- calls -----------------------------------------------------------------------------------------------------------


def counted_up(items: list[Plain | None]) -> list[Plain | None]:
    (item,) = items
    return [{**BOARD, "n": 1 if item is None else item["n"] + 1}]


def test_a_holder_needs_one_call_and_a_try_two(store: Store, client: Any) -> None:
    with counting(client) as called:
        held = store.change(BOARD, counted_up)
        assert called == ["TransactGetItems", "TransactWriteItems"]
        held = store.change(BOARD, counted_up, held=held)
        assert called[2:] == ["TransactWriteItems"]
        store.change(BOARD, counted_up)
        called.clear()
        store.change(BOARD, counted_up, held=held)
        assert called == ["TransactWriteItems", "TransactGetItems", "TransactWriteItems"]
    assert store.get(BOARD) == {**BOARD, "n": 4}


# --- many writers ----------------------------------------------------------------------------------------------------


@dataclass
class StaleReads:
    """A client one in ten of whose eventually consistent reads returns the item as it was before its last change.

    It is a lagging replica: a consistent read, also that of a transaction, is never answered by it.
    """

    client: Any
    random: random.Random
    before: dict[str, Any] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    stale: int = 0

    def get_item(self, **request: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.get_item(**{**request, "ConsistentRead": True})
        place = str(sorted(request["Key"].items()))
        if answer.get("Item") != self.last.get(place):
            self.before[place], self.last[place] = self.last.get(place), answer.get("Item")
        if request.get("ConsistentRead") or not self.before.get(place) or self.random.random() >= 0.1:
            return answer
        self.stale += 1
        return {"Item": self.before[place]}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)


def counted(write: Callable[[int], int]) -> Counter[int]:
    """Have eight writers count side by side; return how often each said that it was done."""
    with ThreadPoolExecutor(WRITERS) as threads:
        return Counter(dict(enumerate(threads.map(write, range(WRITERS)))))


@pytest.fixture
def threads_are_borne(backend: str) -> None:
    if backend == "moto":
        pytest.skip("moto puts its tables back after a transaction that failed, with what others wrote meanwhile")


def holding(store: Store) -> None:
    held = None
    for _ in range(EACH):
        held = store.change(BOARD, counted_up, held=held)


def anew(store: Store) -> None:
    for _ in range(EACH):
        store.change(BOARD, counted_up)


def by_hand(store: Store) -> None:
    """Lock first, item afterwards, as whoever cannot read both at one moment."""
    for _ in range(EACH):
        for _ in Run(backoff=PATIENT).attempts():
            lock = store.lock(BOARD)
            try:
                store.set_atomic(lock, *filter(None, counted_up([store.get(BOARD)])))
            except RaceCondition:
                continue
            break
        else:
            raise AssertionError


@pytest.mark.usefixtures("threads_are_borne")
@pytest.mark.parametrize("lagging", [False, True])
@pytest.mark.parametrize("way", [holding, anew, by_hand])
def test_of_eight_writers_none_loses_an_update(
    table: Table, client: Any, way: Callable[[Store], None], lagging: bool
) -> None:
    def write(number: int) -> int:
        seen: Any = StaleReads(client, random.Random(number)) if lagging else client
        way(ItemStore(Table(table.name, seen, run=Run(backoff=PATIENT))))
        return EACH

    done = counted(write)
    assert (ItemStore(table).get(BOARD) or {})["n"] == done.total() == WRITERS * EACH


@pytest.mark.usefixtures("threads_are_borne")
def test_the_published_way_loses_updates_where_a_replica_lags(table: Table, client: Any) -> None:
    readers = [StaleReads(client, random.Random(number)) for number in range(WRITERS)]

    def write(number: int) -> int:
        def one_more() -> bool:
            waits = PATIENT.delays()
            return published.increment(readers[number], table.name, lambda _: time.sleep(next(waits)))

        return sum(one_more() for _ in range(EACH * 3))

    done = counted(write)
    left = published.count(client, table.name)
    assert sum(reader.stale for reader in readers) > 0
    assert left < done.total()
