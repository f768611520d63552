"""The effects that an invocation owes although a service does not work.

The rule is the worker's fourth invariant: an outage of one sink delays only what needs that sink. Changes of one item
wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tests.simulation.wanted import Record, Wanted, wanted_of

SERVICES = frozenset({"inventory", "journal", "topic", "s3"})


_NEEDS = {
    "reserve": {"inventory"},
    "release": {"inventory"},
    "notification": {"journal", "topic"},
    "poison": {"s3"},
}


def broken_services(outages: Iterable[str]) -> set[str] | None:
    """Return the services that do not work, hanging ones too; None when something else is wrong as well."""
    names = {outage.removesuffix(" hangs") for outage in outages}
    return names if names <= SERVICES else None


def owed(records: Sequence[Record], broken: set[str]) -> Iterator[tuple[Wanted, str]]:
    """Yield the effects of a batch that need none of the broken services, and stand behind none that does.

    Each has the name of the effect that the record leads to: `poison` stands for its dead letter.
    """
    stopped: set[tuple[str, str]] = set()
    in_order = sorted(wanted_of(records), key=lambda wanted: wanted.number)
    for wanted in in_order:
        for name in _effects_of(wanted):
            if _NEEDS[name] & broken:
                stopped.add(wanted.order)
            if wanted.order not in stopped:
                yield wanted, name


def _effects_of(wanted: Wanted) -> list[str]:
    if wanted.poison:
        return ["poison"]
    return [name for name in ("reserve", "release", "notification") if getattr(wanted, name)]
