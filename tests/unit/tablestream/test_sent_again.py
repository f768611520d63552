"""Records that an operator sends again: redriven dead letters, replayed items."""

from __future__ import annotations

from tablestream import Change
from tablestream.testing import Record, event
from tests.unit.tablestream.kit import Bench, made, refusing


def redriven(record: Record) -> Record:
    return {**record, "redriven": True}


def replayed(record: Record, **marks: object) -> Record:
    return {**record, "replayed": True, **marks}


def test_a_replayed_record_says_so() -> None:
    assert Change.from_record(replayed(made("a"))).replayed
    assert not Change.from_record(made("a")).replayed
    assert not Change.from_record({**made("a"), "replayed": "true"}).replayed


def test_a_redriven_record_is_not_announced_twice_though_no_checkpoint_remembers_it() -> None:
    bench = Bench()
    whole = event(redriven(made("a", "stock:1", "mail:1")))
    bench.send(whole)
    bench.send(whole)
    assert bench.sent == ["1"]
    assert bench.did == ["1", "1"]


def test_the_stream_itself_costs_no_journal_entry_where_nothing_failed() -> None:
    bench = Bench()
    bench.run(made("a", "stock:1", "mail:1"))
    assert bench.journal.writes == []


def test_a_dead_letter_whose_first_effects_are_done_does_not_repeat_them_when_redriven() -> None:
    bench = Bench()
    record = made("a", "mail:first", "mail:second")
    bench.mail.answer = refusing("second")
    bench.send(event(record))
    assert bench.counts == {"poisoned": 1}
    bench.mail.answer = refusing()
    bench.send(event(redriven(record)))
    assert bench.sent == ["first", "second"]


def test_a_replayed_record_repeats_only_what_is_idempotent() -> None:
    bench = Bench()
    bench.run(replayed(made("a", "stock:1", "mail:1")))
    assert (bench.did, bench.sent) == (["1"], [])
    assert bench.journal.reads == []


def test_a_replayed_record_that_asks_for_it_is_announced_once() -> None:
    bench = Bench()
    whole = event(replayed(made("a", "stock:1", "mail:1"), notify=True))
    bench.send(whole)
    bench.send(whole)
    assert bench.sent == ["1"]


def test_only_true_asks_for_it() -> None:
    bench = Bench()
    bench.run(replayed(made("a", "mail:1"), notify="yes"))
    assert bench.sent == []


def test_what_comes_from_the_stream_needs_not_ask() -> None:
    bench = Bench()
    bench.run({**made("a", "mail:1"), "notify": False})
    assert bench.sent == ["1"]
