"""`tablestream why`: what is told of an item, from the whole stack in the embedded AWS."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.warehouse import NewOrder
from shop.worker import make_worker
from tablestream.aws import Aws
from tablestream.change import key_hash_of
from tablestream.local.cli.control import Argument, Command, control_server
from tablestream.local.trigger.stream import BotoStream, TrimHorizon
from tablestream.ops.__main__ import main
from tablestream.testing import Record
from tests.integration.ops.bench import Bench, bench

WORKER = """
from shop.worker import make_worker
from tablestream.aws import Aws

def worker():
    return make_worker(Aws({}))
"""


@pytest.fixture(scope="module")
def world() -> Iterator[Bench]:
    with bench() as opened:
        yield opened


@pytest.fixture
def fresh(world: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    world.begin()
    return world


Why = Callable[..., str]


@pytest.fixture
def why(fresh: Bench, capsys: pytest.CaptureFixture[str]) -> Why:
    """Ask, and return what is printed; `status` is the exit status that is wanted."""

    def ask(*arguments: str, status: int = 0) -> str:
        assert fresh.bucket
        capsys.readouterr()
        assert main(["why", *arguments, "--stack", "tablestream"]) == status
        printed = capsys.readouterr()
        return printed.out + printed.err

    return ask


def key(order_id: str) -> tuple[str, str]:
    found = NewOrder(order_id, []).key
    return found["pk"]["S"], found["sk"]["S"]


def streamed(fresh: Bench, order_id: str) -> list[Record]:
    """The records of an order as the stream has them."""
    stream = BotoStream(fresh.cloud.client("dynamodbstreams"), fresh.stream_arn)
    found = [record for shard in stream.shards() for record in stream.read(shard.shard_id, TrimHorizon()).records]
    return [dict(record) for record in found if record["dynamodb"]["Keys"] == NewOrder(order_id, []).key]


def test_the_changes_of_an_item_are_told_in_order_and_no_other_ones(fresh: Bench, why: Why) -> None:
    fresh.placed("one", 1)
    fresh.placed("other", 2)
    fresh.cancelled("one", 3)
    told = why(*key("one")).splitlines()
    assert told[0].startswith("USER#ada ORDER#one in ")
    assert "there, with" in told[0]
    kinds = [line.split()[2].rstrip(",") for line in told[1:] if " stream " in line]
    assert kinds == ["INSERT", "MODIFY"]
    numbers = [record["dynamodb"]["SequenceNumber"] for record in streamed(fresh, "one")]
    assert [number in "\n".join(told) for number in numbers] == [True, True]


def test_an_item_that_is_gone_has_its_changes_still(fresh: Bench, why: Why) -> None:
    fresh.placed("gone", 1)
    fresh.shop.remove(NewOrder("gone", []).key)
    told = why(*key("gone"))
    assert "not there" in told.splitlines()[0]
    assert "REMOVE" in told


def test_what_was_set_aside_is_told_with_the_command_that_sends_it_again(fresh: Bench, why: Why) -> None:
    record = fresh.placed("aside", 1)
    letter, batch = fresh.park(record), fresh.give_up([record, fresh.placed("other", 2)])
    told = why(*key("aside"))
    assert "dead letter: KeyError in shop.handlers.x" in told
    assert "given up by Lambda with 2 records: RetryAttemptsExhausted" in told
    assert f"is sent again by: tablestream redrive run {letter} {batch}" in told.replace(
        f"{batch} {letter}", f"{letter} {batch}"
    )
    assert main(["redrive", "run", "--stack", "tablestream"]) == 0
    told = why(*key("aside"))
    assert f"redriven/{letter}" in told
    assert "is sent again by" not in told


def test_values_are_shown_only_where_that_is_asked_for(fresh: Bench, why: Why) -> None:
    fresh.park(fresh.placed("secret", 1), reason="'email' of ada@example.com")
    hidden, shown = why(*key("secret")), why(*key("secret"), "--reveal")
    assert "'email'" not in hidden
    assert "customerId" not in hidden
    assert "'email' of ada@example.com" in shown
    assert 'customerId: {"S": "ada"}' in shown


def test_the_handlers_say_what_each_change_leads_to_and_the_journal_what_is_done(fresh: Bench, why: Why) -> None:
    Path("wk.py").write_text(WORKER)
    fresh.placed("asked", 1)
    told = why(*key("asked"), "--worker", "wk:worker")
    assert "inventory: Reserve\n" in told
    assert "notifications: Message\n" in told

    (record,) = streamed(fresh, "asked")
    name = f"{fresh.cloud.outputs['WorkerName']}/{record['eventID']}.{record['dynamodb']['SequenceNumber']}"
    asked = make_worker(Aws({})).consequences(record, fresh.cloud.outputs["WorkerName"])
    assert asked.key == name
    (done,) = [effect for effect, _ in asked.effects if effect.startswith("notifications/")]
    entry = {"pk": {"S": name}, "done": {"SS": [done]}}
    fresh.cloud.client("dynamodb").put_item(TableName=fresh.cloud.outputs["JournalTableName"], Item=entry)
    assert "notifications: Message (done, says the journal)" in why(*key("asked"), "--worker", "wk:worker")
    assert f"journal: done {done}" in why(*key("asked"))


def test_what_the_handlers_refuse_and_what_they_do_not_want(fresh: Bench, why: Why) -> None:
    Path("wk.py").write_text(WORKER)
    fresh.placed("poison", 1, quantity=-1)
    told = why(*key("poison"), "--worker", "wk:worker")
    assert "the handlers refuse it: InvalidRecord (shop.handlers.order_placed)\n" in told
    told = why(*key("poison"), "--worker", "wk:worker", "--reveal")
    assert "order_placed): items[0].quantity: wanted a whole number" in told
    fresh.cloud.client("dynamodb").put_item(
        TableName=fresh.cloud.outputs["TableName"], Item={"pk": {"S": "NOTE#1"}, "sk": {"S": "A"}}
    )
    assert "no handler wants it" in why("NOTE#1", "A", "--worker", "wk:worker")


def test_lines_of_a_log_that_name_the_item_are_among_it(fresh: Bench, why: Why) -> None:
    fresh.placed("logged", 1)
    (record,) = streamed(fresh, "logged")
    lines: list[dict[str, Any]] = [
        {"level": "WARNING", "message": "records failed", "timestamp": "2026-11-26 10:00:00,500+0000", "records": 3},
        {"level": "INFO", "message": "of another item", "event_id": "other"},
    ]
    lines[0]["event_id"] = record["eventID"]
    plain = f"WARNING dead letter stored (key_hash {key_hash_of(record)})"
    Path("log").write_text("\n".join([*map(json.dumps, lines), plain, "{not json"]))
    told = why(*key("logged"), "--log", "log")
    assert "2026-11-26T10:00:00.500Z  log     WARNING records failed" in told
    assert f"records 3, event_id {record['eventID']}" in told
    assert f"-                         log     {plain}" in told
    assert "of another item" not in told


def test_a_stack_that_runs_in_this_folder_tells_its_deliveries(fresh: Bench, why: Why) -> None:
    fresh.placed("local", 1)
    asked: list[Any] = []

    def deliveries(given: Any) -> Any:
        asked.append(given["keys"])
        line = {
            "at": 1_900_000_000.5,
            "who": "WorkerStream",
            "what": "#7: 1 INSERT",
            "outcome": "ok",
            "detail": "70 ms",
        }
        effect = {"kind": "message", "to": "topic", "what": "about ada"}
        return [{**line, "changes": {"MODIFY": 1}, "effects": [effect]}]

    takes = {"keys": Argument("a key", lambda value: isinstance(value, dict), required=True)}
    with control_server({"deliveries": Command(deliveries, takes)}) as control:
        Path(".local").mkdir()
        state = {"endpoint": os.environ["AWS_ENDPOINT_URL"], "control": control.endpoint}
        Path(".local/up.json").write_text(json.dumps(state))
        told = why(*key("local"))
        assert "2030-03-17T17:46:40.500Z  local   WorkerStream #7: 1 INSERT ok" in told
        assert "1 MODIFY of items" in told
        assert "message topic\n" in told
        assert "message topic: about ada" in why(*key("local"), "--reveal")
        Path(".local/up.json").write_text(json.dumps({**state, "endpoint": "http://127.0.0.1:1"}))
        assert "WorkerStream" not in why(*key("local"))
    assert asked == [NewOrder("local", []).key] * 2


def test_for_programs_each_moment_is_a_line_of_json(fresh: Bench, why: Why) -> None:
    fresh.placed("json", 1)
    fresh.park(fresh.placed("json", 2))
    lines = [json.loads(line) for line in why(*key("json"), "--json").splitlines()]
    assert lines[0]["type"] == "item"
    assert {line["source"] for line in lines if line["type"] == "moment"} == {"stream", "bucket"}
    assert lines[-1]["type"] == "advice"


def test_of_an_item_that_never_was_nothing_is_known(why: Why) -> None:
    told = why("USER#nobody", "ORDER#none", status=1)
    assert "not there" in told
    assert "nothing is known of its changes: a stream keeps them for 24 hours" in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["USER#ada"], "is pk (text) and sk (text); got 1: USER#ada"),
        (["a", "b", "c"], "is pk (text) and sk (text); got 3: a b c"),
        (["a", "b", "--table", "nowhere"], "there is no table nowhere"),
        (["a", "b", "--worker", "leads"], "wanted MODULE:NAME, such as leads:worker, got leads"),
        (["a", "b", "--worker", "nowhere:worker"], "nowhere:worker cannot be imported: No module named 'nowhere'"),
        (["a", "b", "--worker", "json:dumps2"], "json:dumps2 cannot be imported: module 'json' has no attribute"),
        (["a", "b", "--worker", "json:__name__"], "wanted a Worker, got a str: json:__name__"),
        (["a", "b", "--log", "nowhere"], "cannot read nowhere: No such file"),
    ],
)
def test_what_cannot_be_asked_is_told_in_one_sentence(why: Why, arguments: list[str], words: str) -> None:
    told = why(*arguments, status=2)
    assert words in told
    assert len(told.splitlines()) == 1
