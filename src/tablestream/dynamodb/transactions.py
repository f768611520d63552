"""Decisions, the transactions that they are packed into, and the reasons for which DynamoDB cancels one.

A decision has actions of its own, its ledger entry first, and may move numbers of items that decisions share. A
transaction may touch an item once, so the moves of several decisions on one item become one action.
"""

from __future__ import annotations

import uuid
from collections.abc import Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Context, Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from tablestream.dynamodb.client import attempt
from tablestream.dynamodb.errors import CANCELLED, CONDITION_FAILED, ErrorKind, Failed, cancellation_reasons, code_of
from tablestream.dynamodb.items import Item, Key
from tablestream.errors import without_frames
from tablestream.run import Run

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Action = Mapping[str, Any]
"""An entry of TransactItems."""
Amount = int | Decimal


class Move(NamedTuple):
    """An amount to be added to a number of an item that decisions share."""

    key: Key
    attribute: str
    amount: Amount
    """Less than zero to take."""
    guarded: bool = False
    """Whether as much must be there as the decisions of a transaction take together."""


class Decision(NamedTuple):
    """A subject's decision."""

    subject: Hashable
    """The thing that is decided, as an order; it is decided once."""
    actions: tuple[Action, ...]
    """Actions of its own, on items that no other decision touches: the ledger entry first."""
    moves: tuple[Move, ...] = ()
    rests_on: tuple[Key, ...] = ()
    """Shared items that it was made by, besides those that it moves."""
    size: int = 0
    """The bytes of the items of its own actions."""


class Transaction(NamedTuple):
    """Decisions that are carried out together or not at all, in stream order."""

    decisions: tuple[Decision, ...]


Chain = tuple[Transaction, ...]
"""Transactions to be carried out one after the other, up to the first that fails."""


class OwnAction(NamedTuple):
    """An action of a decision, by its place."""

    subject: Hashable
    place: int


Target = OwnAction | Key
"""The thing that an action is about: a decision's own, or a shared item."""


class Committed:
    """All actions have taken effect."""


class Refusal(NamedTuple):
    """A condition did not hold."""

    target: Target
    item: Item | None
    """The item as it was; None when there is none, or the service did not return it."""


class Cancelled(NamedTuple):
    """No action has taken effect, and DynamoDB says why."""

    error: Exception
    refusals: tuple[Refusal, ...] = ()
    invalid: str | None = None
    """The words in which DynamoDB finds an action wrong, if it does."""
    conflicts: int = 0
    busy: bool = False
    """Whether an action met a conflict or a throttle: the same may succeed later."""


TransactionOutcome = Committed | Cancelled | Failed


# --- packing ---------------------------------------------------------------------------------------------------------

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


# --- actions ---------------------------------------------------------------------------------------------------------

_EXACT = Context(prec=100)
"""DynamoDB's numbers have 38 digits; Python's default of 28 would round them."""


def build(decisions: Iterable[Decision]) -> tuple[list[Action], list[Target]]:
    """Return the actions that carry out decisions, a shared item once for all of them, and what each is about."""
    actions: list[Action] = []
    targets: list[Target] = []
    moved: dict[Key, dict[str, tuple[Amount, bool]]] = {}
    for decision in decisions:
        actions.extend(decision.actions)
        targets.extend([OwnAction(decision.subject, place) for place in range(len(decision.actions))])
        for key, attribute, amount, guarded in decision.moves:
            amounts = moved.setdefault(key, {})
            before, was_guarded = amounts.get(attribute, (0, False))
            amounts[attribute] = _sum(before, amount), guarded or was_guarded
    actions.extend([_move(key, amounts) for key, amounts in moved.items()])
    targets.extend(moved)
    return actions, targets


def _sum(one: Amount, other: Amount) -> Amount:
    return one + other if type(one) is type(other) is int else _EXACT.add(Decimal(one), Decimal(other))


def enough(number: int) -> str:
    """Return the condition under which as much can be taken as is wanted; where there is no item there is nothing."""
    return f"#a{number} >= :least{number}"


