"""Carrying transactions out, and reading why DynamoDB cancelled one: only here are cancellation reasons known."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from shop.ledger import Item
from shop.packing import Chain, Transaction
from shop.steps import Actions, Tables, Target
from tablestream.dynamodb.errors import ErrorKind, Failed, attempt, code_of, kind_of_code
from tablestream.run import Run

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_CANCELLED = "TransactionCanceledException"
_CONDITION = "ConditionalCheckFailed"
_NO_REASON = "None"


class Committed:
    """All steps have taken effect."""


class Refusal(NamedTuple):
    """A condition did not hold."""

    target: Target
    item: Item | None
    """The item as it was; None when there is none, or the service did not return it."""


class Cancelled(NamedTuple):
    """No step has taken effect, and DynamoDB says why."""

    error: Exception
    refusals: tuple[Refusal, ...] = ()
    invalid: str | None = None
    """What DynamoDB finds wrong with an action, if it does."""
    conflicts: int = 0
    busy: bool = False
    """Whether an action met a conflict or a throttle: the same may succeed later."""


Outcome = Committed | Cancelled | Failed


def parse_cancellation(error: ClientError, targets: Sequence[Target]) -> Cancelled:
    """Read the reasons, one for each action in order, of a cancelled transaction; any other number tells nothing."""
    reasons: Sequence[Any] = error.response.get("CancellationReasons") or ()
    pairs = zip(targets, reasons, strict=True) if len(reasons) == len(targets) else ()
    told = [(target, reason) for target, reason in pairs if _code(reason) != _NO_REASON]
    refusals = tuple(
        [Refusal(target, reason.get("Item") or None) for target, reason in told if _code(reason) == _CONDITION]
    )
    kinds = [kind_of_code(_code(reason)) for _, reason in told if _code(reason) != _CONDITION]
    invalid = [reason for _, reason in told if kind_of_code(_code(reason)) is ErrorKind.INVALID]
    return Cancelled(
        error,
        refusals,
        invalid=f"{_code(invalid[0])}: {invalid[0].get('Message')}" if invalid else None,
        conflicts=kinds.count(ErrorKind.CONFLICT),
        # Reasons that are missing or not known say nothing about any order: wait, as after a conflict.
        busy=any(kind is not ErrorKind.INVALID for kind in kinds) or not told,
    )


def _code(reason: Any) -> str:
    return str(reason.get("Code") or _NO_REASON)


class Transactor:
    """Carries out transactions, one after the other within a chain."""

    def __init__(
        self,
        client: DynamoDBClient,
        tables: Tables,
        *,
        repeats: int,
        # Of the operating system's randomness: environments restored from one snapshot share the state of `random`.
        token: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        """Take a boto3 DynamoDB client; `repeats` is how often a call whose outcome is unknown is sent again."""
        self._client = client
        self._tables = tables
        self._repeats = repeats
        self._token = token

    def run(self, transactions: Chain, run: Run) -> list[tuple[Transaction, Outcome]]:
        """Carry out a chain up to its first failure; return what became of each transaction that was tried.

        What comes after a failure must wait for it: it may want stock that the failed one has the older claim to.
        """
        outcomes: list[tuple[Transaction, Outcome]] = []
        for transaction in transactions:
            outcome = self._carry_out(transaction, run)
            outcomes.append((transaction, outcome))
            if not isinstance(outcome, Committed):
                break
        return outcomes

    def _carry_out(self, transaction: Transaction, run: Run) -> Outcome:
        """Send a transaction; when nobody knows whether it took effect, send the identical one under the same token.

        DynamoDB answers the repetition of a token (for ten minutes) like the first time, without doing it twice. Beyond
        that the ledger's condition guards the orders.
        """
        actions, targets = Actions(self._tables, iso_time(run.clock.now())).build(transaction.steps)
        request = {"TransactItems": actions, "ClientRequestToken": self._token()}
        outcome: Outcome = Failed(TimeoutError("the deadline came before this transaction"), ErrorKind.THROTTLE)
        if run.deadline.expired:
            return outcome
        for _ in run.attempts(self._repeats):
            outcome = attempt(partial(self._send, request, targets))
            if not isinstance(outcome, Failed) or outcome.kind is not ErrorKind.AMBIGUOUS:
                break
        return outcome

    def _send(self, request: Any, targets: Sequence[Target]) -> Committed | Cancelled:
        try:
            self._client.transact_write_items(**request)
        except ClientError as error:
            if code_of(error) != _CANCELLED:
                raise
            return parse_cancellation(error, targets)
        return Committed()


def iso_time(seconds: float) -> str:
    """Return a time in seconds since the epoch as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
