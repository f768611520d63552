"""What a person who watches the trigger sees."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from local.actions import Answered, Condition, Discard, FunctionError, Invoke, Outcome, Throttled
from local.delivery import ShardDelivery
from local.log_lines import readable
from local.observations import Ended, GivenUp, Logged, Read, Step
from local.runtime import Invocation
from local.settings import MappingSettings
from local.view import View
from tablestream.testing import CREATED, inserted

pytestmark = pytest.mark.integration
SHARD = "shardId-00000001700000000000-abcdef01"
WRITTEN = CREATED + 0.25


class Screen:
    """A view on one shard whose function comes to the given outcomes."""

    def __init__(self, *, verbose: bool = False, **settings: Any) -> None:
        self.written = io.StringIO()
        self.view = View(Console(file=self.written, width=200, highlight=False), verbose=verbose)
        self.delivery = ShardDelivery(MappingSettings(**settings), SHARD, "arn:aws:dynamodb:r:1:table/T/stream/x")

    def offer(self, *numbers: int) -> None:
        made = [inserted({"pk": str(n), "sk": "s"}, sequence_number=n, at=WRITTEN) for n in numbers]
        self.view(Read("M", SHARD, {str(number): WRITTEN for number in numbers}))
        self.delivery.offer(made, WRITTEN)

    def deliver(self, *outcomes: Outcome) -> None:
        now = WRITTEN + 0.1
        for outcome in outcomes:
            now = max(now, self.delivery.next_due(now) or now)
            for action in self.delivery.due(now):
                if isinstance(action, Invoke):
                    self._end(action, outcome, now)
            self._tell()
        self.delivery.due(now)
        self._tell()

    def _end(self, invoke: Invoke, outcome: Outcome, now: float) -> None:
        error = {"errorType": outcome.kind} if isinstance(outcome, FunctionError) else None
        began = None if isinstance(outcome, Throttled) else now
        self.view(Ended("M", invoke, Invocation("id", outcome, error, 0.012, began), now))
        self.delivery.answered(invoke.id, outcome, now)

    def _tell(self) -> None:
        for event in self.delivery.events():
            self.view(Step("M", SHARD, event))

    def lines(self) -> list[str]:
        """Without the time of day."""
        return [line[9:] for line in self.written.getvalue().splitlines()]

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
        second, FunctionError("KeyError"), Throttled(), FunctionError("KeyError"), Answered(None), Answered(None)
    )
    assert screen.lines() == [
        "M abcdef01/0 #1: 3 records (INSERT x3) -> partial: 1 done, 2 come again (12 ms, 100 ms after the write)",
        "M abcdef01/0 #2: 2 records (INSERT x2) -> halved into 1 + 1 after KeyError (12 ms, age 0.1 s)",
        "M abcdef01/0 #3: 1 record (INSERT x1) -> throttled, again in 0.5 s (12 ms, age 0.1 s)",
        "M abcdef01/0 #4: 1 record (INSERT x1) -> failed after KeyError, again in 0.5 s (12 ms, age 0.6 s)",
        "M abcdef01/0 #5 attempt 2: 1 record (INSERT x1) -> ok (12 ms, age 1.1 s)",
        "M abcdef01/0 #6: 1 record (INSERT x1) -> ok (12 ms, age 1.1 s)",
    ]


def test_the_status_shows_each_shard_and_the_latency() -> None:
    screen = Screen(bisect=True, max_retries=0)
    screen.offer(1, 2)
    screen.deliver(FunctionError("KeyError"), FunctionError("KeyError"), Answered(None))
    shown = screen.status()
    assert cells(shown) == ["M", "abcdef01", "idle", "0.0 s", "2", "1", "0", "0", "1", "1"]
    assert "write to handler: median 100 ms (2 records)" in shown


def test_a_lane_that_waits_says_for_what() -> None:
    screen = Screen()
    screen.offer(1)
    screen.deliver(FunctionError("KeyError"))
    assert "0: 1 again in 0.5 s" in cells(screen.status())


def cells(shown: str) -> list[str]:
    """Of the table's only row."""
    (row,) = [line for line in shown.splitlines() if "abcdef01" in line]
    return [cell.strip() for cell in row.replace("│", "|").strip("|").split("|")]


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
    discard = Discard(0, [{}, {}], condition, 4, 7, None, SHARD, "arn")
    screen.view(GivenUp("M", discard, destination, CREATED))
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
