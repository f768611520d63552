"""The figures of schedules."""

from __future__ import annotations

from dataclasses import dataclass, field, fields


@dataclass(slots=True)
class Figures:
    """The figures of one schedule, or of many together."""

    schedules: int = 0
    records: int = 0
    lost: int = 0
    """Effects neither applied nor stored with their payload, before the redrive."""
    missing: int = 0
    """Effects not applied after the redrive."""
    stock: int = 0
    """Products whose stock is not what it has to be after the redrive: taken twice, or not given back."""
    books: int = 0
    """Ledger, stock and orders that contradict each other, at any time; versions that do not count up."""
    disordered: int = 0
    """First notifications of one order out of order, without the flag that they are late."""
    repeated: int = 0
    unexplained: int = 0
    """Repeated notifications that no crash, lost answer or the like explains."""
    wrong: int = 0
    """Notifications of a type that the record does not call for."""
    good_parked: int = 0
    """Good records in the bucket or the queue."""
    poison_missing: int = 0
    """Bad records that are not stored with their payload."""
    delayed: int = 0
    """Effects that an invocation owed, as all that they need worked, and that had not taken place by its end."""
    asked: int = 0
    """Answers, and missing ones, that clients of the HTTP API got."""
    effects: int = 0
    """Requests of the API with more than one effect under their key, with none though it says so, or though refused."""
    answers: int = 0
    """Answers of the API that differ under one key, name something else than was done, or refuse without a reason."""
    money: int = 0
    """Balances below zero, or other than their entries say; transfers without their two sides; money made or lost."""
    races: int = 0
    """Changes under a lock that are lost, or share its version."""
    decisions: int = 0
    """Accepted orders that are decided twice, or not at all."""
    overruns: int = 0
    blocked: float = 0.0
    """The longest time that a shard stood still, in seconds."""
    stood: list[float] = field(default_factory=list)

    def add(self, other: Figures) -> None:
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            setattr(self, each.name, max(mine, theirs) if each.name == "blocked" else mine + theirs)

    def broken(self, *, retries: bool) -> dict[str, int]:
        """Return what must not be for our worker, and is."""
        wanted = [
            "lost",
            "missing",
            "stock",
            "books",
            "disordered",
            "unexplained",
            "wrong",
            "poison_missing",
            "delayed",
            "overruns",
            "effects",
            "answers",
            "money",
            "races",
            "decisions",
        ]
        if retries:
            wanted.append("good_parked")
        return {name: value for name in wanted if (value := getattr(self, name))}
