"""Lanes and waves: order is kept for each item, and no item waits for another's failure."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tablestream import DONE, Change, NoProgress, Permanent, Transient
from tablestream.sink import Answer
from tablestream.testing import Record, event
from tests.unit.tablestream.kit import Bench, Stock, altered, checkpoint_of, failing, made, refusing, router


def go_on_after_failure(records: list[Record], apply: Callable[[Stock], None]) -> None:
    """The loop that most workers are: every record is tried, the failed ones are reported."""
    for record in records:
        for _, handlers in router().routes(record):
            for handler in handlers:
                for effect in handler(Change.from_record(record)):
                    apply(effect)


def test_the_second_change_of_an_item_does_not_overtake_the_first() -> None:
    records = event(made("a", "stock:a1"), made("b", "stock:b1"), altered("a", "stock:a2"))["Records"]

    overtaken: list[str] = []
    go_on_after_failure(records, lambda effect: None if effect.what == "a1" else overtaken.append(effect.what))
    assert overtaken == ["b1", "a2"], "the loop applies a2 before a1: what this engine is for"

    bench = Bench()
    bench.stock.answer = failing("a1")
    with pytest.raises(NoProgress, match="the first of 3 records failed, with 1 other:"):
        bench.send({"Records": records})
    assert bench.did == ["b1"], "a2 is held back behind a1, b1 is not"

    bench.stock.answer = failing()
    assert checkpoint_of(bench.send({"Records": records})) is None
    assert bench.did == ["b1", "a1", "b1", "a2"], "redelivered: a1 before a2"


def test_waves_carry_the_heads_of_all_lanes_together() -> None:
    bench = Bench()
    bench.run(made("a", "stock:a1"), altered("a", "stock:a2"), made("b", "stock:b1"), altered("a", "stock:a3"))
    assert [[effect.what for effect in wave] for wave in bench.stock.waves] == [["a1", "b1"], ["a2"], ["a3"]]


def test_sinks_get_a_wave_in_the_order_in_which_they_were_declared() -> None:
    bench, calls = Bench(), list[str]()

    def noting(effect: Any) -> Answer:
        calls.append(effect.what)
        return DONE

    bench.stock.answer = bench.mail.answer = noting
    bench.run(made("a", "mail:2", "stock:1"), altered("a", "mail:4", "stock:3"))
    assert calls == ["1", "2", "3", "4"]


def test_a_sink_without_effects_is_not_called() -> None:
    bench = Bench()
    bench.run(made("a", "mail:1"), made("b"))
    assert (bench.stock.waves, len(bench.mail.waves)) == ([], 1)


def test_what_failed_in_one_sink_does_not_reach_the_next() -> None:
    bench = Bench()
    bench.stock.answer = failing("a1")
    bench.run(made("b", "mail:b"), made("a", "stock:a1", "mail:a"))
    assert bench.sent == ["b"]


def test_a_neighbours_failure_holds_nobody_back() -> None:
    bench = Bench()
    bench.stock.answer = failing("b1")
    assert bench.run(
        made("a", "stock:a1"),
        made("b", "stock:b1", sequence_number=200_000_000_000_000_000_000),
        altered("a", "stock:a2"),
        made("c", "stock:c1"),
        altered("a", "stock:a3"),
    )
    assert bench.did == ["a1", "c1", "a2", "a3"]
    assert bench.counts == {"applied": 4, "failed": 1}


def test_everything_behind_a_failure_of_its_item_is_held_back_and_reported() -> None:
    bench = Bench()
    bench.stock.answer = failing("a1")
    records = event(made("b", "stock:b1"), made("a", "stock:a1"), altered("a", "stock:a2"), altered("a", "stock:a3"))
    assert checkpoint_of(bench.send(records)) == records["Records"][1]["dynamodb"]["SequenceNumber"]
    assert bench.counts == {"applied": 1, "failed": 1, "held back": 2}


def test_a_bad_record_does_not_stop_its_own_item() -> None:
    bench = Bench()
    assert bench.run(made("a", "invalid:x"), altered("a", "stock:a2")) is None
    assert (bench.did, bench.letters.reasons) == (["a2"], ["x"])


def test_the_dead_letter_is_stored_before_the_next_change_of_the_item() -> None:
    bench = Bench()

    def stored_by_now(_effect: object) -> Answer:
        assert len(bench.letters.letters) == 1
        return DONE

    bench.stock.answer = stored_by_now
    assert bench.run(made("a", "invalid:x"), altered("a", "stock:a2")) is None
    assert bench.did == ["a2"]


def test_when_the_dead_letters_are_down_the_item_waits_and_the_others_go_on() -> None:
    bench = Bench()
    for failure in (Transient(ConnectionError("down")), Permanent("no such bucket")):
        bench.letters.failure = failure
        assert bench.run(made("b", "stock:b1"), made("a", "invalid:x"), altered("a", "stock:a2"))
        assert bench.counts == {"applied": 1, "failed": 1, "held back": 1}
    assert (bench.did, bench.letters.letters) == (["b1", "b1"], {})


def test_a_permanent_answer_is_a_dead_letter_and_the_item_goes_on() -> None:
    bench = Bench()
    bench.mail.answer = refusing("a1")
    assert bench.run(made("a", "stock:s", "mail:a1"), altered("a", "mail:a2")) is None
    (letter,) = bench.letters.letters.values()
    assert (letter.reason, letter.error_class, letter.handler) == ("too long", "Permanent", "mail")
    assert (bench.did, bench.sent) == (["s"], ["a2"])


def test_after_a_permanent_answer_later_sinks_get_nothing_of_the_record() -> None:
    bench = Bench()
    bench.stock.answer = refusing("a1")
    bench.run(made("a", "stock:a1", "mail:a"))
    assert bench.mail.waves == []


def test_several_effects_of_one_record_for_one_sink_are_carried_out_one_after_the_other() -> None:
    bench = Bench()
    bench.run(made("a", "mail:a1", "mail:a2"), made("b", "mail:b1"))
    assert [[effect.what for effect in wave] for wave in bench.mail.waves] == [["a1", "b1"], ["a2"]]


@pytest.mark.parametrize(("first", "outcome"), [("x", "failed"), ("y", "poisoned")])
def test_behind_an_effect_of_a_record_that_was_not_done_nothing_more_of_it_is_carried_out(
    first: str, outcome: str
) -> None:
    bench = Bench()
    answers: dict[str, Answer] = {"x": Transient(ConnectionError()), "y": Permanent("never")}
    bench.stock.answer = lambda effect: answers.get(effect.what, DONE)
    bench.run(made("a", f"stock:{first}", "stock:later", "mail:later"))
    assert (bench.did, bench.sent, bench.counts) == ([], [], {outcome: 1})


class Broken:
    """A sink whose code is wrong."""

    name = "broken"
    takes = (Stock,)
    idempotent = True

    def __init__(self, answers: Callable[[], Any]) -> None:
        self.answers = answers

    def apply(self, _effects: object, _deadline: object) -> Any:
        return self.answers()


def no_answer() -> Any:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("answers", "error_class"),
    [
        (no_answer, "ZeroDivisionError"),
        (lambda: None, "TypeError"),
        (list, "RuntimeError"),
        (lambda: [DONE, DONE, DONE], "RuntimeError"),
        (lambda: [None, True], "RuntimeError"),
        (lambda: [DONE, "done"], "RuntimeError"),
    ],
    ids=["raises", "none", "too few", "too many", "no answers", "one no answer"],
)
def test_a_sink_that_does_not_answer_has_done_nothing(answers: Callable[[], Any], error_class: str) -> None:
    bench = Bench()
    bench.stock = Broken(answers)  # type: ignore[assignment]  # it is a sink, if a bad one
    assert bench.run(made("m", "mail:m"), made("a", "stock:1"), made("b", "stock:2"))
    assert bench.counts == {"applied": 1, "failed": 2}
    assert {outcome.error_class for outcome in bench.reports[-1].outcomes} == {error_class}


def test_answers_may_come_from_a_generator() -> None:
    bench = Bench()
    bench.stock = Broken(lambda: (DONE for _ in range(2)))  # type: ignore[assignment]  # it is a sink, if an odd one
    assert bench.run(made("a", "stock:1"), made("b", "stock:2")) is None


@given(st.integers(0, 2**32))
def test_whatever_fails_every_item_sees_its_changes_in_order_and_all_of_them(seed: int) -> None:
    """Redeliver from the checkpoint until all is done; a sink fails at random, for single effects or whole calls."""
    chance = random.Random(seed)
    names = [chance.choice("abcd") for _ in range(chance.randint(1, 20))]
    records = event(*[altered(name, f"stock:{name}{place}", f"mail:{name}{place}") for place, name in enumerate(names)])
    bench = Bench()
    flaky: Answer = Transient(ConnectionError())
    bench.stock.answer = bench.mail.answer = lambda _effect: flaky if chance.random() < 0.3 else DONE

    left = list(records["Records"])
    for _ in range(1000):
        try:
            answer = checkpoint_of(bench.send({"Records": left}))
        except NoProgress:
            continue
        if answer is None:
            break
        left = [record for record in left if int(record["dynamodb"]["SequenceNumber"]) >= int(answer)]
    else:
        pytest.fail("never done")

    wanted: dict[str, list[str]] = defaultdict(list)
    for place, name in enumerate(names):
        wanted[name].append(f"{name}{place}")
    for name, whats in wanted.items():
        assert [what for what in bench.sent if what[0] == name] == whats, "each mail once, in order"
        first_done = list(dict.fromkeys(what for what in bench.did if what[0] == name))
        assert first_done == whats, "stock in order; its sink is idempotent and may be asked again"
