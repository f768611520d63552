"""The report of an invocation: the outcome of each record, and the counts."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class RecordState(StrEnum):
    """The states that a record can end in."""

    SKIPPED = "skipped"
    """No handler wants it."""
    APPLIED = "applied"
    """All its effects are done."""
    POISONED = "poisoned"
    """It can never be processed and is stored as a dead letter."""
    FAILED = "failed"
    """An effect failed for now; Lambda redelivers it."""
    HELD_BACK = "held back"
    """An earlier change of its item failed, or time ran out before it; Lambda redelivers it."""
    DUPLICATE = "duplicate"
    """The same record stands earlier in the batch."""


class RecordOutcome(NamedTuple):
    """The outcome of one record that was neither applied nor skipped."""

    event_id: str
    sequence_number: str
    key_hash: str
    state: RecordState
    error_class: str = ""
    reason: str = ""
    """May quote values of the record: never log it."""
    dead_letter: str = ""
    """The key of its dead letter, where one is stored."""
    where: str = ""
    """The function and the line that raised the error, where that is known: not for an error of AWS."""


@dataclass(frozen=True, slots=True)
class Report:
    """The sums of one invocation, for metrics and the log."""

    records: int
    counts: Mapping[RecordState, int]
    outcomes: tuple[RecordOutcome, ...] = ()
    remembered: int = 0
    """Effects that were skipped because the journal knew them."""
    journalled: int = 0
    """Records whose done effects were written to the journal."""
    checkpoint: str | None = None
    """The lowest failed sequence number; None when nothing failed."""
    oldest_creation: float | None = None
    """When the oldest change of the batch was made, in seconds since the epoch."""
    error_class: str | None = None
    """The class of the error that the invocation ends with."""

    def count(self, state: RecordState) -> int:
        """Return how many records had this outcome."""
        return self.counts.get(state, 0)


class FieldsFormatter(logging.Formatter):
    """Puts the fields of the library's log lines behind the message, where no other handler does that.

    Lambda's text format drops them; Powertools' logger and Lambda's JSON format show them by themselves.
    """

    _OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

    def format(self, record: logging.LogRecord) -> str:
        """Return `LEVEL message (name value, …)`."""
        fields = [
            f"{name} {value}" for name, value in vars(record).items() if name not in self._OWN and value is not None
        ]
        shown = f" ({', '.join(fields)})" if fields else ""
        return f"{record.levelname} {super().format(record)}{shown}"


def show_fields(logger: logging.Logger, environ: Mapping[str, str]) -> None:
    """Have the library's logger write its fields in Lambda, unless the user has given it a handler of another kind."""
    in_lambda = environ.get("AWS_LAMBDA_FUNCTION_NAME") and environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() != "JSON"
    if in_lambda and not logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(FieldsFormatter())
        logger.addHandler(handler)
        logger.propagate = False
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)
