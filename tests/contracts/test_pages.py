"""The rules of pages and cursors, in moto and in DynamoDB Local."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr, Key
from hypothesis import given, settings
from hypothesis import strategies as st

from tablestream.dynamodb import Index, InvalidCursor, InvalidRequest, Page, Table

USER = Key("pk").eq("USER#1")
NEW = Key("status").eq("new")


def order(number: int, **attributes: Any) -> dict[str, Any]:
    """An order of a user; two of them have the same time, and three the same rank."""
    at = f"2025-01-01T00:00:{number // 2:02}Z"
    return {
        "pk": "USER#1",
        "sk": f"ORDER#{number:02}",
        "status": "new",
        "createdAt": at,
        "rank": number // 3,
        "number": number,
        "name": f"name of {number}",
        **attributes,
    }


@pytest.fixture
def orders(table: Table) -> Table:
    """Ten orders of a user, among items of others."""
    others = [order(number, pk="USER#0", status="old") for number in range(3)]
    assert not table.batch_write([*others, {"pk": "USER#1", "sk": "PROFILE", "number": 99}, *map(order, range(10))])
    return table


def pages(ask: Any, **wanted: Any) -> Iterator[Page]:
    cursor = None
    while True:
        page = ask(cursor=cursor, **wanted)
        yield page
        cursor = page.cursor
        if cursor is None:
            return


def numbers(page: Page) -> list[int]:
    return [item["number"] for item in page.items]


def asked(client: Any) -> list[Mapping[str, Any]]:
    """Return the list into which each request goes from now on."""
    sent: list[Mapping[str, Any]] = []
    client.meta.events.register_last(
        "before-call.dynamodb.Query", lambda params, **_: sent.append(json.loads(params["body"]))
    )
    return sent


# --- pages -----------------------------------------------------------------------------------------------------------

ORDERS = USER & Key("sk").begins_with("ORDER#")


@pytest.mark.parametrize(
    ("newest_first", "limit", "told"),
    [
        (False, 4, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]),
        (True, 4, [[9, 8, 7, 6], [5, 4, 3, 2], [1, 0]]),
        (False, 5, [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]),
        (False, 9, [[0, 1, 2, 3, 4, 5, 6, 7, 8], [9]]),
        (False, 10, [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]),
        (True, 100, [[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]]),
    ],
)
def test_a_partition_by_pages(orders: Table, newest_first: bool, limit: int, told: list[list[int]]) -> None:
    found = list(pages(orders.query, condition=ORDERS, newest_first=newest_first, limit=limit))
    assert [numbers(page) for page in found] == told
    assert [page.has_more for page in found] == [True] * (len(told) - 1) + [False]


def test_a_page_is_one_read(orders: Table, client: Any) -> None:
    sent = asked(client)
    for page in pages(orders.query, condition=ORDERS, limit=5):
        assert len(page.items) == 5
    assert [request["Limit"] for request in sent] == [6, 6]


def test_a_page_of_nothing(table: Table) -> None:
    assert table.query(USER) == ([], None)
    assert table.query(NEW, index="byStatus").has_more is False


def test_a_page_without_a_limit_is_one_read(orders: Table) -> None:
    assert numbers(orders.query(ORDERS, limit=None)) == list(range(10))


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        (Key("sk").eq("ORDER#04"), [4]),
        (Key("sk").lt("ORDER#03"), [0, 1, 2]),
        (Key("sk").lte("ORDER#03"), [0, 1, 2, 3]),
        (Key("sk").gt("ORDER#07") & USER, [8, 9, 99]),
        (Key("sk").between("ORDER#02", "ORDER#05"), [2, 3, 4, 5]),
        (Key("sk").begins_with("ORDER#0"), list(range(10))),
    ],
)
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_walk_within_each_condition_of_a_sort_key(
    orders: Table, condition: Any, told: list[int], newest_first: bool
) -> None:
    both = condition if type(condition).__name__ == "And" else USER & condition
    walk = pages(orders.query, condition=both, limit=1, newest_first=newest_first)
    found = [number for page in walk for number in numbers(page)]
    assert found == (told[::-1] if newest_first else told)


def test_an_index_by_pages_also_where_its_sort_keys_are_equal(orders: Table) -> None:
    for index, condition in {"byStatus": NEW, "byCreation": USER, "byRank": NEW}.items():
        for newest_first in (False, True):
            wanted: Any = {"condition": condition, "index": index, "limit": 3, "newest_first": newest_first}
            found = [item["sk"] for page in pages(orders.query, **wanted) for item in page.items]
            assert sorted(found) == [f"ORDER#{number:02}" for number in range(10)], (index, newest_first)


def test_an_index_that_is_local_gives_whole_items_whatever_it_holds(orders: Table, client: Any) -> None:
    local = Table(orders.name, client, indexes={"byCreation": Index("pk", "createdAt", local=True)})
    found = [item for page in pages(local.query, condition=USER, index="byCreation", limit=3) for item in page.items]
    assert sorted(found, key=lambda item: str(item["sk"])) == [order(number) for number in range(10)]
    assert [*local.query(USER, index="byCreation", fields=["name"], limit=1).items[0]] == ["name"]


def test_an_index_within_a_time(orders: Table) -> None:
    during = NEW & Key("createdAt").between("2025-01-01T00:00:01Z", "2025-01-01T00:00:02Z")
    found = [numbers(page) for page in pages(orders.query, condition=during, index="byStatus", limit=2)]
    assert sorted(number for page in found for number in page) == [2, 3, 4, 5]
    assert [len(page) for page in found] == [2, 2]


def test_an_index_by_numbers(orders: Table) -> None:
    condition = NEW & Key("rank").gte(2)
    found = [item for page in pages(orders.query, condition=condition, index="byRank", limit=1) for item in page.items]
    assert [item["rank"] for item in found] == [2, 2, 2, 3]
    assert {*found[0]} == {"pk", "sk", "status", "rank"}


def test_a_filtered_page_is_filled_up_to_its_limit(orders: Table, client: Any) -> None:
    sent = asked(client)
    odd = Attr("number").is_in([1, 3, 5, 7, 9])
    found = list(pages(orders.query, condition=ORDERS, filter=odd, limit=2))
    assert [numbers(page) for page in found] == [[1, 3], [5, 7], [9]]
    assert [page.has_more for page in found] == [True, True, False]
    assert [request["Limit"] for request in sent] == [3, 6, 3, 6, 3]


def test_a_filtered_page_ends_after_so_many_reads_and_the_next_goes_on(orders: Table) -> None:
    last = Attr("number").eq(9)
    found = list(pages(orders.query, condition=ORDERS, filter=last, limit=1, reads=1))
    assert [numbers(page) for page in found] == [[], [], [], [], [9], []]
    assert [numbers(page) for page in pages(orders.query, condition=ORDERS, filter=last, limit=1)] == [[9]]


def test_fields_are_all_that_comes_and_the_cursor_is_the_same(orders: Table) -> None:
    page = orders.query(ORDERS, fields=["name"], limit=2)
    assert page.items == [{"name": "name of 0"}, {"name": "name of 1"}]
    assert page.cursor == orders.query(ORDERS, limit=2).cursor
    assert orders.query(ORDERS, fields=["sk", "number"], limit=1).items == [{"sk": "ORDER#00", "number": 0}]
    assert next(orders.items(ORDERS, fields=["number"], newest_first=True)) == {"number": 9}


def test_all_items_as_they_are_asked_for(orders: Table, client: Any) -> None:
    assert [item["number"] for item in orders.items(ORDERS)] == list(range(10))
    assert [item["number"] for item in orders.items(ORDERS, filter=Attr("number").gt(7))] == [8, 9]
    assert len(list(orders.items(NEW, index="byStatus"))) == 10
    sent = asked(client)
    orders.items(ORDERS)
    assert sent == []


def test_the_whole_table_by_pages(orders: Table) -> None:
    found = list(pages(orders.scan, limit=4))
    assert [len(page.items) for page in found] == [4, 4, 4, 2]
    keys = [(item["pk"], item["sk"]) for page in found for item in page.items]
    assert len(set(keys)) == 14
    assert sorted(keys) == sorted((item["pk"], item["sk"]) for item in orders.scan_items())
    wanted: Any = {"filter": Attr("number").lt(3), "index": "byStatus", "fields": ["number"], "limit": 2}
    assert sorted(n for page in pages(orders.scan, **wanted) for n in numbers(page)) == [0, 0, 1, 1, 2, 2]


def test_an_order_that_is_removed_while_somebody_reads(orders: Table) -> None:
    page = orders.query(ORDERS, limit=3)
    orders.delete({"pk": "USER#1", "sk": "ORDER#02"})  # the cursor's own
    assert numbers(orders.query(ORDERS, limit=3, cursor=page.cursor)) == [3, 4, 5]


# --- a walk while others write ---------------------------------------------------------------------------------------

KINDS: Mapping[str, tuple[Any, str | None]] = {
    "table": (USER, None),
    "global index": (NEW, "byStatus"),
    "local index": (USER, "byCreation"),
}
WRITES = st.lists(st.tuples(st.booleans(), st.integers(0, 19)), max_size=4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_walk_returns_each_item_that_was_there_throughout_exactly_once(
    table: Table, kind: str, newest_first: bool
) -> None:
    condition, index = KINDS[kind]

    @settings(max_examples=25)
    @given(
        begin=st.sets(st.integers(0, 19)),
        limit=st.integers(1, 5),
        writes=st.lists(WRITES, max_size=12),
        filtered=st.booleans(),
    )
    def walk(begin: set[int], limit: int, writes: Sequence[Sequence[tuple[bool, int]]], filtered: bool) -> None:
        table.batch_write(deletes=[{"pk": "USER#1", "sk": f"ORDER#{number:02}"} for number in range(20)])
        table.batch_write([order(number) for number in begin])
        throughout, there, found = set(begin), set(begin), []
        left = iter(writes)
        wanted: Any = {"condition": condition, "index": index, "limit": limit, "newest_first": newest_first}
        if filtered and index != "byCreation":  # which holds nothing to filter by
            wanted["filter"] = Attr("number").between(0, 99)
        for page in pages(table.query, **wanted):
            assert len(page.items) == limit or not page.has_more
            found += [int(item["sk"][6:]) for item in page.items]
            for insert, number in next(left, ()):
                if insert:
                    table.put(order(number))
                    there.add(number)
                else:
                    table.delete({"pk": "USER#1", "sk": f"ORDER#{number:02}"})
                    there.discard(number)
                    throughout.discard(number)
        assert len(found) == len(set(found))
        assert throughout <= set(found)

    walk()


# --- cursors ---------------------------------------------------------------------------------------------------------


def forged(*content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode().rstrip("=")


def test_a_cursor_holds_only_what_the_request_does_not_fix(orders: Table) -> None:
    assert orders.query(ORDERS, limit=2).cursor == forged(1, "", 0, "ORDER#01")
    assert orders.query(ORDERS, limit=2, newest_first=True).cursor == forged(1, "", 1, "ORDER#08")
    by_status = orders.query(NEW & Key("createdAt").eq("2025-01-01T00:00:00Z"), index="byStatus", limit=1)
    assert by_status.cursor in {forged(1, "byStatus", 0, "USER#1", f"ORDER#0{number}") for number in (0, 1)}
    by_creation = orders.query(USER & Key("createdAt").gte("2025-01-01T00:00:04Z"), index="byCreation", limit=1)
    assert by_creation.cursor in {
        forged(1, "byCreation", 0, "2025-01-01T00:00:04Z", f"ORDER#0{number}") for number in (8, 9)
    }


def test_a_cursor_of_one_partition_shows_nothing_of_it_in_another(orders: Table) -> None:
    orders.batch_write([order(number, pk="USER#2") for number in range(5)])
    cursor = orders.query(ORDERS, limit=2).cursor
    page = orders.query(Key("pk").eq("USER#2"), limit=10, cursor=cursor)
    assert {item["pk"] for item in page.items} == {"USER#2"}
    assert numbers(page) == [2, 3, 4]


BAD = {
    "nothing": "",
    "no text": 5,
    "not base64": "!!!",
    "of another alphabet": "a+/b",
    "white space": forged(1, "", 0, "ORDER#01") + "\n",
    "padding": forged(1, "", 0, "ORDER#1") + "=",
    "bits too many": forged(1, "", 0, "ORDER#01")[:-1] + "R",
    "no JSON": base64.urlsafe_b64encode(b"{").decode(),
    "no UTF-8": base64.urlsafe_b64encode(b"\xff\xfe\xff").decode(),
    "no list": base64.urlsafe_b64encode(b'{"sk": "ORDER#01"}').decode().rstrip("="),
    "written otherwise": base64.urlsafe_b64encode(b'[1, "", 0, "ORDER#01"]').decode().rstrip("="),
    "another version": forged(2, "", 0, "ORDER#01"),
    "a version that is almost the same": forged(1.0, "", 0, "ORDER#01"),
    "true is not one": base64.urlsafe_b64encode(b'[true,"",false,"ORDER#01"]').decode().rstrip("="),
    "another index": forged(1, "byStatus", 0, "ORDER#01"),
    "the other direction": forged(1, "", 1, "ORDER#01"),
    "of a scan": forged(1, "", 2, "USER#1", "ORDER#01"),
    "a value too few": forged(1, "", 0),
    "a value too many": forged(1, "", 0, "ORDER#01", "ORDER#01"),
    "with its partition": forged(1, "", 0, "USER#2", "ORDER#01"),
    "a number for text": forged(1, "", 0, 1),
    "a list for text": forged(1, "", 0, ["ORDER#01"]),
    "empty text": forged(1, "", 0, ""),
    "more text than a key has": forged(1, "", 0, "ORDER#" + "x" * 1019),
    "outside of the condition": forged(1, "", 0, "PROFILE"),
    "half a letter": forged(1, "", 0, "ORDER#\ud800"),
    "nested": base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("="),
    "longer than any": "W" * 60_000,
}


@pytest.mark.parametrize("why", BAD)
def test_a_cursor_that_this_query_did_not_give_is_not_sent(orders: Table, client: Any, why: str) -> None:
    sent = asked(client)
    with pytest.raises(InvalidCursor, match=r"^cursor: wanted"):
        orders.query(ORDERS, limit=2, cursor=BAD[why])  # type: ignore[arg-type]
    assert sent == []


@pytest.mark.parametrize(
    ("condition", "value", "fits"),
    [
        (Key("rank").eq(2), None, True),
        (Key("rank").lt(2), "1", True),
        (Key("rank").lt(2), "2", False),
        (Key("rank").lte(2), "2", True),
        (Key("rank").lte(2), "3", False),
        (Key("rank").gt(2), "3", True),
        (Key("rank").gt(2), "2", False),
        (Key("rank").gte(10), "10", True),
        (Key("rank").gte(10), "9", False),
        (Key("rank").between(2, 10), "10", True),
        (Key("rank").between(2, 10), "11", False),
        (Key("rank").between(2, 10), "1", False),
        (Key("rank").gte(0), "1.0", False),
        (Key("rank").gte(0), "+1", False),
        (Key("rank").gte(0), "1_0", False),
        (Key("rank").gte(0), "NaN", False),
        (Key("rank").gte(0), "one", False),
        (Key("rank").gte(0), "1E+200", False),
        (Key("rank").gte(0), "1" * 60, False),
    ],
)
def test_the_sort_value_of_a_cursor_is_within_the_condition(
    orders: Table, condition: Any, value: str | None, fits: bool
) -> None:
    values = [] if value is None else [value]
    cursor = forged(1, "byRank", 0, *values, "USER#1", "ORDER#04")
    if fits:
        orders.query(NEW & condition, index="byRank", cursor=cursor)
        return
    with pytest.raises(InvalidCursor):
        orders.query(NEW & condition, index="byRank", cursor=cursor)


def test_text_is_compared_as_dynamodb_does_by_its_bytes(table: Table) -> None:
    letters = ["a", "\uffff", "\U0001f600"]
    table.batch_write([{"pk": "a", "sk": letter} for letter in letters])
    condition = Key("pk").eq("a") & Key("sk").gt("\uffff")
    assert [item["sk"] for item in table.items(condition)] == ["\U0001f600"]
    with pytest.raises(InvalidCursor):
        table.query(condition, cursor=forged(1, "", 0, "a"))
    cursor = base64.urlsafe_b64encode('[1,"",0,"\U0001f600"]'.encode()).decode().rstrip("=")
    assert table.query(condition, cursor=cursor).items == []


def test_keys_of_the_greatest_size_have_a_cursor(table: Table) -> None:
    table.batch_write([{"pk": "\u0001" * 2048, "sk": "\u0001" * 1023 + letter} for letter in "ab"])
    first = table.scan(limit=1)
    second = table.scan(limit=1, cursor=first.cursor)
    assert [item["sk"][-1] for item in first.items + second.items] == ["a", "b"]
    assert second.cursor is None


# --- what is no query ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "index", "told"),
    [
        (Key("sk").eq("a"), None, r"wanted Key\('pk'\)\.eq"),
        (Key("pk").gt("a"), None, "pk: wanted eq for a partition, got >"),
        (USER & Key("name").eq("a"), None, "got conditions on pk, name"),
        (USER & Key("sk").gt("a") & Key("sk").lt("b"), None, "got conditions on pk, sk, sk"),
        (USER | Key("sk").eq("a"), None, "wanted a comparison of a key attribute, got OR"),
        (USER & Attr("sk").contains("a"), None, "wanted a comparison of a key attribute, got contains"),
        (Key("pk").eq(5), None, "pk: wanted a key attribute of type S, got N"),
        (NEW & Key("rank").gt("5"), "byRank", "rank: wanted a key attribute of type N, got S"),
        (Key("pk").eq(""), None, "pk: wanted 1 to 2048 bytes"),
        (USER, "byStatus", r"wanted Key\('status'\)\.eq"),
        (USER, "another", "wanted one of the indexes byStatus, byRank, byCreation, got another"),
        ("pk = 5", None, r"wanted a condition like Key\('pk'\)\.eq\('a'\), got str"),
    ],
)
def test_a_condition_that_is_none_is_refused(table: Table, condition: Any, index: str | None, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        table.query(condition, index=index)


def test_a_limit_is_at_least_one(table: Table) -> None:
    for limit in (0, -1):
        with pytest.raises(InvalidRequest, match="limit: wanted a whole number of at least 1"):
            table.query(USER, limit=limit)


def test_dynamodb_itself_refuses_the_start_of_another_table(table: Table, client: Any) -> None:
    with pytest.raises(client.exceptions.ClientError, match="ValidationException"):
        client.query(
            TableName=table.name,
            KeyConditionExpression="pk = :a",
            ExpressionAttributeValues={":a": {"S": "a"}},
            ExclusiveStartKey={"id": {"S": "a"}},
        )
