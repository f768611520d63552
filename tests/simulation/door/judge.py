"""Tells from the tables and from what clients were told whether the API did each thing once, and kept money together.

An errand's body carries a mark into the table: it tells which errands have had an effect, whoever wrote it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tests.simulation.aws import Aws
from tests.simulation.door.clients import Told
from tests.simulation.door.errands import CHANGING, MARKS, PLACING, REMEMBERED, Door, Errand, Want, day_of
from tests.simulation.door.function import COUNTER
from tests.simulation.figures import Figures
from tests.simulation.wanted import Image, Record

_WHOLE = re.compile(r"-?[0-9]+")
_ON_ITS_WAY_SECONDS = 2.0
"""A refusal that was decided before something was done may be told a little later; records tell whole seconds."""
_LEGAL = {
    Want.ORDER: {"IDEMPOTENCY_KEY_REUSED"},
    Want.ORDER_NOW: {"IDEMPOTENCY_KEY_REUSED", "INSUFFICIENT_INVENTORY"},
    Want.TRANSFER: {"IDEMPOTENCY_KEY_REUSED", "INSUFFICIENT_BALANCE", "SENDER_NOT_FOUND", "RECIPIENT_NOT_FOUND"},
    Want.SETTINGS: {"NOT_FOUND", "RACE_CONDITION"},
    Want.COUNT: {"RACE_CONDITION"},
    Want.CANCEL: {"ILLEGAL_TRANSITION", "VERSION_CONFLICT", "NOT_FOUND"},
    Want.SHIP: {"ILLEGAL_TRANSITION", "VERSION_CONFLICT", "NOT_FOUND"},
}


class Done(NamedTuple):
    """An effect that is in the table."""

    want: Want
    mark: int
    at: float
    """When, in whole seconds since the epoch."""
    day: int
    made: str
    """The id that the API gave to it, or the version that it led to."""


class DoorJudge:
    """Looks at what one schedule's clients were told, and at the changes that the tables have seen."""

    def __init__(
        self, aws: Aws, records: Sequence[Record], begins: float, door: Door, told: Sequence[Told], stock: Sequence[int]
    ) -> None:
        self._aws = aws
        self._records = records
        self._begins = begins
        self._door = door
        self._told = told
        self._stock = stock
        self._done = list(self._effects())
        self._groups = _by_key(door.errands)
        self._told_of: dict[int, list[Told]] = defaultdict(list)
        for each in told:
            self._told_of[each.errand.number].append(each)

    def judge(self, figures: Figures) -> None:
        """Count what is wrong once everything has come to rest."""
        figures.asked += len(self._told)
        self._judge_effects(figures)
        self._judge_answers(figures)
        self._judge_money(figures)
        self._judge_locks(figures)
        self._judge_decisions(figures)

    # --- effects -----------------------------------------------------------------------------------------------------

    def _effects(self) -> Iterator[Done]:
        for record in self._records:
            stream = record["dynamodb"]
            at = stream["ApproximateCreationDateTime"]
            new: Image = stream.get("NewImage", {})
            found = _done(stream["Keys"], record["eventName"], stream.get("OldImage", {}), new)
            if found is not None:
                yield Done(*found[:2], at, day_of(at - self._begins), found[2])

    def _judge_effects(self, figures: Figures) -> None:
        """Check that each key has one effect a day, that what is told to be done is, and what is refused is not."""
        done: dict[tuple[Want, int, int], list[Done]] = defaultdict(list)
        for each in self._done:
            done[each.want, each.mark, each.day].append(each)
        for errands in self._groups.values():
            first = errands[0]
            if first.want in CHANGING:
                continue
            marks = {errand.mark for errand in errands}
            made = [one for mark in marks for one in done.pop((first.want, mark, first.day), [])]
            told = [each for errand in errands for each in self._told_of[errand.number]]
            figures.effects += max(0, len(made) - 1)
            figures.effects += not made and any(each.is_good for each in told)
            figures.effects += any(_is_denied(one, each) for one in made for each in told)
        figures.effects += len(done)  # of no errand of that day

    # --- answers -----------------------------------------------------------------------------------------------------

    def _judge_answers(self, figures: Figures) -> None:
        """Check that all answers under a key are one, that it names the effect, and that refusals have their reason."""
        done: dict[str, Done] = {one.made: one for one in self._done if one.want in REMEMBERED}
        for errands in self._groups.values():
            remembered = [errand for errand in errands if errand.want in REMEMBERED]
            told = [each for errand in remembered for each in self._told_of[errand.number]]
            named = {_id_of(each) for each in told if each.is_good}
            figures.answers += max(0, len(named) - 1)
            marks = {made: done[made].mark for made in named if made in done and done[made].day == errands[0].day}
            figures.answers += sum(marks.get(_id_of(each)) != each.errand.mark for each in told if each.is_good)
        for each in self._told:
            figures.answers += not each.is_good and not self._is_called_for(each)

    def _is_called_for(self, told: Told) -> bool:
        """Tell whether an answer that is no success has its reason."""
        errand, code = told.errand, told.code
        if told.is_open:
            return not (told.last and errand.key)  # who sends again and again gets an answer in the end
        if code not in _LEGAL[errand.want]:
            return False
        if code == "IDEMPOTENCY_KEY_REUSED":
            marks = {each.mark for each in self._groups[_scope(errand)]} - {errand.mark}
            return any(one.mark in marks and one.day == errand.day for one in self._done)
        if code == "INSUFFICIENT_INVENTORY":
            return all(self._is_short(errand, product) for product in told.body["products"])
        if code == "RACE_CONDITION":
            return any(each.want is errand.want and each.number != errand.number for each in self._door.errands)
        return errand.want is not Want.TRANSFER or code in self._reasons_against(errand)

    def _is_short(self, errand: Errand, product: Mapping[str, Any]) -> bool:
        name, wanted, available = product["productId"], product["wanted"], product["available"]
        return bool(wanted == errand.units()[name] and 0 <= available < min(wanted, self._stock[int(name[1:])] + 1))

    def _reasons_against(self, errand: Errand) -> set[str]:
        """Return what a transfer may be refused for: the sender comes first."""
        opening = self._opening(errand.who)
        if opening is None:
            return {"SENDER_NOT_FOUND"}
        taken = {(each.mark, each.day): each.amount for each in self._door.errands if each.who == errand.who}
        may_be_short = {"INSUFFICIENT_BALANCE"} if opening < sum(taken.values()) else set()
        return may_be_short | ({"RECIPIENT_NOT_FOUND"} if self._opening(errand.to) is None else set())

    # --- money -------------------------------------------------------------------------------------------------------

    def _opening(self, account: str) -> int | None:
        names = [f"a{number}" for number in range(len(self._door.accounts))]
        return self._door.accounts[names.index(account)] if account in names else None

    def _judge_money(self, figures: Figures) -> None:
        """Check that no balance ever is below zero, that it is what its entries say, and that two make a transfer."""
        images = [record["dynamodb"].get("NewImage", {}) for record in self._records]
        numbers = [image[name]["N"] for image in images for name in ("balance", "amount") if name in image]
        if not all(_WHOLE.fullmatch(number) for number in numbers):
            figures.money += 1
            return
        figures.money += any(int(image["balance"]["N"]) < 0 for image in images if "balance" in image)
        balances: dict[str, int] = {}
        moved: Counter[str] = Counter()
        sides: dict[str, list[tuple[str, str, str, str]]] = defaultdict(list)
        for (pk, sk), item in self._aws.orders.items.items():
            if sk == "BALANCE":
                balances[pk.removeprefix("ACCOUNT#")] = _whole(item["balance"])
            elif sk.startswith("TXN#"):
                account, other, amount = pk.removeprefix("ACCOUNT#"), item["counterparty"]["S"], item["amount"]["N"]
                moved[account] += _whole(item["amount"]) * (-1 if item["type"]["S"] == "DEBIT" else 1)
                sides[item["transferId"]["S"]].append((item["type"]["S"], account, other, amount))
        for number, opening in enumerate(self._door.accounts):
            figures.money += balances.get(f"a{number}") != opening + moved[f"a{number}"]
        figures.money += sum(balances.values()) != sum(self._door.accounts)
        figures.money += sum(not _make_a_transfer(found) for found in sides.values())

    # --- locks -------------------------------------------------------------------------------------------------------

    def _judge_locks(self, figures: Figures) -> None:
        """Check that each change under a lock has a version of the lock of its own, and that none is lost."""
        counts = [int(one.made) for one in self._done if one.want is Want.COUNT]
        figures.races += counts != list(range(1, len(counts) + 1))
        locks: Counter[str] = Counter()
        for (pk, sk), item in self._aws.orders.items.items():
            if sk.endswith("#LOCK"):
                locks[pk] = _whole(item["version"])
        written = Counter(record["dynamodb"]["Keys"]["pk"]["S"] for record in self._records if _done_under_lock(record))
        figures.races += sum(locks[pk] != written[pk] for pk in {*locks, *written})

    # --- decisions ---------------------------------------------------------------------------------------------------

    def _judge_decisions(self, figures: Figures) -> None:
        """Check that each accepted order is decided once: by the API and then by nobody else, or by the worker."""
        decided: Counter[str] = Counter()
        orders: dict[str, tuple[tuple[str, str], Image]] = {}
        for record in self._records:
            stream = record["dynamodb"]
            new, old = stream.get("NewImage", {}), stream.get("OldImage", {})
            if _order_mark(new) is None:
                continue
            order = new["orderId"]["S"]
            if record["eventName"] == "INSERT":
                orders[order] = ((stream["Keys"]["pk"]["S"], stream["Keys"]["sk"]["S"]), new)
            if new["status"] != old.get("status") and new["status"]["S"] in {"confirmed", "rejected"}:
                decided[order] += 1
        ledger = self._aws.ledger()
        for order, (key, placed) in orders.items():
            entry = ledger.get(key)
            figures.decisions += decided[order] > 1 or entry is None
            figures.decisions += self._aws.orders.items[key]["status"]["S"] == "pending"
            at_once = entry is not None and entry["effectId"]["S"].startswith("reserve-now/")
            released = entry is not None and entry["state"]["S"] == "RELEASED"
            figures.decisions += placed["status"]["S"] == "confirmed" and not (at_once or released)


