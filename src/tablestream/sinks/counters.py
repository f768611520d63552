"""`Counters`: numbers in a DynamoDB table that each effect changes exactly once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tablestream.aws import TABLE, Aws, variable_of
from tablestream.dynamodb.items import Item, Key, KeyValue, item_bytes
from tablestream.dynamodb.once import OpenDecisions, settle
from tablestream.dynamodb.transactions import Action, Amount, Decision, Move, OwnAction, Refusal
from tablestream.errors import ConfigurationError, InvalidRecord, describe
from tablestream.image import MAX_DIGITS
from tablestream.run import Run
from tablestream.sink import Answer, Effect

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = logging.getLogger("tablestream")

LEDGER_PREFIX = "ONCE#"
"""The beginning of a ledger item's key."""
_WANTED = "a table's name"
_MAX_KEY_BYTES = 2048
_MAX_ID_LETTERS = 256
_MAX_EXPONENT = 125
_SECONDS_A_DAY = 86_400


@dataclass(frozen=True, slots=True, init=False)
class Increment:
    """Add amounts to numbers of an item: `Increment({"pk": "won"}, leads=+1)`. What is not there yet begins at zero.

    Raises `InvalidRecord` for a value that no key or number of DynamoDB can be, and `TypeError` for a call that is
    wrong whatever the record: in a handler either keeps the effect from taking place.
    """

    counter: Mapping[str, KeyValue]
    """The item's key attributes, each of them; at least one is text."""
    amounts: Mapping[str, Amount]
    """The amounts by attribute."""
    key: str | None
    """The name that tells the effect from others of the same record; see `Effect`."""

    def __init__(
        self,
        counter: Mapping[str, KeyValue],
        amounts: Mapping[str, Amount] | None = None,
        *,
        key: str | None = None,
        **more: Amount,
    ) -> None:
        """Take the key attributes, and the amounts by name or as a mapping; `key` is the effect's own."""
        total = {**(amounts or {}), **more}
        if not counter or not _are_named(counter):
            raise TypeError(f"wanted the key attributes of a counter by name, got {describe(counter)}")
        if not total or not _are_named(total):
            raise TypeError(f"wanted amounts by attribute, got {describe(total)}")
        if twice := sorted(counter.keys() & total.keys()):
            raise TypeError(f"wanted amounts of attributes besides the key, got {', '.join(twice)}")
        for name, value in counter.items():
            _check_key(name, value)
        if not any(isinstance(value, str) for value in counter.values()):
            raise TypeError("wanted text for at least one key attribute: the ledger's items need it")
        for name, amount in total.items():
            if not _is_number(amount):
                raise InvalidRecord(f"{name}: wanted a number of at most 38 digits, got {describe(amount)}")
        object.__setattr__(self, "counter", dict(counter))
        object.__setattr__(self, "amounts", total)
        object.__setattr__(self, "key", key)


def _are_named(attributes: object) -> bool:
    return isinstance(attributes, Mapping) and all(isinstance(name, str) and name for name in attributes)


def _check_key(name: str, value: object) -> None:
    """Check a key attribute; raises `InvalidRecord`."""
    if not isinstance(value, str):
        if not _is_number(value):
            raise InvalidRecord(f"{name}: wanted text or a number as a counter's key, got {describe(value)}")
        return
    if not value or value.startswith(LEDGER_PREFIX):
        raise InvalidRecord(f"{name}: wanted text that does not begin with {LEDGER_PREFIX}, got {describe(value)}")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidRecord(f"{name}: wanted valid Unicode, got {describe(value)}") from None
    if size > _MAX_KEY_BYTES:
        raise InvalidRecord(f"{name}: wanted at most {_MAX_KEY_BYTES} bytes, got {size}")


def _is_number(value: object) -> bool:
    """Tell whether DynamoDB has such a number: 38 digits, and a magnitude below 10^126."""
    if type(value) is int:
        return len(str(abs(value)).rstrip("0")) <= MAX_DIGITS and abs(value) < 10 ** (_MAX_EXPONENT + 1)
    if type(value) is not Decimal or not value.is_finite():
        return False
    digits = "".join(map(str, value.as_tuple().digits)).strip("0")
    return len(digits) <= MAX_DIGITS and (not digits or abs(value.adjusted()) <= _MAX_EXPONENT)


