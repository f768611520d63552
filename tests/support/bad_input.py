"""Bad input, row by row: records and events, and what each gets.

W   the whole invocation fails with a clear error, before any effect
P   the record alone is stored with its payload and a reason; its neighbours are processed
S   skipped and counted
B   a business outcome: committed and announced

Every order here carries a customer's name, address and mail address, which no log may show.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

from demo import samples
from shop.orders import OrderKey
from tablestream.testing import Raw, Record, event, inserted, modified, record, removed

CUSTOMER = "jane.doe@example.com"
PERSONAL = {"name": "Jane Doe", "email": CUSTOMER, "address": {"street": "12 Elm Street", "phone": "+1 555 0100"}}
SECRETS = ("jane", "doe", "example.com", "elm street", "+1 555")
STOCK = {"tea": 20, "cup": 5}
SUCCESS: dict[str, Any] = {"batchItemFailures": []}


def order(order_id: str = "bad", status: str = "pending", /, **attributes: Any) -> dict[str, Any]:
    """Return an order of one cup of tea for Jane Doe, with some attributes replaced."""
    return {**samples.order(order_id, status, customer=CUSTOMER, tea=1), **PERSONAL, **attributes}


def line(product: object = "tea", quantity: object = 1, **attributes: Any) -> dict[str, Any]:
    return {"productId": product, "quantity": quantity, "price": Decimal("4.50"), **attributes}


def without(item: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in names}


def stripped(made: Record, *names: str, **fields: Any) -> Record:
    """Return a record with fields of its stream part left out or replaced."""
    return {**made, "dynamodb": {**without(made["dynamodb"], *names), **fields}}


def key(order_id: str) -> OrderKey:
    return OrderKey(f"USER#{CUSTOMER}", f"ORDER#{order_id}")


# --- W: the whole invocation -----------------------------------------------------------------------------------------

GOOD = inserted(order("good-1"))

WHOLE: dict[str, tuple[Any, str]] = {
    "no event at all": (None, "got a NoneType"),
    "Records missing": ({}, "got no Records"),
    "Records not a list": ({"Records": {"0": GOOD}}, "got Records of type dict"),
    "an SQS event": (
        {"Records": [{"messageId": "1", "eventSource": "aws:sqs", "body": json.dumps(order(), default=str)}]},
        "record 0 comes from aws:sqs",
    ),
    "an S3 event": ({"Records": [{"eventSource": "aws:s3", "s3": {}}]}, "record 0 comes from aws:s3"),
    "an SNS event": ({"Records": [{"EventSource": "aws:sns", "Sns": {}}]}, "record 0 comes from aws:sns"),
    "an EventBridge event": (
        {"source": "shop", "detail-type": "order", "detail": PERSONAL},
        "got no Records in an event with the keys: detail, detail-type, source",
    ),
    "a Kinesis-wrapped record": (
        {"Records": [{"eventSource": "aws:kinesis", "kinesis": {"data": "e30="}}]},
        "record 0 comes from aws:kinesis",
    ),
    "a record that is no object": ({"Records": [GOOD, CUSTOMER]}, "record 1 is a str"),
    "a record without dynamodb": ({"Records": [GOOD, without(GOOD, "dynamodb")]}, "record 1 has no dynamodb object"),
    "a record without SequenceNumber": (
        {"Records": [GOOD, stripped(GOOD, "SequenceNumber")]},
        "wanted a SequenceNumber of digits in record 1, got a NoneType",
    ),
    "a SequenceNumber that is not digits": (
        {"Records": [GOOD, stripped(GOOD, SequenceNumber=CUSTOMER)]},
        "wanted a SequenceNumber of digits in record 1, got a str",
    ),
    "another table": (
        event(GOOD, inserted(order(), table="users")),
        "wanted records of the table orders, got arn:aws:dynamodb:us-east-1:123456789012:table/users",
    ),
    "no table": ({"Records": [GOOD, without(GOOD, "eventSourceARN")]}, "wanted records of the table orders, got a str"),
    "a stream of view type KEYS_ONLY": (
        event(record("INSERT", order(), view="KEYS_ONLY")),
        "StreamViewType.*KEYS_ONLY",
    ),
    "a stream of view type NEW_IMAGE": (event(inserted(order(), view="NEW_IMAGE")), "StreamViewType.*NEW_IMAGE"),
    "every record without images": (
        event(record("INSERT", order("1")), record("REMOVE", order("2"))),
        "StreamViewType",
    ),
    "a customer's name where a service's should be": ({"Records": [{"eventSource": CUSTOMER}]}, "comes from a str"),
    "a customer's name where a table's should be": (
        {"Records": [{**GOOD, "eventSourceARN": CUSTOMER}]},
        "wanted records of the table orders, got a str that names none",
    ),
}


# --- P: one record ---------------------------------------------------------------------------------------------------


def nested(levels: int) -> Raw:
    value: Any = {"S": "bottom"}
    for _ in range(levels):
        value = {"L": [value]}
    return Raw(value)


def lines_of(*lines: object) -> Record:
    return inserted(order(items=list(lines)))


READ = order("bad", "confirmed")
"""A cancelled order's old image: the handlers read the new one, and of the old one only the status."""

