"""What an operator can do to a running `up`, to practise: faults in its AWS, throttled functions, disabled mappings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tablestream.local.control import Argument, Command
from tablestream.local.errors import UsageError
from tablestream.local.faults import Fault, Faults, Injected

if TYPE_CHECKING:
    from tablestream.local.running import Running

Json = Any
KINDS: Mapping[str, Fault] = {
    "throttle": Fault("", "ThrottlingException"),
    "conflict": Fault("TransactWriteItems", "TransactionConflict"),
    "outage": Fault("", "ServiceUnavailable"),
}
SERVICES = ("dynamodb", "s3", "sns", "sqs")
FUNCTION = "function-throttle"


def _one_of(*names: str, required: bool = False) -> Argument:
    return Argument(f"one of {', '.join(names)}", lambda value: value in names, required)


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


TEXT = Argument("text", lambda value: isinstance(value, str) and value != "")
SECONDS = Argument("a number of seconds above 0", _is_number)
CALLS = Argument("a whole number above 0", lambda value: _is_number(value) and isinstance(value, int))
FAULT: Mapping[str, Argument] = {
    "kind": _one_of(*KINDS, FUNCTION, required=True),
    "calls": CALLS,
    "seconds": SECONDS,
    "service": _one_of(*SERVICES),
    "operation": TEXT,
    "mentioning": TEXT,
    "function": TEXT,
}
MAPPING: Mapping[str, Argument] = {
    "name": TEXT,
    "enabled": Argument("true or false", lambda value: isinstance(value, bool), required=True),
}


def exercises(faults: Faults, running: Running, say: Callable[[str], None]) -> dict[str, Command]:
    """The commands by name; `say` tells the terminal of `up` what another one asked for."""

    def fault(asked: Mapping[str, Json]) -> Json:
        if asked["kind"] == FUNCTION:
            told = _throttle(running, asked)
        else:
            made = _fault(asked)
            faults.inject(made, asked["calls"] or -1, asked["seconds"] or float("inf"))
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
        name = _only(asked["name"], running.triggers, "event source mapping")
        running.triggers[name].enable(wanted=asked["enabled"])
        told = f"{name} is {'enabled' if asked['enabled'] else 'disabled'}"
        say(told)
        return told

    return {
        "fault": Command(fault, FAULT),
        "faults": Command(lambda _asked: [_describe(one) for one in faults.active()]),
        "clear": Command(clear),
        "mapping": Command(mapping, MAPPING),
    }


def _fault(asked: Mapping[str, Json]) -> Fault:
    kind = KINDS[asked["kind"]]
    service = asked["service"] or kind.service
    if service != kind.service and asked["kind"] != "outage":
        raise UsageError(f"{asked['kind']} is a fault of {kind.service}; another service can only have an outage")
    return Fault(
        operation=asked["operation"] or kind.operation,
        error=kind.error,
        mentioning=asked["mentioning"] or "",
        service=service,
        functions_only=True,
    )


def _throttle(running: Running, asked: Mapping[str, Json]) -> str:
    name = _only(asked["function"], running.runtimes, "function")
    calls = asked["calls"]
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
    calls = f"the next {asked['calls']}" if asked["calls"] else "all"
    return f"for {asked['seconds']:g} s {calls}" if asked["seconds"] else calls


def _describe(one: Injected) -> str:
    left = "" if one.left < 0 else f", {one.left} to come"
    what = f"{one.fault.service} {one.fault.operation or 'calls'}"
    return f"{one.fault.error} for {what}: {one.answered} answered{left}"
