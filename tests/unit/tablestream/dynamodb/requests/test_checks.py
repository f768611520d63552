"""Calls that can never succeed are told before anything is sent: what was wanted, what came, and no value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key

from tablestream.dynamodb import (
    Append,
    Check,
    Delete,
    IfAbsent,
    Index,
    InvalidRequest,
    InvalidValue,
    Misconfigured,
    Nulls,
    Put,
    Table,
    Update,
)
from tablestream.dynamodb.items import Key as ItemKey
from tests.unit.tablestream.dynamodb.test_calls import FOUND, KEY, Script, table_of

SECRET = "s3cret"
ANY: Any = SECRET
PK: Any = Key("pk").eq("a")
INDEXES = {"byTag": Index("tag", "createdAt")}


def refused(call: Callable[[Table], object], **settings: Any) -> str:
    """Make a call that is refused without being sent; return what it is told."""
    script = Script()
    with pytest.raises(InvalidRequest) as told:
        call(table_of(script, **settings))
    assert script.asked == []
    assert SECRET not in str(told.value)
    return str(told.value)


def typed(call: Callable[[Any], object]) -> Callable[[Table], object]:
    """Let a call be as wrong as somebody without a type checker writes it."""
    return call


@pytest.mark.parametrize(
    "call",
    [
        typed(lambda table: table.get(KEY, fields=SECRET)),
        typed(lambda table: table.query(PK, fields=SECRET)),
        typed(lambda table: list(table.items(PK, fields=SECRET))),
        typed(lambda table: table.scan(fields=SECRET)),
        typed(lambda table: list(table.scan_items(fields=SECRET))),
        typed(lambda table: table.batch_get([KEY], fields=SECRET)),
        typed(lambda table: table.transact_get([KEY], fields=SECRET)),
        typed(lambda table: table.update(KEY, remove=SECRET)),
        typed(lambda table: table.transact_write([Update(KEY, remove=ANY)])),
    ],
)
def test_text_is_no_list_of_names(call: Callable[[Table], object]) -> None:
    assert "wanted a list of names, got text" in refused(call)


@pytest.mark.parametrize("fields", [["name"], ("name",), {"name"}, {"name": 1}.keys()])
def test_names_come_in_any_collection(fields: Any) -> None:
    script = Script(FOUND)
    table_of(script).get(KEY, fields=fields)
    assert script.asked[0][1]["ExpressionAttributeNames"] == {"#n0": "name"}


NO_LISTS: Mapping[str, tuple[Callable[[Any], object], str]] = {
    "a name twice": (lambda table: table.get(KEY, fields=["a", ("a",)]), "fields: wanted each attribute once, got one"),
    "names once": (lambda table: table.get(KEY, fields=iter("ab")), "fields: wanted a list of names, got str_"),
    "a name that is none": (lambda table: table.get(KEY, fields=[5]), "path: wanted the name of an attribute, got int"),
    "a path of nothing": (lambda table: table.get(KEY, fields=[()]), "the name of an attribute, got nothing"),
    "a path that begins with a number": (lambda table: table.get(KEY, fields=[(0,)]), "of an attribute, got int"),
    "a key for keys": (lambda table: table.batch_get(KEY), "keys: wanted a list of keys, got dict"),
    "a Key for keys": (
        lambda table: table.batch_get(ItemKey.of("orders", KEY)),
        "keys: wanted a list of keys, got Key",
    ),
    "keys of text": (lambda table: table.transact_get(SECRET), "keys: wanted a list of keys, got text"),
    "an item for puts": (lambda table: table.batch_write({**KEY}), "puts: wanted a list of items, got dict"),
    "nothing for deletes": (lambda table: table.batch_write([], None), "deletes: wanted a list of keys, got nothing"),
    "an action": (lambda table: table.transact_write(Put(KEY)), "a list of Put, Update, Delete and Check, got Put"),
    "entries": (lambda table: table.update(KEY, set={"a": Append(SECRET)}), "a: wanted a list of entries, got text"),
}


@pytest.mark.parametrize("name", NO_LISTS)
def test_what_is_no_list_is_told(name: str) -> None:
    call, told = NO_LISTS[name]
    assert told in refused(call)


WRONG: Mapping[str, tuple[Callable[[Any], object], str]] = {
    "an item of text": (lambda table: table.put(SECRET), "item: wanted values by name, got text"),
    "an item of a list": (lambda table: table.put([1]), "item: wanted values by name, got list"),
    "an item among puts": (lambda table: table.batch_write([SECRET]), "item: wanted values by name, got text"),
    "a key": (lambda table: table.get(SECRET), "key: wanted values by name, got text"),
    "set": (lambda table: table.update(KEY, set=SECRET), "set: wanted values by name, got text"),
    "add": (lambda table: table.update(KEY, add=["a"]), "add: wanted values by name, got list"),
    "delete": (lambda table: table.update(KEY, delete=["a"]), "delete: wanted values by name, got list"),
    "a limit of text": (
        lambda table: table.query(PK, limit="5"),
        "limit: wanted a whole number of at least 1, got text",
    ),
    "a limit that is true": (
        lambda table: table.scan(limit=True),
        "limit: wanted a whole number of at least 1, got bool",
    ),
    "reads": (lambda table: table.scan(reads=0), "reads: wanted a whole number of at least 1, got 0"),
    "an index": (lambda table: table.scan(index=["a"]), "index: wanted text, got list"),
    "a version": (lambda table: table.update(KEY, version="1"), "version: wanted a whole number, got text"),
    "a version of a delete": (
        lambda table: table.delete(KEY, version=1.0),
        "version: wanted a whole number, got float",
    ),
    "returns": (
        lambda table: table.update(KEY, set={"a": 1}, returns="NONE"),
        "returns: wanted one of Returns, got text",
    ),
    "no action": (
        lambda table: table.transact_write([{"pk": SECRET}]),
        "wanted Put, Update, Delete or Check, got dict",
    ),
    "another table": (lambda table: table.transact_write([Put(KEY, table=ANY)]), "Put.table: wanted a Table, got text"),
    "a token": (lambda table: table.transact_write([Put(KEY)], token=5), "token: wanted text, got int"),
    "no token": (
        lambda table: table.transact_write([Put(KEY)], token=""),
        "token: wanted text of 1 to 36 letters, got 0",
    ),
    "a run": (lambda table: table.within(SECRET), "run: wanted a Run, got text"),
    "a condition": (lambda table: table.put(KEY, condition=SECRET), "wanted a condition like Attr('status').eq('new')"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_has_another_type_is_told(name: str) -> None:
    call, told = WRONG[name]
    assert told in refused(call)


def test_an_update_of_nothing_is_told() -> None:
    calls: list[Callable[[Table], object]] = [
        lambda table: table.update(KEY),
        lambda table: table.update(KEY, set={}, remove=[], create=True),
        lambda table: table.update(KEY, condition=Attr("a").exists()),
        lambda table: table.transact_write([Update(KEY)]),
    ]
    for call in calls:
        assert "wanted something to change" in refused(call)


CHANGES: Mapping[str, tuple[dict[str, Any], str]] = {
    "set of the key": ({"set": {"pk": "b"}}, "pk: wanted an attribute that can change, got one of the key of orders"),
    "set in the key": ({"set": {"pk.a": "b"}}, "pk: wanted an attribute that can change"),
    "add to the key": ({"add": {"sk": 1}}, "sk: wanted an attribute that can change"),
    "remove of the key": ({"remove": ["sk"]}, "sk: wanted an attribute that can change"),
    "delete from the key": ({"delete": {("sk",): {"a"}}}, "sk: wanted an attribute that can change"),
    "set and remove": ({"set": {"a": 1}, "remove": ["a"]}, "a: wanted one change of an attribute, got two"),
    "set and add": ({"set": {"a": 1}, "add": {("a",): 1}}, "a: wanted one change of an attribute, got two"),
    "none and remove": ({"set": {"a": None}, "remove": ["a"]}, "a: wanted one change of an attribute, got two"),
    "remove twice": ({"remove": ["a", "a"]}, "a: wanted one change of an attribute, got two"),
    "the version": ({"set": {"a": 1}, "remove": ["version"], "version": 1}, "version: wanted one change"),
    "one in the other": (
        {"set": {"a": {}}, "remove": ["a.b[0]"]},
        "a.b.0: wanted one change of an attribute, got one of",
    ),
    "add of text": ({"add": {"a": SECRET}}, "a: wanted a number or a set, got text"),
    "delete of a list": ({"delete": {"a.b": ["c"]}}, "a.b: wanted a set, got list"),
    "delete of a number": ({"delete": {"a": 1}}, "a: wanted a set, got int"),
    "a key of an index": ({"set": {"tag": 5}}, "tag: wanted a key attribute of type S, got N"),
    "a key of an index if absent": ({"set": {("tag",): IfAbsent("")}}, "tag: wanted 1 to 2048 bytes"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_cannot_be_is_told_with_its_attribute(name: str) -> None:
    change, told = CHANGES[name]
    assert told in refused(lambda table: table.update(KEY, **change), indexes=INDEXES)


def test_changes_side_by_side_are_sent() -> None:
    script = Script({})
    table_of(script, indexes=INDEXES).update(KEY, set={"a.b": 1, "a.c": 2, "tag": "t"}, remove=["ab", ("a.b",), "d[0]"])
    assert script.asked[0][0] == "update_item"


def test_an_item_has_one_action_in_a_transaction() -> None:
    for second in (Delete(KEY), Check(KEY), Update(KEY, set={"a": 1}), Put({**KEY, "a": 1})):
        told = refused(lambda table, action=second: table.transact_write([Put(KEY), action]))  # type: ignore[misc]
        assert "orders: wanted one action on an item in a transaction, got two of one pk and sk" in told
    script = Script({})
    other = Table("other", script)
    table_of(script).transact_write([Put(KEY), Put({**KEY, "sk": "2"}), Put(KEY, table=other)])
    assert len(script.asked) == 1


SETTINGS: Mapping[str, tuple[Callable[[Any], object], str]] = {
    "no client": (lambda table: table("notes", None), "client: wanted a client of DynamoDB, got nothing"),
    "another client": (lambda table: table("notes", SimpleNamespace()), "client of DynamoDB, got SimpleNamespace"),
    "no name": (lambda table: table("", Script()), "name: wanted the name of a table, got nothing"),
    "client and name": (lambda table: table(Script(), "notes"), "name: wanted the name of a table, got Script"),
    "an index": (
        lambda table: table("notes", Script(), indexes={"byTag": ("tag", "createdAt")}),
        "indexes: wanted Index(…) for byTag, got tuple",
    ),
    "indexes": (
        lambda table: table("notes", Script(), indexes=[INDEXES["byTag"]]),
        "wanted Index(…) for the table, got",
    ),
    "three keys": (lambda table: table("notes", Script(), key=("a", "b", "c")), "names of one or two attributes, got"),
    "no key": (lambda table: table("notes", Script(), key=()), "key: wanted the names of one or two attributes, got"),
    "a key that is none": (lambda table: table("notes", Script(), key=5), "names of one or two attributes, got int"),
    "a type": (lambda table: table("notes", Script(), types={"pk": float}), "wanted str, int, Decimal or bytes for pk"),
    "nulls": (lambda table: table("notes", Script(), nulls="drop"), "nulls: wanted Nulls.DROP or Nulls.KEEP, got text"),
    "a version": (
        lambda table: table("notes", Script(), version=1),
        "version: wanted the name of an attribute, got int",
    ),
    "a run": (lambda table: table("notes", Script(), run=5), "run: wanted a Run, got int"),
    "an observer": (lambda table: table("notes", Script(), observe=[]), "observe: wanted a function, got list"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_table_of_wrong_settings_is_told(name: str) -> None:
    make, told = SETTINGS[name]
    with pytest.raises(Misconfigured) as error:
        make(Table)
    assert told in str(error.value)


def test_a_resource_is_no_client() -> None:
    resource = boto3.resource("dynamodb", "eu-central-1", aws_access_key_id="k", aws_secret_access_key="k")
    for given in (resource, resource.Table("notes")):
        with pytest.raises(Misconfigured, match=r"got a resource; its `meta\.client` is one"):
            Table("notes", given)
    assert Table("notes", resource.meta.client, nulls=Nulls.KEEP).name == "notes"


def test_a_value_without_a_type_stays_a_value() -> None:
    with pytest.raises(InvalidValue, match="a: wanted a Decimal or an int, got a float"):
        table_of(Script()).update(KEY, add={"a": 1.5})