POISON: dict[str, tuple[Record, str]] = {
    "INSERT without NewImage": (stripped(inserted(order()), "NewImage"), "INSERT without the images"),
    "MODIFY without NewImage": (stripped(modified(READ, order()), "NewImage"), "MODIFY without the images"),
    "MODIFY without OldImage": (stripped(modified(READ, order()), "OldImage"), "MODIFY without the images"),
    "REMOVE without OldImage": (stripped(removed(order()), "OldImage"), "REMOVE without the images"),
    "Keys missing": (stripped(inserted(order()), "Keys"), "wanted"),
    "Keys empty": (stripped(inserted(order()), Keys={}), "wanted"),
    "unknown eventName": ({**inserted(order()), "eventName": "UPSERT"}, "wanted eventName INSERT, MODIFY or REMOVE"),
    "eventName missing": (without(inserted(order()), "eventName"), "wanted eventName INSERT, MODIFY or REMOVE"),
    "unknown type tag": (inserted(order(orderId=Raw({"X": "bad"}))), "attribute orderId: wanted a type tag"),
    "two type tags": (inserted(order(orderId=Raw({"S": "bad", "N": "1"}))), "attribute orderId: wanted one type tag"),
    "no type tag": (inserted(order(orderId=Raw("bad"))), "attribute orderId: wanted one type tag"),
    "N of 39 digits": (lines_of(line("tea", Raw({"N": "1" * 39}))), "at most 38 significant digits"),
    "N is NaN": (lines_of(line("tea", Raw({"N": "NaN"}))), "wanted a number, got str 'NaN'"),
    "N is Infinity": (lines_of(line("tea", Raw({"N": "Infinity"}))), "wanted a number, got str 'Infinity'"),
    "N is text": (lines_of(line("tea", Raw({"N": "two"}))), "wanted a number, got str 'two'"),
    "N is a number of JSON": (lines_of(line("tea", Raw({"N": 2}))), "wanted a number as text"),
    "33 levels deep": (inserted(order(items=nested(33))), "nested deeper than 32 levels"),
    "400 levels deep": (inserted(order(items=nested(400))), "nested deeper than 32 levels"),
    "broken base64 in B": (lines_of(line(photo=Raw({"B": "*"}))), "wanted base64 text"),
    "a lone surrogate in the order's id": (inserted(order(orderId="\ud800")), "orderId"),
    "a lone surrogate in a key": (inserted(order(pk="USER#\ud800")), "pk"),
    "a lone surrogate in a product's id": (lines_of(line("\udfff")), "items.0..productId"),
    "an empty set": (lines_of(line(tags=Raw({"SS": []}))), "wanted a set with at least one element"),
    "an empty string for an id": (inserted(order(orderId="")), "orderId: wanted text that is not empty"),
    "items missing": (inserted(without(order(), "items")), "items: wanted a list of maps, got NoneType"),
    "items not a list": (inserted(order(items="two cups of tea for Jane Doe")), "items: wanted a list"),
    "items empty": (inserted(order(items=[])), "items: wanted a list of at least one line, got an empty one"),
    "a line that is no map": (lines_of("tea"), "items.0.: wanted a map"),
    "productId missing": (lines_of({"quantity": 1}), "items.0..productId: wanted text"),
    "productId empty": (lines_of(line(), line("")), "items.1..productId: wanted text that is not empty"),
    "productId a number": (lines_of(line(7)), "items.0..productId: wanted text"),
    "quantity missing": (lines_of({"productId": "tea"}), "items.0..quantity: wanted a whole number"),
    "quantity zero": (lines_of(line("tea", 0)), "quantity: wanted a whole number from 1 to 1000000, got int 0"),
    "quantity negative": (lines_of(line("tea", -1)), "quantity: wanted a whole number from 1 to 1000000, got int -1"),
    "quantity fractional": (lines_of(line("tea", Decimal("1.5"))), "quantity: wanted a whole number"),
    "quantity absurd": (lines_of(line("tea", 1_000_001)), "quantity: wanted a whole number"),
    "quantity text": (lines_of(line("tea", "2")), "quantity: wanted a whole number"),
    # A transaction takes 100 actions: 98 products, the ledger and the order.
    "more products than a transaction holds": (
        lines_of(*[line(f"product-{number}") for number in range(99)]),
        "items: wanted at most 98 distinct products, got 99",
    ),
    "entityType missing, but the key is an order's": (
        inserted(without(order(), "entityType")),
        "the key is that of a Order, but the attribute entityType does not say so",
    ),
    "entityType a number, but the key is an order's": (inserted(order(entityType=7)), "the key is that of a Order"),
    "an order removed that had no entityType": (removed(without(order(), "entityType")), "the key is that of a Order"),
    "unknown order status": (inserted(order("bad", CUSTOMER)), "status: wanted one of pending, confirmed"),
    "a status changed to an unknown one": (modified(READ, order("bad", "lost")), "status: wanted one of pending"),
    "status missing": (inserted(without(order(), "status")), "status: wanted one of pending"),
    "an order opened again": (
        modified(order("bad", "cancelled"), order()),
        "status: wanted a new order to reserve for, got pending after cancelled",
    ),
    "an order opened again after an unknown status": (
        modified(order("bad", "lost"), order()),
        "status: wanted a new order to reserve for, got pending after an unknown one",
    ),
    "an order that loses its entityType": (
        modified(order(), without(order(), "entityType")),
        "the key is that of a Order",
    ),
    "a draft that becomes an order without lines": (
        modified(order(entityType="Draft"), order(items=[])),
        "items: wanted a list of at least one line",
    ),
    "an order without lines that becomes a draft": (
        modified(order(items=[]), order(entityType="Draft")),
        "items: wanted a list of at least one line",
    ),
    "version fractional": (inserted(order(version=Raw({"N": "1.5"}))), "version: wanted a whole number"),
    "version text": (inserted(order(version="1")), "version: wanted a whole number"),
    "a customer's name for an event name": ({**inserted(order()), "eventName": CUSTOMER}, "wanted eventName"),
    "a customer's name for an event id": ({**lines_of(), "eventID": CUSTOMER}, "items: wanted"),
}


