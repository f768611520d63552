"""The small Lambda runtime: what a handler may do, and what comes of it."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tablestream.local.delivery.protocol import Answered, FunctionError, NotInvoked, TimedOut
from tablestream.local.runtime.child import words_of
from tablestream.local.runtime.function import FunctionSpec
from tablestream.local.runtime.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Start = Callable[..., Runtime]


@pytest.fixture
def logs() -> list[str]:
    return []


@pytest.fixture
def start(tmp_path: Path, logs: list[str]) -> Iterator[Start]:
    """Write a handler module and start a runtime on it."""
    started: list[Runtime] = []

    def start(source: str, *, timeout: float = 20, reload: bool = False) -> Runtime:
        (tmp_path / "task.py").write_text(source)
        function = FunctionSpec(
            "Task", "task-name", "arn:task", "task.handler", tmp_path, {"COLOUR": "blue"}, timeout, memory=256
        )
        started.append(Runtime(function, logs.append, reload=reload))
        return started[-1]

    yield start
    for runtime in started:
        runtime.close()


def test_an_answer_is_the_payload_and_the_environment_is_used_again(start: Start) -> None:
    runtime = start("import os\ndef handler(event, context): return {'pid': os.getpid(), 'event': event}")
    first, second = runtime.invoke({"n": "ä\ud800"}), runtime.invoke(2)
    assert first.payload["event"] == {"n": "ä\ud800"}
    assert first.payload["pid"] == second.payload["pid"] != os.getpid()
    assert first.outcome == Answered(first.payload)


def test_all_that_the_handler_has_printed_is_told_before_its_answer(tmp_path: Path) -> None:
    (tmp_path / "task.py").write_text(
        "import subprocess\n"
        "def handler(event, context):\n"
        "    for n in range(event): print(n)\n"
        "    subprocess.run(['echo', 'by another program'])\n"
        "    print('no end', end='')\n"
    )
    told: list[str] = []

    def slowly(line: str) -> None:
        time.sleep(0.002)
        told.append(line)

    function = FunctionSpec("Task", "task-name", "arn:task", "task.handler", tmp_path, {}, 20)
    runtime = Runtime(function, slowly)
    try:
        for _ in range(2):
            told.clear()
            runtime.invoke(100)
            assert told == [*map(str, range(100)), "by another program", "no end"]
    finally:
        runtime.close()


def test_one_that_goes_on_printing_is_not_waited_for(start: Start, logs: list[str]) -> None:
    runtime = start(
        "import threading\n"
        "def forever():\n"
        "    while True: print('x' * 1000)\n"
        "def handler(event, context):\n"
        "    threading.Thread(target=forever, daemon=True).start()\n"
        "    return 'done'\n"
    )
    assert runtime.invoke({}).payload == "done"
    until = time.monotonic() + 60
    while "x" * 1000 not in logs and time.monotonic() < until:
        time.sleep(0.01)  # the thread may have printed nothing yet
    runtime.close()
    assert "x" * 1000 in logs


def test_the_context_and_the_environment_variables_are_the_functions(start: Start) -> None:
    runtime = start(
        "import os\n"
        "def handler(event, c):\n"
        "    return [c.aws_request_id, c.function_name, c.memory_limit_in_mb, c.invoked_function_arn,\n"
        "            c.get_remaining_time_in_millis(), os.environ['COLOUR'], os.environ['AWS_LAMBDA_FUNCTION_NAME']]\n"
    )
    invocation = runtime.invoke({})
    request_id, name, memory, arn, remaining, colour, variable = invocation.payload
    assert (request_id, name, memory, arn) == (invocation.request_id, "task-name", 256, "arn:task")
    assert 0 < remaining <= 20_000
    assert (colour, variable) == ("blue", "task-name")


def test_the_parents_secrets_do_not_reach_the_handler(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    runtime = start("import os\ndef handler(event, context): return sorted(os.environ)")
    assert "AWS_SESSION_TOKEN" not in runtime.invoke({}).payload


def test_a_raising_handler_is_a_function_error_and_lives_on(start: Start) -> None:
    runtime = start("import os\ndef handler(event, context): return os.getpid() if event else 1 / 0")
    before = runtime.invoke(1).payload
    failed = runtime.invoke(0)
    assert failed.error is not None
    assert (failed.error["errorType"], failed.error["errorMessage"]) == ("ZeroDivisionError", "division by zero")
    assert failed.outcome == FunctionError("ZeroDivisionError")
    assert runtime.invoke(1).payload == before


def test_a_handler_that_overruns_its_timeout_is_ended(start: Start, tmp_path: Path) -> None:
    runtime = start(
        "import os, time\n"
        "def handler(event, context):\n"
        "    open(event['pid'], 'w').write(str(os.getpid()))\n"
        "    time.sleep(event['sleep'])\n"
        "    return 'done'\n",
        timeout=0.3,
    )
    overrun = runtime.invoke({"pid": str(tmp_path / "pid"), "sleep": 60})
    assert overrun.outcome == TimedOut()
    assert overrun.error is not None
    assert "timed out" in overrun.error["errorMessage"]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert runtime.invoke({"pid": str(tmp_path / "pid"), "sleep": 0}).payload == "done"


@pytest.mark.parametrize("ending", ["sys.exit(0)", "os._exit(1)", "os.kill(os.getpid(), 9)"])
def test_a_handler_that_ends_its_process_is_an_error(start: Start, ending: str) -> None:
    runtime = start(f"import os, sys\ndef handler(event, context):\n    if event: {ending}\n    return 'alive'")
    assert runtime.invoke(1).outcome == FunctionError("Runtime.ExitError")
    assert runtime.invoke(0).payload == "alive"


def test_running_out_of_memory_is_an_error(start: Start) -> None:
    runtime = start("def handler(event, context): raise MemoryError")
    assert runtime.invoke({}).outcome == FunctionError("MemoryError")


@pytest.mark.parametrize(
    ("source", "kind"),
    [("import nothing_of_that_name", "ModuleNotFoundError"), ("x = 1", "AttributeError"), ("def", "SyntaxError")],
)
def test_a_module_that_cannot_be_imported_is_an_error_each_time(start: Start, source: str, kind: str) -> None:
    runtime = start(source)
    assert runtime.invoke({}).outcome == FunctionError(kind)
    assert runtime.invoke({}).outcome == FunctionError(kind)


def test_an_answer_that_json_cannot_hold_is_an_error(start: Start) -> None:
    assert start("def handler(event, context): return {1, 2}").invoke({}).outcome == FunctionError("TypeError")


def test_what_the_handler_prints_is_collected_apart_from_its_answer(start: Start, logs: list[str]) -> None:
    runtime = start(
        "import sys, subprocess\n"
        "def handler(event, context):\n"
        '    print(\'{"payload": "not the answer"}\')\n'
        "    print('to stderr', file=sys.stderr)\n"
        "    subprocess.run(['echo', 'from a program'])\n"
        "    return 'the answer'\n"
    )
    assert runtime.invoke({}).payload == "the answer"
    runtime.close()
    assert logs == ['{"payload": "not the answer"}', "to stderr", "from a program"]


def test_invocations_at_the_same_time_get_processes_of_their_own(start: Start) -> None:
    runtime = start(
        "import os, time\n"
        "def handler(event, context):\n"
        "    open(f'{event}/{os.getpid()}', 'w').close()\n"
        "    while len(os.listdir(event)) < 2: time.sleep(0.01)\n"
        "    return os.getpid()\n"
    )
    meeting = runtime.function.code / "meeting"
    meeting.mkdir()
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(runtime.invoke, [str(meeting)] * 2))
    assert len({answer.payload for answer in answers}) == 2


def test_reload_imports_the_handler_anew_when_its_source_changed(start: Start, logs: list[str]) -> None:
    runtime = start("def handler(event, context): return 'old'", reload=True)
    assert runtime.invoke({}).payload == "old"
    source = runtime.function.code / "task.py"
    source.write_text("def handler(event, context): return 'new'")
    os.utime(source, ns=(time.time_ns(), time.time_ns() + 1_000_000_000))
    assert runtime.invoke({}).payload == "new"
    assert any("source changed" in line for line in logs)


def test_without_reload_the_handler_stays(start: Start) -> None:
    runtime = start("def handler(event, context): return 'old'")
    assert runtime.invoke({}).payload == "old"
    (runtime.function.code / "task.py").write_text("def handler(event, context): return 'new'")
    assert runtime.invoke({}).payload == "old"


def change(runtime: Runtime, source: str) -> None:
    path = runtime.function.code / "task.py"
    path.write_text(source)
    os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns + 1_000_000_000))


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_code_that_cannot_be_imported_is_told_at_once_and_what_ran_goes_on(start: Start, logs: list[str]) -> None:
    runtime = start("def handler(event, context): return 'old'", reload=True)
    assert runtime.invoke({}).payload == "old"
    change(runtime, "def handler(")
    until(lambda: logs)
    (told,) = logs
    assert told.startswith("source changed, but cannot be imported: SyntaxError: ")
    assert runtime.invoke({}).payload == "old"
    change(runtime, "def handler(event, context): return 'mended'")
    assert runtime.invoke({}).payload == "mended"


def test_an_invocation_that_ran_while_the_code_changed_ends_with_the_old_code(start: Start) -> None:
    source = (
        "import os, time\n"
        "def handler(event, context):\n"
        "    open('entered', 'w').close()\n"
        "    while not os.path.exists('gate'): time.sleep(0.01)\n"
        "    return VERSION\n"
    )
    runtime = start(source + "VERSION = 'old'", reload=True)
    folder = runtime.function.code
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(runtime.invoke, {})
        until((folder / "entered").exists)
        change(runtime, source + "VERSION = 'new'")
        (folder / "gate").touch()
        assert first.result().payload == "old"
    assert [runtime.invoke({}).payload for _ in range(3)] == ["new"] * 3


def test_above_its_reserved_concurrency_a_function_is_throttled(tmp_path: Path) -> None:
    (tmp_path / "task.py").write_text("def handler(event, context): return 'done'")
    function = FunctionSpec("Task", "task-name", "arn:task", "task.handler", tmp_path, {}, concurrency=0)
    assert Runtime(function).invoke({}).outcome == NotInvoked()
    runtime = Runtime(replace(function, concurrency=1, timeout=20))
    assert [runtime.invoke({}).outcome for _ in range(2)] == [Answered("done")] * 2
    runtime.throttle(1)
    assert [runtime.invoke({}).outcome for _ in range(2)] == [NotInvoked(), Answered("done")]
    runtime.close()


def test_an_error_is_told_in_a_line_with_its_place(start: Start) -> None:
    runtime = start("def handler(event, context):\n    return event['missing']")
    assert words_of(runtime.invoke({}).error) == "KeyError: 'missing' (task.py, line 2)"
    assert words_of({"errorType": "Sandbox.Timedout"}) == "Sandbox.Timedout"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (
            "import leaves",
            "ModuleNotFoundError: No module named 'leaves' (task.py, line 1). What it imports must lie in",
        ),
        ("x = 1", "AttributeError: module 'task' has no attribute 'handler'"),
        ("def handler(", "SyntaxError: '(' was never closed (task.py, line 1)"),
        ("import os; os._exit(1)", "the process ended"),
    ],
)
def test_a_handler_that_cannot_be_imported_is_told_before_the_first_invocation(
    start: Start, logs: list[str], source: str, told: str
) -> None:
    start(source).warm()
    until(lambda: logs)
    assert logs[0].startswith(f"[ERROR] the handler cannot be imported: {told}")
