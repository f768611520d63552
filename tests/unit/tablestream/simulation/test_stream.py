"""A stream is played under schedules: all that can go wrong does, and what is wrong is found."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tablestream import Change, ConfigurationError, InvalidRecord, Worker
from tablestream.simulation import Mishap, ScheduleFailed, Services, Stream, fresh
from tablestream.simulation.driver import Keyed, Played, Trial, play
from tablestream.simulation.schedule import (
    OF_CALL,
    OF_HANDLERS,
    OF_INVOCATION,
    Action,
    Mapped,
    MishapPlan,
    Point,
    Schedule,
    Step,
    drawn,
)
from tablestream.sinks import Counters, Increment, Message, Topic

TABLE = Keyed("orders", ("id",))


@dataclass(frozen=True, slots=True)
class Note:
    """Something to be noted about an item."""

    id: str
    words: str


class Notes:
    """Notes each change of an item under its id: idempotent, and in order."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.noted: dict[str, str] = {}
        self.calls: list[str] = []

    def note(self, note: Note) -> None:
        self.calls.append(note.words)
        # A batch may come again after later changes: the words only grow.
        self.noted[note.id] = max(note.words, self.noted.get(note.id, ""))

    def start(self) -> Worker:
        worker = Worker(table="orders")

        @worker.on_insert()
        @worker.on_modify(changed=["words"])
        def told(change: Change) -> Note:
            return Note(change.image["id"], change.image["words"])

        worker.sink(Note, name="notes", idempotent=True)(self.services.remote(self.note))
        return worker

    def at_end(self) -> None:
        assert self.noted == {item["id"]: item["words"] for item in self.services.items.values()}


def inserts(count: int) -> list[Step]:
    return [Step(n, Action.INSERT, {"id": str(n), "words": f"word {n}"}) for n in range(1, count + 1)]


def played(
    make: Callable[[Services], Trial],
    steps: list[Step],
    faults: Mapping[Point, Mishap] | None = None,
    mapped: Mapped | None = None,
) -> Played:
    """Play one schedule with these faults."""
    given = dict(faults or {})
    outcome = play(Schedule(tuple(steps), given, mapped or Mapped()), MishapPlan.of(given), make, TABLE)
    assert outcome.schedule.faults == given, "a fault did not strike"
    return outcome


def story(outcome: Played) -> list[str]:
    """Return what has happened, without the times."""
    return [line[12:].strip() for line in outcome.story]


class Watched(Notes):
    """Remembers the notes that were made."""

    made: Watched

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        Watched.made = self


def stream_of(make: Callable[[Services], Trial], seeds: range, changes: int = 4) -> Stream:
    stream = Stream(seeds, "again --seed=").keyed("id", table="orders")
    for n in range(1, changes + 1):
        stream.insert({"id": str(n), "words": "first"})
        stream.modify({"id": str(n)}, words="second")
    stream.play(make)
    return stream


# --- what holds ------------------------------------------------------------------------------------------------------


def test_a_worker_without_a_mistake_passes_all_schedules() -> None:
    stream_of(Notes, range(150))


def test_all_that_can_go_wrong_does() -> None:
    struck: set[Mishap] = set()
    for seed in range(150):
        schedule, plan = drawn(seed, inserts(6))
        struck |= set(play(schedule, plan, Notes, TABLE).schedule.faults.values())
    assert struck == {*OF_CALL, *OF_INVOCATION, *OF_HANDLERS}


def test_a_schedule_is_the_same_again() -> None:
    for seed in range(30):
        first = play(*drawn(seed, inserts(4)), Notes, TABLE)
        again = play(first.schedule, MishapPlan.of(first.schedule.faults), Notes, TABLE)
        assert again.story == first.story


# --- each thing that goes wrong --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mishap", "calls"),
    [
        (Mishap.CRASH_BEFORE, 1),
        (Mishap.REFUSED, 1),
        (Mishap.CRASH_AFTER, 2),
        (Mishap.NO_ANSWER, 2),
        (Mishap.TIMEOUT, 2),
        (Mishap.PAUSE, 1),
    ],
)
@pytest.mark.parametrize("point", ["notes", "note"])
def test_a_call_that_fails_comes_again_and_has_taken_place_or_not(point: str, mishap: Mishap, calls: int) -> None:
    outcome = played(Watched, inserts(1), {Point(point, 1, 1): mishap})
    assert outcome.error is None
    assert len(Watched.made.calls) == calls


