"""What clients want of the HTTP API in one schedule: orders, transfers, settings in several tabs, a shared counter."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

DAY_SECONDS = 26 * 3600
"""The second day begins so long after the first one: what was remembered for 24 hours is forgotten, by any clock."""
LAST_HOUR_SECONDS = 23.4 * 3600
"""A lock of the first day is in its last hour then."""
USERS = ("ann", "bob")
NOBODY = "nobody"
"""A user, and an account, that there is not."""
_RICH = 10**9
MARKS = 100_000
"""More than there are errands: an amount is so many of these, and the mark."""


class Want(StrEnum):
    """The kinds of errands."""

    ORDER = "order"
    ORDER_NOW = "order, reserve=now"
    TRANSFER = "transfer"
    SETTINGS = "settings"
    COUNT = "count"
    CANCEL = "cancel"
    SHIP = "ship"


PLACING = frozenset({Want.ORDER, Want.ORDER_NOW})
REMEMBERED = PLACING | {Want.TRANSFER}
"""What takes an idempotency key."""
CHANGING = frozenset({Want.CANCEL, Want.SHIP})
"""What changes an order that another errand has placed."""


@dataclass(frozen=True, slots=True)
class Errand:
    """Something that a client wants, and how it asks for it."""

    number: int
    at: float
    """Seconds after the beginning."""
    want: Want
    who: str
    """The user, or the account that is to pay."""
    mark: int
    """A number that the body carries into the table. Equal marks are equal bodies."""
    key: str = ""
    """The idempotency key, empty for none."""
    to: str = ""
    """The account that is to get the amount."""
    amount: int = 0
    lines: tuple[tuple[int, int], ...] = ()
    """Product and quantity."""
    order: int = 0
    """The number of the errand whose order is to be changed."""
    copies: int = 1
    """Sends at the same moment."""
    again: float | None = None
    """Seconds after the answer until the same is sent again, as if there had been none."""

    @property
    def day(self) -> int:
        """0 or 1."""
        return day_of(self.at)

    def units(self) -> Counter[str]:
        """Return the units of each product that an order is for."""
        found: Counter[str] = Counter()
        for product, quantity in self.lines:
            found[f"p{product}"] += quantity
        return found

    def body(self, version: int = 1) -> dict[str, Any]:
        """Return the body of its request; a change of an order expects the order to have this version."""
        if self.want in PLACING:
            lines = [{"productId": f"p{product}", "quantity": units, "price": 5} for product, units in self.lines]
            return {"items": lines, "shippingAddress": {"errand": self.mark}}
        if self.want is Want.TRANSFER:
            return {"from": self.who, "to": self.to, "amount": self.amount}
        if self.want in CHANGING:
            return {"status": "cancelled" if self.want is Want.CANCEL else "shipped", "expectedVersion": version}
        return {"mark": self.mark}

    def __str__(self) -> str:
        """Put it into words, for a schedule that failed."""
        about = {Want.TRANSFER: f"{self.amount} to {self.to}", Want.CANCEL: f"{self.order}", Want.SHIP: f"{self.order}"}
        more = [f"key {self.key}"] if self.key else []
        more += [f"{self.copies} at once"] if self.copies > 1 else []
        more += [] if self.again is None else [f"again after {self.again:.0f} s"]
        said = about.get(self.want) or ", ".join(f"{units} {product}" for product, units in self.units().items())
        return ", ".join([f"errand {self.number} (mark {self.mark}): {self.want} of {self.who} {said}".rstrip(), *more])


def day_of(seconds: float) -> int:
    """Return the day of a time after the beginning: between the two lie hours in which nobody asks for anything."""
    return int(seconds > DAY_SECONDS - 3600)


@dataclass(frozen=True, slots=True)
class Door:
    """The errands of one schedule, and the accounts with their opening balances."""

    errands: tuple[Errand, ...] = ()
    accounts: tuple[int, ...] = ()


def draw(rng: random.Random, products: int) -> Door:
    """Draw some three to thirty errands."""
    accounts = (_RICH, *[rng.randint(0, 30) * MARKS for _ in range(rng.choice((1, 2)))])
    length = rng.choice((0.02, 0.3, 3.0, 10.0))
    errands: list[Errand] = []
    for _ in range(rng.randint(3, 14)):
        number = len(errands)
        errands.append(_errand(rng, number, rng.uniform(0, length), products, len(accounts)))
        errands += _more(rng, errands)
    return Door(tuple(sorted(errands, key=lambda errand: errand.at)), accounts)


_WANTS = (Want.ORDER, Want.ORDER, Want.ORDER_NOW, Want.ORDER_NOW, Want.TRANSFER, Want.TRANSFER, Want.TRANSFER)
_OTHER_WANTS = (Want.SETTINGS, Want.SETTINGS, Want.COUNT)


def _errand(rng: random.Random, number: int, at: float, products: int, accounts: int) -> Errand:
    want = rng.choice((*_WANTS, *_OTHER_WANTS))
    errand = Errand(number, at, want, _who(rng, want, accounts), number)
    if want in PLACING:
        chosen = [0 if rng.random() < 0.6 else rng.randrange(products) for _ in range(rng.choice((1, 1, 2, 3)))]
        errand = replace(errand, lines=tuple((product, rng.randint(1, 3)) for product in chosen))
    if want is Want.TRANSFER:
        to = NOBODY if rng.random() < 0.05 else f"a{(int(errand.who[1:] or 0) + 1) % accounts}"
        errand = replace(errand, to=to, amount=rng.randint(1, 20) * MARKS + number)
    if want is Want.TRANSFER or (want in PLACING and rng.random() < 0.8):
        return _with_key(rng, errand)
    if want not in REMEMBERED and rng.random() < 0.4:
        return replace(errand, at=at + rng.choice((LAST_HOUR_SECONDS, DAY_SECONDS)))
    return errand


def _who(rng: random.Random, want: Want, accounts: int) -> str:
    if want is Want.TRANSFER:
        # The first two accounts are hot: most transfers go from one of them to its neighbour.
        return f"a{rng.choice((0, 0, 1, 1, rng.randrange(accounts)))}"
    return NOBODY if want is Want.SETTINGS and rng.random() < 0.05 else rng.choice(USERS)


def _with_key(rng: random.Random, errand: Errand) -> Errand:
    # Users choose equal keys at times, and one user the same for orders of both kinds: they are different keys.
    key = "mine" if errand.number < 4 and rng.random() < 0.3 else f"k{errand.number}"
    copies = rng.choice((1, 1, 1, 2, 2, 3))
    again = rng.uniform(0, 600) if rng.random() < 0.3 else None
    return replace(errand, key=key, copies=copies, again=again)


def _more(rng: random.Random, errands: list[Errand]) -> list[Errand]:
    """Return what goes with the last errand: another body, a repeat a day later, a change of its order."""
    last, number = errands[-1], len(errands)
    more: list[Errand] = []
    if last.key and rng.random() < 0.2:
        amount = last.amount and last.amount - last.mark + MARKS + number
        lines = tuple((product, quantity + 1) for product, quantity in last.lines)
        at = last.at + rng.choice((0.0, rng.uniform(0, 5)))
        more.append(replace(last, number=number, mark=number, at=at, amount=amount, lines=lines, again=None))
    if last.key and rng.random() < 0.15:
        more.append(replace(last, number=number + len(more), at=last.at + DAY_SECONDS, copies=1, again=None))
    if last.want in PLACING and rng.random() < 0.4:
        at, want = last.at + rng.uniform(0.01, 4), rng.choice((Want.CANCEL, Want.CANCEL, Want.SHIP))
        more.append(Errand(number + len(more), at, want, last.who, last.mark, order=last.number))
    return more
