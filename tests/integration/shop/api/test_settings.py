"""A user's settings by HTTP: any map, written whole under the user's lock, so that of two tabs at once one wins."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.shop_api import TABLE, Answered, ShopApi

DAY = 86_400


def created(api: ShopApi, user: str) -> None:
    body = {"userId": user, "email": f"{user}@example.com", "name": user, "settings": {"theme": "light", "size": 1}}
    assert api("POST", "/users", body).status == 201


def changed(api: ShopApi, user: str, settings: Any) -> Answered:
    return api("PUT", f"/users/{user}/settings", settings)


def lock_of(api: ShopApi, user: str) -> tuple[int, int]:
    """The version of a user's lock, and the seconds for which it lasts."""
    key = {"pk": {"S": f"USER#{user}"}, "sk": {"S": f"PROFILE#{user}#LOCK"}}
    lock = api.dynamodb.get_item(TableName=TABLE, Key=key)["Item"]
    assert lock["entityType"] == {"S": "Lock"}
    return int(lock["version"]["N"]), int(lock["ttl"]["N"]) - int(api.clock.now())


def test_settings_take_the_place_of_all_that_there_were_with_two_calls(api: ShopApi) -> None:
    created(api, "ada")
    answer = changed(api, "ada", {"userId": "own", "list": [1, {"deep": None}], "size": 1.50})
    assert (answer.status, api.calls) == (200, ["TransactGetItems", "TransactWriteItems"])
    assert answer.body["settings"] == {"userId": "own", "list": [1, {"deep": None}], "size": 1.5}
    assert (answer.body["version"], answer.body["name"]) == (2, "ada")
    assert answer.body["updatedAt"] > answer.body["createdAt"]
    assert api("GET", "/users/ada").body == answer.body
    assert changed(api, "ada", {}).body["settings"] == {}


def test_of_two_tabs_at_once_one_wins(api: ShopApi) -> None:
    created(api, "bob")
    other = ShopApi(api.dynamodb, api.clock)
    with api.before("TransactWriteItems", lambda: changed(other, "bob", {"tab": 1})):
        answer = changed(api, "bob", {"tab": 2})
    assert (answer.status, answer.code) == (409, "RACE_CONDITION")
    assert api("GET", "/users/bob").body["settings"] == {"tab": 1}
    assert changed(api, "bob", {"tab": 2}).status == 200


@pytest.mark.parametrize(
    ("act", "status"),
    [
        (lambda api: api("PATCH", "/users/cy", {"profile": {"size": 2}}), 409),
        (lambda api: api("POST", "/users/cy/views"), 200),
        (lambda api: api("DELETE", "/users/cy"), 404),
    ],
    ids=["changed", "viewed", "deleted"],
)
def test_a_user_who_is_changed_in_between_is_a_race_and_a_view_is_none(api: ShopApi, act: Any, status: int) -> None:
    created(api, "cy")
    with api.before("TransactWriteItems", lambda: act(ShopApi(api.dynamodb, api.clock))):
        answer = changed(api, "cy", {"tab": 2})
    assert answer.status == status
    api("DELETE", "/users/cy")


def test_a_lock_lasts_a_day_and_is_renewed_in_its_last_hour(api: ShopApi) -> None:
    created(api, "dora")
    changed(api, "dora", {"n": 1})
    assert lock_of(api, "dora") == (1, DAY)
    api.clock.sleep(DAY - 3700)
    changed(api, "dora", {"n": 2})
    version, seconds = lock_of(api, "dora")
    assert (version, 3690 < seconds <= 3700) == (2, True)
    api.clock.sleep(200)
    changed(api, "dora", {"n": 3})
    assert lock_of(api, "dora") == (3, DAY)


def test_a_lock_whose_time_is_over_holds_nobody_up_and_its_version_goes_on(api: ShopApi) -> None:
    created(api, "eve")
    changed(api, "eve", {"n": 1})
    api.clock.sleep(2 * DAY)
    assert changed(api, "eve", {"n": 2}).status == 200
    assert lock_of(api, "eve") == (2, DAY)


@pytest.mark.parametrize(("version", "seconds"), [(0, 60), (1, 0)], ids=["removed and made anew", "used"])
def test_a_lock_that_is_not_as_it_was_read_is_a_race(api: ShopApi, version: int, seconds: int) -> None:
    created(api, "fay")
    changed(api, "fay", {"n": 1})
    key = {"pk": {"S": "USER#fay"}, "sk": {"S": "PROFILE#fay#LOCK"}}
    lock = api.dynamodb.get_item(TableName=TABLE, Key=key)["Item"]

    more = {"version": version, "ttl": seconds}
    other = {**lock, **{name: {"N": str(int(lock[name]["N"]) + added)} for name, added in more.items()}}
    with api.before("TransactWriteItems", lambda: api.dynamodb.put_item(TableName=TABLE, Item=other)):
        assert changed(api, "fay", {"n": 2}).code == "RACE_CONDITION"
    api("DELETE", "/users/fay")
    api.dynamodb.delete_item(TableName=TABLE, Key=key)


def test_settings_are_a_map_of_4_kb_at_most(api: ShopApi) -> None:
    created(api, "gus")
    most = {"text": "x" * (4096 - len('{"text":""}'))}
    assert changed(api, "gus", most).status == 200
    most["text"] += "x"
    assert changed(api, "gus", most).fields == {"body": "wanted at most 4096 bytes of JSON, got 4097"}
    for text in ("[1]", '"x"', "1", "null"):
        assert list(api("PUT", "/users/gus/settings", text=text).fields) == ["body"]
    assert api("PUT", "/users/gus/settings").fields == {"body": "wanted a value, got nothing"}
    assert json.loads(api("GET", "/users/gus").text)["settings"]["text"] == "x" * 4085


def test_settings_of_nobody_are_not_written(api: ShopApi) -> None:
    answer = changed(api, "nobody", {"n": 1})
    assert (answer.status, answer.code, answer.body["error"]) == (404, "NOT_FOUND", "There is no such user")
    assert api.calls == ["TransactGetItems"]
    assert "USER#nobody" not in {item["pk"]["S"] for item in api.items()}
