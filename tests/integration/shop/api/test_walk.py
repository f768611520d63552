"""A walk through all pages shows each item that was there throughout exactly once, whatever comes and goes then."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.shop_api import ShopApi

LINE = {"productId": "tea", "quantity": 1, "price": 1}
_users = count()


def place(api: ShopApi, path: str) -> str:
    answer = api("POST", path, {"items": [LINE]})
    assert answer.status == 202, answer.text
    return str(answer.body["orderId"])


@pytest.mark.parametrize("query", [{}, {"order": "asc"}, {"from_": "2025-01-01"}, {"to": "2030-01-01", "order": "asc"}])
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    placed=st.integers(0, 12),
    limit=st.integers(1, 5),
    meanwhile=st.lists(st.one_of(st.just("place"), st.integers(0, 11)), max_size=12),
    between=st.integers(1, 3),
)
def test_a_walk_shows_each_order_once(
    api: ShopApi, query: dict[str, Any], placed: int, limit: int, meanwhile: list[Any], between: int
) -> None:
    path = f"/users/walker-{next(_users)}/orders"
    first = [place(api, path) for _ in range(placed)]
    changes, gone, seen = iter(meanwhile), set[str](), list[str]()
    cursor: dict[str, str] = {}
    while True:
        page = api("GET", path, limit=limit, **query, **cursor).body
        seen += [order["orderId"] for order in page["items"]]
        assert len(page["items"]) == page["count"] <= limit
        assert page["hasMore"] is (page["nextCursor"] is not None)
        if page["nextCursor"] is None:
            break
        assert page["count"] == limit
        cursor = {"cursor": page["nextCursor"]}
        for _, change in zip(range(between), changes, strict=False):
            if change == "place":
                place(api, path)
            elif change < len(first):
                api("DELETE", f"{path}/{first[change]}")
                gone.add(first[change])

    assert len(set(seen)) == len(seen)
    assert set(first) - gone <= set(seen)
    assert seen == sorted(seen, reverse="order" not in query)
