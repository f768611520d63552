"""Deliveries in words for a person: the records of an invocation, its outcome, and the end of what is not delivered."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tablestream.local.cli.terminal import counted, shortened
from tablestream.local.delivery.protocol import Advanced, Condition, Delivered, NotInvoked, Retried, Split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tablestream.local.delivery.protocol import LambdaRecord
    from tablestream.local.trigger.observations import Ended, GivenUp, KeptBack


_REASONS = {"NoProgress": "NoProgress: the function answered that the first record failed"}


def outcome_of(event: object, ended: Ended, words: str = "") -> tuple[str, str]:
    """The outcome of a delivery in words, and their style; `words` are the function's own about its error."""
    if isinstance(event, Delivered):
        return "ok", "green"
    if isinstance(event, Advanced):
        return f"partial: {event.done} done, {event.left} come again", "yellow"
    if isinstance(event, Retried) and isinstance(ended.invocation.outcome, NotInvoked):
        return f"throttled, again in {event.wait:.1f} s", "yellow"
    reason = getattr(event, "reason", "")
    reason = _REASONS.get(reason, reason)
    why = f": {words or reason}" if words or reason else ""
    if isinstance(event, Split):
        return f"failed, halved into {event.first_half} + {event.second_half}{why}", "magenta"
    if isinstance(event, Retried):
        return f"failed, again in {event.wait:.1f} s{why}", "red"
    return f"failed{why}", "red"


def changes(records: Sequence[LambdaRecord]) -> str:
    """The number of records of each kind."""
    kinds = Counter(str(record.get("eventName")) for record in records)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "no records"


def fate(news: GivenUp) -> str:
    """The end of records that were given up: how many, after how many attempts, and who was told."""
    lost = f"{counted(len(news.discard.records), 'record')} given up"
    after = f"after {counted(news.discard.invoke_count, 'attempt')} ({news.discard.condition})"
    where = f"told to {news.destination}" if news.destination else "lost: the mapping has no on-failure destination"
    if news.discard.condition is Condition.RECORDS_TRIMMED:
        where = "lost: the stream keeps them no longer"
    return f"{lost} {after}, {where}"


def kept_back(news: KeptBack) -> str:
    """The number of records that the filters have kept back, and the filters."""
    which = f"the filter {news.filters[0]}" if len(news.filters) == 1 else f"all filters: {' or '.join(news.filters)}"
    records = counted(news.count, "record")
    return f"{records} kept back, nothing is invoked for that; from now on they are only counted: {shortened(which)}"
