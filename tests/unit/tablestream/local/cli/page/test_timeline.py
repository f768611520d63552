"""The lines of the page, and what is behind them."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tablestream.local.cli.page import timeline as module
from tablestream.local.cli.page.timeline import Timeline
from tablestream.local.cloud.witness import Sent, SetAside, Sight
from tablestream.local.delivery.mapping import MappingSettings
from tablestream.local.delivery.protocol import Answered, FunctionError, InvocationOutcome, Invoke
from tablestream.local.delivery.shard import ShardDelivery
from tablestream.local.runtime.function import Invocation
from tablestream.local.trigger.observations import DeliveryStep, Ended, GivenUp, Logged, Read, RequestServed, Trouble
from tablestream.testing import CREATED, inserted

SHARD = "shardId-00000001700000000000-abcdef01"
OK = Answered({"batchItemFailures": []})
FAILED = FunctionError("ValueError")


class Stack:
    """A timeline of one shard, whose function comes to the outcomes that it is given; `sights` is what it sends."""

    def __init__(self, most: int = module.MOST_LINES, **settings: Any) -> None:
        self.sights: list[Sight] = []
        self.changes: dict[str, dict[str, int]] = {}
        self.timeline = Timeline({"M": "Fn"}, self._seen, lambda request: self.changes.pop(request, {}), most)
        self.delivery = ShardDelivery(MappingSettings(**settings), SHARD, "arn:aws:dynamodb:r:1:table/T/stream/x")
        self._number = 0

    def deliver(self, outcome: InvocationOutcome = OK, records: int = 1, sends: list[Sight] | None = None) -> None:
        numbers = range(self._number + 1, self._number + records + 1)
        self._number += records
        made = [inserted({"pk": str(n), "sk": "s"}, sequence_number=n, at=CREATED) for n in numbers]
        self.timeline(Read("M", SHARD, {str(n): CREATED for n in numbers}))
        self.delivery.offer(made, CREATED)
        for action in self.delivery.due(CREATED + 1):
            self._tell()
            if isinstance(action, Invoke):
                error = {"errorType": "ValueError", "errorMessage": "no"} if outcome is FAILED else None
                self.sights = sends or []
                invocation = Invocation(f"request-{action.id}", outcome, error, seconds=0.07, began=CREATED + 0.2)
                self.timeline(Ended("M", action, invocation, CREATED + 1))
                self.delivery.answered(action.id, outcome, CREATED + 1)
        for action in self.delivery.due(CREATED + 1):
            if not isinstance(action, Invoke):
                self.timeline(GivenUp("M", action, None, CREATED + 1))
        self._tell()

    def _tell(self) -> None:
        for event in self.delivery.events():
            self.timeline(DeliveryStep("M", SHARD, event))

    def _seen(self) -> list[Sight]:
        seen, self.sights = self.sights, []
        return seen


def test_an_invocation_has_a_line_with_its_records_its_outcome_and_its_times() -> None:
    stack = Stack()
    stack.deliver(records=2)
    [line] = stack.timeline.since(0)
    assert (line.who, line.what, line.outcome, line.style) == ("M", "#1: 2 INSERT", "ok", "ok")
    assert (line.detail, line.at, line.unfolds) == ("70 ms, 200 ms after the write", CREATED + 1, True)


def test_a_line_unfolds_into_the_records_the_answer_and_what_it_led_to() -> None:
    stack = Stack()
    stack.changes["request-1"] = {"MODIFY": 2}
    stack.timeline(Logged("Fn", "looked up tea"))
    sent = Sent("news", "order.confirmed", "request-1")
    stack.deliver(sends=[sent, SetAside("failures/x.json", '{"pk": 1}', "orders", "no", "request-1")])
    [number] = [line.number for line in stack.timeline.since(0) if line.unfolds]
    told = stack.timeline.unfolded(number)
    assert told is not None
    assert [record["eventName"] for record in told["records"]] == ["INSERT"]
    assert (told["answer"], told["error"]) == ({"batchItemFailures": []}, None)
    assert (told["changes"], told["logged"]) == ({"MODIFY": 2}, ["looked up tea"])
    assert [(one["kind"], one["what"]) for one in told["effects"]] == [
        ("message", "order.confirmed"),
        ("dead letter", '{"pk": 1}, in orders: no'),
    ]


def test_what_another_program_sent_is_no_effect_of_an_invocation() -> None:
    stack = Stack()
    stack.deliver(sends=[Sent("news", "by hand")])
    lines = stack.timeline.since(0)
    assert ("news", "by hand", "message") in [(line.who, line.what, line.outcome) for line in lines]
    [told] = [stack.timeline.unfolded(line.number) for line in lines if line.unfolds]
    assert told is not None
    assert told["effects"] == []


def test_records_that_are_given_up_unfold_as_well() -> None:
    stack = Stack(max_retries=0, report_failures=True)
    stack.deliver(FAILED)
    lines = stack.timeline.since(0)
    assert [(line.outcome, line.style) for line in lines] == [
        ("failed: ValueError: no", "failed"),
        ("given up", "failed"),
    ]
    told = [stack.timeline.unfolded(line.number) for line in lines]
    assert [len(one["records"]) for one in told if one] == [1, 1]


@pytest.mark.parametrize(("status", "style"), [(201, "ok"), (409, "warning"), (500, "failed")])
def test_a_request_has_a_line_with_what_it_changed(status: int, style: str) -> None:
    timeline = Timeline({})
    timeline(RequestServed("Api", "POST", "/orders", status, None, {"INSERT": 1}, 0.012, CREATED))
    [line] = timeline.since(0)
    assert (line.who, line.what, line.outcome, line.style) == ("Api", "POST /orders", str(status), style)
    assert line.detail == "12 ms, 1 INSERT"


def test_lines_of_functions_are_shown_as_in_the_terminal() -> None:
    timeline = Timeline({})
    timeline(Logged("Fn", '{"level": "INFO", "message": "quiet"}'))
    timeline(Logged("Fn", '{"level": "WARNING", "message": "loud"}'))
    timeline(Trouble("M", "cannot read the stream", CREATED))
    assert [(line.who, line.what) for line in timeline.since(0)] == [
        ("Fn", "WARNING: loud"),
        ("M", "cannot read the stream"),
    ]


def test_only_the_latest_lines_are_kept_and_fewer_with_something_behind() -> None:
    stack = Stack(most=250)
    for _ in range(300):
        stack.deliver()
    lines = stack.timeline.since(0)
    assert [lines[0].number, lines[-1].number] == [51, 300]
    there = [stack.timeline.unfolded(line.number) is not None for line in lines]
    assert there == [False] * 50 + [True] * module.MOST_UNFOLDED


def test_what_is_behind_lines_holds_so_many_records_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_RECORDS", 50)
    stack = Stack(batch_size=100)
    for _ in range(3):
        stack.deliver(records=20)
    stack.deliver(records=60)
    assert [stack.timeline.unfolded(line.number) is not None for line in stack.timeline.since(0)] == [False] * 3 + [
        True
    ]


def test_lines_are_told_from_a_number_on_and_all_to_a_page_of_another_stack() -> None:
    timeline = Timeline({})
    for text in ("one", "two"):
        timeline.say(text)
    assert [line.what for line in timeline.since(1)] == ["two"]
    assert timeline.since(2) == []
    assert [line.what for line in timeline.since(77)] == ["one", "two"]


def test_who_waits_gets_the_next_line_and_is_let_go_at_the_end() -> None:
    timeline = Timeline({})
    got: list[list[str]] = []

    def wait() -> None:
        got.append([line.what for line in timeline.since(0, patience=60)])
        got.append([line.what for line in timeline.since(1, patience=60)])

    waiting = threading.Thread(target=wait)
    waiting.start()
    timeline.say("one")
    timeline.close()
    waiting.join(60)
    assert got == [["one"], []]


def test_an_invocation_by_a_message_has_a_line_of_its_own() -> None:
    timeline = Timeline({})
    timeline.invoked("Mailer", Invocation("r", FAILED, {"errorType": "ValueError", "errorMessage": "no"}, seconds=0.01))
    [line] = timeline.since(0)
    assert (line.who, line.outcome, line.style) == ("Mailer", "failed: ValueError: no", "failed")
    assert timeline.unfolded(line.number) is not None


def test_shards_are_told_with_their_slots_their_lag_and_their_counts() -> None:
    stack = Stack()
    stack.deliver()
    [shard] = stack.timeline.shards(CREATED + 2)
    assert (shard["mapping"], shard["shard"], shard["slots"], shard["lag"]) == ("M", "abcdef01", {}, 0.0)
    assert shard["counts"]["done"] == 1
