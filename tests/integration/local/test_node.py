"""Functions of Node.js, in a child process of their own: what a handler may do, and what comes of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tablestream.local.delivery.protocol import Answered, FunctionError, TimedOut
from tablestream.local.runtime import language
from tablestream.local.runtime.child import words_of
from tablestream.local.runtime.function import FunctionSpec
from tablestream.local.runtime.runtime import Runtime

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here")
Start = Callable[..., Runtime]
SOON = 20  # seconds no condition here ever needs; only a failing test waits for so long


@pytest.fixture
def logs() -> list[str]:
    return []


@pytest.fixture
def start(tmp_path: Path, logs: list[str]) -> Iterator[Start]:
    """Write a handler module and start a runtime on it."""
    started: list[Runtime] = []

    def start(source: str, name: str = "app.mjs", *, timeout: float = 20, layers: tuple[Path, ...] = ()) -> Runtime:
        (tmp_path / name).write_text(source)
        function = FunctionSpec(
            "Task",
            "task-name",
            "arn:task",
            "app.main",
            tmp_path,
            {"COLOUR": "blue"},
            timeout,
            256,
            None,
            "nodejs22.x",
            layers,
        )
        started.append(Runtime(function, logs.append))
        return started[-1]

    yield start
    for runtime in started:
        runtime.close()


def is_told(logs: list[str], words: str) -> bool:
    """Wait until a line has these words: lines come from a thread of their own. False where none does."""
    ends = time.monotonic() + SOON
    while not any(words in line for line in logs) and time.monotonic() < ends:
        time.sleep(0.01)
    return any(words in line for line in logs)


ANSWERING = {
    "a promise": ("app.mjs", "export const main = async (event) => ({ got: event.n });"),
    "a value": ("app.mjs", "export const main = (event) => ({ got: event.n });"),
    "calling back": ("app.js", "exports.main = (event, context, back) => { back(null, { got: event.n }); };"),
    "a module of CommonJS": ("app.cjs", "module.exports = { main: async (event) => ({ got: event.n }) };"),
}


@pytest.mark.parametrize(("name", "source"), ANSWERING.values(), ids=list(ANSWERING))
def test_a_handler_answers_by_a_promise_a_value_or_by_calling_back(start: Start, name: str, source: str) -> None:
    runtime = start(source, name)
    assert runtime.invoke({"n": "ä\u2028"}).outcome == Answered({"got": "ä\u2028"})
    assert runtime.invoke({"n": 2}).payload == {"got": 2}


def test_a_handler_that_answers_nothing_answers_null(start: Start) -> None:
    assert start("export const main = async () => {};").invoke({}).outcome == Answered(None)


def test_the_context_and_the_variables_are_the_functions_and_the_environment_is_used_again(start: Start) -> None:
    runtime = start(
        "let calls = 0;\n"
        "export const main = async (event, context) => [process.env.COLOUR, process.env.AWS_EXECUTION_ENV, ++calls,\n"
        "  context.functionName, context.memoryLimitInMB, context.invokedFunctionArn,\n"
        "  context.getRemainingTimeInMillis() > 1000 && context.getRemainingTimeInMillis() <= 20000];"
    )
    own = f"AWS_Lambda_{language.own_version('nodejs22.x')}"
    assert runtime.invoke({}).payload == ["blue", own, 1, "task-name", "256", "arn:task", True]
    assert runtime.invoke({}).payload[2] == 2


def test_what_it_raises_is_the_error_and_what_it_prints_is_apart(start: Start, logs: list[str]) -> None:
    runtime = start("export const main = async () => { console.log('steam'); throw new RangeError('too hot'); };")
    invocation = runtime.invoke({})
    assert invocation.outcome == FunctionError("RangeError")
    assert words_of(invocation.error).startswith("RangeError: too hot")
    assert is_told(logs, "steam")
    assert logs == ["steam"]


def test_it_is_ended_when_its_time_is_over(start: Start) -> None:
    runtime = start("export const main = () => new Promise(() => setInterval(() => {}, 1000));", timeout=0.5)
    assert runtime.invoke({}).outcome == TimedOut()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "import 'kettledescaler'; export const main = 1;",
            "Runtime.ImportModuleError: Cannot find package 'kettledesc",
        ),
        ("export const other = 1;", "Runtime.HandlerNotFound: app.mjs exports no function main"),
        ("export const main = ;", "SyntaxError: Unexpected token ';'"),
    ],
)
def test_what_cannot_be_imported_is_told(start: Start, logs: list[str], source: str, words: str) -> None:
    runtime = start(source)
    assert words in words_of(runtime.invoke({}).error)
    runtime.warm()
    assert is_told(logs, words)


def test_modules_of_a_layer_are_found(start: Start, tmp_path: Path) -> None:
    module = tmp_path / "layer" / "nodejs" / "node_modules" / "leaves"
    module.mkdir(parents=True)
    (module / "index.js").write_text("exports.kind = 'oolong';")
    runtime = start("exports.main = async () => require('leaves').kind;", "app.js", layers=(tmp_path / "layer",))
    assert runtime.invoke({}).payload == "oolong"


def test_without_node_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert language.why_not("nodejs22.x") == "Runtime is nodejs22.x, and there is no `node` on this machine's PATH"
    assert language.why_not("ruby3.4") == "Runtime is ruby3.4: only Python and Node.js functions run here"
    assert language.why_not("python3.13") is language.why_not("") is None
