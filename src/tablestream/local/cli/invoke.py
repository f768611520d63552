"""`python -m tablestream.local invoke`: a function on a sample event, against a fresh embedded AWS."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from tablestream.local.cli.terminal import console, put, readable
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.errors import UsageError
from tablestream.local.runtime.requirements import with_requirements
from tablestream.local.runtime.runtime import Runtime

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from tablestream.local.runtime.function import FunctionSpec, Invocation


Around = Callable[["Console", "Cloud", Any], AbstractContextManager[None]]


def invoke(
    event_path: Path,
    created: Cloud,
    function: str | None,
    around: Around | None = None,
    *,
    verbose: bool = False,
    install: bool = False,
) -> int:
    """Run the function on the event in a cloud that is not open yet, and print its answer. Returns 1 after an error.

    `around` puts in place what the event tells of, and prints at the end what the function did. Of what the function
    writes only what matters is shown, all of it if `verbose`. With `install` its requirements are installed first.
    """
    output, event = console(), read_event(event_path)

    def on_log(line: str) -> None:
        if (shown := line if verbose else readable(line)) is not None:
            put(output, shown, indent=0, hang=2, style="dim")

    with created as cloud, around(output, cloud, event) if around else nullcontext():
        wanted = _function(cloud, function or _only_function(cloud, event))
        ready = with_requirements(wanted, partial(put, output)) if install else wanted
        invocation = _run(ready, cloud.addressed(event), on_log)
        answer = invocation.error if invocation.error is not None else invocation.payload
        print_answer(output, answer, f" after {invocation.seconds * 1000:.0f} ms")
    return 0 if invocation.error is None else 1


def print_answer(output: Console, answer: object, when: str = "") -> None:
    """Print what a function has answered, or the error it has ended with."""
    output.print(f"Answer{when}:", style="bold")
    output.print(json.dumps(answer, indent=2), markup=False, soft_wrap=True)
    output.print()


def read_event(path: Path) -> Any:
    """The JSON document at `path`. Raises UsageError when there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the event {path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"the event {path} is not JSON: {error}") from error


def _only_function(cloud: Cloud, event: Any) -> str:
    """The function that gets such events: requests to the template's APIs, or records of its streams."""
    functions, of = {mapping.function for mapping in cloud.mappings}, "streams"
    if isinstance(event, dict) and "requestContext" in event:
        functions, of = {route.function for api in cloud.apis for route in api.routes}, "HTTP APIs"
    if len(functions) != 1:
        raise UsageError(f"say which function with --function: the template's {of} invoke {sorted(functions)}")
    return functions.pop()


def _function(cloud: Cloud, name: str) -> FunctionSpec:
    if name not in cloud.functions:
        raise UsageError(f"the template has no function {name}, but {sorted(cloud.functions)}")
    return cloud.functions[name]


def _run(function: FunctionSpec, event: Any, on_log: Callable[[str], None]) -> Invocation:
    runtime = Runtime(function, on_log)
    try:
        return runtime.invoke(event)
    finally:
        runtime.close()
