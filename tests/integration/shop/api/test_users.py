"""Users by HTTP: each row of the table of routes, with its errors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.shop_api import TABLE, Answered, ShopApi

YEAR = 365 * 24 * 3600


def created(api: ShopApi, user_id: str, **more: Any) -> Answered:
    body = {"userId": user_id, "email": f"{user_id}@example.com", "name": user_id.title(), **more}
    answer = api("POST", "/users", body)
    assert answer.status == 201, answer.text
    return answer


def item(api: ShopApi, pk: str, sk: str | None = None) -> Any:
    key = {"pk": {"S": pk}, "sk": {"S": sk or pk}}
    return api.dynamodb.get_item(TableName=TABLE, Key=key).get("Item")


def test_a_user_is_created_with_the_claim_of_the_address_in_one_transaction(api: ShopApi) -> None:
    body = {
        "userId": "ada",
        "email": "  Ada@Example.COM ",
        "name": "Ada",
        "profile": {"size": 1.50, "none": None, "list": [1, "", True]},
        "settings": {"theme": "dark"},
        "tags": ["b", "a", "b"],
    }
    answer = api("POST", "/users", body)

    assert (answer.status, api.calls) == (201, ["TransactWriteItems"])
    user = answer.body
    assert user.pop("createdAt") == user.pop("updatedAt")
    assert user == {
        "userId": "ada",
        "email": "ada@example.com",
        "name": "Ada",
        "profile": {"size": 1.5, "none": None, "list": [1, "", True]},
        "settings": {"theme": "dark"},
        "tags": ["a", "b"],
        "viewCount": 0,
        "version": 1,
    }
    stored = item(api, "USER#ada", "PROFILE#ada")
    assert stored["entityType"] == {"S": "User"}
    assert stored["tags"] == {"SS": ["a", "b"]}
    assert stored["ttl"] == {"N": str(int(api.clock.now()) + YEAR)}
    assert item(api, "EMAIL#ada@example.com")["userId"] == {"S": "ada"}


def test_a_user_without_an_id_gets_one(api: ShopApi) -> None:
    user = api("POST", "/users", {"email": "nameless@example.com", "name": ""}).body
    assert len(user["userId"]) == 26
    assert user["tags"] == []
    assert "profile" not in user


@pytest.mark.parametrize(
    ("taken", "body"),
    [
        ("userId", {"userId": "taken", "email": "other@example.com", "name": "x"}),
        ("email", {"userId": "other", "email": "TAKEN@example.com", "name": "x"}),
    ],
)
def test_an_id_and_an_address_belong_to_one_user(api: ShopApi, taken: str, body: Any) -> None:
    if item(api, "USER#taken", "PROFILE#taken") is None:
        created(api, "taken")
    answer = api("POST", "/users", body)
    assert (answer.status, answer.code) == (409, "ALREADY_EXISTS")
    assert taken in answer.body["error"]
    assert item(api, "USER#other", "PROFILE#other") is None
    assert item(api, "EMAIL#other@example.com") is None


def test_the_claim_of_a_user_whom_time_to_live_has_removed_holds_nobody_up(api: ShopApi) -> None:
    created(api, "gone")
    api.dynamodb.delete_item(TableName=TABLE, Key={"pk": {"S": "USER#gone"}, "sk": {"S": "PROFILE#gone"}})
    answer = api("POST", "/users", {"userId": "heir", "email": "gone@example.com", "name": "Heir"})
    assert answer.status == 201
    assert item(api, "EMAIL#gone@example.com")["userId"] == {"S": "heir"}


def test_a_user_is_read_with_one_call_whole_or_in_part(api: ShopApi) -> None:
    user = created(api, "bob", tags=["x"]).body
    assert api("GET", "/users/bob").body == user
    assert api.calls == ["GetItem"]
    assert api("GET", "/users/bob", consistent="true").body == user
    assert api("GET", "/users/bob", fields="name,tags,profile").body == {"name": "Bob", "tags": ["x"]}
    created(api, "tagless")
    assert api("GET", "/users/tagless", fields="profile").body == {}
    assert api("GET", "/users/tagless", fields="tags").body == {"tags": []}
    missing = api("GET", "/users/nobody")
    assert (missing.status, missing.code) == (404, "NOT_FOUND")


def test_a_user_and_the_newest_orders_are_one_query(api: ShopApi) -> None:
    created(api, "buyer")
    api("POST", "/users/buyer/reviews", {"productId": "tea", "rating": 5})
    line = {"productId": "tea", "quantity": 1, "price": 5}
    placed = [api("POST", "/users/buyer/orders", {"items": [line]}).body["orderId"] for _ in range(21)]

    answer = api("GET", "/users/buyer", include="orders", fields="name")

    assert api.calls == ["Query"]
    assert answer.body["name"] == "Buyer"
    assert "email" not in answer.body
    assert [order["orderId"] for order in answer.body["orders"]] == placed[:0:-1]
    api("POST", "/users/ghost/orders", {"items": [line]})
    assert api("GET", "/users/ghost", include="orders").status == 404


def test_a_user_is_found_by_the_address_and_a_lead_with_it_is_none(api: ShopApi) -> None:
    user = created(api, "found").body
    api("POST", "/leads", {"name": "x", "email": "found@example.com", "subject": "s", "message": "m"})
    answer = api("GET", "/users", email="FOUND@example.com")
    assert answer.body == {"items": [user], "count": 1, "nextCursor": None, "hasMore": False}
    assert api.calls == ["Query"]
    assert api("GET", "/users", email="nobody@example.com").body["items"] == []


def test_a_change_counts_and_null_removes(api: ShopApi) -> None:
    created(api, "carl", profile={"a": 1}, tags=["x"])
    changed = api("PATCH", "/users/carl", {"name": "C", "profile": None, "tags": [], "expectedVersion": 1})
    assert (changed.status, api.calls) == (200, ["UpdateItem"])
    assert (changed.body["version"], changed.body["name"], changed.body["tags"]) == (2, "C", [])
    assert "profile" not in changed.body
    assert changed.body["updatedAt"] > changed.body["createdAt"]
    stale = api("PATCH", "/users/carl", {"name": "D", "expectedVersion": 1})
    assert (stale.status, stale.code, api.calls) == (409, "VERSION_CONFLICT", ["UpdateItem"])
    assert stale.body["current"] == changed.body
    assert api("PATCH", "/users/nobody", {"name": "D"}).code == "NOT_FOUND"
    assert api("PATCH", "/users/nobody", {"name": "D", "expectedVersion": 1}).code == "NOT_FOUND"


def test_an_address_is_given_back_when_it_changes(api: ShopApi) -> None:
    created(api, "dora")
    created(api, "eve")
    taken = api("PATCH", "/users/dora", {"email": "eve@example.com"})
    assert (taken.status, taken.code) == (409, "ALREADY_EXISTS")
    stale = api("PATCH", "/users/dora", {"email": "new@example.com", "expectedVersion": 7})
    assert (stale.code, stale.body["current"]["version"]) == ("VERSION_CONFLICT", 1)
    moved = api("PATCH", "/users/dora", {"email": "new@example.com", "name": "D", "expectedVersion": 1})
    assert (moved.status, api.calls) == (200, ["GetItem", "TransactWriteItems"])
    assert moved.body == api("GET", "/users/dora").body
    assert (moved.body["email"], moved.body["name"], moved.body["version"]) == ("new@example.com", "D", 2)
    assert item(api, "EMAIL#dora@example.com") is None
    assert item(api, "EMAIL#new@example.com")["userId"] == {"S": "dora"}
    same = api("PATCH", "/users/dora", {"email": "new@example.com"})
    assert (same.status, same.body["version"]) == (200, 3)
    assert api("PATCH", "/users/nobody", {"email": "n@example.com"}).code == "NOT_FOUND"


def test_a_deleted_user_frees_the_address_and_leaves_the_orders(api: ShopApi) -> None:
    user = created(api, "fred").body
    api("POST", "/users/fred/orders", {"items": [{"productId": "tea", "quantity": 1, "price": 1}]})
    other = api("DELETE", "/users/fred", email="x@example.com")
    assert (other.status, other.code) == (409, "CONDITION_FAILED")
    assert api("DELETE", "/users/fred", email="FRED@example.com").body == {"deleted": user}
    assert api("DELETE", "/users/fred").code == "NOT_FOUND"
    assert item(api, "EMAIL#fred@example.com") is None
    assert api("GET", "/users/fred/orders").body["count"] == 1
    created(api, "fred")


def test_many_users_are_read_in_the_order_of_their_ids(api: ShopApi) -> None:
    created(api, "m1")
    created(api, "m2")
    answer = api("POST", "/users/batch-get", {"ids": ["m2", "none", "m1", "m2", "no"]}, fields="userId,tags")
    assert answer.body == {
        "items": [{"userId": "m2", "tags": []}, {"userId": "m1", "tags": []}],
        "missing": ["none", "no"],
    }
    assert api.calls == ["BatchGetItem"]
    some = api("POST", "/users/batch-get", {"ids": ["m1"]}, fields="name,profile")
    assert some.body == {"items": [{"name": "M1"}], "missing": []}
    whole = api("POST", "/users/batch-get", {"ids": ["m1"]}).body["items"][0]
    assert whole == api("GET", "/users/m1").body
    hundred = [f"u{number}" for number in range(100)]
    assert len(api("POST", "/users/batch-get", {"ids": hundred}).body["missing"]) == 100
    for ids in ([], [*hundred, "one-more"], ["a b"], "m1"):
        assert api("POST", "/users/batch-get", {"ids": ids}).code == "VALIDATION_ERROR"


def test_views_are_counted_and_are_no_change(api: ShopApi) -> None:
    user = created(api, "seen").body
    assert [api("POST", "/users/seen/views").body for _ in range(3)][-1] == {"viewCount": 3}
    assert api.calls == ["UpdateItem"]
    assert api("GET", "/users/seen").body == {**user, "viewCount": 3}
    assert api("POST", "/users/nobody/views").code == "NOT_FOUND"


def test_reviews_lie_with_their_user(api: ShopApi) -> None:
    created(api, "critic")
    written = [
        api("POST", "/users/critic/reviews", {"productId": "tea", "rating": rating, "text": ""}).body
        for rating in (1, 5, 3)
    ]
    assert api.calls == ["TransactWriteItems"]
    assert written[0]["userId"] == "critic"
    first = api("GET", "/users/critic/reviews", limit=2)
    assert first.body["items"] == written[:0:-1]
    rest = api("GET", "/users/critic/reviews", limit=2, cursor=first.body["nextCursor"])
    assert (rest.body["items"], rest.body["hasMore"], api.calls) == (written[:1], False, ["Query"])
    assert api("POST", "/users/nobody/reviews", {"productId": "tea", "rating": 5}).code == "NOT_FOUND"
    assert api("GET", "/users/nobody/reviews").code == "NOT_FOUND"
    created(api, "silent")
    assert api("GET", "/users/silent/reviews").body["items"] == []
    for rating in (0, 6, 2.5, "5", True):
        assert api("POST", "/users/critic/reviews", {"productId": "tea", "rating": rating}).code == "VALIDATION_ERROR"