def test_a_crash_between_two_effects_leaves_the_first_done() -> None:
    outcome = played(Watched, inserts(3), {Point("notes", 2, 1): Mishap.CRASH_BEFORE})
    assert Watched.made.calls == ["word 1", "word 1", "word 2", "word 3"]
    assert "invocation 2 in environment 2: change 1" in story(outcome), "the batch was halved"


def test_a_refusal_in_the_middle_is_delivered_again_from_the_checkpoint() -> None:
    outcome = played(Watched, inserts(3), {Point("notes", 2, 1): Mishap.REFUSED})
    assert "the function answers that it failed at change 2" in story(outcome)
    assert "invocation 2 in environment 1: changes 2, 3" in story(outcome)


def test_a_crash_between_handlers_and_sinks_has_done_nothing() -> None:
    outcome = played(Watched, inserts(1), {Point("the handlers", 1, 1): Mishap.CRASH_AFTER})
    assert story(outcome)[1:4] == [
        "invocation 1 in environment 1: change 1",
        "the handlers of change 1: it takes place, then the process crashes",
        "the function is dead",
    ]
    assert Watched.made.calls == ["word 1"]


def invocations(mishap: Mishap, count: int = 1) -> list[str]:
    outcome = played(Watched, inserts(count), {Point("the invocation", 1, 1): mishap})
    assert outcome.error is None
    return [line for line in story(outcome) if line.startswith("invocation")]


def test_a_throttled_function_is_invoked_once() -> None:
    assert invocations(Mishap.NOT_STARTED) == ["invocation 1 in environment 1: change 1"]


def test_a_lost_answer_has_the_whole_batch_halved() -> None:
    assert invocations(Mishap.ANSWER_LOST, 2) == [
        "invocation 1 in environment 1: changes 1, 2",
        "invocation 2 in environment 1: change 1",
        "invocation 3 in environment 1: change 2",
    ]


@pytest.mark.parametrize("mishap", [Mishap.TWICE, Mishap.AGAIN])
def test_a_batch_comes_twice(mishap: Mishap) -> None:
    assert len(invocations(mishap)) == 2
    assert Watched.made.calls == ["word 1"] * 2


def test_two_environments_interleave_where_a_call_pauses() -> None:
    faults = {Point("the invocation", 1, 1): Mishap.TWICE, Point("note", 1, 1): Mishap.PAUSE}
    lines = story(played(Notes, inserts(1), faults))
    second = lines.index("invocation 2 in environment 2: change 1")
    assert lines[second:][-2:] == ["notes of change 1: done", "the function answers that all is done"]
    assert lines.index("the function answers that all is done") > second, "the first one ended after the second"


def test_an_environment_dies_of_a_crash_and_a_new_one_may_come() -> None:
    assert invocations(Mishap.COLD) == ["invocation 1 in environment 1: change 1"]
    again = played(
        Notes, [*inserts(1), Step(2, Action.INSERT, {"id": "2", "words": ""}, 9.0)], {_invoked(2): Mishap.COLD}
    )
    assert "invocation 2 in environment 2: change 2" in story(again)


def _invoked(change: int) -> Point:
    return Point("the invocation", change, 1)


def test_the_children_of_a_shard_wait_for_it() -> None:
    steps = [
        Step(1, Action.INSERT, {"id": "1", "words": "first"}),
        Step(0, Action.RESHARD),
        Step(2, Action.MODIFY, {"id": "1", "words": "second"}),
    ]
    outcome = played(Watched, steps, {Point("notes", 1, 1): Mishap.REFUSED})
    assert outcome.error is None
    assert Watched.made.calls == ["first", "second"]


def test_a_mapping_that_is_started_again_begins_behind_its_checkpoint() -> None:
    later = Step(2, Action.INSERT, {"id": "2", "words": "second"}, 5.0)
    outcome = played(Watched, [*inserts(1), Step(0, Action.RESTART, after=5.0), later])
    assert outcome.error is None
    assert Watched.made.calls == ["word 1", "second"]


