"""Sending a batch: what each answer of the worker means for each of its records, what is counted, how it ends."""

from __future__ import annotations

import io
import json
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tablestream.ops.invoking import Answer, Broken, FirstFailed, Invoke, Reported, StoredLetter, Unreported
from tablestream.ops.planning import item_of
from tablestream.ops.sending import PendingRecord, Sender, SendOutcome, Tally, concluded
from tablestream.ops.terminal import ExitStatus, InterruptedRunError, OutcomeUnknownError, StoppedError, Terminal
from tablestream.report import RecordState
from tablestream.testing import event, inserted

NO_PATIENCE_NEEDED = 1000
REFUSED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutObject")


def pending(*items: str) -> list[PendingRecord]:
    records = event(*[inserted({"pk": item, "sk": "A"}) for item in items])["Records"]
    return [PendingRecord(record, item_of(record)) for record in records]


FIRST = int(pending("x")[0].record["dynamodb"]["SequenceNumber"])


def place_of(record: Any) -> int:
    return int(record["dynamodb"]["SequenceNumber"]) - FIRST


def worker(
    failing: Sequence[int] = (), breaking: Sequence[int] = (), poison: Sequence[int] = ()
) -> tuple[Callable[[Any], Answer], list[list[int]]]:
    """Return a worker that answers as the real one does, and what it applied in each invocation, by place."""
    applied: list[list[int]] = []

    def invoke(records: Sequence[Any]) -> Answer:
        places = [place_of(record) for record in records]
        if set(places) & set(breaking):
            return Broken("Sandbox.Timedout")
        bad = sorted(set(places) & set(failing))
        stuck = {records[places.index(place)]["dynamodb"]["Keys"]["pk"]["S"] for place in bad}
        taken = [
            (place, record)
            for place, record in zip(places, records, strict=True)
            if place not in bad
            and not (record["dynamodb"]["Keys"]["pk"]["S"] in stuck and any(place > one for one in bad))
        ]
        applied.append([place for place, _ in taken if place not in poison])
        if bad and bad[0] == min(places) and len(places) > 1:
            return FirstFailed("")
        letters = {
            (record["eventID"], FIRST + place): StoredLetter("KeyError", f"k/{place}")
            for place, record in taken
            if place in poison
        }
        return Reported(FIRST + bad[0] if bad else None, letters)

    return invoke, applied


def states(sender: Sender, sent: Sequence[PendingRecord]) -> list[RecordState]:
    found: dict[Any, RecordState] = {}
    sender.send(sent, lambda outcome: found.update({outcome.pending.identity: outcome.state}))
    return [found[one.identity] for one in sent]


A, P, F, H = RecordState.APPLIED, RecordState.POISONED, RecordState.FAILED, RecordState.HELD_BACK


@pytest.mark.parametrize(
    ("items", "failing", "breaking", "poison", "expected"),
    [
        ("abc", [], [], [], [A, A, A]),
        ("abc", [1], [], [], [A, F, A]),
        ("abc", [0], [], [], [F, A, A]),
        ("a", [0], [], [], [F]),
        ("abab", [0], [], [], [F, A, H, A]),
        ("aabb", [1], [], [], [A, F, A, A]),
        ("abc", [0, 1, 2], [], [], [F, F, F]),
        ("abcdefg", [], [3], [], [A, A, A, F, A, A, A]),
        ("abcadefa", [], [3], [], [A, A, A, F, A, A, A, H]),
        ("abcd", [3], [0], [], [F, A, A, F]),
        ("abc", [], [], [1], [A, P, A]),
        ("a", [], [], [0], [P]),
        ("aab", [], [], [0], [P, A, A]),  # the later change of the item goes on
        ("abcd", [1], [], [0, 3], [P, F, A, P]),
        ("abcd", [0], [], [2], [F, A, P, A]),
        ("ab", [0], [], [1], [F, P]),
        ("abcd", [], [3], [0, 1], [P, P, A, F]),
    ],
)
def test_it_is_found_out_what_became_of_each_record(
    items: str, failing: list[int], breaking: list[int], poison: list[int], expected: list[RecordState]
) -> None:
    invoke, _ = worker(failing, breaking, poison)
    tally = Tally()
    assert states(Sender(invoke, tally, NO_PATIENCE_NEEDED), pending(*items)) == expected
    counted = (tally.applied, tally.poison, tally.failed.total(), tally.held_back, tally.unknown)
    assert counted == (expected.count(A), expected.count(P), expected.count(F), expected.count(H), 0)


