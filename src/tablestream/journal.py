"""The journal remembers which effects are done for records that Lambda will deliver again.

Lambda's checkpoint is one sequence number: when record 3 of 100 fails, 4 to 100 come again. Before the worker answers
with a failure it journals the effects above the checkpoint that are done and not idempotent, and skips them on
redelivery. It does the same for dead letters and for records that an operator sent again: no checkpoint covers them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tablestream.run import Run


class Journal(Protocol):
    """Remembers, for the key of a record, the names of its effects that are done.

    The key tells the consumer and the record, so that two functions on one stream can share a journal.
    """

    def read(self, keys: Sequence[str], run: Run) -> Mapping[str, frozenset[str]]:
        """Return the done effects of each key; a key whose entry could not be read is absent."""
        ...

    def record(self, done: Mapping[str, frozenset[str]], run: Run) -> None:
        """Remember all effects done so far for each key. Raises `JournalUnavailable`."""
        ...
