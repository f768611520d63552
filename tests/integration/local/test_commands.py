"""The command line as a user types it; what runs until it is stopped is a process of its own."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo.__main__ import main
from demo.warehouse import NewOrder
from tablestream.testing import event, inserted

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
TEMPLATE = ["--template", str(ROOT / "template.yaml")]
ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
PATIENCE = 60  # seconds: a machine under load starts slowly


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "demo", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str], ending: signal.Signals) -> str:
    process.send_signal(ending)
    output, _ = process.communicate(timeout=PATIENCE)
    return output


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_demo_ends_with_ok(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["run", *TEMPLATE])
    shown = capsys.readouterr().out
    assert status == 0, shown
    assert shown.splitlines()[-1].startswith("OK: ")
    assert "partial: " in shown
    assert "failed, halved into" in shown
    assert "\x1b" not in shown


def test_a_demo_that_cannot_be_played_ends_with_failed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--template", "missing.yaml"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("FAILED: TemplateError: cannot read the template missing.yaml")


@dataclass
class Up:
    folder: Path
    process: subprocess.Popen[str]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    options = ["--port", "0", "--parameter", "BatchWindow=0", "--record", "deliveries.jsonl"]
    process = start(tmp_path, "up", *TEMPLATE, *options)
    until = time.monotonic() + PATIENCE
    while not (tmp_path / ".local" / "up.json").exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    yield Up(tmp_path, process)
    process.kill()
    process.communicate()


def test_an_order_is_placed_shipped_and_seen_by_both_terminals(up: Up, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["order", "--product", "tea", "--quantity", "2", "--product", "cup"]) == 0
    placed = capsys.readouterr().out.splitlines()
    assert placed[1:] == ["  order.received", "  order.confirmed", "  ledger: RESERVED; stock: cup 4, pot 2, tea 18"]
    order = placed[0].split()[1].removesuffix(":")
    assert main(["order", "--ship", order]) == 0
    assert "order.shipped" in capsys.readouterr().out
    assert main(["order", "--poison"]) == 0
    assert "items[0].quantity" in capsys.readouterr().out
    assert main(["order", "--cancel", "nobody"]) == 1
    assert capsys.readouterr().out == "there is no order nobody\n"
    assert main(["order", "--product", "hat"]) == 0
    rejected = capsys.readouterr().out.split()[1].removesuffix(":")
    seen = finish(up.process, signal.SIGTERM)
    assert "stock: cup 5 -> 4, tea 20 -> 18" in seen
    assert f"message: order.confirmed {order}" in seen
    assert f"message: order.rejected {rejected}: Unknown product: hat." in seen
    assert seen.splitlines()[-1] == "stopped"
    assert up.process.returncode == 0
    assert not (up.folder / ".local").exists()


def test_a_second_up_in_the_same_folder_is_refused_and_the_first_goes_on(
    up: Up, capsys: pytest.CaptureFixture[str]
) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "demo", "up", *TEMPLATE, "--port", "0"],
        cwd=up.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert second.returncode == 2
    assert f"(process {up.process.pid}): end it with Ctrl-C where it runs" in second.stderr
    assert main(["status"]) == 0
    assert "Now:" in capsys.readouterr().out


def test_an_order_that_no_handler_can_take_is_told_at_once_by_both_terminals(
    up: Up, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["order", "--poison"]) == 0
    first, *told = capsys.readouterr().out.splitlines()
    order = first.split()[1].removesuffix(",")
    reason = "items[0].quantity: wanted a whole number from 1 to 1000000, got int -1"
    assert told[0] == f"  dead letter: {order}: {reason}"
    assert told[1].startswith("  dead-letters/")
    assert told[2] == "  ledger: nothing; stock: cup 5, pot 2, tea 20"
    seen = finish(up.process, signal.SIGTERM)
    assert f"dead letter: {order}: {reason}\n" in seen
    assert told[1].strip() in seen


def test_what_the_api_refuses_is_said_in_its_words(up: Up, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["order", "--quantity", "0"]) == 1
    refused = capsys.readouterr().out
    assert refused.startswith("POST /users/ada/orders is answered with 400: ")
    assert refused.count("items[0].quantity") == 1, "its reason is told once"
    assert main(["order"]) == 0
    order = capsys.readouterr().out.split()[1].removesuffix(":")
    assert main(["order", "--cancel", order]) == 0
    capsys.readouterr()
    assert main(["order", "--ship", order]) == 1
    assert "is answered with 409" in capsys.readouterr().out
    seen = finish(up.process, signal.SIGTERM)
    assert re.search(r"HttpApi: POST /users/ada/orders -> 400 \(\d+ ms\)\n", seen)
    assert re.search(r"HttpApi: POST /users/ada/orders -> 202 \(\d+ ms\): 1 INSERT\n", seen)
    assert re.search(rf"HttpApi: PATCH /users/ada/orders/{order} -> 200 \(\d+ ms\): 1 MODIFY\n", seen)


def test_another_terminal_finds_everything_and_runs_programs_there(
    up: Up, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert up.process.poll() is None
    assert main(["order"]) == 0
    shown = ""
    ends = time.monotonic() + PATIENCE  # the worker's own change is delivered after the order is told to be confirmed
    while "WorkerStream: idle; 2 done" not in shown and time.monotonic() < ends:
        capfd.readouterr()
        assert main(["status"]) == 0
        shown = capfd.readouterr().out
    assert "The stack tablestream-local runs on an embedded AWS at http://127.0.0.1:" in shown
    assert "WorkerStream: idle; 2 done" in shown
    assert "export AWS_ENDPOINT_URL_LAMBDA=http://127.0.0.1:" in shown
    assert "AWS::CloudWatch::CompositeAlarm is not emulated: DeliveryAlarm" in shown
    assert main(["status", "--json"]) == 0
    about = json.loads(capfd.readouterr().out)
    assert about["deliveries"][0]["example"] == {"pk": {"S": "example"}, "sk": {"S": "example"}}
    monkeypatch.setenv("AWS_PROFILE", "a-real-account")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.example")
    source = "import os, sys; print(sys.argv[1:], {n: v for n, v in os.environ.items() if n.startswith('AWS_')})"
    assert main(["exec", sys.executable, "-c", source, "{stack}", "s3://{FailuresBucketName}/"]) == 0
    arguments = [about["stack"], f"s3://{about['outputs']['FailuresBucketName']}/"]
    assert capfd.readouterr().out == f"{arguments} {about['variables']}\n"
    assert main(["exec", sys.executable, "-c", "raise SystemExit(3)"]) == 3
    assert main(["exec", "no-such-program"]) == 2
    assert main(["exec"]) == 2
    assert capfd.readouterr().err.splitlines()[-2:] == [
        "exec: cannot run no-such-program: No such file or directory",
        "exec: wanted a program to run",
    ]


def test_at_80_columns_the_start_takes_few_lines_and_breaks_no_word(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "demo", "up", *TEMPLATE, "--port", "0", "--api-port", "0", "--page-port", "0"]
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "80",
        "TERM": "xterm",
        "MAKELEVEL": "1",
    }
    process = subprocess.Popen(command, cwd=tmp_path, env=variables, stdout=theirs)
    os.close(theirs)
    with os.fdopen(ours, encoding="utf-8") as screen:
        lines = [ANSI.sub("", line.rstrip()) for line in iter(screen.readline, "Ctrl-C ends it.\n")]
        process.send_signal(signal.SIGTERM)
        with suppress(OSError):  # Linux says so where the other end is closed
            screen.read()
    process.wait(timeout=PATIENCE)
    assert len(lines) <= 16
    assert max(map(len, lines)) <= 80
    assert "arn:" not in "".join(lines)
    assert re.fullmatch(r"  See what happens in a browser: http://127\.0\.0\.1:\d+/#[\w-]{22}", lines[1])
    assert re.fullmatch(r"  HttpApi answers at (http://127\.0\.0\.1:\d+), see \1/docs", lines[2])
    commands = [line.split("  ")[1] for line in lines if line.startswith("  make ")]
    assert commands == [
        "make order",
        'make order ARGS="--poison"',
        'make redrive ARGS="list"',
        "make status",
        'make fault ARGS="--help"',
    ]


def test_recorded_deliveries_are_played_again(up: Up) -> None:
    assert main(["order", "--poison"]) == 0
    finish(up.process, signal.SIGINT)
    (recorded,) = [json.loads(line) for line in (up.folder / "deliveries.jsonl").read_text().splitlines()]
    assert (recorded["mapping"], recorded["payload"]) == ("WorkerStream", {"batchItemFailures": []})
    foreign = recorded | {"payload": "something else"}
    (up.folder / "replay.jsonl").write_text(f"{json.dumps(foreign)}\n{json.dumps(recorded)}\n")
    again = start(up.folder, "up", *TEMPLATE, "--port", "0", "--replay", "replay.jsonl")
    assert again.stdout is not None
    line = next(line for line in again.stdout if line.startswith("replay 1: 1 INSERT"))
    assert line.rstrip().endswith('-> {"batchItemFailures": []} (not as recorded)')
    line = next(line for line in again.stdout if line.startswith("replay 2: 1 INSERT"))
    assert line.rstrip().endswith('-> {"batchItemFailures": []} (as recorded)')
    finish(again, signal.SIGTERM)


def test_an_operator_practises_with_a_running_up(up: Up, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fault", "function-throttle", "--calls", "1"]) == 0
    assert main(["fault", "list"]) == 0
    assert capsys.readouterr().out.endswith("\nfunction-throttle: the next 1 invocation of Worker\n")
    assert main(["fault", "function-throttle", "--calls", "1"]) == 0
    assert main(["fault", "conflict", "--calls", "2"]) == 0
    assert main(["fault", "throttle", "--mentioning", "no such table"]) == 0
    assert main(["order"]) == 0
    assert main(["fault", "list"]) == 0
    shown = capsys.readouterr().out
    assert "function-throttle: the next 1 invocation of Worker" in shown
    assert "order.confirmed" in shown
    assert shown.endswith("ThrottlingException for dynamodb calls: 0 answered\n")
    assert main(["fault", "clear"]) == 0
    assert main(["fault", "list"]) == 0
    assert main(["mapping", "disable"]) == 0
    assert main(["mapping", "enable", "WorkerStream"]) == 0
    assert main(["order"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("all are over\nno faults\nWorkerStream is disabled\nWorkerStream is enabled\n")
    seen = finish(up.process, signal.SIGTERM)
    assert "-> throttled, again in" in seen
    assert "fault: conflict: the next 2 dynamodb TransactWriteItems of functions" in seen


def test_what_cannot_be_practised_is_said(up: Up, capsys: pytest.CaptureFixture[str]) -> None:
    assert up.process.poll() is None
    for command, complaint in (
        (["fault", "conflict", "--service", "s3"], "fault: conflict is a fault of dynamodb"),
        (["fault", "function-throttle"], "fault: function-throttle wants --calls"),
        (["mapping", "enable", "Nobody"], "mapping: wanted the name of one event source mapping of WorkerStream"),
    ):
        assert main(command) == 2
        assert complaint in capsys.readouterr().err


def test_without_a_running_up_order_says_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAKELEVEL", raising=False)
    assert main(["order"]) == 2
    assert "-m demo up`" in capsys.readouterr().err
    monkeypatch.setenv("MAKELEVEL", "1")
    assert main(["order"]) == 2
    assert "`make local`" in capsys.readouterr().err


def test_a_sample_event_is_invoked_and_its_effects_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    item = NewOrder("1", [("tea", 3)]).item()
    record = inserted({"pk": "x", "sk": "y"})
    record["dynamodb"].update({"Keys": {name: item[name] for name in ("pk", "sk")}, "NewImage": item})
    (folder / "event.json").write_text(json.dumps(event(record)))
    status = main(["invoke", *TEMPLATE, "event.json"])
    shown = capsys.readouterr().out
    assert status == 0, shown
    assert '"batchItemFailures": []' in shown
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown.splitlines()]
    assert ["tea", "20", "17"] in cells
    assert ["1", "confirmed", "RESERVED", ""] in cells
    assert ["order.received", "1", ""] in cells


def test_an_event_of_another_service_fails_the_invocation(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "event.json").write_text(json.dumps({"Records": [{"eventSource": "aws:sqs", "body": ""}]}))
    assert main(["invoke", *TEMPLATE, "event.json"]) == 1
    assert "InvalidEvent" in capsys.readouterr().out