def _scope(errand: Errand) -> object:
    """Return what errands share of which one may act: the key with its scope and day; without a key, nothing."""
    return (errand.want, errand.who, errand.key, errand.day) if errand.key else errand.number


def _by_key(errands: Iterable[Errand]) -> dict[object, list[Errand]]:
    groups: dict[object, list[Errand]] = defaultdict(list)
    for errand in errands:
        groups[_scope(errand)].append(errand)
    return groups


def _is_denied(done: Done, told: Told) -> bool:
    """Tell whether a client was refused something that was done already."""
    is_refusal = not told.is_good and not told.is_open
    return is_refusal and told.errand.mark == done.mark and told.at > done.at + _ON_ITS_WAY_SECONDS


def _done(keys: Mapping[str, Any], kind: str, old: Image, new: Image) -> tuple[Want, int, str] | None:
    """Return the effect that a change is: which kind, its mark and what was made."""
    pk, sk = keys["pk"]["S"], keys["sk"]["S"]
    mark = _order_mark(new)
    if kind == "INSERT" and mark is not None:
        return (Want.ORDER if new["status"]["S"] == "pending" else Want.ORDER_NOW), mark, new["orderId"]["S"]
    if kind == "INSERT" and sk.startswith("TXN#") and new["type"]["S"] == "DEBIT":
        return Want.TRANSFER, int(float(new["amount"]["N"])) % MARKS, new["transferId"]["S"]
    if (pk, sk) == (COUNTER["pk"], COUNTER["sk"]):
        return Want.COUNT, _whole(new["mark"]), new["count"]["N"]
    if sk.startswith("PROFILE#") and new.get("settings") != old.get("settings") and "mark" in new["settings"]["M"]:
        return Want.SETTINGS, _whole(new["settings"]["M"]["mark"]), new["version"]["N"]
    return None


def _done_under_lock(record: Record) -> bool:
    stream = record["dynamodb"]
    found = _done(stream["Keys"], record["eventName"], stream.get("OldImage", {}), stream.get("NewImage", {}))
    return found is not None and found[0] in {Want.COUNT, Want.SETTINGS}


def _order_mark(image: Image) -> int | None:
    """Return the mark of an order that the API has written, None for what is none."""
    address = image.get("shippingAddress", {}).get("M", {})
    return _whole(address["errand"]) if "errand" in address else None


def _make_a_transfer(found: Sequence[tuple[str, str, str, str]]) -> bool:
    """Tell whether entries are the two sides of one transfer: type, account, counterparty and amount of each."""
    if sorted(side for side, *_ in found) != ["CREDIT", "DEBIT"]:
        return False
    (_, one, other, amount), (_, same_other, same_one, same_amount) = found
    return (one, other, amount) == (same_one, same_other, same_amount) and one != other


def _whole(value: Mapping[str, Any]) -> int:
    """Return a number that has to be a whole one, written without a point or an exponent."""
    return int(value["N"])


def _id_of(told: Told) -> str:
    name = "orderId" if told.errand.want in PLACING else "transferId"
    return str(told.body[name])
