"""Pay once: whoever sends a payment again under its key gets the first answer, and the money is taken once."""

from __future__ import annotations

import uuid

from boto3.dynamodb.conditions import Attr

from tablestream.dynamodb import ConditionFailed, IdempotencyKey, IdempotencyKeys, Table, TransactionCancelled, Update


class TooLittleMoney(Exception):
    """The account has less than is to be paid, or there is none."""


def pay(accounts: Table, payer: str, amount: int, key: str) -> str:
    """Take an amount from an account; return the id of the payment, for a repeat that of the first time."""
    asked = IdempotencyKey(f"payments/{payer}", key, {"amount": amount})
    enough = Attr("balance").gte(amount)
    take = Update({"pk": payer, "sk": "BALANCE"}, add={"balance": -amount}, condition=enough)
    try:
        outcome = IdempotencyKeys(accounts).transact(asked, [take], answer=uuid.uuid4().hex)
    except TransactionCancelled as cancelled:
        if isinstance(cancelled.reasons[0], ConditionFailed):
            raise TooLittleMoney from None
        raise
    return str(outcome.answer)