class Counters:
    """Carries out `Increment` effects exactly once, also across redeliveries, crashes and redrives.

    For each effect it puts a ledger item into the counters' table, in the transaction that changes the counter, and
    only if there is none: its key is the counter's with `ONCE#` and the effect's id as text. Increments of one counter
    share an action, up to 99 effects a transaction. An item that is *replayed* is a new event, and counts again.

    Needs `dynamodb:PutItem`, `dynamodb:UpdateItem` and `dynamodb:BatchGetItem` on the table.
    """

    takes = (Increment,)
    idempotent = True

    def __init__(
        self,
        name: str | None = None,
        client: DynamoDBClient | None = None,
        *,
        table: str | None = None,
        sink_name: str | None = None,
        remember_days: int | None = None,
    ) -> None:
        """Take a name or the table: `Counters("lead-counts")` is the table in the variable `LEAD_COUNTS_TABLE`.

        A table's ARN, or `table=…`, is taken as it is. Without a client the worker's `handler()` connects it.
        `sink_name` is the name of the sink in effect ids, by default that which was given, or the table's.

        The ledger's items stay for ever unless `remember_days` is set: a record can come again as long as its dead
        letter is kept, and is counted twice when its ledger item has gone. With it they have the attribute `ttl`, which
        must be the table's TTL attribute; count in the time for which dead letters are kept.
        """
        if (name is None) is (table is None):
            raise ConfigurationError("wanted Counters(name) or Counters(table=…), got both or neither")
        if remember_days is not None and remember_days < 1:
            raise ConfigurationError(f"remember_days: wanted at least 1 or None, got {describe(remember_days)}")
        given = name or table or ""
        self._variable = None if table is not None or given.startswith("arn:") else variable_of(given, "TABLE")
        self._table = given
        self._client = client
        self._remember_days = remember_days
        self.name = sink_name or given.rpartition("/")[2]

    def connect(self, aws: Aws) -> Counters:
        """Return the sink with its table and client."""
        table = self._table if self._variable is None else aws.named(self._variable, TABLE, _WANTED)
        client = self._client or aws.dynamodb
        return Counters(table=table, client=client, sink_name=self.name, remember_days=self._remember_days)

    def apply(self, effects: Sequence[Effect[Increment]], run: Run) -> Sequence[Answer]:
        """Count; answer for each effect."""
        if self._client is None:
            raise RuntimeError(f"the counters {self.name} are not connected: worker.handler() does that")
        increments = _Increments(effects, self._table, self._remember_days)
        settle(self._client, increments, run)
        for error in increments.decisions.broken.values():
            logger.error("counter cannot be changed", extra={"table": self._table, "error_class": type(error).__name__})
        answers = increments.decisions.answers()
        return [answers[effect.id] for effect in effects]


class CounterError(Exception):
    """An attribute that is counted is not a number: no record is at fault, and the item wants mending."""


class _Increments:
    """Increments that are undecided. All are possible, unless the ledger says that one has been carried out. Pure."""

    def __init__(self, effects: Iterable[Effect[Increment]], table: str, remember_days: int | None) -> None:
        self.decisions: OpenDecisions[Increment] = OpenDecisions([(effect.id, effect.value) for effect in effects])
        self._table = table
        self._remember_days = remember_days

    def unread(self) -> list[Key]:
        return sorted(self.decisions.doubted, key=repr)

    def read(self, key: Key, item: Item | None) -> None:
        """Learn a counter: whether there are numbers to add to."""
        needing = {
            effect_id: increment.amounts
            for effect_id, increment in self.decisions.open.items()
            if Key.of(self._table, increment.counter) == key
        }
        wrong = sorted({name for amounts in needing.values() for name in amounts if _holds_no_number(item, name)})
        if not wrong:
            self.decisions.trust(key)
            return
        error = CounterError(f"wanted numbers in the counters' table {self._table}, got others as {', '.join(wrong)}")
        held_up = [effect_id for effect_id, amounts in needing.items() if not amounts.keys().isdisjoint(wrong)]
        self.decisions.hold_up(key, held_up, error)

    def impossible(self, key: Key, problem: str) -> None:  # the transaction's own answer says it
        """Learn that a key is none of the table's: the transaction is at fault then, and not what the counter holds."""
        self.decisions.trust(key)

    def plan(self, now: float) -> list[Decision]:
        expires = None if self._remember_days is None else int(now) + self._remember_days * _SECONDS_A_DAY
        return [self._decision(str(effect_id), wanted, expires) for effect_id, wanted in self.decisions.open.items()]

    def _decision(self, effect_id: str, increment: Increment, expires: int | None) -> Decision:
        entry = {**ledger_key(self._table, increment, effect_id).tagged()}
        absent = f"attribute_not_exists({_NAME})"
        put: dict[str, Any] = {
            "TableName": self._table,
            "Item": entry if expires is None else {**entry, "ttl": {"N": str(expires)}},
            "ConditionExpression": absent,
            "ExpressionAttributeNames": {_NAME: next(iter(entry))},
        }
        actions: tuple[Action, ...] = ({"Put": put},)
        counter = Key.of(self._table, increment.counter)
        moves = tuple([Move(counter, name, amount) for name, amount in increment.amounts.items()])
        return Decision(effect_id, actions, moves, size=item_bytes(put["Item"]))

    def committed(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            self.decisions.close(decision.subject)

    def refused(self, refusals: Sequence[Refusal]) -> bool:
        """Learn that ledger items are there: these effects have been carried out before."""
        for refusal in refusals:
            if isinstance(refusal.target, OwnAction):
                self.decisions.close(refusal.target.subject)
        return bool(refusals)

    def waited(self) -> None:
        """Nothing is known that could grow old."""


_NAME = "#key"


def ledger_key(table: str, increment: Increment, effect_id: str) -> Key:
    """Return the key of an effect's ledger item: the counter's, each text of it replaced.

    Each, and not the first: the key must be the same when a new version of a handler names them in another order.
    """
    if len(effect_id) > _MAX_ID_LETTERS or not effect_id.isascii():
        effect_id = hashlib.sha256(effect_id.encode(errors="backslashreplace")).hexdigest()
    once = LEDGER_PREFIX + effect_id
    return Key.of(table, {name: once if isinstance(value, str) else value for name, value in increment.counter.items()})


def _holds_no_number(item: Item | None, name: str) -> bool:
    return item is not None and name in item and "N" not in item[name]
