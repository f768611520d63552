"""Steps packed into transactions: limits kept, order kept, nothing lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop.orders import OrderKey, OrderLine
from shop.packing import MAX_ACTIONS, MAX_BYTES, Chain, pack
from shop.steps import Actions, Step, Tables, Verdict

TABLES = Tables("orders", "inventory")


def step(number: int, *products: str, verdict: Verdict = Verdict.CONFIRM, order_bytes: int = 0) -> Step:
    lines = tuple(OrderLine(product, 1) for product in products)
    return Step(verdict, OrderKey("USER", f"ORDER#{number}"), "event", lines, order_bytes=order_bytes)


def numbers(chains: list[Chain]) -> list[list[list[int]]]:
    return [[[int(one.order.sk[6:]) for one in load.steps] for load in chain] for chain in chains]


def test_orders_of_different_products_share_a_transaction_as_long_as_it_has_room() -> None:
    steps = [step(number, f"a{number}", f"b{number}", f"c{number}") for number in range(21)]
    assert numbers(pack(steps)) == [[list(range(20))], [[20]]]


def test_what_does_not_fit_by_its_products_goes_into_the_next_transaction() -> None:
    steps = [step(number, *[f"{letter}{number}" for letter in "abcde"]) for number in range(15)]
    assert numbers(pack(steps)) == [[list(range(14))], [[14]]]


def test_orders_that_share_a_product_keep_their_order_in_a_chain() -> None:
    steps = [step(number, "tea") for number in range(60)]
    assert numbers(pack(steps)) == [[list(range(49)), list(range(49, 60))]]


def test_orders_are_chained_also_through_others() -> None:
    steps = [step(0, "a"), step(1, "b"), step(2, "c"), step(3, "b", "a")]
    assert numbers(pack(steps, alone={OrderKey("USER", "ORDER#0")})) == [[[0], [1, 3]], [[2]]]


def test_a_rejected_order_waits_for_those_that_took_what_it_wanted() -> None:
    steps = [*[step(number, "tea") for number in range(49)], step(49, "tea", verdict=Verdict.REJECT)]
    assert numbers(pack(steps)) == [[list(range(49)), [49]]]


def test_a_suspected_order_has_a_transaction_of_its_own() -> None:
    steps = [step(0, "tea"), step(1, "tea"), step(2, "tea"), step(3, "cup"), step(4, "pot")]
    alone = {OrderKey("USER", "ORDER#1"), OrderKey("USER", "ORDER#3")}
    assert numbers(pack(steps, alone)) == [[[0], [1], [2]], [[3]], [[4]]]


def test_items_of_a_transaction_stay_under_four_megabytes() -> None:
    steps = [step(number, "tea", order_bytes=MAX_BYTES // 10) for number in range(12)]
    (chain,) = pack(steps)
    assert [len(load.steps) for load in chain] == [9, 3]


def test_an_order_that_is_too_large_by_estimate_is_tried_alone() -> None:
    steps = [step(number, "tea", order_bytes=2 * MAX_BYTES) for number in range(2)]
    assert numbers(pack(steps)) == [[[0], [1]]]


def test_nothing_packs_into_nothing() -> None:
    assert pack([]) == []


@pytest.mark.parametrize("verdict", [Verdict.WITHDRAW, Verdict.RELEASE])
def test_steps_that_leave_the_order_alone_take_one_action(verdict: Verdict) -> None:
    steps = [step(number, *(["tea"] if verdict is Verdict.RELEASE else []), verdict=verdict) for number in range(200)]
    sizes = [len(load.steps) for chain in pack(steps) for load in chain]
    assert max(sizes) == (100 if verdict is Verdict.WITHDRAW else 99)


PRODUCTS = st.lists(st.sampled_from([f"p{number}" for number in range(40)]), max_size=12, unique=True)


@given(st.lists(st.tuples(PRODUCTS, st.sampled_from(Verdict), st.booleans()), max_size=150))
def test_limits_and_order_hold_for_whatever_is_packed(wanted: list[tuple[list[str], Verdict, bool]]) -> None:
    steps = [step(number, *products, verdict=verdict) for number, (products, verdict, _) in enumerate(wanted)]
    alone = {one.order for one, (_, _, suspected) in zip(steps, wanted, strict=True) if suspected}
    chains = pack(steps, alone)
    packed = [one for chain in chains for load in chain for one in load.steps]
    assert sorted(packed, key=steps.index) == steps
    homes: dict[str, int] = {}
    for place, chain in enumerate(chains):
        for load in chain:
            actions, targets = Actions(TABLES, "now").build(load.steps)
            assert len(set(targets)) == len(targets) == len(actions) <= MAX_ACTIONS
            assert len(load.steps) == 1 or not alone & {one.order for one in load.steps}
            for one in load.steps:
                assert {homes.setdefault(product, place) for product, _ in one.lines} <= {place}
    for product in homes:
        users = [packed.index(one) for one in steps if product in dict(one.lines)]
        assert users == sorted(users)