# --- S: skipped and counted ------------------------------------------------------------------------------------------

USER = {"pk": f"USER#{CUSTOMER}", "sk": "PROFILE", "entityType": "User", **PERSONAL}

SKIPPED: dict[str, Record] = {
    "entityType missing": inserted(without(USER, "entityType")),
    "entityType empty": inserted({**USER, "entityType": ""}),
    "unknown entity type": inserted({**USER, "entityType": CUSTOMER}),
    "an order's key with an unknown entity type": inserted(order(entityType="Draft")),
    "another entity, of an unknown eventName": {**inserted(USER), "eventName": "UPSERT"},
    "another entity, with an unknown type tag": inserted({**USER, "avatar": Raw({"X": "bad"})}),
    "another entity, without Keys": stripped(inserted(USER), "Keys"),
    "MODIFY that changes nothing": modified(order(), order()),
    "MODIFY that changes nothing relevant": modified(order(), order("bad", note="ring twice", version=2)),
    "MODIFY that writes what replication writes": modified(order(), order(**{"aws:rep:updateregion": "eu-west-1"})),
    "a draft that changes": modified(order(entityType="Draft"), order("bad", "cancelled", entityType="Draft")),
    "a draft that is removed": removed(order(entityType="Draft")),
    "MODIFY that changes an attribute nobody can read": modified(order(), order(photo=Raw({"B": "*"}))),
}


