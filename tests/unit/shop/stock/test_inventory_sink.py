"""The inventory sink: exactly once, in stream order, whatever DynamoDB answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, cast
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shop.stock import Release, Reserve
from shop.stock.counts import InventoryCounts
from shop.stock.decisions import Tables
from shop.stock.ledger import StockItemError
from shop.stock.sink import InventorySink
from tablestream.run import Backoff, Deadline, Run
from tablestream.sink import DONE, Answer, Permanent, Transient
from tablestream.testing import FakeClock, effects
from tests.support.orders import order_key, release, reserve
from tests.unit.shop.stock.shop_dynamodb import INVENTORY, ORDERS, ShopDynamoDB

FOREVER = Deadline(lambda: float("inf"))


class Shop:
    """The sink on a fake DynamoDB."""

    def __init__(self, tries: int = 8) -> None:
        self.db = ShopDynamoDB()
        self.clock = FakeClock()
        self.counts: list[InventoryCounts] = []
        self.sink = InventorySink(
            cast("Any", self.db),
            Tables(ORDERS, INVENTORY),
            observe=self.counts.append,
        )
        self.backoff = Backoff(tries=tries, uniform=random.Random(1).uniform)

    def apply(self, *wanted: Reserve | Release, deadline: Deadline = FOREVER) -> Sequence[Answer]:
        return self.sink.apply(effects(*wanted), Run(deadline, clock=self.clock, backoff=self.backoff))

    def place(self, number: int, status: str = "pending", /, **lines: int) -> Reserve:
        """Put an order into the table and return its reserve."""
        self.db.order(*order_key(number), status)
        return reserve(number, **lines)

    def states(self, *numbers: int) -> list[str | None]:
        return [self.db.state(*order_key(number)) for number in numbers]

    def statuses(self, *numbers: int) -> list[str]:
        return [self.db.status(*order_key(number)) for number in numbers]

    def reasons(self, number: int) -> str:
        entry = self.db.ledger(*order_key(number))
        assert entry is not None
        reason: str = entry["reason"]["S"]
        assert self.db.orders[order_key(number)]["statusReason"]["S"] == reason
        return reason


@pytest.fixture
def shop() -> Shop:
    return Shop()


# Reserving.


def test_a_reserve_takes_stock_confirms_the_order_and_writes_the_ledger_in_one_transaction(shop: Shop) -> None:
    shop.db.stock(tea=10, cup=2)
    assert shop.apply(shop.place(1, tea=3, cup=1)) == [DONE]
    assert (shop.db.available("tea"), shop.db.available("cup")) == (7, 1)
    assert shop.statuses(1) == ["confirmed"]
    assert shop.db.orders[order_key(1)]["version"] == {"N": "1"}
    assert shop.db.ledger(*order_key(1)) == {
        "pk": {"S": "LEDGER#USER#1"},
        "sk": {"S": "ORDER#1"},
        "state": {"S": "RESERVED"},
        "lines": {"M": {"tea": {"N": "3"}, "cup": {"N": "1"}}},
        "effectId": {"S": "effect-0"},
        "decidedAt": {"S": "2025-11-20T12:00:00.000Z"},
    }
    assert len(shop.db.calls) == 1


def test_a_repeated_reserve_takes_nothing_more(shop: Shop) -> None:
    shop.db.stock(tea=10)
    placed = shop.place(1, tea=3)
    assert [*shop.apply(placed), *shop.apply(placed), *shop.apply(placed, placed)] == [DONE] * 4
    assert shop.db.available("tea") == 7
    assert shop.counts[0].units_reserved == 3
    assert shop.counts[1] == InventoryCounts()


def test_of_two_reserves_of_one_order_the_first_counts(shop: Shop) -> None:
    shop.db.stock(tea=10)
    shop.db.order(*order_key(1))
    assert shop.apply(reserve(1, tea=3), reserve(1, tea=5)) == [DONE, DONE]
    assert shop.db.available("tea") == 7


def test_orders_of_one_product_share_a_transaction_and_its_stock_item(shop: Shop) -> None:
    shop.db.stock(tea=100)
    shop.apply(*[shop.place(number, tea=1) for number in range(49)])
    assert len(shop.db.calls) == 1
    assert len(shop.db.calls[0]["TransactItems"]) == 99
    assert shop.db.available("tea") == 51


def test_scarce_stock_goes_to_the_earlier_orders_whole_orders_only(shop: Shop) -> None:
    shop.db.stock(tea=5)
    placed = [shop.place(number, tea=units) for number, units in enumerate([3, 4, 2, 1])]
    assert shop.apply(*placed) == [DONE] * 4
    assert shop.statuses(0, 1, 2, 3) == ["confirmed", "rejected", "confirmed", "rejected"]
    assert shop.db.available("tea") == 0
    assert shop.reasons(1) == "Not enough in stock: tea (4 ordered, 2 available)."
    assert len(shop.db.calls) == 2
    assert shop.clock.slept == []


def test_an_unknown_product_is_said_to_be_unknown_and_takes_no_other_stock(shop: Shop) -> None:
    shop.db.stock(tea=5)
    shop.apply(shop.place(1, tea=1, gold=1))
    assert shop.statuses(1) == ["rejected"]
    assert shop.reasons(1) == "Unknown product: gold."
    assert shop.db.available("tea") == 5


def test_stock_that_a_refusal_does_not_show_is_read(shop: Shop) -> None:
    shop.db.shows_items = False
    shop.db.stock(tea=5)
    shop.apply(*[shop.place(number, tea=4) for number in range(2)])
    assert shop.statuses(0, 1) == ["confirmed", "rejected"]
    assert shop.reasons(1) == "Not enough in stock: tea (4 ordered, 1 available)."


@pytest.mark.parametrize("status", ["cancelled", "confirmed", "shipped"])
def test_an_order_that_is_no_longer_pending_is_withdrawn(shop: Shop, status: str) -> None:
    shop.db.stock(tea=5)
    assert shop.apply(shop.place(1, status, tea=1), shop.place(2, tea=1)) == [DONE, DONE]
    assert shop.states(1, 2) == ["WITHDRAWN", "RESERVED"]
    assert shop.statuses(1, 2) == [status, "confirmed"]
    assert shop.db.available("tea") == 4
    assert shop.counts[0].withdrawn == 1


def test_an_order_that_is_gone_is_withdrawn_and_does_not_come_back(shop: Shop) -> None:
    shop.db.stock(tea=5)
    assert shop.apply(reserve(1, tea=1)) == [DONE]
    assert shop.states(1) == ["WITHDRAWN"]
    assert order_key(1) not in shop.db.orders


def test_an_order_cancelled_while_it_is_being_rejected_is_withdrawn(shop: Shop) -> None:
    shop.db.stock(tea=1)
    placed = shop.place(1, tea=5)

    def cancel_before_the_second_call() -> None:
        if len(shop.db.calls) == 1:
            shop.db.order(*order_key(1), "cancelled")

    shop.db.before_call = cancel_before_the_second_call
    assert shop.apply(placed) == [DONE]
    assert (shop.states(1), shop.statuses(1)) == (["WITHDRAWN"], ["cancelled"])


def test_an_order_takes_the_limit_of_a_transaction_in_products(shop: Shop) -> None:
    lines = {f"p{number}": 1 for number in range(98)}
    shop.db.stock(**dict.fromkeys(lines, 1))
    shop.apply(shop.place(1, **lines))
    assert len(shop.db.calls[0]["TransactItems"]) == 100
    assert shop.statuses(1) == ["confirmed"]


# Releasing.


def test_a_release_gives_back_what_the_ledger_holds_once(shop: Shop) -> None:
    shop.db.stock(tea=10)
    shop.apply(shop.place(1, tea=3))
    assert [*shop.apply(release(1)), *shop.apply(release(1))] == [DONE, DONE]
    assert shop.db.available("tea") == 10
    assert shop.states(1) == ["RELEASED"]
    assert [counts.released for counts in shop.counts] == [0, 1, 0]


def test_a_release_before_its_reserve_leaves_a_tombstone_that_the_reserve_meets(shop: Shop) -> None:
    shop.db.stock(tea=10)
    placed = shop.place(1, tea=3)
    assert [*shop.apply(release(1)), *shop.apply(placed)] == [DONE, DONE]
    assert shop.states(1) == ["WITHDRAWN"]
    assert shop.db.available("tea") == 10


def test_a_release_of_a_rejected_order_gives_nothing_back(shop: Shop) -> None:
    shop.db.stock(tea=1)
    shop.apply(shop.place(1, tea=3))
    shop.apply(release(1))
    assert (shop.states(1), shop.db.available("tea")) == (["REJECTED"], 1)


def test_what_is_released_can_be_reserved_in_the_same_call(shop: Shop) -> None:
    shop.db.stock(tea=3)
    shop.apply(shop.place(1, tea=3))
    assert shop.apply(shop.place(2, tea=3), release(1)) == [DONE, DONE]
    assert shop.states(1, 2) == ["RELEASED", "RESERVED"]


def test_a_reserve_that_comes_between_reading_and_the_tombstone_is_released(shop: Shop) -> None:
    shop.db.stock(tea=3)
    placed = shop.place(1, tea=3)
    other = InventorySink(cast("Any", shop.db), Tables(ORDERS, INVENTORY))

    def reserve_first() -> None:
        shop.db.before_call = lambda: None
        other.apply(effects(placed), Run())

    shop.db.before_call = reserve_first
    assert shop.apply(release(1)) == [DONE]
    assert (shop.states(1), shop.db.available("tea")) == (["RELEASED"], 3)
    assert shop.clock.slept == []


@pytest.mark.parametrize("shows_items", [True, False])
def test_a_release_that_another_worker_was_faster_with_gives_nothing_back_again(
    shop: Shop, *, shows_items: bool
) -> None:
    shop.db.stock(tea=3)
    shop.db.shows_items = shows_items
    shop.apply(shop.place(1, tea=3))
    other = InventorySink(cast("Any", shop.db), Tables(ORDERS, INVENTORY))

    def release_first() -> None:
        shop.db.before_call = lambda: None
        other.apply(effects(release(1)), Run())

    shop.db.before_call = release_first
    assert shop.apply(release(1)) == [DONE]
    assert (shop.states(1), shop.db.available("tea")) == (["RELEASED"], 3)


def test_the_ledger_is_read_by_hundreds_and_what_is_left_unprocessed_again(shop: Shop) -> None:
    shop.db.batch_get_takes = 60
    assert shop.apply(*[release(number) for number in range(120)]) == [DONE] * 120
    assert shop.db.reads == [100, 40, 20]
    assert shop.states(0, 119) == ["WITHDRAWN", "WITHDRAWN"]


def test_a_ledger_item_that_cannot_be_read_harms_only_its_order(shop: Shop) -> None:
    shop.db.inventory["LEDGER#USER#1", "ORDER#1"] = {
        "pk": {"S": "LEDGER#USER#1"},
        "sk": {"S": "ORDER#1"},
        "state": {"S": "LOST"},
    }
    first, second = shop.apply(release(1), release(2))
    assert isinstance(first, Permanent)
    assert second == DONE


# Stock items that do not say what is available.

NO_NUMBERS: list[dict[str, Any]] = [{"S": "5"}, {"N": "2.5"}, {"M": {}}, {"NULL": True}]


def is_broken(answer: Answer, product: str) -> bool:
    wanted = f"wanted a whole number as `available` of PRODUCT#{product} / STOCK in the table inventory"
    return isinstance(answer, Transient) and isinstance(answer.error, StockItemError) and wanted in str(answer.error)


@pytest.mark.parametrize("available", NO_NUMBERS)
@pytest.mark.parametrize("shows_items", [True, False])
def test_a_stock_item_that_is_broken_rejects_nobody_and_holds_up_only_who_wants_it(
    shop: Shop, caplog: pytest.LogCaptureFixture, available: dict[str, Any], *, shows_items: bool
) -> None:
    shop.db.stock(cup=3)
    shop.db.break_stock("tea", available)
    shop.db.shows_items = shows_items
    placed = [shop.place(1, cup=1), shop.place(2, cup=1, tea=3), shop.place(3, cup=1), shop.place(4, tea=3)]
    answers = shop.apply(*placed)
    assert [is_broken(answer, "tea") for answer in answers] == [False, True, False, True]
    assert shop.statuses(1, 2, 3, 4) == ["confirmed", "pending", "confirmed", "pending"]
    assert (shop.states(2, 4), shop.db.available("cup")) == ([None, None], 1)
    assert shop.clock.slept == []
    (line,) = [record for record in caplog.records if record.name == "tablestream.shop"]
    assert (line.levelname, line.__dict__["table"], line.__dict__["item_key"], line.__dict__["error_class"]) == (
        "ERROR",
        "inventory",
        "PRODUCT#tea / STOCK",
        "StockItemError",
    )


@pytest.mark.parametrize("tells_reasons", [True, False])
def test_a_stock_item_that_is_broken_parks_no_release(shop: Shop, *, tells_reasons: bool) -> None:
    shop.db.stock(tea=5, cup=5)
    shop.apply(shop.place(1, cup=1), shop.place(2, cup=1, tea=1), shop.place(3, tea=1))
    shop.db.break_stock("tea", {"S": "4"})
    shop.db.tells_reasons = tells_reasons
    answers = shop.apply(release(1), release(2), release(3))
    assert [is_broken(answer, "tea") for answer in answers] == [False, True, True]
    assert shop.states(1, 2, 3) == ["RELEASED", "RESERVED", "RESERVED"]
    shop.db.stock(tea=3)
    assert shop.apply(release(2), release(3)) == [DONE, DONE]
    assert (shop.db.available("tea"), shop.db.available("cup")) == (5, 5)


@pytest.mark.parametrize("throttled", [3, 1000])
def test_an_order_is_not_blamed_before_the_stock_items_it_moves_could_be_read(shop: Shop, throttled: int) -> None:
    shop.db.stock(tea=5)
    shop.apply(shop.place(1, tea=1))
    shop.db.break_stock("tea", {"S": "4"})
    reads = iter([None, *["ThrottlingException"] * throttled])
    shop.db.before_read = lambda: shop.db.faults.append(next(reads, None))
    (answer,) = shop.apply(release(1))
    assert is_broken(answer, "tea") if throttled == 3 else isinstance(answer, Transient)


@pytest.mark.parametrize("written", ["10", "10.0", "1E+1"])
def test_stock_and_holdings_are_whole_numbers_however_they_are_written(shop: Shop, written: str) -> None:
    shop.db.break_stock("tea", {"N": written})
    assert shop.apply(shop.place(1, tea=11), shop.place(2, tea=10)) == [DONE, DONE]
    assert shop.states(1, 2) == ["REJECTED", "RESERVED"]
    assert "11 ordered, 10 available" in shop.reasons(1)
    shop.db.inventory["LEDGER#USER#2", "ORDER#2"]["lines"] = {"M": {"tea": {"N": written}}}
    assert shop.apply(release(2)) == [DONE]
    assert shop.db.available("tea") == 10


def test_a_stock_item_that_says_nothing_has_no_units(shop: Shop) -> None:
    shop.db.inventory["PRODUCT#tea", "STOCK"] = {"pk": {"S": "PRODUCT#tea"}, "sk": {"S": "STOCK"}}
    assert shop.apply(shop.place(1, tea=1)) == [DONE]
    assert shop.states(1) == ["REJECTED"]


# Faults.


@pytest.mark.parametrize(
    "fault",
    [
        "busy",
        "TransactionConflictException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "InternalServerError",
        "unsent",
    ],
)
def test_a_passing_fault_is_waited_for(shop: Shop, fault: str) -> None:
    shop.db.stock(tea=3)
    placed = shop.place(1, tea=1)
    shop.db.faults = [fault, fault]
    assert shop.apply(placed) == [DONE]
    assert shop.db.available("tea") == 2
    assert len(shop.clock.slept) == 2


def test_a_conflict_is_waited_for_even_if_the_same_answer_brought_news(shop: Shop) -> None:
    shop.db.stock(tea=3)
    placed = [shop.place(1, "cancelled", tea=1), shop.place(2, tea=1)]
    shop.db.faults = ["mixed"]
    assert shop.apply(*placed) == [DONE, DONE]
    assert shop.states(1, 2) == ["WITHDRAWN", "RESERVED"]
    assert len(shop.clock.slept) == 1


def test_an_order_does_not_overtake_an_earlier_one_whose_transaction_failed(shop: Shop) -> None:
    shop.db.stock(tea=50)
    placed = [shop.place(number, tea=1) for number in range(60)]
    shop.db.faults = ["busy"]
    assert shop.apply(*placed) == [DONE] * 60
    assert shop.statuses(*range(60)) == ["confirmed"] * 50 + ["rejected"] * 10


def test_the_tries_start_anew_when_an_order_has_been_decided() -> None:
    shop = Shop(tries=1)
    shop.db.stock(tea=60)
    placed = [shop.place(number, tea=1) for number in range(60)]
    shop.db.faults = ["busy", None, "busy", None]
    assert shop.apply(*placed) == [DONE] * 60


def test_a_rival_who_always_comes_first_is_given_way_to_in_the_end(shop: Shop) -> None:
    shop.db.shows_items = False
    placed = shop.place(1, tea=1)
    shop.db.before_call = lambda: shop.db.stock(tea=0)
    shop.db.before_read = lambda: shop.db.stock(tea=5)
    (answer,) = shop.apply(placed)
    assert isinstance(answer, Transient)
    assert len(shop.db.calls) < 20


def test_rounds_that_learn_something_new_for_ever_end_nevertheless(shop: Shop) -> None:
    placed = shop.place(1, tea=1)
    with patch("shop.stock.sink.Reservations.refused", return_value=True):
        (answer,) = shop.apply(placed)
    assert isinstance(answer, Transient)
    assert len(shop.db.calls) < 20


def test_conflicts_are_counted(shop: Shop) -> None:
    shop.db.stock(tea=3)
    shop.db.faults = ["busy", "TransactionConflictException"]
    shop.apply(shop.place(1, tea=1))
    assert shop.counts[0].conflicts == 2


def test_a_call_that_took_effect_but_was_lost_is_repeated_under_the_same_token(shop: Shop) -> None:
    shop.db.stock(tea=3)
    placed = shop.place(1, tea=1)
    shop.db.faults = ["lost", "lost"]
    assert shop.apply(placed) == [DONE]
    assert shop.db.available("tea") == 2
    assert len({call["ClientRequestToken"] for call in shop.db.calls}) == 1
    assert shop.db.calls[0] == shop.db.calls[2]
    assert shop.counts[0].confirmed == 1


def test_a_lost_call_that_stays_lost_is_found_in_the_ledger(shop: Shop) -> None:
    shop.db.stock(tea=3)
    placed = shop.place(1, tea=1)
    shop.db.faults = ["lost", "unsent", "unsent", "unsent"]
    assert shop.apply(placed) == [DONE]
    assert shop.db.available("tea") == 2


def test_faults_without_end_are_answered_as_transient_after_bounded_tries(shop: Shop) -> None:
    shop.db.stock(tea=3)
    placed = shop.place(1, tea=1)
    shop.db.faults.extend(["busy"] * 1000)
    (answer,) = shop.apply(placed)
    assert isinstance(answer, Transient)
    assert len(shop.db.calls) == 9


def test_after_the_deadline_nothing_more_is_sent(shop: Shop) -> None:
    placed = shop.place(1, tea=1)
    (answer,) = shop.apply(placed, deadline=Deadline(lambda: 0.0))
    assert isinstance(answer, Transient)
    assert shop.db.calls == []


def test_the_deadline_is_kept_between_the_transactions_of_a_chain(shop: Shop) -> None:
    shop.db.stock(tea=1000)
    placed = [shop.place(number, tea=1) for number in range(120)]
    left = iter([5.0, 5.0, 5.0] + [0.0] * 100)
    answers = shop.apply(*placed, deadline=Deadline(lambda: next(left)))
    assert [isinstance(answer, Transient) for answer in answers] == [False] * 98 + [True] * 22
    assert len(shop.db.calls) == 2


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "SomethingNew"])
def test_a_configuration_that_is_wrong_is_nobodys_fault_and_not_waited_for(shop: Shop, code: str) -> None:
    placed = shop.place(1, tea=1)
    shop.db.faults.extend([code] * 5)
    (answer,) = shop.apply(placed)
    assert isinstance(answer, Transient)
    assert len(shop.db.calls) == 1
    assert shop.clock.slept == []


def test_an_order_that_dynamodb_does_not_take_is_found_among_its_neighbours(shop: Shop) -> None:
    shop.db.stock(tea=30, cup=30)
    placed = [shop.place(number, tea=1) for number in range(5)] + [shop.place(5, cup=1)]
    shop.db.invalid = {"LEDGER#USER#3"}
    answers = shop.apply(*placed)
    assert [isinstance(answer, Permanent) for answer in answers] == [False, False, False, True, False, False]
    assert (shop.db.available("tea"), shop.db.available("cup")) == (26, 29)
    assert shop.clock.slept == []


def test_an_order_whose_action_is_found_invalid_is_found_among_its_neighbours(shop: Shop) -> None:
    shop.db.stock(tea=30)
    placed = [shop.place(number, tea=1) for number in range(3)]
    shop.db.unfit = {"LEDGER#USER#1"}
    answers = shop.apply(*placed)
    assert [answer == DONE for answer in answers] == [True, False, True]
    assert answers[1] == Permanent("DynamoDB does not take the transaction: ValidationError: does not fit")


def test_a_product_whose_key_cannot_be_read_is_unknown(shop: Shop) -> None:
    shop.db.faults = [None, "ValidationException"]
    assert shop.apply(shop.place(1, gold=1)) == [DONE]
    assert shop.reasons(1) == "Unknown product: gold."


def test_what_could_be_read_of_the_ledger_is_settled_though_the_rest_could_not(shop: Shop) -> None:
    shop.db.faults = ["AccessDeniedException"]
    answers = shop.apply(*[release(number) for number in range(120)])
    assert [answer == DONE for answer in answers] == [False] * 100 + [True] * 20
    assert shop.clock.slept == []


def test_a_ledger_that_cannot_be_read_for_the_moment_is_read_again(shop: Shop) -> None:
    shop.db.faults = ["ThrottlingException", "InternalServerError"]
    assert shop.apply(release(1)) == [DONE]
    assert len(shop.clock.slept) == 2


def test_a_ledger_that_stays_unreadable_is_transient_after_bounded_tries() -> None:
    shop = Shop(tries=2)
    shop.db.faults.extend(["ThrottlingException"] * 100)
    (answer,) = shop.apply(release(1))
    assert isinstance(answer, Transient)
    assert len(shop.db.faults) == 100 - 3 * 3


def test_a_ledger_key_that_dynamodb_does_not_take_is_found_among_its_neighbours(shop: Shop) -> None:
    shop.db.invalid = {"LEDGER#USER#3"}
    answers = shop.apply(*[release(number) for number in range(5)])
    assert [answer == DONE for answer in answers] == [True, True, True, False, True]
    assert isinstance(answers[3], Permanent)


def test_where_every_order_of_many_is_invalid_none_is_blamed(shop: Shop) -> None:
    placed = [shop.place(number, tea=1) for number in range(10)]
    shop.db.invalid = {"PRODUCT#tea"}
    answers = shop.apply(*placed)
    assert all(isinstance(answer, Transient) for answer in answers)


def test_stock_is_looked_at_anew_after_a_wait(shop: Shop) -> None:
    shop.db.stock(tea=1)
    placed = [shop.place(1, tea=3), shop.place(2, tea=1)]
    calls = len(shop.db.calls)

    def restock_in_time() -> None:
        if len(shop.db.calls) == calls + 3:
            shop.db.stock(tea=9)

    shop.db.before_call = restock_in_time
    shop.db.faults = [None, "ThrottlingException", "ThrottlingException"]
    assert shop.apply(*placed) == [DONE, DONE]
    assert shop.statuses(1, 2) == ["confirmed", "confirmed"]


# All at once.

FAULTS = st.sampled_from(
    [None, None, None, "busy", "mixed", "lost", "unsent", "ThrottlingException", "InternalServerError"]
)
LINES = st.dictionaries(st.sampled_from(["tea", "cup", "pot", "gold"]), st.integers(1, 4), min_size=1, max_size=3)
STATUSES = st.sampled_from(["pending"] * 6 + ["cancelled"])
ORDERS_PLACED = st.lists(st.tuples(LINES, STATUSES), min_size=1, max_size=12)
STOCK = st.fixed_dictionaries({product: st.integers(0, 12) for product in ("tea", "cup", "pot")})


def model(orders: Sequence[tuple[dict[str, int], str]], stock: dict[str, int]) -> list[str]:
    """One order after the other, by the book."""
    left = dict(stock)
    outcome = []
    for lines, status in orders:
        enough = all(left.get(product, 0) >= units for product, units in lines.items())
        if status == "pending" and enough:
            for product, units in lines.items():
                left[product] -= units
        outcome.append(status if status != "pending" else "confirmed" if enough else "rejected")
    return outcome


def until_done(apply: Callable[[], Sequence[Answer]]) -> None:
    """Deliver again, as Lambda does, until all is done."""
    for _ in range(500):
        if all(answer == DONE for answer in apply()):
            return
    raise AssertionError("never done")


@settings(max_examples=150)
@given(
    orders=ORDERS_PLACED,
    stock=STOCK,
    faults=st.lists(FAULTS, max_size=60),
    shows_items=st.booleans(),
    tries=st.integers(1, 8),
    actions=st.sampled_from([5, 8, 100]),
)
def test_whatever_fails_the_outcome_is_that_of_one_order_after_the_other(
    *,
    orders: list[tuple[dict[str, int], str]],
    stock: dict[str, int],
    faults: list[str | None],
    shows_items: bool,
    tries: int,
    actions: int,
) -> None:
    with patch("tablestream.dynamodb.transactions.MAX_ACTIONS", actions):  # so that few orders make long chains
        _settle_and_check(Shop(tries), orders, stock, faults, shows_items=shows_items)


def _settle_and_check(
    shop: Shop,
    orders: list[tuple[dict[str, int], str]],
    stock: dict[str, int],
    faults: list[str | None],
    *,
    shows_items: bool,
) -> None:
    shop.db.stock(**stock)
    shop.db.shows_items = shows_items
    shop.db.faults = list(faults)
    placed = [shop.place(number, status, **lines) for number, (lines, status) in enumerate(orders)]
    numbers = range(len(orders))
    until_done(lambda: shop.apply(*placed))
    assert shop.statuses(*numbers) == model(orders, stock)
    for product, initial in stock.items():
        assert shop.db.available(product) + shop.db.held(product) == initial
    shop.db.faults = list(faults)
    until_done(lambda: shop.apply(*[release(number) for number in numbers]))
    assert {product: shop.db.available(product) for product in stock} == stock
    assert "RESERVED" not in shop.states(*numbers)
