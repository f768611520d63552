"""The lines of the page, and what is behind them."""

from __future__ import annotations

import threading

import pytest

from tablestream.local.cli.page import timeline as module
from tablestream.local.cli.page.timeline import Timeline
from tablestream.local.cloud.witness import Sent, SetAside
from tablestream.local.runtime.function import Invocation
from tablestream.local.trigger.observations import Logged, RequestServed, Trouble
from tablestream.testing import CREATED
from tests.support.fed_timeline import FAILED, FedTimeline


def test_an_invocation_has_a_line_with_its_records_its_outcome_and_its_times() -> None:
    stack = FedTimeline()
    stack.deliver(records=2)
    [line] = stack.timeline.since(0)
    assert (line.who, line.what, line.outcome, line.style) == ("M", "#1: 2 INSERT", "ok", "ok")
    assert (line.detail, line.at, line.unfolds) == ("70 ms, 200 ms after the write", CREATED + 1, True)


def test_a_line_unfolds_into_the_records_the_answer_and_what_it_led_to() -> None:
    stack = FedTimeline()
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
    stack = FedTimeline()
    stack.deliver(sends=[Sent("news", "by hand")])
    lines = stack.timeline.since(0)
    assert ("news", "by hand", "message") in [(line.who, line.what, line.outcome) for line in lines]
    [told] = [stack.timeline.unfolded(line.number) for line in lines if line.unfolds]
    assert told is not None
    assert told["effects"] == []


def test_records_that_are_given_up_unfold_as_well() -> None:
    stack = FedTimeline(max_retries=0, report_failures=True)
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
    stack = FedTimeline(most=250)
    for _ in range(300):
        stack.deliver()
    lines = stack.timeline.since(0)
    assert [lines[0].number, lines[-1].number] == [51, 300]
    there = [stack.timeline.unfolded(line.number) is not None for line in lines]
    assert there == [False] * 50 + [True] * module.MOST_UNFOLDED


def test_what_is_behind_lines_holds_so_many_records_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_RECORDS", 50)
    stack = FedTimeline(batch_size=100)
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
    stack = FedTimeline()
    stack.deliver()
    [shard] = stack.timeline.shards(CREATED + 2)
    assert (shard["mapping"], shard["shard"], shard["slots"], shard["lag"]) == ("M", "abcdef01", {}, 0.0)
    assert shard["counts"]["done"] == 1


def test_the_paths_of_dead_letters_and_of_on_failure_records_are_kept_latest_first() -> None:
    stack = FedTimeline(max_retries=0)
    letter = SetAside("failures/a.json", "", None, "no")
    stack.deliver(sends=[letter, SetAside("failures/b.json", "", None, "no")])
    stack.destination = "s3://failures/aws/lambda/c"
    stack.deliver(FAILED)
    stack.deliver(sends=[letter])
    assert stack.timeline.letters() == ["failures/a.json", "failures/aws/lambda/c", "failures/b.json"]


def test_records_that_are_told_to_a_queue_are_no_object() -> None:
    stack = FedTimeline(max_retries=0)
    stack.destination = "arn:aws:sqs:eu-west-1:1:gone"
    stack.deliver(FAILED)
    assert stack.timeline.letters() == []


def test_metrics_are_not_among_what_a_function_wrote() -> None:
    stack = FedTimeline()
    for line in ('{"_aws": {}, "Records": [1]}', "looked up tea"):
        stack.timeline(Logged("Fn", line))
    stack.deliver()
    [told] = [stack.timeline.unfolded(line.number) for line in stack.timeline.since(0) if line.unfolds]
    assert told is not None
    assert told["logged"] == ["looked up tea"]
