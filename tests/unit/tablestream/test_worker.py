"""One invocation: the answer to Lambda, the checkpoint, the deadline, the journal, and what is reported."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tablestream import (
    DONE,
    ConfigurationError,
    Done,
    InvalidEvent,
    NoProgress,
    RecordState,
    SystemicFailure,
    TablestreamError,
    Transient,
    Worker,
)
from tablestream.sink import Answer, fingerprint
from tablestream.testing import (
    CREATED,
    FakeContext,
    MemoryDeadLetters,
    MemoryJournal,
    Record,
    RecordingSink,
    event,
    inserted,
    record,
)
from tests.unit.tablestream.kit import Bench, Mail, Stock, altered, checkpoint_of, failing, made, refusing


def numbers(whole: dict[str, list[Record]]) -> list[str]:
    return [each["dynamodb"]["SequenceNumber"] for each in whole["Records"]]


def keys(whole: dict[str, list[Record]]) -> list[str]:
    """Return the keys of records in the journal."""
    return [f"worker/{one['eventID']}.{one['dynamodb']['SequenceNumber']}" for one in whole["Records"]]


def mails(*whats: str) -> frozenset[str]:
    """Return the names of mails in the journal."""
    return frozenset([f"mail/{fingerprint(Mail(what))}" for what in whats])


# --- the answer ------------------------------------------------------------------------------------------------------


def test_when_all_is_done_the_answer_names_nothing() -> None:
    bench = Bench()
    assert bench.send(event(made("a", "stock:1", "mail:1"), made("b"))) == {"batchItemFailures": []}
    assert (bench.did, bench.sent) == (["1"], ["1"])


def test_an_empty_batch_is_a_success() -> None:
    assert Bench().send({"Records": []}) == {"batchItemFailures": []}


def test_the_answer_names_one_record_the_lowest_that_failed() -> None:
    bench = Bench()
    bench.stock.answer = failing("2", "4")
    whole = event(*[made(str(number), f"stock:{number}") for number in range(5)])
    assert bench.send(whole) == {"batchItemFailures": [{"itemIdentifier": numbers(whole)[2]}]}


@pytest.mark.parametrize(
    ("low", "high"),
    [("9", "10"), ("999", "1000"), ("0000000011", "12"), ("99999999999999999999999999", "100000000000000000000000000")],
)
def test_sequence_numbers_are_compared_as_integers(low: str, high: str) -> None:
    bench = Bench()
    bench.stock.answer = failing("low", "high")
    first = made("first", sequence_number="1")
    records = [made("h", "stock:high", sequence_number=high), made("l", "stock:low", sequence_number=low)]
    assert bench.run(first, *records) == low
    assert bench.reports[-1].checkpoint == low


def test_the_checkpoint_can_be_a_record_that_was_held_back() -> None:
    bench = Bench()
    bench.stock.answer = failing("a2")
    whole = event(made("z"), altered("a", "stock:a2"), altered("a", "stock:a3"), made("b", "stock:b"))
    assert checkpoint_of(bench.send(whole)) == numbers(whole)[1]


def test_a_failed_first_record_of_several_raises_so_that_lambda_halves_the_batch() -> None:
    bench = Bench()
    bench.stock.answer = failing("1")
    with pytest.raises(NoProgress, match=r"^the first of 2 records failed, with 0 others: 1 x ConnectionError$"):
        bench.run(made("a", "stock:1"), made("b", "stock:2"))
    assert bench.did == ["2"], "everything else was done all the same"
    assert bench.reports[-1].error_class == "NoProgress"


def test_the_first_record_is_the_lowest_even_when_it_stands_last() -> None:
    bench = Bench()
    bench.stock.answer = failing("1")
    with pytest.raises(NoProgress):
        bench.run(made("b", "stock:2", sequence_number="10"), made("a", "stock:1", sequence_number="9"))


def test_no_progress_past_a_first_record_that_nobody_wants_is_progress() -> None:
    bench = Bench()
    bench.stock.answer = failing("1")
    whole = event(inserted({"pk": "1", "sk": "A"}), made("a", "stock:1"))
    assert checkpoint_of(bench.send(whole)) == numbers(whole)[1]


def test_a_failed_record_that_stands_alone_is_named() -> None:
    bench = Bench()
    bench.stock.answer = failing("1")
    whole = event(made("a", "stock:1"))
    assert checkpoint_of(bench.send(whole)) == numbers(whole)[0]


@pytest.mark.parametrize("whole", [None, [], {}, {"Records": [{"eventSource": "aws:sqs"}]}])
def test_a_foreign_event_raises_before_any_effect_and_is_reported(whole: Any) -> None:
    bench = Bench()
    with pytest.raises(InvalidEvent):
        bench.send(whole)
    assert (bench.reports[-1].error_class, bench.counts, bench.journal.reads) == ("InvalidEvent", {}, [])


def test_another_tables_records_raise_before_any_effect() -> None:
    bench = Bench(table="orders")
    with pytest.raises(InvalidEvent, match="table orders"):
        bench.run(made("a", "stock:1"), made("b", "stock:2", table="users"))
    assert bench.stock.waves == []
    assert bench.run(made("a", "stock:1")) is None


def test_a_systemic_failure_raises_and_stores_nothing() -> None:
    bench = Bench()
    with pytest.raises(SystemicFailure):
        bench.run(made("a", "stock:1"), *[made(str(number), "raise:bug") for number in range(20)])
    assert (bench.letters.letters, bench.stock.waves) == ({}, [])
    assert (bench.reports[-1].error_class, bench.reports[-1].records) == ("SystemicFailure", 21)


def test_without_a_context_there_is_no_deadline() -> None:
    bench = Bench()
    assert bench.worker(event(made("a", "stock:1"))) == {"batchItemFailures": []}
    assert bench.did == ["1"]


# --- the deadline ----------------------------------------------------------------------------------------------------


def taking(bench: Bench, seconds: float) -> Answer:
    bench.clock.advance(seconds)
    return DONE


def test_it_stops_before_the_timeout_and_answers_with_the_rest() -> None:
    bench = Bench(margin=3.0)
    bench.stock.answer = lambda _effect: taking(bench, 4.0)
    whole = event(made("z"), *[altered("a", f"stock:{number}") for number in range(5)])
    assert checkpoint_of(bench.send(whole, timeout=10.0)) == numbers(whole)[3]
    assert (bench.did, bench.counts) == (["0", "1"], {"applied": 3, "held back": 3})


def test_the_margin_is_kept_to_the_second() -> None:
    bench = Bench(margin=3.0)
    bench.stock.answer = lambda _effect: taking(bench, 1.0)
    assert bench.run(altered("a", "stock:1"), altered("a", "stock:2"), timeout=4.0) is not None
    assert bench.did == ["1"]
    assert bench.run(altered("b", "stock:1"), altered("b", "stock:2"), timeout=4.5) is None


def test_called_too_late_it_does_nothing_and_says_so() -> None:
    bench = Bench(margin=3.0)
    bench.clock.sleep(0)
    late = FakeContext(10.0, bench.clock)

    class SlowJournal(MemoryJournal):
        def read(self, keys: Any, run: Any) -> Any:
            bench.clock.advance(7.0)
            return super().read(keys, run)

    bench.journal = SlowJournal()
    with pytest.raises(NoProgress, match="the first of 2 records failed, with 1 other: the deadline came"):
        bench.worker(event(made("a", "mail:1"), made("b", "invalid:x")), late)
    assert (bench.mail.waves, bench.letters.letters, bench.counts) == ([], {}, {"held back": 2})


@pytest.mark.parametrize(("timeout", "margin"), [(3.0, 3.0), (5.0, 5.0), (3.0, 5.0), (5.4, 5.0), (0.5, None)])
def test_a_timeout_that_leaves_no_time_is_a_mistake_in_the_configuration(timeout: float, margin: float | None) -> None:
    bench = Bench(margin=margin)
    with pytest.raises(ConfigurationError, match=rf"before the margin of .* got {timeout:.3g} s at the beginning"):
        bench.run(made("a", "stock:1"), timeout=timeout)
    assert bench.stock.waves == []


@pytest.mark.parametrize(("timeout", "left"), [(3.0, 2.1), (10.0, 7.0), (60.0, 55.0), (900.0, 895.0)])
def test_where_no_margin_is_set_it_fits_small_timeouts(timeout: float, left: float) -> None:
    bench, seen = Bench(margin=None), list[float]()

    class Watching(RecordingSink):
        def apply(self, effects: Any, run: Any) -> Any:
            seen.append(run.deadline.remaining())
            return super().apply(effects, run)

    bench.stock = Watching((Stock,), "stock", idempotent=True)
    bench.run(made("a", "stock:1"), timeout=timeout)
    assert seen == pytest.approx([left])


def test_sinks_and_dead_letters_get_one_deadline_reading_the_journal_an_earlier_and_writing_it_a_later_one() -> None:
    bench = Bench(margin=4.0)
    seen: dict[str, float] = {}

    class Watching(MemoryJournal, MemoryDeadLetters):
        def __init__(self) -> None:
            MemoryJournal.__init__(self)
            MemoryDeadLetters.__init__(self)

        def read(self, keys: Any, run: Any) -> Any:
            seen["read"] = run.deadline.remaining()
            return MemoryJournal.read(self, keys, run)

        def record(self, done: Any, run: Any) -> None:
            seen["record"] = run.deadline.remaining()

        def store(self, letters: Any, run: Any) -> Any:
            seen["store"] = run.deadline.remaining()
            return MemoryDeadLetters.store(self, letters, run)

    bench.journal = bench.letters = Watching()
    bench.stock.answer = failing("1")
    bench.run(made("z"), made("a", "stock:1"), made("b", "mail:1"), made("c", "invalid:x"), timeout=10.0)
    assert seen == pytest.approx({"read": 3.0, "store": 6.0, "record": 9.0})


# --- the journal -----------------------------------------------------------------------------------------------------


def test_on_the_happy_path_the_journal_is_read_once_and_never_written() -> None:
    bench = Bench()
    whole = event(made("a", "mail:1"), made("b", "stock:1"), made("c", "mail:2", "stock:2"), made("d"))
    bench.send(whole)
    assert bench.journal.reads == [(keys(whole)[0], keys(whole)[2])], "only those with effects that could be repeated"
    assert bench.journal.writes == []


def test_without_mail_the_journal_is_not_asked() -> None:
    bench = Bench()
    bench.run(made("a", "stock:1"), made("b", "invalid:x"))
    assert bench.journal.reads == []


def test_a_neighbours_failure_repeats_no_notification() -> None:
    bench = Bench()
    bench.stock.answer = failing("b")
    whole = event(made("a", "mail:a"), made("b", "stock:b", "mail:b"), made("c", "mail:c"), altered("a", "mail:a2"))
    assert checkpoint_of(bench.send(whole)) == numbers(whole)[1]
    assert bench.sent == ["a", "c", "a2"]

    bench.stock.answer = failing()
    assert checkpoint_of(bench.send({"Records": whole["Records"][1:]})) is None
    assert bench.sent == ["a", "c", "a2", "b"]
    assert bench.reports[-1].remembered == 2
    assert bench.did == ["b"]


def test_only_what_comes_again_is_journalled() -> None:
    bench = Bench()
    bench.stock.answer = failing("b")
    whole = event(made("a", "mail:a"), made("b", "stock:b"), made("c", "mail:c", "stock:c"), made("d", "stock:d"))
    bench.send(whole)
    assert bench.journal.writes == [{keys(whole)[2]: mails("c")}]
    assert bench.reports[-1].journalled == 1


def test_what_the_journal_knows_is_not_written_to_it_again() -> None:
    bench = Bench()
    bench.stock.answer = failing("b")
    whole = event(made("a", "stock:a"), made("b", "stock:b"), made("c", "mail:c"), made("d", "mail:d", "mail:e"))
    for _ in range(3):
        bench.send(whole)
    assert bench.journal.writes == [{keys(whole)[2]: mails("c"), keys(whole)[3]: mails("d", "e")}]
    assert bench.sent == ["c", "d", "e"]


def test_the_journal_is_asked_for_each_record_once() -> None:
    bench = Bench()
    whole = event(made("a", "mail:a", "mail:b"), made("b", "stock:b"), made("c", "mail:c"))
    bench.send(whole)
    assert bench.journal.reads == [(keys(whole)[0], keys(whole)[2])]


def test_what_is_below_the_checkpoint_by_number_is_not_journalled_wherever_it_stands() -> None:
    bench = Bench()
    bench.stock.answer = failing("b")
    below, above = made("a", "mail:a", sequence_number="9"), made("c", "mail:c", sequence_number="100")
    bench.run(above, made("b", "stock:b", sequence_number="10"), below)
    assert [list(written) for written in bench.journal.writes] == [[f"worker/{above['eventID']}.100"]]


def test_of_several_mails_of_a_record_those_from_the_missing_one_on_are_sent_later_in_their_order() -> None:
    bench = Bench()
    bench.mail.answer = failing("2")
    whole = event(made("z"), made("a", "mail:1", "mail:2", "mail:3"))
    bench.send(whole)
    assert bench.journal.entries == {keys(whole)[1]: mails("1")}
    bench.mail.answer = failing()
    assert checkpoint_of(bench.send(whole)) is None
    assert bench.sent == ["1", "2", "3"]


def test_a_sink_may_make_its_own_answers() -> None:
    bench = Bench()
    bench.mail.answer = lambda effect: failing("b")(effect) if effect.what == "b" else Done()
    bench.stock.answer = lambda _effect: Done()
    whole = event(made("z"), made("b", "mail:b"), made("c", "mail:c"), made("d", "stock:d"))
    bench.send(whole)
    assert bench.journal.entries == {keys(whole)[2]: mails("c")}


class Whatever:
    """Equal to everything, or not to be compared at all."""

    __hash__ = None  # type: ignore[assignment]  # as of all that define their equality

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def __eq__(self, other: object) -> bool:
        if self._error is not None:
            raise self._error
        return True


@pytest.mark.parametrize("answer", [Whatever(), Whatever(ValueError("ambiguous")), True, None])
def test_what_is_no_answer_is_not_taken_for_one_whatever_it_equals(answer: Any) -> None:
    bench = Bench()
    bench.mail.answer = lambda _effect: answer
    whole = event(made("a", "stock:a"), made("b", "mail:b"))
    assert checkpoint_of(bench.send(whole)) == numbers(whole)[1]
    assert bench.counts == {"applied": 1, "failed": 1}


def test_what_was_remembered_stays_remembered_when_it_fails_again() -> None:
    bench = Bench()
    whole = event(made("z"), made("a", "mail:1", "mail:2", "mail:3"))
    for missing in (("2", "3"), ("3",), ()):
        bench.mail.answer = failing(*missing)
        bench.send(whole)
    assert bench.sent == ["1", "2", "3"]
    assert bench.journal.entries == {keys(whole)[1]: mails("1", "2")}


def test_a_mail_that_went_out_before_its_record_became_poison_is_journalled_too() -> None:
    bench = Bench()
    bench.mail.answer = lambda effect: refusing("y")(effect) if effect.what != "n" else failing("n")(effect)
    whole = event(made("z"), made("b", "mail:n"), made("a", "mail:x", "mail:y"))
    for _ in range(2):
        bench.send(whole)
    assert bench.sent == ["x"]
    assert len(bench.letters.letters) == 1


def test_before_it_raises_for_no_progress_it_journals() -> None:
    bench = Bench()
    bench.stock.answer = failing("a")
    whole = event(made("a", "stock:a"), made("b", "mail:b"))
    for _ in range(2):
        with pytest.raises(NoProgress):
            bench.send(whole)
    assert bench.sent == ["b"]


def test_a_mail_whose_journal_entry_cannot_be_read_waits_and_the_others_go_on() -> None:
    bench = Bench()
    whole = event(made("a", "mail:a"), made("b", "stock:b", "mail:b"), altered("b", "stock:b2"), made("c", "stock:c"))
    bench.journal.unreadable = {keys(whole)[1]}
    assert checkpoint_of(bench.send(whole)) == numbers(whole)[1]
    assert (bench.sent, bench.did) == (["a"], ["b", "c"])
    assert bench.counts == {"applied": 2, "failed": 1, "held back": 1}
    assert bench.reports[-1].outcomes[0].error_class == "JournalUnavailable"


def test_with_the_journal_down_nothing_is_mailed_and_stock_still_moves() -> None:
    bench = Bench()
    bench.journal.down = True
    with pytest.raises(NoProgress, match="JournalUnavailable"):
        bench.run(made("a", "mail:a"), made("b", "stock:b"), made("c", "mail:c"))
    assert (bench.sent, bench.did) == ([], ["b"])


def test_when_the_journal_cannot_be_written_the_answer_is_given_all_the_same() -> None:
    bench = Bench()

    def down_from_now_on(effect: Any) -> Answer:
        bench.journal.down = True
        return failing("a")(effect)

    bench.stock.answer = down_from_now_on
    whole = event(made("z"), made("a", "stock:a"), made("b", "mail:b"))
    assert checkpoint_of(bench.send(whole)) == numbers(whole)[1]
    assert (bench.sent, bench.reports[-1].journalled) == (["b"], 0)


def test_an_idempotent_sinks_effects_are_neither_asked_for_nor_journalled() -> None:
    bench = Bench(mail=RecordingSink((Mail,), "mail", idempotent=True))
    bench.stock.answer = failing("1")
    bench.run(made("z"), made("a", "stock:1"), made("b", "mail:1", "stock:2"))
    assert (bench.journal.reads, bench.journal.writes) == ([], [])


# --- what is reported ------------------------------------------------------------------------------------------------


def test_every_record_has_one_outcome() -> None:
    bench = Bench()
    bench.stock.answer = failing("f")
    twice = made("a", "stock:a")
    others = [inserted({"pk": str(number), "sk": "A"}) for number in range(2)]
    bad, failed, behind = made("b", "invalid:x"), made("c", "stock:f"), altered("c", "mail:c")
    bench.run(twice, bad, failed, behind, twice, *others)
    report = bench.reports[-1]
    assert {outcome: report.count(outcome) for outcome in RecordState} == {
        RecordState.APPLIED: 1,
        RecordState.POISONED: 1,
        RecordState.FAILED: 1,
        RecordState.HELD_BACK: 1,
        RecordState.DUPLICATE: 1,
        RecordState.SKIPPED: 2,
    }
    assert sum(report.counts.values()) == report.records == 7
    assert [(outcome.state, outcome.error_class, outcome.reason) for outcome in report.outcomes] == [
        (RecordState.POISONED, "InvalidRecord", "x"),
        (RecordState.FAILED, "ConnectionError", "throttled"),
        (RecordState.HELD_BACK, "", ""),
    ]


def test_a_dead_letter_that_could_not_be_stored_is_reported_with_the_stores_error() -> None:
    bench = Bench()
    bench.letters.failure = Transient(TimeoutError("s3"))
    bench.run(made("z"), made("b", "invalid:x"))
    (outcome,) = bench.reports[-1].outcomes
    assert (outcome.state, outcome.error_class) == (RecordState.FAILED, "TimeoutError")


def test_the_report_tells_the_age_of_the_oldest_change() -> None:
    bench = Bench()
    bench.run(made("a", at=0.0), made("b", at=CREATED - 60), made("c", at=CREATED))
    assert bench.reports[-1].oldest_creation == CREATED - 60
    bench.run(made("a", at=0.0))
    assert bench.reports[-1].oldest_creation is None


def test_the_report_is_observed_once_also_when_the_invocation_raises() -> None:
    bench = Bench()
    bench.stock.answer = failing("1")
    for expected in (1, 2):
        with pytest.raises(TablestreamError):
            bench.run(made("a", "stock:1"), made("b"))
        assert len(bench.reports) == expected


def test_of_an_event_that_is_refused_the_report_tells_at_least_the_length() -> None:
    bench = Bench()
    for whole, length in (
        (event(*[record("INSERT", {"pk": pk}, keys=("pk",)) for pk in ("1", "2")]), 2),
        ({}, 0),
        (None, 0),
    ):
        with pytest.raises(InvalidEvent):
            bench.send(whole)
        assert bench.reports[-1].records == length


def test_processing_returns_what_calling_raises() -> None:
    bench = Bench()
    report, error = bench.worker.process({"Records": 1})
    assert (report.error_class, type(error)) == ("InvalidEvent", InvalidEvent)


# --- a sink that hangs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [60.0, 10.0])
def test_what_needs_only_the_second_sink_is_done_while_the_first_hangs(timeout: float) -> None:
    bench = Bench(margin=None)

    class Hanging(RecordingSink):
        def apply(self, effects: Any, run: Any) -> Any:
            self.waves.append(list(effects))
            bench.clock.advance(run.deadline.remaining())
            return [Transient(TimeoutError("no answer")) for _ in effects]

    bench.stock = Hanging((Stock,), "stock", idempotent=True)
    records = [made("a", "stock:1", "mail:a"), made("b", "mail:b"), altered("b", "stock:2"), altered("c", "mail:c")]
    with pytest.raises(NoProgress):
        bench.run(*records, altered("b", "mail:b3"), altered("c", "mail:c2"), timeout=timeout)
    assert bench.sent == ["b", "c", "c2"], "and the order of each item is kept"
    assert len(bench.journal.entries) == 3
    assert len(bench.stock.waves) == 1, "no time for it while others need what is left"


def test_what_comes_in_a_later_wave_is_done_while_the_only_sink_of_the_first_hangs() -> None:
    bench = Bench(margin=5.0)

    class Hanging(RecordingSink):
        def apply(self, effects: Any, run: Any) -> Any:
            bench.clock.advance(run.deadline.remaining())
            return [Transient(TimeoutError("no answer")) for _ in effects]

    bench.stock = Hanging((Stock,), "stock", idempotent=True)
    with pytest.raises(NoProgress):
        bench.run(
            made("a", "stock:a"), made("b", "invalid:x"), altered("b", "mail:b"), made("c"), altered("c", "mail:c")
        )
    assert (bench.sent, bench.letters.reasons) == (["b", "c"], ["x"])


def test_what_needs_no_journal_is_done_while_the_journal_hangs() -> None:
    bench = Bench(margin=5.0)

    class Hanging(MemoryJournal):
        def read(self, keys: Any, run: Any) -> Any:
            bench.clock.advance(run.deadline.remaining())
            return {}

    bench.journal = Hanging()
    with pytest.raises(NoProgress, match="JournalUnavailable"):
        bench.run(made("a", "mail:a"), made("b", "stock:b"), made("c", "invalid:x"), made("d", "stock:d", "mail:d"))
    assert (bench.did, bench.sent) == (["b", "d"], [])
    assert bench.letters.reasons == ["x"]


def test_a_sink_that_is_the_only_one_needed_gets_all_the_time() -> None:
    bench, left = Bench(margin=5.0), list[float]()

    class Watching(RecordingSink):
        def apply(self, effects: Any, run: Any) -> Any:
            left.append(run.deadline.remaining())
            return super().apply(effects, run)

    bench.stock = Watching((Stock,), "stock", idempotent=True)
    bench.run(made("a", "stock:1"), made("b", "stock:2"), timeout=45.0)
    bench.run(made("a", "stock:1"), made("b", "mail:2"), timeout=45.0)
    assert left == [40.0, 30.0]


@pytest.mark.parametrize("error", [SystemExit(1), asyncio.CancelledError(), GeneratorExit(), RecursionError()])
def test_whatever_a_sink_raises_its_neighbours_effects_are_journalled(error: BaseException) -> None:
    bench = Bench()

    def leave(_effect: object) -> Answer:
        raise error

    bench.stock.answer = leave
    whole = event(made("z"), made("a", "stock:1"), made("b", "mail:b"))
    for _ in range(2):
        assert checkpoint_of(bench.send(whole)) == numbers(whole)[1]
    assert bench.sent == ["b"]
    assert bench.reports[-1].outcomes[0].error_class == type(error).__name__


@pytest.mark.parametrize("count", [1, 9, 10, 100])
def test_a_mistake_in_the_wiring_that_a_sink_meets_fails_the_invocation_and_stores_nothing(count: int) -> None:
    bench = Bench()

    def misconfigured(_effect: object) -> Answer:
        raise ConfigurationError("no such topic")

    bench.mail.answer = misconfigured
    with pytest.raises(ConfigurationError, match="no such topic"):
        bench.run(made("z", "stock:z"), *[made(str(number), f"mail:{number}") for number in range(count)])
    assert (bench.did, bench.letters.letters) == (["z"], {})


# --- several consumers -----------------------------------------------------------------------------------------------


def test_two_functions_on_one_stream_with_one_journal_do_not_silence_each_other() -> None:
    journal = MemoryJournal()
    one, other = Bench(journal=journal, name="one"), Bench(journal=journal, name="other")
    whole = event(made("z"), made("b", "stock:b"), made("c", "mail:c"), made("d", "mail:d"))
    one.stock.answer = failing("b")
    one.send(whole)
    other.send(whole)
    assert one.sent == other.sent == ["c", "d"]


def test_records_to_which_an_emulator_gave_one_event_id_do_not_silence_each_other() -> None:
    bench = Bench()
    answers: Iterator[Answer] = iter([DONE, Transient(ConnectionError("no answer"))])
    bench.stock.answer = failing("b")
    bench.mail.answer = lambda _: next(answers, DONE)
    whole = event(made("z"), made("b", "stock:b"), made("c", "mail:same"), made("d", "mail:same"))
    same = {"Records": [{**record, "eventID": "same"} for record in whole["Records"]]}
    bench.send(same)
    assert bench.sent == ["same"]
    for _ in range(2):
        bench.send(same)
        assert bench.sent == ["same", "same"], "the second one's too, and neither again"


def test_two_bad_records_with_one_event_id_are_two_dead_letters() -> None:
    bench = Bench()
    whole = event(made("a", "invalid:x"), made("b", "invalid:y"))
    bench.send({"Records": [{**record, "eventID": "same"} for record in whole["Records"]]})
    assert sorted(bench.letters.reasons) == ["x", "y"]


def test_a_new_deployment_that_announces_more_repeats_nothing_and_loses_nothing() -> None:
    bench = Bench()
    old, new = made("a", "mail:1"), made("a", "mail:0", "mail:1")
    records = event(made("z"), made("b", "stock:b"), old)["Records"]
    bench.stock.answer = failing("b")
    bench.send({"Records": records})
    record = {**records[2], "dynamodb": {**records[2]["dynamodb"], "NewImage": new["dynamodb"]["NewImage"]}}
    bench.stock.answer = failing()
    bench.send({"Records": [*records[:2], record]})
    assert bench.sent == ["1", "0"]


# --- what an event can ask for ---------------------------------------------------------------------------------------


def test_the_state_of_a_tumbling_window_is_handed_on() -> None:
    bench = Bench()
    window = {"window": {"start": "a", "end": "b"}, "state": {"sum": 7}, "isFinalInvokeForWindow": False}
    answer = bench.send({**event(made("a", "mail:1")), **window})
    assert (answer["batchItemFailures"], answer["state"]) == ([], {"sum": 7})
    assert bench.send({"Records": [], **window, "state": None})["state"] == {}


def test_a_direct_call_can_ask_which_records_became_dead_letters() -> None:
    bench = Bench()
    whole = event(made("a", "mail:1"), made("b", "invalid:x"))
    bad = whole["Records"][1]
    answer = bench.send({**whole, "tablestream": {"report": True}})
    number = bad["dynamodb"]["SequenceNumber"]
    assert answer["deadLetters"] == [
        {
            "eventID": bad["eventID"],
            "sequenceNumber": number,
            "errorClass": "InvalidRecord",
            "key": f"{bad['eventID']}-{number}",
        }
    ]
    assert "deadLetters" not in bench.send(whole)


# --- putting it together ---------------------------------------------------------------------------------------------


def worker_of(*sinks: RecordingSink) -> Worker:
    return Worker(sinks=sinks, journal=MemoryJournal(), dead_letters=MemoryDeadLetters())


def test_two_sinks_of_one_name_would_share_a_journal_and_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="different names, got mail more than once"):
        worker_of(RecordingSink((Mail,), "mail"), RecordingSink((Stock,), "mail"))


def test_two_sinks_for_one_effect_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="one sink for Mail, got mail and post"):
        worker_of(RecordingSink((Stock, Mail), "mail"), RecordingSink((Mail,), "post"))