def test_a_mapping_that_is_started_twice_keeps_its_checkpoint() -> None:
    outcome = played(Watched, [*inserts(1), *[Step(0, Action.RESTART, after=5.0)] * 2])
    assert outcome.error is None
    assert Watched.made.calls == ["word 1"]


def test_the_environment_that_has_been_idle_longest_comes_back() -> None:
    faults = {
        _invoked(1): Mishap.TWICE,
        Point("note", 1, 1): Mishap.PAUSE,  # the second environment is done first, so it is idle longer
        _invoked(2): Mishap.OTHER,
    }
    steps = [*inserts(1), Step(2, Action.INSERT, {"id": "2", "words": ""}, 9.0)]
    assert "invocation 3 in environment 2: change 2" in story(played(Notes, steps, faults))


def test_a_batch_that_comes_again_does_so_a_minute_later() -> None:
    outcome = played(Notes, inserts(1), {_invoked(1): Mishap.AGAIN})
    assert [line[:12] for line in outcome.story if "invocation 2 in" in line] == ["    60.0 s  "]


def test_a_record_comes_again_as_it_was_whatever_a_handler_does_to_it() -> None:
    seen: list[Any] = []

    def handler(event: Any, _context: object) -> None:
        seen.append(event["Records"][0].pop("eventName"))

    played(lambda _services: Plain(handler), inserts(1), {_invoked(1): Mishap.ANSWER_LOST})
    assert seen == ["INSERT", "INSERT"]


class Mails(Watched):
    """Its sink is not idempotent, so the journal knows what is done."""

    def start(self) -> Worker:
        worker = Worker()

        @worker.on_insert()
        def told(change: Change) -> Note:
            return Note(change.new["id"], change.new["words"])

        worker.sink(Note, name="mails")(self.note)
        return worker


def test_what_the_journal_knows_is_not_repeated_though_it_cannot_be_read_at_once() -> None:
    faults = {Point("mails", 1, 1): Mishap.REFUSED, Point("reading the journal", 2, 1): Mishap.REFUSED}
    outcome = played(Mails, inserts(2), faults)
    assert outcome.error is None
    assert sorted(Watched.made.calls) == ["word 1", "word 2"]


def test_a_clock_jumps_for_the_worker_and_for_time_and_lambdas_timeout_stays() -> None:
    seen: list[tuple[float, float, int]] = []

    def make(services: Services) -> Trial:
        def handler(_event: object, context: Any) -> None:
            seen.append((services.clock.now(), time.time(), context.get_remaining_time_in_millis()))

        return Plain(handler)

    before = time.time()
    played(make, inserts(1))
    played(make, inserts(1), {_invoked(1): Mishap.CLOCK_AHEAD})
    played(make, inserts(1), {_invoked(1): Mishap.CLOCK_BACK})
    assert [now - seen[0][0] for now, _, _ in seen] == [0, 3600, -3600]
    assert all(now == told and left == 30_000 for now, told, left in seen)
    assert time.time() >= before, "the real clock is back"


class Plain:
    """A Lambda handler without a worker."""

    def __init__(self, handler: Callable[[object, Any], Any]) -> None:
        self.handler = handler

    def start(self) -> Callable[[object, Any], Any]:
        return self.handler

    def at_end(self) -> None:
        """Everything is right."""


def test_a_sleep_uses_up_the_functions_time() -> None:
    slept: list[float] = []

    def handler(_event: object, _context: object) -> None:
        if not slept:
            slept.append(60)
            time.sleep(60)

    outcome = played(lambda _services: Plain(handler), inserts(1))
    assert "the function runs into its timeout" in story(outcome)
    assert story(outcome)[-1] == "the function answers that all is done"


# --- what is found ---------------------------------------------------------------------------------------------------


