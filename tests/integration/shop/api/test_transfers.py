"""Transfers by HTTP: both balances and both entries in one call, once for each key, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.shop_api import TABLE, Answered, ShopApi

MOST = 2**53 - 1


def opened(api: ShopApi, **balances: int) -> None:
    for account, balance in balances.items():
        assert api("PUT", f"/accounts/{account}", {"balance": balance}).status == 201


def moved(api: ShopApi, sender: str, recipient: str, amount: int, key: str) -> Answered:
    return api("POST", "/transfers", {"from": sender, "to": recipient, "amount": amount}, key=key)


def seen(api: ShopApi, account: str) -> tuple[int, list[tuple[str, int, str]]]:
    """The balance of an account and its entries."""
    answer = api("GET", f"/accounts/{account}")
    assert answer.status == 200, answer.text
    body: Mapping[str, Any] = answer.body
    return body["balance"], [(entry["type"], entry["amount"], entry["counterparty"]) for entry in body["entries"]]


def test_an_account_is_opened_once_with_whole_minor_units(api: ShopApi) -> None:
    first = api("PUT", "/accounts/open-1", text='{"balance": 5e2}')
    assert (first.status, api.calls, first.body["balance"]) == (201, ["PutItem"], 500)
    assert {"accountId", "balance", "createdAt", "updatedAt", "version"} == set(first.body)
    again = api("PUT", "/accounts/open-1", {"balance": 7})
    assert (again.status, again.code) == (409, "ALREADY_EXISTS")
    assert seen(api, "open-1") == (500, [])
    assert api("PUT", "/accounts/open-2", {"balance": MOST}).status == 201


@pytest.mark.parametrize("balance", ["-1", "0.5", "1e-3", str(MOST + 1), "null", '"5"', "true"])
def test_a_balance_is_a_whole_number_of_minor_units(api: ShopApi, balance: str) -> None:
    assert list(api("PUT", "/accounts/wrong", text=f'{{"balance": {balance}}}').fields) == ["balance"]
    assert api("GET", "/accounts/wrong").status == 404


def test_an_account_that_is_not_there_is_named(api: ShopApi) -> None:
    answer = api("GET", "/accounts/none")
    assert (answer.status, answer.code, answer.body["error"]) == (404, "NOT_FOUND", "There is no such account")
    assert api.calls == ["GetItem"]


def test_a_transfer_is_one_call_and_an_entry_in_both_accounts(api: ShopApi) -> None:
    opened(api, ann=10, bob=1)
    answer = moved(api, "ann", "bob", 7, "k1")
    assert (answer.status, api.calls) == (201, ["TransactWriteItems"])
    assert list(answer.body) == ["transferId"]
    assert seen(api, "ann") == (3, [("DEBIT", 7, "bob")])
    assert seen(api, "bob") == (8, [("CREDIT", 7, "ann")])
    items = {item["sk"]["S"]: item for item in api.items() if item["pk"]["S"] == "ACCOUNT#ann"}
    assert set(items) == {"BALANCE", f"TXN#{answer.body['transferId']}"}
    assert items["BALANCE"]["version"] == {"N": "2"}
    assert items["BALANCE"]["updatedAt"] == items[f"TXN#{answer.body['transferId']}"]["createdAt"]
    assert items["BALANCE"]["updatedAt"] != items["BALANCE"]["createdAt"]


def test_an_account_shows_its_balance_and_its_newest_entries(api: ShopApi) -> None:
    opened(api, full=100, sink=0)
    for number in range(22):
        moved(api, "full", "sink", number + 1 if number < 5 else 1, f"n{number}")
    balance, entries = seen(api, "full")
    assert api.calls == ["GetItem", "Query"]
    assert (balance, len(entries)) == (100 - 15 - 17, 20)
    assert [amount for _, amount, _ in entries] == [1] * 17 + [5, 4, 3]


def test_a_key_that_comes_again_gets_the_same_answer_and_moves_nothing(api: ShopApi) -> None:
    opened(api, carl=7, dora=0)
    first = moved(api, "carl", "dora", 7, "k")
    again = moved(api, "carl", "dora", 7, "k")  # though there is nothing left to move
    assert (first.status, again.status, api.calls) == (201, 200, ["TransactWriteItems"])
    assert again.body == first.body
    reordered = api("POST", "/transfers", text='{"amount": 7.0, "to": "dora",  "from": "carl"}', key="k")
    assert (reordered.status, reordered.body) == (200, first.body)
    assert seen(api, "dora") == (7, [("CREDIT", 7, "carl")])


def test_a_key_is_the_sender_s_and_of_one_transfer(api: ShopApi) -> None:
    opened(api, eve=9, fay=9, gus=9)
    assert moved(api, "eve", "fay", 1, "k").status == 201
    assert moved(api, "fay", "eve", 1, "k").status == 201
    for recipient, amount in (("fay", 2), ("gus", 1)):
        answer = moved(api, "eve", recipient, amount, "k")
        assert (answer.status, answer.code) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert [seen(api, account)[0] for account in ("eve", "fay", "gus")] == [9, 9, 9]


@pytest.mark.parametrize(
    ("sender", "recipient", "amount", "status", "code"),
    [
        ("nobody", "hal", 1, 404, "SENDER_NOT_FOUND"),
        ("nobody", "noone", 1, 404, "SENDER_NOT_FOUND"),
        ("hal", "nobody", 1, 404, "RECIPIENT_NOT_FOUND"),
        ("hal", "ida", 6, 409, "INSUFFICIENT_BALANCE"),
        ("hal", "nobody", 6, 409, "INSUFFICIENT_BALANCE"),
    ],
)
def test_a_refusal_names_the_sender_s_fault_first_and_changes_nothing(
    api: ShopApi, sender: str, recipient: str, amount: int, status: int, code: str
) -> None:
    api("PUT", "/accounts/hal", {"balance": 5})
    api("PUT", "/accounts/ida", {"balance": 0})
    before = api.items()
    answer = moved(api, sender, recipient, amount, "refused")
    assert (answer.status, answer.code, api.calls) == (status, code, ["TransactWriteItems"])
    assert api.items() == before


def test_a_refusal_is_not_remembered(api: ShopApi) -> None:
    opened(api, jon=0, kim=5)
    assert moved(api, "jon", "kim", 3, "k").code == "INSUFFICIENT_BALANCE"
    moved(api, "kim", "jon", 3, "pay")
    assert moved(api, "jon", "kim", 3, "k").status == 201
    assert moved(api, "jon", "kim", 3, "k").status == 200


def test_an_amount_may_be_all_there_is(api: ShopApi) -> None:
    opened(api, leo=MOST, mia=0)
    assert moved(api, "leo", "mia", MOST, "k").status == 201
    assert (seen(api, "leo")[0], seen(api, "mia")[0]) == (0, MOST)


@pytest.mark.parametrize("amount", ["0", "-1", "0.5", str(MOST + 1), "null", '"1"', "true"])
def test_an_amount_is_a_whole_number_above_zero(api: ShopApi, amount: str) -> None:
    body = f'{{"from": "a", "to": "b", "amount": {amount}}}'
    assert list(api("POST", "/transfers", text=body, key="k").fields) == ["amount"]


def test_nobody_pays_himself_and_all_that_is_wrong_is_told_at_once(api: ShopApi) -> None:
    assert moved(api, "a", "a", 1, "k").fields == {"to": "wanted another account than `from`, got the same"}
    assert set(api("POST", "/transfers", {"from": "a b", "amount": 0, "memo": ""}).fields) == {
        *("Idempotency-Key", "from", "to", "amount", "memo"),
    }


def test_a_send_that_another_send_of_its_key_overtakes_gets_the_other_s_answer(api: ShopApi) -> None:
    opened(api, nat=100, oli=0)
    overtaking = ShopApi(api.dynamodb, api.clock)
    with api.before("TransactWriteItems", lambda: answers.append(moved(overtaking, "nat", "oli", 10, "k"))):
        answers: list[Answered] = []
        answers.append(moved(api, "nat", "oli", 10, "k"))
    assert [answer.status for answer in answers] == [201, 200]
    assert answers[0].body == answers[1].body
    assert (seen(api, "nat")[0], seen(api, "oli")) == (90, (10, [("CREDIT", 10, "nat")]))


def test_a_balance_is_a_number_of_the_table_and_never_rounded(api: ShopApi) -> None:
    opened(api, pia=MOST, rob=MOST)
    moved(api, "pia", "rob", MOST - 1, "k")
    key = {"pk": {"S": "ACCOUNT#rob"}, "sk": {"S": "BALANCE"}}
    assert api.dynamodb.get_item(TableName=TABLE, Key=key)["Item"]["balance"] == {"N": str(2 * MOST - 1)}
    assert f'"balance":{2 * MOST - 1}' in api("GET", "/accounts/rob").text
