"""Decisions packed into transactions: limits kept, order kept, nothing lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tablestream.dynamodb.items import Key
from tablestream.dynamodb.transactions import MAX_ACTIONS, MAX_BYTES, Chain, Decision, Move, build, pack

Names = tuple[str, ...]


def decision(number: int, *moved: str, rests_on: Names = (), own: int = 2, size: int = 0) -> Decision:
    actions = tuple([{"Put": {"Item": {"pk": {"S": f"{number}/{place}"}}}} for place in range(own)])
    moves = tuple([Move(shared(name), "units", -1, guarded=True) for name in moved])
    return Decision(number, actions, moves, tuple(map(shared, rests_on)), size)


def shared(name: str) -> Key:
    return Key("stock", (("pk", name),))


def numbers(chains: list[Chain]) -> list[list[list[object]]]:
    return [[[one.subject for one in load.decisions] for load in chain] for chain in chains]


def test_orders_of_different_products_share_a_transaction_as_long_as_it_has_room() -> None:
    decisions = [decision(number, f"a{number}", f"b{number}", f"c{number}") for number in range(21)]
    assert numbers(pack(decisions)) == [[list(range(20))], [[20]]]


def test_what_does_not_fit_by_its_products_goes_into_the_next_transaction() -> None:
    decisions = [decision(number, *[f"{letter}{number}" for letter in "abcde"]) for number in range(15)]
    assert numbers(pack(decisions)) == [[list(range(14))], [[14]]]


def test_orders_that_share_a_product_keep_their_order_in_a_chain() -> None:
    decisions = [decision(number, "tea") for number in range(60)]
    assert numbers(pack(decisions)) == [[list(range(49)), list(range(49, 60))]]


def test_orders_are_chained_also_through_others() -> None:
    decisions = [decision(0, "a"), decision(1, "b"), decision(2, "c"), decision(3, "b", "a")]
    assert numbers(pack(decisions, alone={0})) == [[[0], [1, 3]], [[2]]]


def test_a_rejected_order_waits_for_those_that_took_what_it_wanted() -> None:
    decisions = [*[decision(number, "tea") for number in range(49)], decision(49, rests_on=("tea",))]
    assert numbers(pack(decisions)) == [[list(range(49)), [49]]]


def test_a_suspected_order_has_a_transaction_of_its_own() -> None:
    decisions = [decision(0, "tea"), decision(1, "tea"), decision(2, "tea"), decision(3, "cup"), decision(4, "pot")]
    alone = {1, 3}
    assert numbers(pack(decisions, alone)) == [[[0], [1], [2]], [[3]], [[4]]]


def test_items_of_a_transaction_stay_under_four_megabytes() -> None:
    decisions = [decision(number, "tea", size=MAX_BYTES // 10) for number in range(12)]
    (chain,) = pack(decisions)
    assert [len(load.decisions) for load in chain] == [9, 3]


def test_an_order_that_is_too_large_by_estimate_is_tried_alone() -> None:
    decisions = [decision(number, "tea", size=2 * MAX_BYTES) for number in range(2)]
    assert numbers(pack(decisions)) == [[[0], [1]]]


def test_nothing_packs_into_nothing() -> None:
    assert pack([]) == []


@pytest.mark.parametrize(("moved", "most"), [((), 100), (("tea",), 99)])
def test_decisions_with_one_action_of_their_own_fill_a_transaction(moved: Names, most: int) -> None:
    decisions = [decision(number, *moved, own=1) for number in range(200)]
    assert max(len(load.decisions) for chain in pack(decisions) for load in chain) == most


ITEMS = st.lists(st.sampled_from([f"p{number}" for number in range(40)]), max_size=12, unique=True)


@given(st.lists(st.tuples(ITEMS, ITEMS, st.integers(1, 2), st.booleans()), max_size=150))
def test_limits_and_order_hold_for_whatever_is_packed(wanted: list[tuple[list[str], list[str], int, bool]]) -> None:
    decisions = [
        decision(number, *moved, rests_on=tuple(seen), own=own) for number, (moved, seen, own, _) in enumerate(wanted)
    ]
    alone = {one.subject for one, (*_, suspected) in zip(decisions, wanted, strict=True) if suspected}
    chains = pack(decisions, alone)
    packed = [one for chain in chains for load in chain for one in load.decisions]
    assert sorted(packed, key=decisions.index) == decisions
    homes: dict[Key, int] = {}
    for place, chain in enumerate(chains):
        for load in chain:
            actions, targets = build(load.decisions)
            assert len(set(targets)) == len(targets) == len(actions) <= MAX_ACTIONS
            assert len(load.decisions) == 1 or not alone & {one.subject for one in load.decisions}
            for one in load.decisions:
                assert {homes.setdefault(key, place) for key in needed(one)} <= {place}
    for key in homes:
        users = [packed.index(one) for one in decisions if key in needed(one)]
        assert users == sorted(users)


def needed(one: Decision) -> list[Key]:
    return [*[move.key for move in one.moves], *one.rests_on]
