"""The same with tablestream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tablestream import Change, DeadLetters, Journal, Router, Worker, each

router = Router()


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to a customer."""

    address: str
    words: str


@router.on_insert()
@router.on_modify(changed=["status"])
def tell(change: Change) -> Mail:
    """Tell the customer where the order stands."""
    return Mail(change.new["email"], change.new["status"])


def ours(send: Callable[[str, str], None], journal: Journal, dead_letters: DeadLetters) -> Worker:
    """Return a Lambda handler that sends its mails with `send`; the mapping has ReportBatchItemFailures."""
    mails = each(Mail, lambda mail: send(mail.address, mail.words), name="mails")
    worker = Worker(sinks=[mails], journal=journal, dead_letters=dead_letters)
    worker.include(router)
    return worker