# --- what looks bad and is processed as ever -------------------------------------------------------------------------

PLAIN = inserted(order())

PROCESSED: dict[str, Record] = {
    "unknown fields in the record": {**PLAIN, "futureField": {"a": [1]}},
    "unknown fields in dynamodb": stripped(PLAIN, futureField=CUSTOMER),
    "unknown eventVersion": {**PLAIN, "eventVersion": "99.0"},
    "no eventVersion, no awsRegion, no eventSource": without(PLAIN, "eventVersion", "awsRegion", "eventSource"),
    "unknown attributes": inserted(order(loyalty={"points": {1, 2}}, memo=b"\x00")),
    "an unknown type tag in an attribute that nobody reads": inserted(order(avatar=Raw({"X": "bad"}))),
    "broken base64 in an attribute that nobody reads": inserted(order(avatar=Raw({"B": "*"}))),
    "deep nesting in an attribute that nobody reads": inserted(order(history=nested(400))),
    "ApproximateCreationDateTime missing": stripped(PLAIN, "ApproximateCreationDateTime"),
    "ApproximateCreationDateTime text": stripped(PLAIN, ApproximateCreationDateTime=CUSTOMER),
    "ApproximateCreationDateTime in milliseconds": inserted(order(), at=1_763_640_000_000),
    "ApproximateCreationDateTime negative": inserted(order(), at=-1),
    "ApproximateCreationDateTime NaN": inserted(order(), at=math.nan),
    "SizeBytes absurd": stripped(PLAIN, SizeBytes="many"),
    "the same product on several lines": lines_of(line("tea", 1), line("tea", 2)),
    "a quantity written as 1E+1": lines_of(line("tea", Raw({"N": "1E+1"}))),
    "a version written as 10.0": inserted(order(version=Raw({"N": "10.0"}))),
    "a version written as 1E+1": inserted(order(version=Raw({"N": "1E+1"}))),
    "a draft that becomes an order": modified(order(entityType="Draft"), order()),
    "MODIFY with an empty OldImage": stripped(modified(READ, order()), OldImage={}),
    "a quantity written as 2.0": lines_of(line("tea", Decimal("2.0"))),
}
UNITS = {"a quantity written as 1E+1": 10, "the same product on several lines": 3, "a quantity written as 2.0": 2}


# --- B: a business outcome -------------------------------------------------------------------------------------------

REJECTED: dict[str, tuple[Record, str]] = {
    "unknown product": (lines_of(line("tea", 1), line("unicorn", 1)), "Unknown product: unicorn."),
    "not enough stock": (lines_of(line("tea", 21)), "Not enough in stock: tea (21 ordered, 20 available)."),
    "not enough for all lines together": (
        lines_of(line("cup", 3), line("cup", 3)),
        "Not enough in stock: cup (6 ordered, 5 available).",
    ),
}
