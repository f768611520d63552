"""`IdempotencyKeys`: a request that is sent twice acts once, and both sends get the same answer.

    >>> transfers = IdempotencyKeys(accounts)
    >>> key = IdempotencyKey("transfers/ann", "f3a1", asked={"to": "bob", "amount": 7})
    >>> take = Update({"pk": "ACCOUNT#ann", "sk": "BALANCE"}, add={"balance": -7}, condition=Attr("balance").gte(7))
    >>> give = Update({"pk": "ACCOUNT#bob", "sk": "BALANCE"}, add={"balance": 7})
    >>> transfers.transact(key, [take, give], answer={"transferId": "T1"})
    Outcome(answer={'transferId': 'T1'}, replayed=False)
    >>> transfers.transact(key, [take, give], answer={"transferId": "T2"})
    Outcome(answer={'transferId': 'T1'}, replayed=True)

The record of a key is written in the same transaction as what it guards. There is no moment at which one of the two is
there without the other, wherever a process dies: nothing has to be marked as begun before, or as done afterwards.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from copy import copy
from types import MappingProxyType
from typing import Any, NamedTuple

from boto3.dynamodb.conditions import Attr

from tablestream.dynamodb.actions import Put, TableAction
from tablestream.dynamodb.errors import (
    ConditionFailed,
    IdempotencyKeyReused,
    InvalidRequest,
    TransactionCancelled,
    Unavailable,
)
from tablestream.dynamodb.requests.checks import check_list, check_mapping, check_number, check_text
from tablestream.dynamodb.requests.values import Tagging, tag, tag_item
from tablestream.dynamodb.schema import Nulls
from tablestream.dynamodb.table import Table

KEY_SECONDS = 24 * 3600
"""A key is remembered for so long."""
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_PREFIX = "IDEM#"
_HASH, _ANSWER, _TTL = "askedHash", "answer", "ttl"
_AS_TEXT = Tagging(binary=lambda data: base64.b64encode(data).decode())


class IdempotencyKey(NamedTuple):
    """A key that whoever asks has chosen for a request, to send the same again under it until there is an answer."""

    scope: str
    """The kind of request and who asks, as `transfers/ann`: equal keys of two scopes have nothing to do with another.
    Without `#`."""
    key: str
    asked: Any
    """The meaning of the request as plain values. Its hash is stored, nothing else of it: equal values have equal
    hashes, however numbers are written and members are ordered."""

    def fingerprint(self) -> str:
        """Return the hash of what is asked, the same on every machine; raises `InvalidValue` for what has none."""
        is_like_item = isinstance(self.asked, Mapping)  # as deep as an item may be, and its places are called as there
        tagged = {"M": tag_item(self.asked, _AS_TEXT)} if is_like_item else tag(self.asked, _AS_TEXT, "asked")
        text = json.dumps(tagged, sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Outcome(NamedTuple):
    """The answer to a request, and whether it is that of an earlier send."""

    answer: Any
    replayed: bool


class IdempotencyKeys:
    """The keys that a table remembers, each as an item beside what it guards."""

    def __init__(self, table: Table, *, seconds: int = KEY_SECONDS, attributes: Mapping[str, Any] = _NOTHING) -> None:
        """Take the table, and how long keys are remembered.

        Args:
            table: where the records lie. Its clock tells the time, and its backoff how to wait.
            seconds: a record that is older counts as none, though Time to Live may take two days to remove it. The
                table's Time to Live attribute is `ttl`.
            attributes: what each record gets beside its own, as the entity type by which a stream's filter knows it.
        """
        check_number("seconds", seconds, 1)
        check_mapping("attributes", attributes)
        self._table = table
        self._records = copy(table)
        self._records.schema = table.schema._replace(nulls=Nulls.KEEP)  # an answer is given again as it was
        self._seconds = seconds
        self._attributes = attributes

    def transact(self, key: IdempotencyKey | None, actions: Sequence[TableAction], answer: Any) -> Outcome:
        """Carry out actions together, all or none, unless it is done already; return the answer of who did it.

        The record takes one of the hundred actions of a transaction. Without a key nothing is remembered.

        Args:
            key: the key that was sent, None where none was.
            actions: what the request does.
            answer: plain values that say what came of it, kept for the next send of the key.

        Raises `IdempotencyKeyReused` for a key that is known with another request. Raises `TransactionCancelled` with a
        reason for each of the actions where something stands in the way: nothing is remembered then, and the same may
        succeed later. After `OutcomeUnknown` send the same again under the same key: the answer tells.
        """
        check_list("actions", actions, "a list of Put, Update, Delete and Check")
        if key is None:
            self._table.transact_write(actions)
            return Outcome(answer, replayed=False)
        asked = key.fingerprint()
        standing: Exception = Unavailable("the deadline came before the transaction")
        for _ in self._table.run.attempts():
            try:
                self._table.transact_write([self._record(key, asked, answer), *actions])
            except TransactionCancelled as cancelled:
                reason = cancelled.reasons[0]
                if isinstance(reason, ConditionFailed):
                    return _known(reason.item, asked)
                if not isinstance(reason, Unavailable):
                    raise TransactionCancelled(str(cancelled), cancelled.reasons[1:]) from None
                # Another send of the key is under way: what else stands in the way may be its work.
                standing = reason
            else:
                return Outcome(answer, replayed=False)
        raise standing

    def _record(self, key: IdempotencyKey, asked: str, answer: Any) -> Put:
        check_text("key", key.key)
        check_text("scope", key.scope)
        if "#" in key.scope:
            raise InvalidRequest("scope: wanted text without #, got some with it")
        now = int(self._table.run.clock.now())
        names = self._table.schema.primary.attributes
        item = {
            **self._attributes,
            **dict.fromkeys(names, f"{_PREFIX}{key.scope}#{key.key}"),
            _HASH: asked,
            _ANSWER: answer,
            _TTL: now + self._seconds,
        }
        free = Attr(names[0]).not_exists() | Attr(_TTL).lte(now)
        return Put(item, condition=free, table=self._records)


def _known(record: Mapping[str, Any] | None, asked: str) -> Outcome:
    """Return the answer that a record holds; raises `IdempotencyKeyReused` where it was of another request."""
    if record is None or not {_HASH, _ANSWER} <= record.keys():
        raise Unavailable("the key is known, but not what came of it")
    if record[_HASH] != asked:
        raise IdempotencyKeyReused("the key was used for another request")
    return Outcome(record[_ANSWER], replayed=True)