@pytest.mark.parametrize("seed", range(50))
def test_changes_of_an_item_are_applied_in_order_whatever_fails(seed: int) -> None:
    chance = random.Random(seed)
    items = [chance.choice("abcde") for _ in range(30)]
    failing, breaking, poison = (chance.sample(range(30), count) for count in (4, 3, 4))
    invoke, applied = worker(failing, breaking, poison)
    tally = Tally()
    result = states(Sender(invoke, tally, NO_PATIENCE_NEEDED), pending(*items))
    first: dict[int, int] = {}
    for turn, places in enumerate(applied):
        for place in places:
            first.setdefault(place, turn)
    for item in "abcde":
        turns = [first[place] for place in range(30) if items[place] == item and place in first]
        assert turns == sorted(turns)
        mine = [A if result[place] is P else result[place] for place in range(30) if items[place] == item]
        assert mine == sorted(mine, key=[A, F, H].index), "nothing of an item is settled after a failure"
    assert {place for place in range(30) if result[place] is F} <= {*failing, *breaking}
    assert {place for place in range(30) if result[place] is P} <= {*poison}
    assert tally.applied + tally.poison + tally.failed.total() + tally.held_back == 30
    assert tally.unknown == 0


def test_where_a_dead_letter_lies_and_its_reason_are_told() -> None:
    outcomes: list[SendOutcome] = []
    Sender(worker(poison=[0])[0], Tally()).send(pending("a"), outcomes.append)
    assert [(one.error, one.key) for one in outcomes] == [("KeyError", "k/0")]


def test_one_that_breaks_the_invocation_costs_a_handful_of_invocations() -> None:
    invoke, applied = worker(breaking=[77])
    assert states(Sender(invoke, Tally()), pending(*map(str, range(100)))).count(F) == 1
    assert len(applied) <= 8


def test_many_failures_in_a_row_end_the_run() -> None:
    invoke, _ = worker(failing=range(100))
    seen: list[SendOutcome] = []
    with pytest.raises(StoppedError, match="3 records failed in a row"):
        Sender(invoke, Tally(), 3).send(pending(*map(str, range(100))), seen.append)
    assert [outcome.state for outcome in seen] == [F, F, F]


def test_failures_between_successes_do_not() -> None:
    invoke, _ = worker(failing=range(0, 100, 2))
    assert states(Sender(invoke, Tally(), 2), pending(*map(str, range(100)))).count(F) == 50


@pytest.mark.parametrize("answer", [Reported(1), Reported(10**30)])
def test_a_sequence_number_that_was_not_sent_is_no_success(answer: Answer) -> None:
    outcomes: list[SendOutcome] = []
    Sender(lambda _records: answer, Tally(), 99).send(pending("a"), outcomes.append)
    assert [(one.state, one.error) for one in outcomes] == [(F, "InvalidAnswer")]


def test_a_dead_letter_that_was_not_sent_is_of_no_concern() -> None:
    answer = Reported(None, {("another", 1): StoredLetter("KeyError", None)})
    assert states(Sender(lambda _records: answer, Tally()), pending("a")) == [A]


def test_records_of_one_number_do_not_go_round_for_ever() -> None:
    twins = [pending("a")[0], pending("b")[0]]
    assert states(Sender(lambda _records: Reported(FIRST), Tally(), 99), twins) == [F, F]


def test_what_the_worker_said_of_a_failed_head_is_kept() -> None:
    answers: Iterator[Answer] = iter(
        [FirstFailed("the first of 2 records failed: 1 x ClientError"), Reported(FIRST), Reported()]
    )
    results: list[SendOutcome] = []
    Sender(lambda _records: next(answers), Tally()).send(pending("a", "b"), results.append)
    assert results[0].detail == "the first of 2 records failed: 1 x ClientError"


def ending(answers: Sequence[Answer | BaseException]) -> Invoke:
    """Return an `Invoke` that gives these answers."""
    left = iter(answers)

    def invoke(_records: Sequence[Any]) -> Answer:
        answer = next(left)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return invoke


