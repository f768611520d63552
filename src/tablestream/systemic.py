"""Is it the records, or the code? What handlers raise unexpectedly is judged over a batch and its halves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tablestream.errors import SystemicFailure

SYSTEMIC_FLOOR = 10
"""From how many handled records on a majority of unexpected errors is taken for the code's fault."""
_REMEMBERED = 1000
_PLACES_NAMED = 5


class Suspicion:
    """Fails the invocations of a broken deployment instead of calling all their records poison.

    A function error makes Lambda halve the batch, and a few records alone look like bad records again: so a suspicion
    lasts, for as long as the execution environment does, until most of the records handled meanwhile were handled well.
    A repaired deployment begins without one.
    """

    __slots__ = ("_raised",)

    def __init__(self) -> None:
        """Begin without a suspicion."""
        self._raised: dict[str, bool] = {}

    @property
    def lasts(self) -> bool:
        """Whether there is one."""
        return bool(self._raised)

    def judge(self, raised: Mapping[str, str], well: Iterable[str]) -> None:
        """Judge a batch by the event ids for which handlers raised, with the place, and of those handled well.

        Raises `SystemicFailure` when the batch has records of the first kind and they are the majority of what was
        handled, in this batch or since the suspicion began.
        """
        seen = {**self._raised, **dict.fromkeys(raised, True), **dict.fromkeys(well, False)}
        errors = sum(seen.values())
        if len(seen) < SYSTEMIC_FLOOR or errors * 2 <= len(seen):
            self._raised = {}
            return
        self._raised = dict(list(seen.items())[-_REMEMBERED:])
        if raised:
            places = sorted(set(raised.values()))
            raise SystemicFailure(
                f"handlers raised for {errors} of {len(seen)} records, nothing was stored: "
                f"{', '.join(places[:_PLACES_NAMED])}"
            )
