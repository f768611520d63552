"""The same with tablestream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tablestream import Change, DeadLetters, Journal, Worker


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to a customer."""

    address: str
    words: str


def ours(send: Callable[[str, str], None], journal: Journal, dead_letters: DeadLetters) -> Worker:
    """Return a Lambda handler that sends its mails with `send`; the mapping has ReportBatchItemFailures."""
    worker = Worker(journal=journal, dead_letters=dead_letters)

    @worker.on_insert()
    @worker.on_modify(changed=["status"])
    def tell(change: Change) -> Mail:
        return Mail(change.new["email"], change.new["status"])

    @worker.sink(Mail)
    def post(mail: Mail) -> None:
        send(mail.address, mail.words)

    return worker
