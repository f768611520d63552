"""Of all that the API writes, only orders get through the filters of the template's event source to the worker."""

from __future__ import annotations

from typing import Any

from tablestream.local.cloud.translate import translate
from tablestream.local.delivery.filters import FilterSet
from tests.support.cloudformation import TEMPLATE
from tests.support.shop_api import ShopApi

LINE = {"productId": "tea", "quantity": 1, "price": 5}
LEAD = {"name": "L", "email": "l@example.com", "subject": "s", "message": "m"}
WRITTEN = {
    *("User", "EmailClaim", "Order", "Session", "Account", "Entry", "Lead", "Review", "Lock", "Idempotency"),
}


def test_only_orders_invoke_the_worker(api: ShopApi) -> None:
    api.stock(tea=5)
    answers = [
        api("POST", "/users", {"userId": "u", "email": "u@example.com", "name": "U"}),
        api("PUT", "/users/u/settings", {"theme": "dark"}),
        api("POST", "/users/u/reviews", {"productId": "tea", "rating": 5}),
        api("POST", "/users/u/orders", {"items": [LINE]}, key="k"),
        api("POST", "/users/u/orders", {"items": [LINE]}, key="k", reserve="now"),
        api("POST", "/sessions", {"userId": "u"}),
        api("POST", "/leads", LEAD),
        api("PUT", "/accounts/a", {"balance": 5}),
        api("PUT", "/accounts/b", {"balance": 0}),
        api("POST", "/transfers", {"from": "a", "to": "b", "amount": 1}, key="k"),
    ]
    assert {answer.status for answer in answers} <= {200, 201, 202}
    items = api.items()
    assert {item["entityType"]["S"] for item in items} == WRITTEN

    stream: Any = translate(TEMPLATE).mappings["WorkerStream"]["Properties"]
    filters = FilterSet.compile([each["Pattern"] for each in stream["FilterCriteria"]["Filters"]])
    for item in [*items, {**next(one for one in items if "#LOCK" in one["sk"]["S"]), "sk": {"S": "ORDER#1#LOCK"}}]:
        keys = {name: item[name] for name in ("pk", "sk")}
        for name, images in (
            ("INSERT", {"NewImage": item}),
            ("MODIFY", {"OldImage": item, "NewImage": item}),
            ("REMOVE", {"OldImage": item}),
        ):
            passes = filters.matches({"eventName": name, "dynamodb": {"Keys": keys, **images}})
            assert passes == (item["entityType"]["S"] == "Order"), (name, keys)
