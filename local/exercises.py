"""What an operator can do to a running `up`, to practise: faults in its AWS, throttled functions, disabled mappings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from local.errors import UsageError
from local.faults import Fault, Faults, Injected

if TYPE_CHECKING:
    from local.control import Command
    from local.running import Running

Json = Any
KINDS: Mapping[str, Fault] = {
    "throttle": Fault("", "ThrottlingException"),
    "conflict": Fault("TransactWriteItems", "TransactionConflict"),
    "outage": Fault("", "ServiceUnavailable"),
}
SERVICES = ("dynamodb", "s3", "sns", "sqs")
FUNCTION = "function-throttle"


def exercises(faults: Faults, running: Running, say: Callable[[str], None]) -> Mapping[str, Command]:
    """The commands by name; `say` tells the terminal of `up` what another one asked for."""

    def fault(asked: Mapping[str, Json]) -> Json:
        if asked["kind"] == FUNCTION:
            told = _throttle(running, asked)
        else:
            made = _fault(asked)
            faults.inject(made, asked.get("calls") or -1, asked.get("seconds") or float("inf"))
            told = f"{asked['kind']}: {_limits(asked)} {made.service} {made.operation or 'calls'} of functions"
        say(f"fault: {told}")
        return told

    def clear(_asked: Mapping[str, Json]) -> Json:
        faults.clear()
        for runtime in running.runtimes.values():
            runtime.throttle(0)
        say("fault: all are over")
        return "all are over"

    def mapping(asked: Mapping[str, Json]) -> Json:
        name = _only(asked.get("name"), running.triggers, "event source mapping")
        running.triggers[name].enable(wanted=asked["enabled"])
        told = f"{name} is {'enabled' if asked['enabled'] else 'disabled'}"
        say(told)
        return told

    return {
        "fault": fault,
        "faults": lambda _asked: [_describe(one) for one in faults.active()],
        "clear": clear,
        "mapping": mapping,
    }


def _fault(asked: Mapping[str, Json]) -> Fault:
    kind = KINDS[asked["kind"]]
    service = asked.get("service") or kind.service
    if service != kind.service and asked["kind"] != "outage":
        raise UsageError(f"{asked['kind']} is a fault of {kind.service}; another service can only have an outage")
    return Fault(
        operation=asked.get("operation") or kind.operation,
        error=kind.error,
        mentioning=asked.get("mentioning") or "",
        service=service,
        functions_only=True,
    )


def _throttle(running: Running, asked: Mapping[str, Json]) -> str:
    name = _only(asked.get("function"), running.runtimes, "function")
    calls = asked.get("calls")
    if not calls:
        raise UsageError(f"{FUNCTION} wants --calls: how many invocations are throttled")
    running.runtimes[name].throttle(calls)
    return f"{FUNCTION}: the next {calls} invocations of {name}"


def _only(name: str | None, known: Mapping[str, object], what: str) -> str:
    if name is None and len(known) == 1:
        return next(iter(known))
    if name is None or name not in known:
        raise UsageError(f"wanted the name of one {what} of {', '.join(sorted(known))}, got {name}")
    return name


def _limits(asked: Mapping[str, Json]) -> str:
    calls = f"the next {asked['calls']}" if asked.get("calls") else "all"
    return f"for {asked['seconds']:g} s {calls}" if asked.get("seconds") else calls


def _describe(one: Injected) -> str:
    left = "" if one.left < 0 else f", {one.left} to come"
    what = f"{one.fault.service} {one.fault.operation or 'calls'}"
    return f"{one.fault.error} for {what}: {one.answered} answered{left}"