@pytest.mark.parametrize(
    ("answers", "raised", "known", "unknown"),
    [
        ([StoppedError("as asked")], StoppedError, 0, 0),  # before anything was sent
        ([OutcomeUnknownError("broke")], OutcomeUnknownError, 0, 4),
        ([KeyboardInterrupt()], KeyboardInterrupt, 0, 4),
        ([Unreported("older")], StoppedError, 0, 4),
        ([FirstFailed(""), StoppedError("as asked")], StoppedError, 0, 4),
        ([FirstFailed(""), Reported(), StoppedError("as asked")], StoppedError, 2, 2),
        ([Reported(FIRST + 2), StoppedError("as asked")], StoppedError, 2, 2),
        ([FirstFailed(""), Reported(), OutcomeUnknownError("broke")], OutcomeUnknownError, 2, 2),
    ],
)
def test_at_any_end_it_is_counted_what_is_known_and_what_is_not(
    answers: list[Answer | BaseException], raised: type[BaseException], known: int, unknown: int
) -> None:
    tally = Tally()
    with pytest.raises(raised):
        Sender(ending(answers), tally).send(pending(*"abcd"), lambda _outcome: None)
    assert (tally.applied, tally.unknown) == (known, unknown)
    assert not tally.clean or (known, unknown) == (0, 0)


def test_a_dead_letter_counts_at_once_also_above_what_failed() -> None:
    sent = pending(*"abcd")
    answer = Reported(FIRST + 1, {sent[3].identity: StoredLetter("KeyError", "k")})
    tally = Tally()
    with pytest.raises(StoppedError):
        Sender(ending([answer, StoppedError("as asked")]), tally).send(sent, lambda _outcome: None)
    assert (tally.applied, tally.poison, tally.unknown) == (1, 1, 2)


def test_a_tally_survives_as_its_fields() -> None:
    tally = Tally(applied=3, poison=1, passed_over=7)
    tally.failed.update({"KeyError": 2})
    assert Tally.of(tally.fields()).fields() == tally.fields()
    with pytest.raises(KeyError):
        Tally.of({"applied": 3})


@pytest.mark.parametrize(
    ("end", "status", "stopped"),
    [
        (None, ExitStatus.DONE, None),
        (KeyboardInterrupt(), ExitStatus.INTERRUPTED, "ended at once"),
        (InterruptedRunError(signal.SIGINT), ExitStatus.INTERRUPTED, "as asked"),
        (InterruptedRunError(signal.SIGTERM), ExitStatus.TERMINATED, "as asked"),
        (OutcomeUnknownError("the connection broke"), ExitStatus.INCOMPLETE, "the connection broke"),
        (REFUSED, ExitStatus.USAGE, str(REFUSED)),
    ],
)
def test_figures_are_told_whatever_ends_the_work_and_the_status_says_what_did(
    end: BaseException | None, status: ExitStatus, stopped: str | None
) -> None:
    tally, out = Tally(), io.StringIO()

    def work() -> ExitStatus:
        tally.add("applied", 3)
        if end is not None:
            raise end
        return ExitStatus.DONE

    told: list[int] = []
    terminal = Terminal(out, io.StringIO(), as_json=True)
    assert concluded(work, tally, terminal, lambda tally, _terminal: told.append(tally.applied)) == status
    assert told == [3]
    assert json.loads(out.getvalue()) == {
        "type": "summary",
        **tally.fields(),
        "status": int(status),
        "stopped": stopped,
    }


@pytest.mark.parametrize("left", ["poison", "held_back", "gone", "unknown"])
def test_whatever_is_left_is_told_by_the_status(left: str) -> None:
    tally = Tally(applied=5)
    tally.add(left, 1)
    terminal = Terminal(io.StringIO(), io.StringIO())
    assert concluded(lambda: ExitStatus.DONE, tally, terminal, lambda *_: None) == ExitStatus.INCOMPLETE


def test_what_is_refused_before_anything_was_sent_is_left_to_the_caller() -> None:
    def work() -> ExitStatus:
        raise REFUSED

    with pytest.raises(ClientError):
        concluded(work, Tally(), Terminal(io.StringIO(), io.StringIO()), lambda *_: None)
