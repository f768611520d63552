"""Leads and sessions by HTTP: each row of the table of routes, with its errors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.shop_api import ShopApi

DAY = 24 * 3600
LEAD = {"name": "Lea", "email": " Lea@Example.com", "subject": "Tea", "message": "Do you have any?"}


def test_a_lead_is_taken_read_changed_and_deleted_with_one_call_each(api: ShopApi) -> None:
    answer = api("POST", "/leads", {**LEAD, "company": "Tea Ltd"})
    assert (answer.status, api.calls) == (201, ["PutItem"])
    lead = answer.body
    assert lead == {
        "leadId": lead["leadId"],
        "status": "new",
        "name": "Lea",
        "email": "lea@example.com",
        "company": "Tea Ltd",
        "subject": "Tea",
        "message": "Do you have any?",
        "createdAt": lead["createdAt"],
        "updatedAt": lead["createdAt"],
        "version": 1,
    }
    path = f"/leads/{lead['leadId']}"
    assert (api("GET", path).body, api.calls) == (lead, ["GetItem"])
    changed = api("PATCH", path, {"status": "contacted", "company": None, "subject": ""}).body
    assert api.calls == ["UpdateItem"]
    assert (changed["status"], changed["subject"], changed["version"]) == ("contacted", "", 2)
    assert "company" not in changed
    assert (api("DELETE", path).body, api.calls) == ({"deleted": changed}, ["DeleteItem"])
    for method, body in (("GET", None), ("PATCH", {"status": "new"}), ("DELETE", None)):
        answer = api(method, path, body)
        assert (answer.status, answer.code) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"status": "lost"}, "status"),
        ({"name": None}, "name"),
        ({"email": "x"}, "email"),
        ({"x": 1}, "x"),
    ],
)
def test_a_lead_is_not_changed_into_what_it_cannot_be(api: ShopApi, body: Any, field: str) -> None:
    assert field in api("PATCH", "/leads/some", body).fields


def test_leads_are_found_by_status_and_by_address_newest_first(api: ShopApi) -> None:
    leads = [api("POST", "/leads", {**LEAD, "email": "many@example.com"}).body for _ in range(3)]
    api("POST", "/users", {"userId": "many", "email": "many@example.com", "name": "M"})
    assert api("GET", "/leads", email="Many@example.com").body["items"] == leads[::-1]
    for lead in leads:
        api("PATCH", f"/leads/{lead['leadId']}", {"status": "qualified"})
    first = api("GET", "/leads", status="qualified", limit=2)
    assert api.calls == ["Query"]
    rest = api("GET", "/leads", status="qualified", limit=2, cursor=first.body["nextCursor"])
    found = [lead["leadId"] for page in (first, rest) for lead in page.body["items"]]
    assert found == [lead["leadId"] for lead in leads[::-1]]
    assert api("GET", "/leads", status="converted", cursor=first.body["nextCursor"]).body["items"] == []
    assert list(api("GET", "/leads").fields) == ["email"]
    assert list(api("GET", "/leads", email="a@b", status="new").fields) == ["email"]
    assert list(api("GET", "/leads", status="pending").fields) == ["status"]


def test_a_session_lasts_a_day_unless_it_is_extended(api: ShopApi) -> None:
    answer = api("POST", "/sessions", {"userId": "ada", "data": {"cart": ["tea"]}})
    assert (answer.status, api.calls) == (201, ["PutItem"])
    session = answer.body
    assert session["expiresAt"] == int(api.clock.now()) + DAY
    assert (session["userId"], session["data"], session["version"]) == ("ada", {"cart": ["tea"]}, 1)
    path = f"/sessions/{session['sessionId']}"
    assert (api("GET", path).body, api.calls) == (session, ["GetItem"])
    api.clock.sleep(DAY - 10)
    extended = api("PATCH", path, {"extendSeconds": 60}).body
    assert api.calls == ["UpdateItem"]
    assert (extended["expiresAt"], extended["version"]) == (int(api.clock.now()) + 60, 2)
    api.clock.sleep(30)
    assert (api("DELETE", path).body, api.calls) == ({"deleted": extended}, ["DeleteItem"])
    assert api("GET", path).code == "NOT_FOUND"


def test_a_session_that_has_run_out_is_gone_though_it_is_still_there(api: ShopApi) -> None:
    session = api("POST", "/sessions", {"userId": "ada"}).body
    path = f"/sessions/{session['sessionId']}"
    api.clock.sleep(DAY)
    for method, body in (("GET", None), ("PATCH", {"extendSeconds": 60}), ("DELETE", None)):
        answer = api(method, path, body)
        assert (answer.status, answer.code) == (404, "NOT_FOUND")
    assert any(item.get("sessionId") == {"S": session["sessionId"]} for item in api.items())


@pytest.mark.parametrize("seconds", [0, 2_592_001, 1.5, "60", None])
def test_a_session_is_extended_by_whole_seconds_up_to_thirty_days(api: ShopApi, seconds: Any) -> None:
    assert list(api("PATCH", "/sessions/some", {"extendSeconds": seconds}).fields) == ["extendSeconds"]


def test_nobody_guesses_the_id_of_a_session(api: ShopApi) -> None:
    made = {api("POST", "/sessions", {"userId": "ada"}).body["sessionId"] for _ in range(50)}
    assert {len(session_id) for session_id in made} == {40}
    assert len({session_id[:8] for session_id in made}) == 50
