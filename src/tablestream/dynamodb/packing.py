"""Decisions packed into as few transactions as DynamoDB's limits and the order of the stream allow. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from collections.abc import Set as AbstractSet

from tablestream.dynamodb.items import Key
from tablestream.dynamodb.transactions import Chain, Decision, Transaction

MAX_ACTIONS = 100
"""Actions of a transaction (DynamoDB's TransactWriteItems)."""
MAX_BYTES = 4_000_000
"""Items of a transaction together: DynamoDB's limit is 4 MB, the rest is slack for what is only estimated here."""

_BYTES_OF_SHARED = 1024


def pack(decisions: Sequence[Decision], alone: AbstractSet[Hashable] = frozenset()) -> list[Chain]:
    """Pack decisions, given in stream order, into chains that share no item and so can run side by side.

    Within a chain decisions keep their order, so that none overtakes an earlier one for what a shared item has. Chains
    that are short enough are put together in one transaction. The subjects in `alone` get transactions of their own.
    """
    long: list[Chain] = []
    short: list[_Load] = []
    for group in _sharing_items(decisions):
        loads = _fill(group, alone)
        if len(loads) > 1 or loads[0].decisions[0].subject in alone:
            long.append(tuple([load.close() for load in loads]))
        else:
            short.append(loads[0])
    return [*long, *[(load.close(),) for load in _together(short)]]


def _sharing_items(decisions: Sequence[Decision]) -> Iterable[list[Decision]]:
    """Group the decisions that share items, directly or through others (union-find)."""
    leader = list(range(len(decisions)))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = index = leader[leader[index]]
        return index

    first_with: dict[Key, int] = {}
    for index, decision in enumerate(decisions):
        for key in (*[move.key for move in decision.moves], *decision.rests_on):
            other = find(first_with.setdefault(key, index))
            mine = find(index)
            leader[max(mine, other)] = min(mine, other)
    groups: dict[int, list[Decision]] = {}
    for index, decision in enumerate(decisions):
        groups.setdefault(find(index), []).append(decision)
    return groups.values()


class _Load:
    """A transaction being filled."""

    __slots__ = ("decisions", "own", "shared", "size")

    def __init__(self) -> None:
        self.decisions: list[Decision] = []
        self.shared: set[Key] = set()
        self.own = 0
        """Actions that are not on shared items."""
        self.size = 0
        """The bytes of their items."""

    def add(self, decisions: Sequence[Decision], own: int, shared: AbstractSet[Key], size: int) -> bool:
        """Add decisions if there is room, or if the load is empty: what does not fit alone is DynamoDB's to refuse."""
        items = len(self.shared | shared)
        actions, total = self.own + own + items, self.size + size + items * _BYTES_OF_SHARED
        if self.decisions and (actions > MAX_ACTIONS or total > MAX_BYTES):
            return False
        self.decisions.extend(decisions)
        self.shared |= shared
        self.own += own
        self.size += size
        return True

    def close(self) -> Transaction:
        return Transaction(tuple(self.decisions))


def _fill(decisions: Sequence[Decision], alone: AbstractSet[Hashable]) -> list[_Load]:
    """Fill transactions in order; the last one is closed when the next decision does not fit, or wants to be alone."""
    loads: list[_Load] = []
    closed = True
    for decision in decisions:
        is_alone = decision.subject in alone
        shared = {move.key for move in decision.moves}
        if closed or is_alone or not loads[-1].add((decision,), len(decision.actions), shared, decision.size):
            loads.append(_Load())
            loads[-1].add((decision,), len(decision.actions), shared, decision.size)
        closed = is_alone
    return loads


def _together(loads: Iterable[_Load]) -> list[_Load]:
    """Put loads that share no item together, in order, as long as they fit."""
    joined: list[_Load] = []
    for load in loads:
        if not joined or not joined[-1].add(load.decisions, load.own, load.shared, load.size):
            joined.append(load)
    return joined
