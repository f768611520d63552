"""The clients of the HTTP API in the simulation, and that the judge notices each way in which the API may be wrong."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tablestream.testing import image
from tests.simulation.aws import Aws
from tests.simulation.candidates import Ours
from tests.simulation.door.clients import Told
from tests.simulation.door.errands import DAY_SECONDS, MARKS, Door, Errand, Want, draw
from tests.simulation.door.judge import DoorJudge
from tests.simulation.faults import OF_REQUEST, REGIMES, Fault, Regime
from tests.simulation.figures import Figures
from tests.simulation.schedule import BEGINS, Outcomes, run
from tests.simulation.script import Script
from tests.simulation.shrink import describe, shrink

CALM = Regime("calm", 0.0, poison=False, door=True)
ORDER = Errand(0, 0.1, Want.ORDER, "ann", 0, key="k", lines=((0, 2),))
NOW = Errand(1, 0.2, Want.ORDER_NOW, "ann", 1, key="k", lines=((0, 1), (1, 1)))
TRANSFER = Errand(2, 0.3, Want.TRANSFER, "a0", 2, key="k", to="a1", amount=3 * MARKS + 2)
SETTINGS = Errand(3, 0.4, Want.SETTINGS, "bob", 3)
COUNT = Errand(4, 0.5, Want.COUNT, "bob", 4)
ALL = (ORDER, NOW, TRANSFER, SETTINGS, COUNT)


def played(*errands: Errand, accounts: tuple[int, ...] = (10 * MARKS, 0), stock: tuple[int, ...] = (9, 9)) -> Outcomes:
    """Let errands happen in a schedule in which nothing goes wrong."""
    return run(Ours(), CALM, 1, script=Script((), stock, door=Door(errands, accounts)))


def answers(outcomes: Outcomes) -> list[tuple[int, int, str]]:
    return [(told.errand.number, told.status, told.code) for told in outcomes.world.clients.told]


def judged(outcomes: Outcomes, *, records: Sequence[Any] | None = None, told: Sequence[Told] | None = None) -> set[str]:
    """Judge once more, after something was changed, and return which figures are not zero."""
    world, figures = outcomes.world, Figures()
    seen = world.stream.records if records is None else records
    heard = world.clients.told if told is None else told
    DoorJudge(world.aws, seen, BEGINS, outcomes.script.door, heard, outcomes.script.stock).judge(figures)
    return set(figures.broken(retries=True))


# --- the clients -----------------------------------------------------------------------------------------------------


def test_where_nothing_goes_wrong_each_errand_is_answered_once() -> None:
    outcomes = played(*ALL)
    assert [(number, status) for number, status, _ in answers(outcomes)] == [
        *[(0, 202), (1, 201), (2, 201), (3, 200), (4, 200)]
    ]
    assert not outcomes.figures.broken(retries=True)
    assert outcomes.figures.asked == len(ALL)


def test_a_repeated_key_is_answered_as_before_and_a_day_later_it_is_a_new_one() -> None:
    outcomes = played(
        replace(TRANSFER, copies=2, again=60.0), replace(TRANSFER, number=9, at=TRANSFER.at + DAY_SECONDS)
    )
    assert Counter(status for _, status, _ in answers(outcomes)) == {201: 2, 200: 3}
    assert len({told.body["transferId"] for told in outcomes.world.clients.told}) == 2
    assert balances(outcomes) == [4 * MARKS - 4, 6 * MARKS + 4]
    assert not outcomes.figures.broken(retries=True)


def test_a_key_with_another_body_is_refused() -> None:
    outcomes = played(TRANSFER, replace(TRANSFER, number=9, mark=9, at=1.0, amount=MARKS + 9))
    assert answers(outcomes)[-1] == (9, 422, "IDEMPOTENCY_KEY_REUSED")
    assert balances(outcomes) == [7 * MARKS - 2, 3 * MARKS + 2]
    assert not outcomes.figures.broken(retries=True)


def test_what_cannot_be_is_refused_and_changes_nothing() -> None:
    outcomes = played(
        replace(TRANSFER, amount=20 * MARKS + 2),
        replace(TRANSFER, number=5, mark=5, key="l", to="nobody", amount=MARKS + 5),
        replace(NOW, lines=((0, 10),)),
    )
    assert Counter(code for *_, code in answers(outcomes)) == {
        "INSUFFICIENT_BALANCE": 1,
        "RECIPIENT_NOT_FOUND": 1,
        "INSUFFICIENT_INVENTORY": 1,
    }
    assert balances(outcomes) == [10 * MARKS, 0]
    assert not outcomes.figures.broken(retries=True)


def test_an_order_is_cancelled_with_the_version_that_it_has_by_then() -> None:
    outcomes = played(ORDER, NOW, *[Errand(9 + n, 20.0, Want.CANCEL, "ann", n, order=n) for n in (0, 1)])
    assert sorted(answers(outcomes)[2:]) == [(9, 200, ""), (9, 409, "VERSION_CONFLICT"), (10, 200, "")]
    assert [outcomes.world.aws.available(product) for product in ("p0", "p1")] == [9, 9]
    assert not outcomes.figures.broken(retries=True)


def test_parallel_tabs_save_their_settings_one_after_the_other() -> None:
    tabs = [replace(SETTINGS, number=n, mark=n) for n in range(4)]
    outcomes = played(*tabs)
    assert Counter(status for _, status, _ in answers(outcomes))[200] == len(tabs)
    assert not outcomes.figures.broken(retries=True)


def test_the_drawn_errands_are_of_all_kinds() -> None:
    drawn = [errand for seed in range(60) for errand in draw(random.Random(seed), 2).errands]
    assert {errand.want for errand in drawn} == set(Want)
    assert {errand.day for errand in drawn if errand.key} == {0, 1}
    shared = Counter((errand.key, errand.who) for errand in drawn if errand.key == "mine")
    assert len({who for _, who in shared}) > 2


def test_faults_reach_the_api_too() -> None:
    fired: set[Fault] = set()
    unanswered = 0
    for seed in range(30):
        outcomes = run(Ours(), REGIMES["door"], seed)
        fired |= set(outcomes.faults.values())
        unanswered += sum(told.status == 0 for told in outcomes.world.clients.told)
    assert fired >= {Fault.CRASH_BEFORE, Fault.CRASH_AFTER, *OF_REQUEST}
    assert unanswered > 20


def test_a_schedule_with_clients_that_fails_is_made_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    def settings_are_wrong(judge: Any, figures: Figures) -> None:
        errands = vars(judge)["_door"].errands
        figures.races += any(errand.want is Want.SETTINGS for errand in errands)

    monkeypatch.setattr("tests.simulation.door.judge.DoorJudge._judge_locks", settings_are_wrong)
    regime = REGIMES["door"]
    seed = next(seed for seed in range(30) if run(Ours(), regime, seed).figures.races)
    shortest = shrink(Ours(), regime, seed)
    assert [errand.want for errand in shortest.script.door.errands] == [Want.SETTINGS]
    assert not shortest.faults
    assert "settings of " in describe(shortest, regime)


def balances(outcomes: Outcomes) -> list[int]:
    items = outcomes.world.aws.orders.items
    return [int(items[f"ACCOUNT#a{number}", "BALANCE"]["balance"]["N"]) for number in (0, 1)]


# --- the judge -------------------------------------------------------------------------------------------------------


def without(aws: Aws, prefix: str) -> None:
    """Take away the first item whose sort key begins so, without a record."""
    items = aws.orders.items
    del items[next(key for key in items if key[1].startswith(prefix))]


def changed(aws: Aws, prefix: str, **attributes: Any) -> None:
    items = aws.orders.items
    key = next(key for key in items if key[1].startswith(prefix))
    items[key] = {**items[key], **image(attributes)}


def without_ledger(aws: Aws) -> None:
    items = aws.inventory.items
    del items[next(key for key in items if key[0].startswith("LEDGER#"))]


TAMPERED: dict[str, tuple[Callable[[Aws], None], str]] = {
    "a balance is off by one": (lambda aws: changed(aws, "BALANCE", balance=6_999), "money"),
    "an entry is missing": (lambda aws: without(aws, "TXN#"), "money"),
    "an entry has another amount": (lambda aws: changed(aws, "TXN#", amount=1), "money"),
    "the sides are one": (lambda aws: changed(aws, "TXN#", type="CREDIT"), "money"),
    "a lock has counted too little": (lambda aws: changed(aws, "PROFILE#bob#LOCK", version=5), "races"),
    "an order is still pending": (lambda aws: changed(aws, "ORDER#", status="pending"), "decisions"),
    "the ledger has nothing of an order": (without_ledger, "decisions"),
}


@pytest.mark.parametrize(("tamper", "figure"), TAMPERED.values(), ids=list(TAMPERED))
def test_the_judge_looks_at_the_tables(tamper: Callable[[Aws], None], figure: str) -> None:
    outcomes = played(*ALL)
    assert judged(outcomes) == set()
    tamper(outcomes.world.aws)
    assert judged(outcomes) == {figure}


def records_of(outcomes: Outcomes, prefix: str) -> Iterator[Any]:
    for record in outcomes.world.stream.records:
        sort_key = record["dynamodb"]["Keys"]["sk"]["S"]
        if sort_key.startswith(prefix) and not sort_key.endswith("#LOCK"):
            yield record


@pytest.mark.parametrize(
    ("prefix", "figures"),
    [
        ("ORDER#", {"effects"}),
        ("TXN#", {"effects"}),
        ("COUNTER", {"effects", "races"}),
    ],
)
def test_the_judge_notices_what_was_done_twice(prefix: str, figures: set[str]) -> None:
    outcomes = played(*ALL)
    again = next(records_of(outcomes, prefix))
    assert judged(outcomes, records=[*outcomes.world.stream.records, again]) == figures


def test_the_judge_notices_what_was_told_and_not_done() -> None:
    outcomes = played(*ALL)
    kept = [record for record in outcomes.world.stream.records if record not in list(records_of(outcomes, "TXN#"))]
    assert judged(outcomes, records=kept) == {"effects", "answers"}


def test_the_judge_notices_a_balance_below_zero_that_is_over_again() -> None:
    outcomes = played(*ALL)
    below = next(records_of(outcomes, "BALANCE"))
    short = {**below, "dynamodb": {**below["dynamodb"], "NewImage": {"balance": {"N": "-1"}}}}
    assert judged(outcomes, records=[*outcomes.world.stream.records, short]) == {"money"}


def test_the_judge_notices_an_order_that_is_decided_twice() -> None:
    outcomes = played(*ALL)
    confirmed = list(records_of(outcomes, "ORDER#"))[-1]
    assert "decisions" in judged(outcomes, records=[*outcomes.world.stream.records, confirmed, confirmed])


WRONG_ANSWERS: dict[str, tuple[Callable[[Told], Told], set[str]]] = {
    "another id for a repeat": (lambda told: replace(told, body={"transferId": "T"}), {"answers"}),
    "a refusal of what was done": (
        lambda told: replace(told, at=told.at + 60, status=409, body={"code": "INSUFFICIENT_BALANCE"}),
        {"effects", "answers"},
    ),
    "a refusal that no rule knows": (
        lambda told: replace(told, status=409, body={"code": "TRANSACTION_CANCELLED"}),
        {"answers"},
    ),
    "a fault of ours": (lambda told: replace(told, status=500, body={"code": "INTERNAL_ERROR"}), {"answers"}),
    "no answer in the end": (lambda told: replace(told, status=0, body={}), {"answers"}),
}


@pytest.mark.parametrize(("tell", "figures"), WRONG_ANSWERS.values(), ids=list(WRONG_ANSWERS))
def test_the_judge_looks_at_what_clients_were_told(tell: Callable[[Told], Told], figures: set[str]) -> None:
    outcomes = played(replace(TRANSFER, again=1.0))
    *first, last = outcomes.world.clients.told
    assert judged(outcomes, told=[*first, last]) == set()
    assert judged(outcomes, told=[*first, tell(last)]) == figures


def test_the_judge_notices_a_shortage_that_is_none() -> None:
    outcomes = played(replace(NOW, lines=((0, 10),)))
    (told,) = outcomes.world.clients.told
    enough = replace(told, body={**told.body, "products": [{"productId": "p0", "wanted": 10, "available": 10}]})
    assert judged(outcomes, told=[enough]) == {"answers"}