class Doubled(Notes):
    """Counts in memory what it reads and writes in two calls: two environments lose an update."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.total = 0

    def note(self, note: Note) -> None:
        total = self.services.remote(lambda: self.total, "read")()
        self.services.remote(lambda: self.noted.setdefault(note.id, note.words), "claim")()
        self.services.remote(lambda: setattr(self, "total", total + 1), "write")()

    def start(self) -> Worker:
        worker = Worker()

        @worker.on_insert()
        def told(change: Change) -> Note:
            return Note(change.new["id"], change.new["words"])

        worker.sink(Note, name="notes", idempotent=True)(self.note)
        return worker

    def at_end(self) -> None:
        assert self.total >= len(self.services.items)


def test_a_lost_update_between_two_shards_is_found() -> None:
    stream = Stream(range(500)).keyed("id")
    for n in range(4):
        stream.insert({"id": str(n), "words": ""})
    with pytest.raises(ScheduleFailed) as failed:
        stream.play(Doubled)
    assert Mishap.PAUSE in failed.value.schedule.faults.values()
    assert failed.value.schedule.length <= 4


class Impure(Notes):
    """Its handler counts how often it is called."""

    def start(self) -> Worker:
        worker, calls = Worker(), list[str]()

        @worker.on_insert()
        def told(change: Change) -> Note:
            calls.append(change.new["id"])
            return Note(change.new["id"], str(len(calls)))

        worker.sink(Note, name="notes")(self.note)
        return worker

    def at_end(self) -> None:
        """Look at nothing."""


def test_a_handler_that_returns_something_else_for_the_same_change_is_found() -> None:
    with pytest.raises(ScheduleFailed, match=r"got for change 1 first Note Note.*words='1'.*, then .*words='2'"):
        stream_of(Impure, range(50), changes=1)


class Always(Notes):
    """Notes have to be there after each invocation."""

    def always(self) -> None:
        assert self.noted, "wanted a note"


def test_what_must_hold_always_is_looked_at_after_each_invocation() -> None:
    outcome = played(Always, inserts(1), {Point("notes", 1, 1): Mishap.REFUSED})
    assert str(outcome.error).startswith("wanted a note")
    assert played(Always, inserts(1)).error is None


def test_a_worker_that_never_gets_further_is_found() -> None:
    def refuse(_event: object, _context: object) -> None:
        raise RuntimeError("never")

    outcome = played(lambda _services: Plain(refuse), inserts(1))
    assert str(outcome.error) == (
        "wanted all changes to be done after 80 invocations, and the last of them raises RuntimeError: never"
    )


def test_a_mistake_of_the_test_is_told_as_it_is() -> None:
    class NoSink(Notes):
        def start(self) -> Worker:
            worker = Worker()
            worker.on_insert()(lambda change: Note(change.new["id"], ""))
            return worker

    assert isinstance(played(NoSink, inserts(1)).error, ConfigurationError)


def test_a_dead_letter_is_told() -> None:
    class Refusing(Notes):
        def start(self) -> Worker:
            worker = Worker()

            @worker.on_insert()
            def told(_change: Change) -> None:
                raise InvalidRecord("words: wanted others")

            return worker

        def at_end(self) -> None:
            assert self.services.dead_letters.reasons == ["words: wanted others"]

    outcome = played(Refusing, inserts(1))
    assert outcome.error is None
    assert "change 1 is a dead letter: words: wanted others" in story(outcome)


# --- what a worker finds ---------------------------------------------------------------------------------------------


def test_a_sink_of_aws_without_a_client_is_stood_in_for() -> None:
    class Leads(Notes):
        def start(self) -> Worker:
            worker = Worker(sinks=[Counters("counts"), Topic("sales")])

            @worker.on_insert()
            def told(change: Change) -> list[object]:
                return [Increment({"pk": "all"}, leads=1), Message({"lead": change.new["id"]})]

            return worker

        def at_end(self) -> None:
            sent = [sent.sink for sent in self.services.sent]
            assert sent.count("counts") == len(self.services.items), "an idempotent sink has each once"
            assert sent.count("sales") >= len(self.services.items)

    stream_of(Leads, range(50), changes=2)


def test_items_change_as_the_stream_says_and_what_is_left_out_is_passed_over() -> None:
    seen: list[str] = []

    def handler(event: Any, _context: object) -> None:
        seen.extend(record["eventName"] for record in event["Records"])

    steps = [
        Step(1, Action.INSERT, {"id": "1", "words": "a"}),
        Step(2, Action.MODIFY, {"id": "1", "words": "b"}),
        Step(3, Action.MODIFY, {"id": "2", "words": "its insertion is left out"}),
        Step(4, Action.EXPIRE, {"id": "1"}),
        Step(5, Action.REMOVE, {"id": "1"}),
    ]
    played(lambda _services: Plain(handler), steps)
    assert seen == ["INSERT", "MODIFY", "REMOVE"]


def test_a_fresh_module_has_its_own_state() -> None:
    first, second = (fresh("tablestream.testing.values") for _ in range(2))
    assert first.Raw is not second.Raw
    with pytest.raises(ModuleNotFoundError, match="wanted a module that can be imported"):
        fresh("tablestream.nowhere")


def test_a_fresh_module_need_not_have_been_imported_and_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ("from __future__ import annotations", "from dataclasses import dataclass", "@dataclass", "class Lead:")
    (tmp_path / "fresh_leads.py").write_text("\n".join([*lines, "    id: str", "    seen: int = 0"]))
    monkeypatch.syspath_prepend(tmp_path)
    assert fresh("fresh_leads").Lead("1").seen == 0
    assert "fresh_leads" not in sys.modules


# --- wrong use -------------------------------------------------------------------------------------------------------


def test_changes_that_cannot_be_are_refused() -> None:
    stream = Stream().keyed("id")
    stream.insert({"id": "1"})
    with pytest.raises(ValueError, match="wanted a new item"):
        stream.insert({"id": "1"})
    with pytest.raises(ValueError, match="wanted the key of an item that is there"):
        stream.remove({"id": "2"})
    with pytest.raises(ValueError, match="wanted the key attributes id, got none of id"):
        stream.modify({"pk": "1"}, words="a")
    with pytest.raises(ValueError, match="before the first change"):
        stream.keyed("pk")
    with pytest.raises(TypeError, match="words"):
        stream.modify({"id": "1"}, words=1.5)
    with pytest.raises(ValueError, match="wanted changes to play"):
        Stream().play(Notes)


class Twice(Notes):
    """Counts the notes that it makes, and states a number that holds for all changes of the test only."""

    def at_end(self) -> None:
        assert len(self.calls) == 3


def test_what_holds_for_all_changes_only_does_not_lead_astray() -> None:
    stream = Stream(range(100)).keyed("id")
    for n in range(3):
        stream.insert({"id": str(n), "words": ""})
    with pytest.raises(ScheduleFailed) as failed:
        stream.play(Twice)
    assert [step.number for step in failed.value.schedule.steps] == [1, 2, 3]
    assert len(failed.value.schedule.faults) == 1


class Slipping(Notes):
    """Fails by an assertion, and otherwise where there is one change only."""

    def at_end(self) -> None:
        if len(self.calls) > len(self.services.items) == 1:
            raise LookupError("another failure")
        assert len(self.calls) <= len(self.services.items)


def test_the_shortest_fails_in_the_same_way() -> None:
    stream = Stream(range(100)).keyed("id")
    for n in range(3):
        stream.insert({"id": str(n), "words": ""})
    with pytest.raises(ScheduleFailed, match="what is wrong: AssertionError") as failed:
        stream.play(Slipping)
    assert len(failed.value.schedule.steps) == 2


def test_a_handler_that_is_broken_is_told_from_bad_records() -> None:
    class Broken(Notes):
        def start(self) -> Worker:
            worker = Worker()

            @worker.on_insert()
            def told(change: Change) -> Note:
                raise RuntimeError(change.new["id"])

            return worker

    outcome = played(Broken, inserts(12))
    assert "and the last of them raises SystemicFailure" in str(outcome.error)


def test_a_change_that_changes_nothing_has_no_record() -> None:
    steps = [*inserts(1), Step(2, Action.MODIFY, {"id": "1", "words": "word 1"})]
    assert not [line for line in story(played(Notes, steps)) if "change 2" in line]


def test_chance_goes_on_where_it_was() -> None:
    random.seed(5)
    wanted = random.random()
    random.seed(5)
    played(Notes, inserts(1))
    assert random.random() == wanted
