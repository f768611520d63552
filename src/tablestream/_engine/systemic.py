"""Tells broken code from bad records: a systemic failure is one of the code, judged over batches and their halves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tablestream._engine.intake import Poison, Task
from tablestream.errors import SystemicFailure
from tablestream.sink import name_of

SYSTEMIC_FLOOR = 10
"""The number of records of one handler from which on a majority of unexpected errors is taken for the code's fault."""
_LAST = 20
"""Records that are remembered of a handler that has raised: more than twice the floor would park more of them."""
_LAST_OF_SUSPECT = 1000
_PLACES_NAMED = 5


class SystemicCheck:
    """Fails the invocations of a broken handler instead of calling all its records poison.

    It remembers for as long as the execution environment lives. Of a handler that raises for every record at most ten
    are stored as dead letters, whatever the size of the batches. A function error makes Lambda halve the batch, and a
    few records alone look like bad records again: so a handler stays under suspicion until most of the records that it
    got meanwhile went well. A repaired deployment begins with a clean slate.
    """

    def __init__(self) -> None:
        """Begin without a suspicion."""
        self._recent: dict[str, dict[str, bool]] = {}
        """For each handler that has raised: its last records by their keys, and whether it raised."""
        self._suspects: set[str] = set()

    def judge(self, tasks: Sequence[Task]) -> None:
        """Judge a batch; raises `SystemicFailure` when a handler raised unexpectedly, and did so for most records."""
        raised = [task.poison for task in tasks if task.poison is not None and task.poison.unexpected]
        if not raised and not self._recent:
            return
        counts = {
            name: self._judge(name, outcomes, raised)
            for name, outcomes in _by_handler(tasks, {*self._recent, *[str(poison.handler) for poison in raised]})
        }
        guilty = {name: count for name, count in counts.items() if count is not None}
        if guilty:
            classes = Counter([f"{poison.error_class} in {poison.handler}" for poison in raised])
            errors, seen = max(guilty.values())
            raise SystemicFailure(
                f"handlers raised for {errors} of {seen} records, nothing was stored: "
                f"{', '.join(sorted(classes)[:_PLACES_NAMED])}"
            )

    def _judge(self, name: str, outcomes: Mapping[str, bool], raised: Sequence[Poison]) -> tuple[int, int] | None:
        """Judge a handler; return how many of how many records it raised for, when that is the code's fault."""
        seen = {**self._recent.pop(name, {}), **outcomes}
        errors = sum(seen.values())
        suspect = len(seen) >= SYSTEMIC_FLOOR and errors * 2 > len(seen)
        if suspect:
            self._suspects.add(name)
        else:
            self._suspects.discard(name)
        kept = dict(list(seen.items())[-(_LAST_OF_SUSPECT if suspect else _LAST) :])
        if any(kept.values()):
            self._recent[name] = kept
        now = any(poison.handler == name for poison in raised)
        return (errors, len(seen)) if suspect and now else None


def _by_handler(tasks: Sequence[Task], names: set[str]) -> Iterable[tuple[str, dict[str, bool]]]:
    """Return, for each of these handlers, whether it raised for its records of a batch, by their keys."""
    found: dict[str, dict[str, bool]] = {name: {} for name in names}
    for task in tasks:
        poison = task.poison
        for handler in [handler for route in task.routes for handler in route.handlers]:
            name = name_of(handler)
            failed = poison is not None and poison.handler == name
            if name in found and (poison is None or poison.unexpected or not failed):
                found[name][task.key] = failed
            if failed:
                break  # those behind it were not called
    return found.items()
