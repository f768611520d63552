"""`python -m tablestream.local fault`, `mapping` and `status`: what a running `up` is asked from another terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tablestream.local.control import ask
from tablestream.local.errors import UsageError
from tablestream.local.exercises import FUNCTION
from tablestream.local.greeting import About, Delivery, describe
from tablestream.local.state import running
from tablestream.local.terminal import console, put

if TYPE_CHECKING:
    from collections.abc import Mapping


def fault(kind: str, asked: Mapping[str, Any]) -> int:
    """Switch a fault on; `list` and `clear` are kinds too. Raises NotRunningError and UsageError."""
    state = running()
    if kind == "list":
        print("\n".join(ask(state.control, "faults", {})) or "no faults")
        return 0
    if kind == "clear":
        print(ask(state.control, "clear", {}))
        return 0
    if state.dynamodb_endpoint and kind != FUNCTION and (asked["service"] or "dynamodb") == "dynamodb":
        raise UsageError(f"the tables are on {state.dynamodb_endpoint}, where no faults can be injected")
    print(ask(state.control, "fault", {"kind": kind, **asked}))
    return 0


def mapping(name: str | None, *, enabled: bool) -> int:
    """Enable or disable an event source mapping. Raises NotRunningError and UsageError."""
    print(ask(running().control, "mapping", {"name": name, "enabled": enabled}))
    return 0


def status(*, as_json: bool) -> int:
    """Print what runs and where each shard stands. Raises NotRunningError and UsageError."""
    told = ask(running().control, "status", {})
    if as_json:
        print(json.dumps(told, indent=2))
        return 0
    shards = told.pop("status")
    deliveries = [Delivery(**one) for one in told.pop("deliveries")]
    output = console()
    describe(output, About(**told, deliveries=deliveries))
    output.print("Now:")
    for line in shards:
        put(output, line, indent=2)
    return 0
