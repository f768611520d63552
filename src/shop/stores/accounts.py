"""Accounts: balances in whole minor units, and an entry in both accounts for each transfer, in one transaction.

A balance and the entries of it always agree, since nothing writes one without the other. Nothing is read first: the
conditions watch the balances, and the reasons for which the transaction is cancelled tell what is wrong.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from boto3.dynamodb.conditions import Attr, Key

from shop.keys import ENTRIES, account_key, account_partition, entry_key
from shop.stores.entity import AlreadyTaken, Makers, Plain
from tablestream.dynamodb import (
    AlreadyExists,
    ConditionFailed,
    IdempotencyKey,
    IdempotencyKeys,
    NotFound,
    Outcome,
    Put,
    Table,
    TransactionCancelled,
    Update,
)

KIND, ENTRY_KIND = "Account", "Entry"


class EntryType(StrEnum):
    """The two sides of a transfer."""

    DEBIT = "DEBIT"
    """Taken from the account."""
    CREDIT = "CREDIT"
    """Given to it."""


class SenderNotFound(NotFound):
    """The account that a transfer takes from is not there."""


class RecipientNotFound(NotFound):
    """The account that a transfer gives to is not there."""


class InsufficientBalance(ConditionFailed):
    """The sender has less than a transfer takes."""


class Transfer(NamedTuple):
    """An amount of whole minor units, from one account to another one."""

    sender: str
    recipient: str
    amount: int


class AccountStore:
    """The access patterns of accounts."""

    def __init__(self, table: Table, makers: Makers, keys: IdempotencyKeys) -> None:
        """Take the shop's table, what makes times and ids, and the idempotency keys that it remembers."""
        self._table = table
        self._makers = makers
        self._keys = keys

    def open(self, account_id: str, balance: int) -> Plain:
        """Write a new account and return it; raises `AlreadyTaken` where there is one."""
        item = self._makers.entity(KIND, account_key(account_id), {"accountId": account_id, "balance": balance})
        try:
            self._table.put(item, if_absent=True)
        except AlreadyExists:
            raise AlreadyTaken("accountId") from None
        return item

    def get(self, account_id: str, entries: int) -> tuple[Plain, list[Plain]] | None:
        """Return an account and its newest entries, read consistently; None where there is no such account.

        The balance lies before all entries and the newest entry behind them, so they take two calls. A transfer in
        between may show in the entries alone.
        """
        account = self._table.get(account_key(account_id), consistent=True)
        if account is None:
            return None
        newest = self._table.query(
            Key("pk").eq(account_partition(account_id)) & Key("sk").begins_with(ENTRIES),
            newest_first=True,
            limit=entries,
            consistent=True,
        )
        return account, newest.items

    def transfer(self, transfer: Transfer, key: str) -> Outcome:
        """Move an amount between two accounts, once for each key of the sender; the answer has the `transferId`.

        Raises `SenderNotFound`, `InsufficientBalance`, `RecipientNotFound`, of several the first, and
        `IdempotencyKeyReused` for a key that the sender has used for another transfer.
        """
        transfer_id = self._makers.ulid()
        asked = {"from": transfer.sender, "to": transfer.recipient, "amount": transfer.amount}
        known_by = IdempotencyKey(f"transfers/{transfer.sender}", key, asked)
        actions: list[Update | Put] = [
            self._moved(transfer.sender, -transfer.amount, Attr("balance").gte(transfer.amount)),
            self._moved(transfer.recipient, transfer.amount),
            self._entry(transfer.sender, EntryType.DEBIT, transfer_id, transfer.recipient, transfer.amount),
            self._entry(transfer.recipient, EntryType.CREDIT, transfer_id, transfer.sender, transfer.amount),
        ]
        try:
            return self._keys.transact(known_by, actions, {"transferId": transfer_id})
        except TransactionCancelled as cancelled:
            raise _refusal(cancelled) from None

    def _moved(self, account_id: str, amount: int, condition: Any = None) -> Update:
        changing = self._makers.changing({})
        moving = changing._replace(add={**changing.add, "balance": amount})
        return Update(account_key(account_id), **moving._asdict(), condition=condition)

    def _entry(self, account_id: str, kind: EntryType, transfer_id: str, counterparty: str, amount: int) -> Put:
        attributes = {
            "accountId": account_id,
            "transferId": transfer_id,
            "type": kind.value,
            "amount": amount,
            "counterparty": counterparty,
        }
        item = self._makers.entity(ENTRY_KIND, entry_key(account_id, transfer_id), attributes)
        return Put(item, if_absent=True)


def _refusal(cancelled: TransactionCancelled) -> Exception:
    """Return what a transfer was refused for: what is wrong with the sender before what is wrong with the recipient."""
    sender, recipient = cancelled.reasons[:2]
    if isinstance(sender, NotFound):
        return SenderNotFound("there is no such sender")
    if isinstance(sender, ConditionFailed):
        return InsufficientBalance("the sender's balance is less than the amount")
    if isinstance(recipient, NotFound):
        return RecipientNotFound("there is no such recipient")
    return next((reason for reason in cancelled.reasons if reason is not None), cancelled)
