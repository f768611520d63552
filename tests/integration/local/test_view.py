"""What a person who watches the trigger sees."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from demo.warehouse import Letter, put_letter
from demo.watch import messages_told
from tablestream.local.cli.terminal import INDENT, put, readable
from tablestream.local.cli.up import EffectWatcher
from tablestream.local.cli.view import View
from tablestream.local.cloud.witness import Sent, SetAside, Sight
from tablestream.local.delivery.mapping import MappingSettings
from tablestream.local.delivery.protocol import (
    Answered,
    Condition,
    DiscardRecords,
    Filtered,
    FunctionError,
    InvocationOutcome,
    Invoke,
    NotInvoked,
)
from tablestream.local.delivery.shard import ShardDelivery
from tablestream.local.runtime.function import Invocation
from tablestream.local.runtime.language import PYTHON_BOOTSTRAP
from tablestream.local.runtime.runtime import NOT_IMPORTED
from tablestream.local.trigger.observations import DeliveryStep, Ended, GivenUp, KeptBack, Logged, Read, RequestServed
from tablestream.testing import CREATED, inserted

SHARD = "shardId-00000001700000000000-abcdef01"
WRITTEN = CREATED + 0.25


ERROR = {
    "errorMessage": "'celsius'",
    "stackTrace": [
        f'File "{PYTHON_BOOTSTRAP}", line 9, in x',
        'File "/code/main.py", line 10, in y',
        'File "<frozen x>", line 1',
    ],
}


def terminal(file: io.StringIO, width: int, *, terminal: bool = True) -> Console:
    return Console(file=file, width=width, highlight=False, force_terminal=terminal, color_system=None)


class Screen:
    """A view on one shard whose function comes to the given outcomes."""

    def __init__(self, *, verbose: bool = False, width: int = 0, **settings: Any) -> None:
        self.written = io.StringIO()
        self.view = View(terminal(self.written, width or 200, terminal=width > 0), verbose=verbose)
        self.delivery = ShardDelivery(MappingSettings(**settings), SHARD, "arn:aws:dynamodb:r:1:table/T/stream/x")

    def offer(self, *numbers: int) -> None:
        """Records with whole seconds, as in AWS; the stream tells the fraction beside them."""
        made = [inserted({"pk": str(n), "sk": "s"}, sequence_number=n, at=CREATED) for n in numbers]
        self.view(Read("M", SHARD, {str(number): WRITTEN for number in numbers}))
        self.delivery.offer(made, WRITTEN)

    def deliver(self, *outcomes: InvocationOutcome) -> None:
        now = WRITTEN + 0.1
        for outcome in outcomes:
            now = max(now, self.delivery.next_due(now) or now)
            for action in self.delivery.due(now):
                if isinstance(action, Invoke):
                    self._end(action, outcome, now)
            self._tell()
        self.delivery.due(now)
        self._tell()

    def _end(self, invoke: Invoke, outcome: InvocationOutcome, now: float) -> None:
        error = ERROR | {"errorType": outcome.kind} if isinstance(outcome, FunctionError) else None
        began = None if isinstance(outcome, NotInvoked) else now
        self.view(Ended("M", invoke, Invocation("id", outcome, error, 0.012, began), now))
        self.delivery.answered(invoke.id, outcome, now)

    def _tell(self) -> None:
        for event in self.delivery.events():
            self.view(DeliveryStep("M", SHARD, event))

    def lines(self) -> list[str]:
        """Without the time of day."""
        return [line[9:] for line in self.written.getvalue().splitlines()]

    def give_up(self, condition: Condition, invoke_id: int | None = None, destination: str | None = None) -> None:
        discard = DiscardRecords(0, [{}, {}], condition, 4, invoke_id, None, SHARD, "arn")
        self.view(GivenUp("M", discard, destination, CREATED))

    def status(self) -> str:
        self.written.seek(0)
        self.written.truncate()
        with self.view:
            pass
        return self.written.getvalue()


def test_one_line_a_delivery() -> None:
    screen = Screen(bisect=True, report_failures=True)
    screen.offer(1, 2, 3)
    second = Answered({"batchItemFailures": [{"itemIdentifier": "2"}]})
    screen.deliver(
        second, FunctionError("KeyError"), NotInvoked(), FunctionError("KeyError"), Answered(None), Answered(None)
    )
    words = "KeyError: 'celsius' (main.py, line 10)"
    assert screen.lines() == [
        "M #1: 3 INSERT -> partial: 1 done, 2 come again (12 ms, 100 ms after the write)",
        f"M #2: 2 INSERT -> failed, halved into 1 + 1: {words} (12 ms, age 0.1 s)",
        "M #3: 1 INSERT -> throttled, again in 0.5 s (12 ms, age 0.1 s)",
        f"M #4: 1 INSERT -> failed, again in 0.5 s: {words} (12 ms, age 0.6 s)",
        "M #5 attempt 2: 1 INSERT -> ok (12 ms, age 1.1 s)",
        "M #6: 1 INSERT -> ok (12 ms, age 1.1 s)",
    ]


def test_an_answer_that_cannot_be_read_is_named() -> None:
    screen = Screen(report_failures=True)
    screen.offer(1)
    screen.deliver(Answered({"batchItemFailures": [{"itemIdentifier": "9"}]}))
    assert "-> failed, again in 0.5 s: InvalidItemIdentifier (12 ms" in screen.lines()[0]


def test_an_answer_that_names_the_first_record_says_so() -> None:
    screen = Screen(report_failures=True)
    screen.offer(1)
    screen.deliver(Answered({"batchItemFailures": [{"itemIdentifier": "1"}]}))
    assert "again in 0.5 s: NoProgress: the function answered that the first record failed (12 ms" in screen.lines()[0]


def test_an_import_that_fails_is_told_at_length_once() -> None:
    screen = Screen()
    screen.view(Logged("Task", f"{NOT_IMPORTED}KeyError: 'celsius' (main.py, line 10). What it imports must lie there"))
    screen.offer(1)
    screen.deliver(FunctionError("KeyError"), FunctionError("ValueError"))
    _, known, other = screen.lines()
    assert "failed, again in 0.5 s: the handler cannot be imported, as said above (12 ms" in known
    assert "failed, again in 1.0 s: ValueError: 'celsius' (main.py, line 10) (12 ms" in other


def test_records_that_filters_keep_back_are_told_with_the_filters() -> None:
    screen = Screen()
    screen.view(KeptBack("M", 1, ['{"eventName": ["INSERT"]}'], CREATED))
    screen.view(KeptBack("N", 2, ["{1}", "{2}"], CREATED))
    told = "nothing is invoked for that; from now on they are only counted"
    assert screen.lines() == [
        f'M: 1 record kept back, {told}: the filter {{"eventName": ["INSERT"]}}',
        f"N: 2 records kept back, {told}: all filters: {{1}} or {{2}}",
    ]


def test_the_attempt_after_which_records_are_given_up_has_its_line_too() -> None:
    screen = Screen(max_retries=0)
    screen.offer(1)
    screen.deliver(FunctionError("KeyError"))
    screen.give_up(Condition.RETRY_ATTEMPTS_EXHAUSTED, invoke_id=1, destination="arn:q")
    assert screen.lines() == [
        "M #1: 1 INSERT -> failed: KeyError: 'celsius' (main.py, line 10) (12 ms, 100 ms after the write)",
        "M: 2 records given up after 4 attempts (RetryAttemptsExhausted), told to arn:q",
    ]


def bad_day(screen: Screen) -> str:
    """What a screen shows of failures, with long words in them."""
    screen.offer(1, 2)
    screen.deliver(FunctionError("KeyError"), FunctionError("KeyError"))
    screen.give_up(Condition.RETRY_ATTEMPTS_EXHAUSTED, destination=f"arn:aws:s3:::{'b' * 40}")
    entry = {**ENTRY, "event_id": "e" * 32, "key_hash": "f" * 12, "error_class": "InvalidRecord"}
    screen.view(Logged("Worker", json.dumps(entry)))
    return screen.written.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_in_a_terminal_lines_break_between_words_only(width: int) -> None:
    wrapped, whole = bad_day(Screen(width=width, bisect=True)), bad_day(Screen(bisect=True))
    assert max(map(len, wrapped.splitlines())) <= width < max(map(len, whole.splitlines()))
    assert wrapped.split() == whole.split()
    assert all(line.startswith(" " * INDENT) or line[2] == ":" for line in wrapped.splitlines())


def test_a_word_that_is_longer_than_a_line_stays_whole() -> None:
    file = io.StringIO()
    put(terminal(file, 20), "in " + "k" * 30 + " it is", hang=2)
    assert file.getvalue().splitlines() == [" " * 9 + "in", " " * 11 + "k" * 30, " " * 11 + "it is"]


def test_elsewhere_than_in_a_terminal_a_line_stays_a_line() -> None:
    file = io.StringIO()
    put(terminal(file, 20, terminal=False), "word " * 30, indent=2)
    assert file.getvalue() == "  " + "word " * 30 + "\n"


def test_the_status_shows_each_shard_and_the_latency() -> None:
    screen = Screen(bisect=True, max_retries=0)
    screen.offer(1, 2)
    screen.deliver(FunctionError("KeyError"), FunctionError("KeyError"), Answered(None))
    assert screen.status().splitlines() == [
        "M: idle; 1 done, 1 halved, 1 given up",
        "write to handler: median 100 ms (2 records)",
    ]


def test_several_shards_are_told_apart_and_verbose_tells_the_checkpoint() -> None:
    screen = Screen(verbose=True)
    screen.offer(1)
    screen.deliver(Answered(None))
    assert "M abcdef01 #1: 1 INSERT -> ok" in screen.lines()[0]
    assert screen.status().splitlines()[0] == "M abcdef01: idle; 1 done; checkpoint 1"
    two = Screen()
    two.view(DeliveryStep("M", SHARD[:-1] + "2", Filtered(3, 0.0)))
    two.offer(1)
    two.deliver(Answered(None))
    assert "M abcdef01 #1: 1 INSERT -> ok" in two.lines()[0]
    assert two.status().splitlines()[:2] == ["M abcdef02: idle; 0 done, 3 filtered", "M abcdef01: idle; 1 done"]


def test_a_shard_that_waits_says_for_what() -> None:
    screen = Screen()
    screen.offer(1)
    screen.deliver(FunctionError("KeyError"))
    (line, _) = screen.status().splitlines()
    assert line.startswith("M: 1 again in 0.5 s, the oldest ")
    assert line.endswith(" s old; 0 done, 1 retried")


def test_an_invocation_from_outside_has_a_line() -> None:
    screen = Screen()
    screen.view.invoked("Task", Invocation("id", Answered(1), None, 0.012))
    screen.view.invoked("Task", Invocation("id", FunctionError("KeyError"), ERROR | {"errorType": "KeyError"}, 0.012))
    assert screen.lines() == [
        "Task invoked -> ok (12 ms)",
        "Task invoked -> failed: KeyError: 'celsius' (main.py, line 10) (12 ms)",
    ]


@pytest.mark.parametrize(
    ("status", "changes", "shown"),
    [
        (201, {"INSERT": 1, "MODIFY": 2}, "Api: POST /users -> 201 (12 ms): 1 INSERT, 2 MODIFY"),
        (404, {}, "Api: POST /users -> 404 (12 ms)"),
        (500, {}, "Api: POST /users -> 500 KeyError: 'celsius' (main.py, line 10) (12 ms)"),
    ],
)
def test_a_request_has_a_line_with_what_it_changed(status: int, changes: dict[str, int], shown: str) -> None:
    screen = Screen()
    error = ERROR | {"errorType": "KeyError"} if status == 500 else None
    screen.view(RequestServed("Api", "POST", "/users", status, error, changes, 0.012, CREATED))
    assert screen.lines() == [shown]


def test_a_stream_that_tells_whole_seconds_only_is_not_measured() -> None:
    screen = Screen()
    screen.delivery.offer([inserted({"pk": "1", "sk": "s"}, sequence_number=1, at=CREATED)], CREATED)
    screen.deliver(Answered(None))
    assert "not measured" in screen.status()


@pytest.mark.parametrize(
    ("condition", "destination", "text"),
    [
        (Condition.RETRY_ATTEMPTS_EXHAUSTED, "arn:q", "after 4 attempts (RetryAttemptsExhausted), told to arn:q"),
        (
            Condition.RECORD_AGE_EXCEEDED,
            None,
            "after 4 attempts (RecordAgeExceeded), lost: the mapping has no on-failure",
        ),
        (Condition.RECORDS_TRIMMED, None, "after 4 attempts (RecordsTrimmed), lost: the stream keeps them no longer"),
    ],
)
def test_what_is_given_up_is_said_with_where_it_went(condition: Condition, destination: str | None, text: str) -> None:
    screen = Screen()
    screen.give_up(condition, 7, destination)
    assert f"M: 2 records given up {text}" in screen.lines()[0]


ENTRY = {
    "level": "WARNING",
    "location": "x:1",
    "message": "dead letter stored",
    "service": "s",
    "event_id": "e",
    "n": 2,
}


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (json.dumps(ENTRY), "WARNING: dead letter stored (event_id e, n 2)"),
        (json.dumps({**ENTRY, "level": "INFO"}), None),
        (json.dumps({"level": "ERROR", "message": {"a": 1}, "timestamp": "t"}), 'ERROR: {"a": 1}'),
        (json.dumps({"_aws": {}, "Records": 3}), None),
        ("printed", "printed"),
        ("  ", None),
        ('{"not": "a log entry"}', '{"not": "a log entry"}'),
        ("{broken", "{broken"),
    ],
)
def test_a_log_line_is_shown_if_it_matters_and_readable(line: str, shown: str | None) -> None:
    assert readable(line) == shown


def test_verbose_shows_every_line_as_it_was_written() -> None:
    screen = Screen(verbose=True)
    screen.view(Logged("Task", json.dumps({**ENTRY, "level": "INFO"})))
    assert "dead letter stored" in screen.written.getvalue()
    assert '"location"' in screen.written.getvalue()


def test_messages_are_told_by_type_id_and_reason_and_many_are_counted() -> None:
    sent = [
        {
            "type": "order.rejected",
            "eventId": "e",
            "orderId": "1",
            "reason": "Unknown product: hat.",
            "customerId": "c",
        },
        {"type": "lead.created", "eventId": "e", "leadId": "7"},
        {"type": "ping"},
    ]
    told = ["order.rejected 1: Unknown product: hat.", "lead.created 7", "ping"]
    assert list(messages_told(sent)) == [f"message: {one}" for one in told]
    assert list(messages_told(sent * 4)) == ["messages: 4 order.rejected, 4 lead.created, 4 ping"]


def test_a_dead_letters_key_is_shown_where_a_line_holds_it() -> None:
    letter = Letter("dead-letters/2026/11/25/" + "k" * 60, {"reason": "items: wanted a list"})
    narrow, wide, piped = io.StringIO(), io.StringIO(), io.StringIO()
    put_letter(terminal(narrow, 80), letter)
    put_letter(terminal(wide, 120), letter)
    put_letter(terminal(piped, 80, terminal=False), letter)
    told = [" " * INDENT + "dead letter: items: wanted a list"]
    assert narrow.getvalue().splitlines() == told
    assert wide.getvalue().splitlines() == piped.getvalue().splitlines() == [*told, " " * INDENT + letter.key]


def test_effects_in_a_stack_of_which_nothing_is_known_are_shown_each_in_a_line() -> None:
    published = {
        "sales": ['{"lead": "1"}', "two\nlines"],
        "many": [f"number {number}" for number in range(13)],
        "long": ["x" * 300],
    }
    messages = [Sent(name, text) for name, texts in published.items() for text in texts]
    shown = io.StringIO()
    letters = [SetAside(f"b/dead-letters/{n}.json", '{"id": {"S": "1"}}', "created", "status: none") for n in range(11)]
    malformed = SetAside("b/k", "", None, "eventName: wanted text")
    seen: list[list[Sight]] = [[], [malformed, *messages, Sent("work", "one"), *letters, Sent("work", "two")]]
    watcher = EffectWatcher(seen.pop, terminal(shown, 200, terminal=False))
    watcher(Logged("Worker", "a line of a log is no news"))
    watcher.look_after(0)
    assert shown.getvalue() == ""

    invoke = Invoke(1, 0, [], 0, CREATED, SHARD, "arn")
    watcher(Ended("M", invoke, Invocation("id", Answered(None), None, 0.012, CREATED), CREATED))
    for _ in range(2):
        watcher.look_after(0)
    assert [line.strip() for line in shown.getvalue().splitlines()] == [
        'sales: {"lead": "1"}',
        "sales: two lines",
        *(f"many: number {number}" for number in range(10)),
        "many: 3 more",
        f"long: {'x' * 200} …",
        "work: one",
        "work: two",
        "dead letter: eventName: wanted text",
        "s3://b/k",
        *(
            line
            for n in range(9)
            for line in ('dead letter: {"id": {"S": "1"}}, in created: status: none', f"s3://b/dead-letters/{n}.json")
        ),
        "dead letters: 2 more",
    ]


def test_what_data_holds_cannot_move_the_cursor_or_turn_a_line_round() -> None:
    written = io.StringIO()
    put(terminal(written, 80), "a\x1b[2Jb\u202ec\nd", indent=0)
    assert written.getvalue() == "a\\x1b[2Jb\\u202ec\nd\n"
