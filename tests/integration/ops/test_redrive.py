"""`python -m tablestream.ops redrive` against the whole stack: the worker is the real one, in a process of its own."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tablestream.local.cloud.faults import Fault
from tablestream.ops.__main__ import main
from tablestream.testing import CREATED
from tests.integration.ops.bench import STOCK, Bench, bench, interrupting

POISON = -1


@pytest.fixture(scope="module")
def world() -> Iterator[Bench]:
    with bench() as opened:
        yield opened


@pytest.fixture
def fresh(world: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    world.begin()
    return world


Ops = Callable[..., int]


@pytest.fixture
def ops() -> Ops:
    def run(*arguments: str) -> int:
        return main(["redrive", *arguments, "--stack", "tablestream"])

    return run


def test_both_kinds_are_applied_and_moved(fresh: Bench, ops: Ops) -> None:
    letter = fresh.park(fresh.placed("a", 1))
    batch = fresh.give_up([fresh.placed("b", 2), fresh.placed("c", 3)])
    assert ops("run") == 0
    assert fresh.left() == []
    assert fresh.keys("redriven/") == sorted([f"redriven/{letter}", f"redriven/{batch}"])
    assert [fresh.status(order) for order in "abc"] == ["confirmed"] * 3
    assert fresh.shop.available() == {"tea": STOCK - 3}
    assert sorted(fresh.announced().values()) == [1, 1, 1]


def test_late_announcements_say_so(fresh: Bench, ops: Ops) -> None:
    fresh.park(fresh.placed("a", 1))
    ops("run")
    assert [message["late"] for message in fresh.inbox.take()] == [True]


def test_a_record_in_two_objects_is_sent_once_and_both_are_settled(fresh: Bench, ops: Ops) -> None:
    record = fresh.placed("a", 1)
    fresh.park(record)
    fresh.give_up([record, fresh.placed("b", 2)])
    assert ops("run") == 0
    assert fresh.left() == []
    assert sorted(fresh.announced().values()) == [1, 1]


def test_changes_of_an_item_are_sent_in_stream_order_from_wherever_they_lie(fresh: Bench, ops: Ops) -> None:
    placed, cancelled = fresh.placed("a", 9), fresh.cancelled("a", 10)
    fresh.give_up([cancelled])  # by key it comes before the dead letter, and "10" is less than "9" as text
    fresh.park(placed)
    assert ops("run", "--batch-size", "1") == 0
    assert [message["type"] for message in fresh.inbox.take()] == ["order.received", "order.cancelled"]


def test_poison_stays_with_its_new_reason_and_the_others_go_on(fresh: Bench, ops: Ops) -> None:
    bad = fresh.park(fresh.placed("bad", 1, POISON), error="OldError")
    fresh.park(fresh.placed("good", 2))
    assert ops("run") == 1
    assert fresh.left() == [bad]
    (letter,) = fresh.letters("dead-letters/")
    assert letter.body["error_class"] == "InvalidRecord"
    assert fresh.status("good") == "confirmed"


def test_poison_keeps_the_time_at_which_it_was_first_set_aside(fresh: Bench, ops: Ops) -> None:
    bad = fresh.park(fresh.placed("bad", 1, POISON), at=CREATED + 60)
    before = fresh.letters(bad)[0].body["time"]
    for _ in range(2):
        assert ops("run", "--until", "2025-12-31") == 1
    (letter,) = fresh.letters("dead-letters/")
    assert letter.body["first_time"] == before
    assert letter.body["time"] > before


def test_poison_of_a_batch_that_was_given_up_becomes_a_dead_letter(fresh: Bench, ops: Ops) -> None:
    bad = fresh.placed("bad", 1, POISON)
    batch = fresh.give_up([bad, fresh.placed("good", 2)], at=CREATED + 60)
    assert ops("run") == 1
    (letter,) = fresh.letters("dead-letters/")
    assert (letter.body["event_id"], letter.body["first_time"]) == (bad["eventID"], "2025-11-20T12:01:00.000+00:00")
    assert fresh.keys("redriven/") == [f"redriven/{batch}"]


def test_what_fails_for_now_stays_and_is_noted_and_a_later_redrive_applies_it(fresh: Bench, ops: Ops) -> None:
    stuck = fresh.park(fresh.placed("stuck", 1))
    good = fresh.park(fresh.placed("good", 2))
    batch = fresh.give_up([fresh.placed("fine", 3), fresh.placed("stuck-too", 4)])
    with fresh.cloud.faults.during(Fault("TransactWriteItems", "AccessDeniedException", "ORDER#stuck")):
        assert ops("run") == 1
    assert fresh.left() == [stuck, batch]
    assert f"redriven/{good}" in fresh.keys("redriven/")  # though it shared a transaction with one that failed
    noted = {letter.key: letter.body for letter in fresh.letters()}
    assert noted[stuck]["redrive"]["error"] == "FailedForNow"
    assert [record["dynamodb"]["Keys"]["sk"]["S"] for record in noted[batch]["payload"]["Records"]] == [
        "ORDER#stuck-too"
    ]
    assert ops("run") == 0
    assert fresh.left() == []
    assert set(fresh.announced().values()) == {1}
    assert fresh.shop.available() == {"tea": STOCK - 4}


def test_later_changes_of_a_failed_item_are_held_back(fresh: Bench, ops: Ops) -> None:
    placed = fresh.placed("stuck", 1)
    fresh.park(placed)
    fresh.give_up([fresh.cancelled("stuck", 2)])
    fresh.park(fresh.placed("good", 3))
    with fresh.cloud.faults.during(Fault("TransactWriteItems", "AccessDeniedException", "ORDER#stuck")):
        assert ops("run", "--batch-size", "2") == 1
    assert len(fresh.left()) == 2
    assert [message["orderId"] for message in fresh.inbox.take()] == ["good"]


def test_an_outage_stops_the_run_and_leaves_everything(fresh: Bench, ops: Ops) -> None:
    keys = [fresh.park(fresh.placed(f"o-{number}", number)) for number in range(6)]
    with fresh.cloud.faults.during(Fault("TransactWriteItems", "AccessDeniedException")):
        assert ops("run", "--patience", "2") == 1
    assert fresh.left() == sorted(keys)
    assert ops("run") == 0
    assert set(fresh.announced().values()) == {1}


def test_filters_choose_and_a_dry_run_sends_nothing(fresh: Bench, ops: Ops, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = fresh.park(fresh.placed("a", 1), error="KeyError")
    other = fresh.park(fresh.placed("b", 2), error="TypeError")
    assert ops("run", "--reason", "KeyError", "--dry-run") == 0
    assert "1 record of 1 item in 1 object: 1 batch to" in capsys.readouterr().out
    assert fresh.left() == sorted([chosen, other])
    assert ops("run", "--reason", "KeyError") == 0
    assert "1 record applied; now under redriven/" in capsys.readouterr().out
    assert fresh.left() == [other]


def test_a_record_waits_for_an_earlier_change_that_is_not_selected(fresh: Bench, ops: Ops) -> None:
    fresh.park(fresh.placed("a", 1), error="KeyError")
    later = fresh.park(fresh.cancelled("a", 2), error="TypeError")
    assert ops("run", later) == 1  # something is left
    assert len(fresh.left()) == 2
    assert ops("run", later, "--out-of-order") == 0
    assert len(fresh.left()) == 1


def test_filters_that_select_nothing_are_taken_for_a_mistake(
    fresh: Bench, ops: Ops, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ops("run") == 0
    assert "the failures bucket holds nothing" in capsys.readouterr().err
    key = fresh.park(fresh.placed("a", 1))
    for arguments in (["run"], ["run", "--dry-run"], ["discard", "--yes", "--why", "a test"]):
        assert ops(*arguments, "--reason", "Nope") == 1
        assert "nothing in the failures bucket is selected by these filters" in capsys.readouterr().err
    assert ops("run", "dead-letters/2020/01/01/another.json") == 1
    assert fresh.left() == [key]
    assert ops("list", "--reason", "Nope") == 0
    assert "nothing in the failures bucket is selected" in capsys.readouterr().out


def test_with_json_a_run_says_what_it_plans_each_record_that_was_not_applied_and_the_sum(
    fresh: Bench, ops: Ops, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = fresh.placed("bad", 1, POISON)
    key = fresh.park(bad)
    fresh.park(fresh.placed("good", 2))
    fresh.park(fresh.placed("stuck", 3))
    with fresh.cloud.faults.during(Fault("TransactWriteItems", "AccessDeniedException", "ORDER#stuck")):
        assert ops("run", "--json") == 1
    plan, *records, summary = lines(capsys)
    assert (plan["type"], plan["records"], plan["objects"], plan["batches"]) == ("plan", 3, 3, 1)
    assert {line["type"] for line in records} == {"record"}
    assert {line["event_id"]: (line["outcome"], line["error_class"]) for line in records}[bad["eventID"]] == (
        "poisoned",
        "InvalidRecord",
    )
    assert [line["key"] for line in records if line["outcome"] == "poisoned"] == [key]
    assert summary == {
        "type": "summary",
        "applied": 1,
        "poison": 1,
        "failed": 1,
        "errors": {"FailedForNow": 1},
        "held_back": 0,
        "gone": 0,
        "passed_over": 0,
        "discarded": 0,
        "unknown": 0,
        "status": 1,
        "stopped": None,
    }


def test_all_commands_write_json_lines_of_a_type(fresh: Bench, ops: Ops, capsys: pytest.CaptureFixture[str]) -> None:
    key = fresh.park(fresh.placed("a", 1))
    fresh.cloud.client("s3").put_object(Bucket=fresh.bucket, Key="dead-letters/notes.txt", Body=b"secret")
    told: dict[str, list[str]] = {}
    for arguments in (
        ["list"],
        ["list", "--objects"],
        ["show", key],
        ["run", "--dry-run"],
        ["discard", "--yes", "--why", "a test"],
        ["list", "--since", "tomorrow"],
    ):
        ops(*arguments, "--json")
        told[" ".join(arguments[:2])] = [line["type"] for line in lines(capsys)]
    assert told == {
        "list": ["group", "unreadable"],
        "list --objects": ["object", "unreadable"],
        f"show {key}": ["content"],
        "run --dry-run": ["plan"],
        "discard --yes": ["plan", "summary"],
        "list --since": ["error"],
    }


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_ctrl_c_ends_a_run_after_the_invocation_with_true_figures(
    fresh: Bench, ops: Ops, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh.park(fresh.placed("bad", 0, POISON))
    for number in range(1, 6):
        fresh.park(fresh.placed(f"o-{number}", number))
    interrupting(monkeypatch, 2)  # the first invocation asks whether the worker reports
    assert ops("run", "--batch-size", "2", "--json") == 130
    summary = lines(capsys)[-1]
    assert (summary["applied"], summary["poison"], summary["unknown"], summary["status"]) == (1, 1, 0, 130)
    assert len(fresh.left()) == 5
    assert fresh.keys("redrive/") == []


def test_a_second_ctrl_c_leaves_the_lease_to_run_out(
    fresh: Bench, ops: Ops, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        fresh.park(fresh.placed(f"o-{number}", number))
    with monkeypatch.context() as patch:
        interrupting(patch, 2, times=2)
        assert ops("run", "--batch-size", "2", "--json", "--lease-seconds", "1") == 130
    summary = lines(capsys)[-1]
    assert (summary["applied"], summary["unknown"], summary["stopped"]) == (0, 2, "ended at once")
    client = fresh.cloud.client("s3")
    assert client.get_object(Bucket=fresh.bucket, Key="redrive/lease.json")
    assert ops("run", "--break-lease") == 0
    assert set(fresh.announced().values()) == {1}


def test_a_worker_that_does_not_report_is_refused_before_anything_is_sent(
    fresh: Bench, ops: Ops, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = fresh.park(fresh.placed("a", 1))
    monkeypatch.setattr("tablestream.ops.invoking.REPORT", {})  # so that the worker answers as an older one does
    assert ops("run") == 2
    assert "does not say which records became dead letters" in capsys.readouterr().err
    assert fresh.left() == [key]
    assert fresh.status("a") == "pending"
    assert fresh.keys("redrive/") == []


def test_what_lies_in_the_leases_place_is_refused_until_it_is_broken(
    fresh: Bench, ops: Ops, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh.park(fresh.placed("a", 1))
    fresh.cloud.client("s3").put_object(Bucket=fresh.bucket, Key="redrive/lease.json", Body=b"{")
    assert ops("run") == 2
    assert f"s3://{fresh.bucket}/redrive/lease.json holds something that is no lease" in capsys.readouterr().err
    assert ops("run", "--break-lease") == 0
    assert fresh.left() == []


def test_list_tells_reasons_and_counts_and_nothing_of_the_records(
    fresh: Bench, ops: Ops, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh.park(fresh.placed("secret-order", 1), reason="no such customer: secret-name")
    fresh.give_up([fresh.placed("secret-b", 2), fresh.placed("secret-c", 3)])
    assert ops("list") == 0
    assert ops("list", "--objects") == 0
    assert ops("list", "--json") == 0
    told = capsys.readouterr().out
    assert "secret" not in told
    assert "ada" not in told
    assert "RetryAttemptsExhausted" in told
    assert "2 Order" in told


def test_show_hides_the_values_until_they_are_asked_for(
    fresh: Bench, ops: Ops, capsys: pytest.CaptureFixture[str]
) -> None:
    key = fresh.park(fresh.placed("secret-order", 1), reason="no such customer: secret-name")
    assert ops("show", key) == 0
    hidden = capsys.readouterr().out
    assert "secret" not in hidden
    assert json.loads(hidden)["records"][0]["dynamodb"]["NewImage"]["status"] == {"S": "<text, 7 characters>"}
    assert ops("show", key, "--reveal") == 0
    assert "secret-name" in capsys.readouterr().out


def test_discarded_objects_keep_their_payload_and_the_log_says_why(fresh: Bench, ops: Ops) -> None:
    key = fresh.park(fresh.placed("a", 1, POISON))
    payload = fresh.letters(key)[0].body
    assert ops("discard", key, "--why", "written by a test", "--yes") == 0
    assert fresh.left() == []
    assert fresh.letters(f"discarded/{key}")[0].body == payload
    (log,) = fresh.letters("discarded/log/")
    assert log.body["why"] == "written by a test"
    assert [entry["key"] for entry in log.body["objects"]] == [key]


def test_discard_asks(fresh: Bench, ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    key = fresh.park(fresh.placed("a", 1))
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert ops("discard", "--why", "a mistake") == 1
    assert fresh.left() == [key]


def test_an_object_that_nobody_can_read_is_named_and_left_alone(
    fresh: Bench, ops: Ops, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh.cloud.client("s3").put_object(Bucket=fresh.bucket, Key="dead-letters/notes.txt", Body=b"secret")
    assert ops("list") == 0
    assert ops("run") == 0
    told = capsys.readouterr()
    assert "dead-letters/notes.txt: left alone: no JSON" in told.err
    assert fresh.cloud.client("s3").get_object(Bucket=fresh.bucket, Key="dead-letters/notes.txt")


@pytest.mark.usefixtures("fresh")
def test_a_stack_that_does_not_exist_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["redrive", "list", "--stack", "nowhere"]) == 2
    assert "there is no stack nowhere" in capsys.readouterr().err
