"""The slips that are planted, each with what has to notice it: the schedules of a regime, or a test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Edit:
    """A replacement in a file; the text stands there exactly once."""

    path: str
    old: str
    new: str

    def apply(self, root: Path) -> None:
        """Change the file; raises `ValueError` when the text is not there, or not once."""
        file = root / self.path
        text = file.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"wanted {self.old!r} once in {self.path}, found it {text.count(self.old)} times")
        file.write_text(text.replace(self.old, self.new), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A slip, and what has to notice it: the schedules of a regime, or a test."""

    slip: str
    edits: tuple[Edit, ...]
    regime: str = "harsh"
    test: str = ""


def _mutant(slip: str, path: str, old: str, new: str, regime: str = "harsh", test: str = "") -> Mutant:
    return Mutant(slip, (Edit(path, old, new),), regime, test)


_ENGINE, _SHOP = "src/tablestream", "src/shop"
_DECISIONS = f"{_SHOP}/stock/decisions.py"
_SCHEDULES = "tests/simulation/test_schedules.py"

MUTANTS: tuple[Mutant, ...] = (
    _mutant(
        "go on with an item after a failure",
        f"{_ENGINE}/_waves.py",
        "len(lane) > position and lane[position - 1].state is not RecordState.FAILED",
        "len(lane) > position",
        test=f"{_SCHEDULES}::test_an_item_does_not_go_on_behind_its_failure",
    ),
    _mutant(
        "mark as done before publishing",
        f"{_ENGINE}/_waves.py",
        "            if isinstance(answer, Done):\n                task.done += 1\n            elif",
        "            task.done += 1\n            if isinstance(answer, Done):\n                pass\n            elif",
    ),
    _mutant(
        "ignore PublishBatch's Failed",
        f"{_ENGINE}/sinks/sns.py",
        'response.get("Successful", ()), response.get("Failed", ())',
        '[*response.get("Successful", ()), *response.get("Failed", ())], ()',
    ),
    _mutant(
        "swallow poison",
        f"{_ENGINE}/sinks/s3.py",
        "run.parallel.run([partial(self._store_one, letter, run) for letter in letters])",
        "[DONE for _ in letters]",
        "poison",
    ),
    _mutant(
        "compare sequence numbers as text",
        f"{_ENGINE}/_invocation.py",
        "min(failed, key=int, default=None)",
        "min(failed, default=None)",
        test=f"{_SCHEDULES}::test_sequence_numbers_that_grow_longer_are_in_order",
    ),
    Mutant(
        "forget the version of the order",
        (
            Edit(_DECISIONS, " version = if_not_exists(version, :zero) + :one,", ""),
            Edit(_DECISIONS, '            ":zero": {"N": "0"},\n            ":one": {"N": "1"},\n', ""),
        ),
        "none",
    ),
    Mutant(
        "release what the image says",
        (
            Edit(
                f"{_SHOP}/stock/__init__.py",
                '    key: ClassVar[str] = "release"\n',
                '    lines: tuple[OrderLine, ...] = ()\n    key: ClassVar[str] = "release"\n',
            ),
            Edit(
                f"{_SHOP}/handlers.py",
                "[Release(OrderKey.of(change)), announcement] if",
                "[Release(OrderKey.of(change), order.lines), announcement] if",
            ),
            Edit(
                f"{_SHOP}/stock/releases.py",
                "release.value.order, release.id, entry.lines)",
                "release.value.order, release.id, release.value.lines or entry.lines)",
            ),
        ),
        "none",
    ),
    _mutant(
        "no condition on the ledger",
        _DECISIONS,
        'UNDECIDED = "attribute_not_exists(pk)"',
        'UNDECIDED = "attribute_not_exists(undecided)"',
    ),
    _mutant(
        "no condition on the release",
        _DECISIONS,
        'STILL_RESERVED = "#state = :reserved"',
        'STILL_RESERVED = "#state = :reserved OR attribute_exists(pk)"',
        test=f"{_SCHEDULES}::test_two_releases_at_once_give_back_once",
    ),
    _mutant(
        "confirm an order that is not pending any more",
        _DECISIONS,
        'STILL_PENDING = "attribute_exists(pk) AND #status = :pending"',
        'STILL_PENDING = "attribute_exists(pk) OR #status = :pending"',
    ),
    _mutant(
        "take stock that is not there",
        f"{_ENGINE}/dynamodb/transactions.py",
        'f"#a{number} >= :least{number}"',
        'f"(attribute_exists(#a{number}) OR #a{number} >= :least{number})"',
        "none",
    ),
    _mutant(
        "retry with another token",
        f"{_ENGINE}/dynamodb/transactions.py",
        "attempt(partial(self._send, request, targets))",
        'attempt(partial(self._send, {**request, "ClientRequestToken": self._token()}, targets))',
        test="tests/simulation/test_simulation.py::test_a_repeated_transaction_carries_its_first_token",
    ),
    _mutant(
        "journal after the answer, when the process is frozen",
        f"{_ENGINE}/_invocation.py",
        "            self._journal.record(done, run)\n",
        "            pass\n",
        test=f"{_SCHEDULES}::test_a_neighbours_failure_repeats_nothing",
    ),
    _mutant(
        "checkpoint the highest failure",
        f"{_ENGINE}/_invocation.py",
        "min(failed, key=int, default=None)",
        "max(failed, key=int, default=None)",
    ),
    _mutant(
        "skip the deadline",
        f"{_ENGINE}/run.py",
        "return cls(lambda: left() / 1000 - margin_seconds)",
        'return cls(lambda: max(left() / 1000 - margin_seconds, float("inf")))',
        test=f"{_SCHEDULES}::test_a_slow_day_does_not_run_into_the_timeout",
    ),
    _mutant(
        "drop unprocessed items",
        f"{_ENGINE}/dynamodb/journal.py",
        'wanted = {item["pk"]["S"]: wanted[item["pk"]["S"]] for item in left}',
        "wanted = {}",
    ),
    _mutant(
        "take an unreadable journal for an empty one",
        f"{_ENGINE}/dynamodb/journal.py",
        "unread = {*wanted}",
        "unread: set[str] = set()",
        test=f"{_SCHEDULES}::test_what_an_unreadable_journal_may_know_is_not_published_again",
    ),
    _mutant(
        "treat a conflict as poison",
        f"{_ENGINE}/dynamodb/errors.py",
        '"TransactionConflict": ErrorKind.CONFLICT',
        '"TransactionConflict": ErrorKind.INVALID',
    ),
    _mutant(
        "take a dead letter for stored that is not",
        f"{_ENGINE}/_waves.py",
        "            if isinstance(answer, Done):\n                task.state = RecordState.POISONED",
        "            if isinstance(answer, Done | Transient):\n                task.state = RecordState.POISONED",
    ),
    _mutant(
        "do not say that a message is late",
        f"{_SHOP}/announcements.py",
        "    if change.redriven or change.replayed:\n",
        "    if (change.redriven or change.replayed) and not told:\n",
        "chaos",
    ),
    _mutant(
        "journal only the record of the checkpoint",
        f"{_ENGINE}/_invocation.py",
        "task.sequence >= checkpoint",
        "task.sequence == checkpoint",
        test=f"{_SCHEDULES}::test_a_neighbours_failure_repeats_nothing",
    ),
)