def _move(key: Key, amounts: Mapping[str, tuple[Amount, bool]]) -> Action:
    """Return the update of a shared item. What is added counts even if the item has gone: the books must balance."""
    names = {f"#a{number}": attribute for number, attribute in enumerate(amounts)}
    values = {f":a{number}": {"N": str(amount)} for number, (amount, _) in enumerate(amounts.values())}
    guards = []
    for number, (amount, guarded) in enumerate(amounts.values()):
        if guarded and amount < 0:
            guards.append(enough(number))
            values[f":least{number}"] = {"N": str(-amount)}
    change: dict[str, Any] = {
        "TableName": key.table,
        "Key": key.tagged(),
        "UpdateExpression": "ADD " + ", ".join([f"#a{number} :a{number}" for number in range(len(amounts))]),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }
    if guards:
        change["ConditionExpression"] = " AND ".join(guards)
        change["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return {"Update": change}


# --- reasons ---------------------------------------------------------------------------------------------------------


def parse_cancellation(error: ClientError, targets: Sequence[Target]) -> Cancelled:
    """Read the reasons, one for each action in order, of a cancelled transaction; any other number tells nothing."""
    reasons = cancellation_reasons(error.response, len(targets))
    told = [(target, reason) for target, reason in zip(targets, reasons, strict=True) if reason is not None]
    others = [reason for _, reason in told if reason.code != CONDITION_FAILED]
    kinds = [reason.kind for reason in others]
    invalid = [reason for reason in others if reason.kind is ErrorKind.INVALID]
    return Cancelled(
        error,
        tuple([Refusal(target, reason.item) for target, reason in told if reason.code == CONDITION_FAILED]),
        invalid=f"{invalid[0].code}: {invalid[0].told}" if invalid else None,
        conflicts=kinds.count(ErrorKind.CONFLICT),
        # Reasons that are missing or not known say nothing about any decision: wait, as after a conflict.
        busy=any(kind is not ErrorKind.INVALID for kind in kinds) or not told,
    )


# --- carrying out ----------------------------------------------------------------------------------------------------


_REPEATS = 3
"""The most times that a call whose outcome is unknown is sent again before the round is given up."""


def carry_out(client: DynamoDBClient, transactions: Chain, run: Run) -> list[tuple[Transaction, TransactionOutcome]]:
    """Carry out a chain up to its first failure; return what became of each transaction that was tried.

    What comes after a failure must wait for it: it may want of a shared item what the failed one has the older claim
    to.
    """
    outcomes: list[tuple[Transaction, TransactionOutcome]] = []
    for transaction in transactions:
        outcome = _carry_out(client, transaction, run)
        outcomes.append((transaction, outcome))
        if not isinstance(outcome, Committed):
            break
    return outcomes


def _carry_out(client: DynamoDBClient, transaction: Transaction, run: Run) -> TransactionOutcome:
    """Send a transaction; when nobody knows whether it took effect, send the identical one under the same token.

    DynamoDB answers the repetition of a token (for ten minutes) like the first time, without doing it twice. Beyond
    that the condition on the ledger entry guards each decision.
    """
    outcome: TransactionOutcome = Failed(TimeoutError("the deadline came before this transaction"), ErrorKind.THROTTLE)
    if run.deadline.expired:
        return outcome
    actions, targets = build(transaction.decisions)
    request = {"TransactItems": actions, "ClientRequestToken": new_token()}
    for _ in run.attempts(_REPEATS):
        outcome = attempt(partial(_send, client, request, targets))
        if not isinstance(outcome, Failed) or outcome.kind is not ErrorKind.AMBIGUOUS:
            break
    return outcome


def new_token() -> str:
    """Return a token under which a transaction is carried out once, however often it is sent within ten minutes."""
    # Of the operating system's randomness: environments restored from one snapshot share the state of `random`.
    return uuid.uuid4().hex


def _send(client: DynamoDBClient, request: Any, targets: Sequence[Target]) -> Committed | Cancelled:
    try:
        client.transact_write_items(**request)
    except ClientError as error:
        if code_of(error) != CANCELLED:
            raise
        return parse_cancellation(without_frames(error), targets)
    return Committed()
