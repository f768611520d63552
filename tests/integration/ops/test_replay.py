"""`python -m tablestream.ops replay` against the whole stack: the worker is the real one, in a process of its own."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.warehouse import NewOrder
from tablestream.local.cloud.faults import Fault
from tablestream.ops.__main__ import main
from tests.integration.ops.bench import STOCK, Bench, bench, interrupting

ROOT = Path(__file__).parents[3]
STACK = ("--stack", "tablestream")
SCAN = ("scan", "--segments", "3")
LEASE = ("--lease-seconds", "6")  # an invocation here takes a tenth of one, or more on a busy machine


@pytest.fixture(scope="module")
def world() -> Iterator[Bench]:
    with bench() as opened:
        yield opened


@pytest.fixture
def fresh(world: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    world.begin()
    return world


@pytest.fixture
def states(tmp_path: Path) -> Callable[[], list[Path]]:
    """Return what lists the files that tell how far a replay has come."""
    return lambda: sorted((tmp_path / "state" / "tablestream").glob("*"))


Ops = Callable[..., int]


@pytest.fixture
def replay() -> Ops:
    def run(*arguments: str) -> int:
        return main(["replay", *arguments, *STACK])

    return run


def test_pending_orders_get_their_stock_and_nobody_is_notified(fresh: Bench, replay: Ops) -> None:
    for number in range(5):
        fresh.placed(f"o-{number}", number)
    fresh.shop.place(NewOrder("shipped", [("tea", 1)], status="shipped"))
    assert replay(*SCAN) == 0
    assert {fresh.status(f"o-{number}") for number in range(5)} == {"confirmed"}
    assert fresh.status("shipped") == "shipped"
    assert fresh.shop.available() == {"tea": STOCK - 5}
    assert fresh.inbox.take() == []


def test_a_second_replay_takes_nothing_more(fresh: Bench, replay: Ops) -> None:
    record = fresh.placed("a", 1)
    fresh.park(record)
    assert replay(*SCAN) == 0
    # As after a loss: the order is pending again, and the ledger knows better.
    fresh.repair("a", {"status": "pending"})
    assert replay(*SCAN) == 0
    assert fresh.shop.available() == {"tea": STOCK - 1}


def test_notifications_can_be_asked_for_and_are_late(fresh: Bench, replay: Ops) -> None:
    fresh.placed("a", 1)
    assert replay(*SCAN, "--notify") == 0
    (message,) = fresh.inbox.take()
    assert (message["type"], message["late"]) == ("order.received", True)


def test_under_one_name_nobody_is_notified_twice(fresh: Bench, replay: Ops) -> None:
    fresh.placed("a", 1)
    assert replay(*SCAN, "--notify", "--name", "crm") == 0
    assert replay(*SCAN, "--notify", "--name", "crm") == 0
    assert list(fresh.announced().values()) == [1]


def test_a_query_replays_one_partition_and_one_prefix(fresh: Bench, replay: Ops) -> None:
    for order in (
        NewOrder("a-1", [("tea", 1)]),
        NewOrder("b-1", [("tea", 1)]),
        NewOrder("a-2", [("tea", 1)], customer="bob"),
    ):
        fresh.shop.place(order)
    assert replay("query", "--key", "USER#ada", "--sort-prefix", "ORDER#a") == 0
    assert fresh.status("a-1") == "confirmed"
    assert fresh.status("b-1") == "pending"
    assert fresh.shop.available() == {"tea": STOCK - 1}


def test_an_order_whose_data_was_wrong_is_corrected_and_replayed(fresh: Bench, replay: Ops) -> None:
    record = fresh.placed("bad", 1, -1)
    fresh.park(record)
    fresh.repair("bad", {"items": [{"productId": "tea", "quantity": 2, "price": 5}]})
    assert main(["redrive", "run", *STACK]) == 1  # the dead letter holds the order as it was
    assert fresh.status("bad") == "pending"
    assert replay("query", "--key", "USER#ada", "--sort-prefix", "ORDER#bad") == 0
    assert (fresh.status("bad"), fresh.shop.available()) == ("confirmed", {"tea": STOCK - 2})


def test_other_entities_are_passed_over_when_one_is_named(
    fresh: Bench, replay: Ops, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh.placed("a", 1)
    customer = {"pk": {"S": "USER#ada"}, "sk": {"S": "PROFILE"}, "entityType": {"S": "Customer"}}
    fresh.cloud.client("dynamodb").put_item(TableName=fresh.cloud.outputs["TableName"], Item=customer)
    assert replay(*SCAN, "--entity", "Order") == 0
    assert "1 item applied, 1 passed over" in capsys.readouterr().out


def test_an_export_is_replayed_file_by_file(fresh: Bench, replay: Ops) -> None:
    orders = [NewOrder(f"o-{number}", [("tea", 1)]) for number in range(4)]
    for order in orders:
        fresh.shop.place(order)
    s3, folder = fresh.cloud.client("s3"), "exports/AWSDynamoDB/01-ab"
    files = [f"{folder}/data/{name}.json.gz" for name in ("one", "two")]
    for file, part in zip(files, (orders[:2], orders[2:]), strict=True):
        lines = "".join(json.dumps({"Item": order.item()}) + "\n" for order in part)
        s3.put_object(Bucket=fresh.bucket, Key=file, Body=gzip.compress(lines.encode()))
    manifest = "".join(json.dumps({"itemCount": 2, "dataFileS3Key": file}) + "\n" for file in files)
    s3.put_object(Bucket=fresh.bucket, Key=f"{folder}/manifest-files.json", Body=manifest.encode())
    summary = {"exportType": "FULL_EXPORT", "outputFormat": "DYNAMODB_JSON", "itemCount": 4}
    s3.put_object(Bucket=fresh.bucket, Key=f"{folder}/manifest-summary.json", Body=json.dumps(summary).encode())
    assert replay("export", f"s3://{fresh.bucket}/{folder}") == 0
    assert {fresh.status(order.order_id) for order in orders} == {"confirmed"}


def test_what_fails_is_parked_and_a_redrive_applies_it_without_a_notification(fresh: Bench, replay: Ops) -> None:
    fresh.placed("good", 1)
    fresh.placed("stuck", 2)
    with fresh.cloud.faults.during(Fault("TransactWriteItems", "AccessDeniedException", "ORDER#stuck")):
        assert replay(*SCAN) == 1
    (letter,) = fresh.letters("dead-letters/")
    assert letter.body["error_class"] == "FailedForNow"
    assert main(["redrive", "run", *STACK]) == 0
    assert fresh.status("stuck") == "confirmed"
    assert fresh.inbox.take() == []


def test_an_outage_stops_the_replay_and_the_same_command_goes_on(fresh: Bench, replay: Ops) -> None:
    for number in range(8):
        fresh.placed(f"o-{number}", number)
    with fresh.cloud.faults.during(Fault("TransactWriteItems", "AccessDeniedException")):
        assert replay(*SCAN, "--patience", "2") == 1
    assert fresh.left() == []
    assert replay(*SCAN, "--patience", "2") == 0
    assert fresh.shop.available() == {"tea": STOCK - 8}


@pytest.mark.slow
@pytest.mark.parametrize("point", [("Invoke", 2, "after"), ("Invoke", 4, "during"), ("Invoke", 6, "before")])
def test_a_killed_replay_goes_on_and_doubles_nothing(fresh: Bench, replay: Ops, point: tuple[str, int, str]) -> None:
    for number in range(12):
        fresh.placed(f"o-{number:02d}", number)
    command = [*SCAN, "--batch-size", "2", "--rate", "0", "--notify", *LEASE]
    killed = subprocess.run(
        [sys.executable, "-m", "tests.integration.ops.killed", *map(str, point), "replay", *command, *STACK],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"},
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert replay(*command) == 0
    assert sorted(fresh.announced().values()) == [1] * 12
    assert fresh.shop.available() == {"tea": STOCK - 12}


OUTAGE = Fault("TransactWriteItems", "AccessDeniedException")


def test_the_state_of_one_replay_is_not_taken_for_another(
    fresh: Bench, replay: Ops, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh.placed("a", 1)
    with fresh.cloud.faults.during(OUTAGE):
        assert replay(*SCAN, "--patience", "1", "--state", "mine") == 1
    assert replay("query", "--key", "USER#ada", "--state", "mine") == 2
    assert "is the state of another replay" in capsys.readouterr().err


def test_the_lines_of_the_docs_work_one_after_the_other_and_leave_nothing_here(
    fresh: Bench, replay: Ops, states: Callable[[], list[Path]]
) -> None:
    fresh.placed("a", 1)
    for command in (
        ["query", "--key", "USER#ada"],
        ["query", "--key", "USER#ada", "--sort-prefix", "ORDER#"],
        ["scan", "--segments", "8", "--entity", "Order"],
    ):
        with fresh.cloud.faults.during(OUTAGE):
            fresh.repair("a", {"status": "pending"})
            assert replay(*command, "--patience", "1") == 1
    assert len(states()) == 3
    for command in (
        ["query", "--key", "USER#ada"],
        ["query", "--key", "USER#ada", "--sort-prefix", "ORDER#"],
        ["scan", "--segments", "8", "--entity", "Order"],
    ):
        assert replay(*command) == 0
    assert states() == []
    assert [path.name for path in Path().iterdir()] == ["state"]


def test_poison_failed_and_applied_are_three_figures_also_when_it_was_interrupted(
    fresh: Bench, replay: Ops, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        fresh.placed(f"o-{number:02d}", number, -1 if number % 2 else 1)
    fresh.placed("o-stuck", 20)
    command = ["scan", "--segments", "1", "--batch-size", "4", "--json"]
    with fresh.cloud.faults.during(Fault("TransactWriteItems", "AccessDeniedException", "ORDER#o-stuck")):
        with monkeypatch.context() as patch:
            interrupting(patch, 3)
            assert replay(*command) == 130
        summary = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert summary["poison"] == len(fresh.keys("dead-letters/")) > 0
        assert (summary["applied"], summary["status"]) == (fresh.confirmed(), 130)
        assert replay(*command) == 1
    *records, summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (summary["applied"], summary["poison"], summary["failed"]) == (6, 6, 1)
    assert summary["errors"] == {"FailedForNow": 1}
    assert len(fresh.keys("dead-letters/")) == 7
    assert {line["outcome"] for line in records} <= {"poisoned", "failed"}


def test_poison_is_no_success(fresh: Bench, replay: Ops, capsys: pytest.CaptureFixture[str]) -> None:
    fresh.placed("good", 1)
    fresh.placed("bad", 2, -1)
    assert replay(*SCAN) == 1
    told = capsys.readouterr().out
    assert "1 item applied, 0 passed over" in told
    assert "1 item poison" in told


def test_an_estimate_reads_no_item(fresh: Bench, replay: Ops, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        fresh.placed(f"o-{number}", number)
    assert replay(*SCAN, "--dry-run") == 0
    assert "about 3 items: 1 invocation or more" in capsys.readouterr().out
    assert fresh.status("o-0") == "pending"
