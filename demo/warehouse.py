"""The shop as its customers and its warehouse see it: stock, orders, the ledger, and what is in the failures bucket.

Knows the shop's data model (the keys and attributes of its items), not its code.
"""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError, ParamValidationError

from tablestream.local.cli.terminal import INDENT, put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from tablestream.local.cloud.clients import Client


Item = dict[str, Any]
Line = tuple[str, Any]  # a product and a quantity; any quantity, since poison has to be placed too

PRODUCTS: Mapping[str, int] = {"tea": 20, "cup": 5, "pot": 2}
PRICE = 5
MODULE = "demo"
"""The module that runs the commands of the shop."""
SHOP_OUTPUTS = {"TableName", "InventoryTableName", "FailuresBucketName", "TopicArn"}
"""What a stack that is the shop's tells."""


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order to place. `ttl` is in unix seconds; the default customer keeps commands short."""

    order_id: str
    lines: Sequence[Line]
    customer: str = "ada"
    status: str = "pending"
    ttl: int | None = None

    @property
    def key(self) -> Item:
        """The order's key in DynamoDB JSON."""
        return {"pk": {"S": f"USER#{self.customer}"}, "sk": {"S": f"ORDER#{self.order_id}"}}

    def item(self) -> Item:
        """The order's item in DynamoDB JSON."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        lines = [{"productId": product, "quantity": quantity, "price": PRICE} for product, quantity in self.lines]
        attributes = {
            "GSI1PK": f"ORDER#{self.order_id}",
            "GSI1SK": f"USER#{self.customer}",
            "entityType": "Order",
            "orderId": self.order_id,
            "customerId": self.customer,
            "status": self.status,
            "items": lines,
            "total": sum(PRICE * max(0, int(quantity)) for _, quantity in self.lines),
            "createdAt": now,
            "updatedAt": now,
            "version": 1,
        }
        expiry = {} if self.ttl is None else {"ttl": self.ttl}
        return {**self.key, **encode({**attributes, **expiry})}


class Shop:
    """The shop's tables, by the stack's outputs, through the boto3 DynamoDB client `dynamodb`."""

    def __init__(self, dynamodb: Client, outputs: Mapping[str, str]) -> None:
        self._dynamodb = dynamodb
        self._orders = outputs["TableName"]
        self._inventory = outputs["InventoryTableName"]

    def stock(self, products: Mapping[str, int] = PRODUCTS) -> None:
        """Set what is available of each product."""
        for product, available in products.items():
            key = {"pk": f"PRODUCT#{product}", "sk": "STOCK"}
            item = encode({**key, "productId": product, "available": available})
            self._dynamodb.put_item(TableName=self._inventory, Item=item)

    def place(self, order: NewOrder) -> None:
        """Write a new order."""
        self._dynamodb.put_item(TableName=self._orders, Item=order.item())

    def set_status(self, key: Item, status: str) -> None:
        """Change an order's status, as the shop's other services do: version + 1, and only if the order is there."""
        self._dynamodb.update_item(
            TableName=self._orders,
            Key=key,
            UpdateExpression="SET #s = :s, updatedAt = :u, version = version + :one",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeNames={"#s": "status"},
            ExpressionAttributeValues=encode(
                {
                    ":s": status,
                    ":u": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                    ":one": 1,
                }
            ),
        )

    def remove(self, key: Item) -> None:
        """Delete an order."""
        self._dynamodb.delete_item(TableName=self._orders, Key=key)

    def find(self, order_id: str) -> Item | None:
        """The key of the order with this id (looked up in GSI1), or None."""
        found = self._dynamodb.query(
            TableName=self._orders,
            IndexName="GSI1",
            KeyConditionExpression="GSI1PK = :o",
            ExpressionAttributeValues={":o": {"S": f"ORDER#{order_id}"}},
        )["Items"]
        return {"pk": found[0]["pk"], "sk": found[0]["sk"]} if found else None

    def order(self, key: Item) -> dict[str, Any] | None:
        """An order as it is now, or None."""
        item = self._dynamodb.get_item(TableName=self._orders, Key=key, ConsistentRead=True).get("Item")
        return decode(item) if item else None

    def ledger_of(self, key: Item) -> dict[str, Any] | None:
        """The ledger item of an order, or None."""
        ledger_key = {"pk": {"S": f"LEDGER#{key['pk']['S']}"}, "sk": key["sk"]}
        item = self._dynamodb.get_item(TableName=self._inventory, Key=ledger_key, ConsistentRead=True).get("Item")
        return decode(item) if item else None

    def orders(self) -> list[dict[str, Any]]:
        """Every order of the shop's table."""
        return [item for item in self._scan(self._orders) if str(item["sk"]).startswith("ORDER#")]

    def available(self) -> dict[str, int]:
        """The units that are available of each product."""
        stock = {"FilterExpression": "sk = :stock", "ExpressionAttributeValues": {":stock": {"S": "STOCK"}}}
        found = {item["pk"].removeprefix("PRODUCT#"): item for item in self._scan(self._inventory, **stock)}
        return {product: int(item.get("available", 0)) for product, item in sorted(found.items())}

    def ledger(self) -> list[dict[str, Any]]:
        """Every ledger item, by key."""
        items = [item for item in self._scan(self._inventory) if item["pk"].startswith("LEDGER#")]
        return sorted(items, key=lambda item: (item["pk"], item["sk"]))

    def _scan(self, table: str, **filters: Any) -> list[dict[str, Any]]:
        pages = self._dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True, **filters)
        return [decode(item) for page in pages for item in page["Items"]]


def encode(plain: Mapping[str, Any]) -> Item:
    """DynamoDB JSON of plain values."""
    return {name: TypeSerializer().serialize(value) for name, value in plain.items()}


def decode(item: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values of DynamoDB JSON."""
    return {name: TypeDeserializer().deserialize(value) for name, value in item.items()}


def order_of(record: Any) -> str:
    """The id of the order that a change record is about, by its sort key; empty for what is no order's."""
    try:
        kind, _, order_id = str(record["dynamodb"]["Keys"]["sk"]["S"]).partition("#")
    except (LookupError, TypeError):
        return ""
    return order_id if kind == "ORDER" else ""


def id_in(message: Mapping[str, Any]) -> str:
    """The id of what a message is about: orderId, or that of another entity; empty if it names none."""
    return next((str(value) for name, value in message.items() if name.endswith("Id") and name != "eventId"), "")


def seed(dynamodb: Client, outputs: Mapping[str, str], event: Any) -> None:
    """Stock PRODUCTS, and restore the tables for `event`."""
    Shop(dynamodb, outputs).stock()
    restore(dynamodb, outputs, event)


def restore(dynamodb: Client, outputs: Mapping[str, str], event: Any) -> None:
    """Bring the tables to where they were when the changes of `event` had been made.

    The handler's order update is conditional on the order's state, so the order must be there; and what was decided
    about an order that is older than the event is in the ledger. Images DynamoDB itself would refuse (some sample
    events are malformed on purpose) are left out.
    """
    records = event.get("Records") if isinstance(event, Mapping) else None
    seen: set[str] = set()
    for record in records if isinstance(records, list) else ():
        change = record.get("dynamodb") if isinstance(record, Mapping) else None
        if isinstance(change, Mapping):
            _replay(dynamodb, outputs["TableName"], change)
            key = json.dumps(change.get("Keys"), sort_keys=True)
            if key not in seen:
                _decide(dynamodb, outputs["InventoryTableName"], change.get("OldImage"))
            seen.add(key)


DECIDED: Mapping[str, str] = {"confirmed": "RESERVED", "shipped": "RESERVED", "cancelled": "RELEASED"}
"""What the ledger says about an order of a status. About one that is delivered nobody asks any more."""


def _decide(dynamodb: Client, inventory: str, image: Any) -> None:
    """Write what the ledger says about an order that was there before the event, if its image is an order's."""
    try:
        order = decode(image)
        lines: Counter[str] = Counter()
        for line in order["items"]:
            lines[line["productId"]] += int(line["quantity"])
        key = {"pk": f"LEDGER#{order['pk']}", "sk": order["sk"]}
        decided = {"state": DECIDED[order["status"]], "effectId": "before", "decidedAt": order["updatedAt"]}
        dynamodb.put_item(TableName=inventory, Item=encode({**key, **decided, "lines": dict(lines)}))
    except (ClientError, ParamValidationError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        # No order, or none that was ever decided.
        return


def _replay(dynamodb: Client, table: str, change: Mapping[str, Any]) -> None:
    try:
        if image := change.get("NewImage"):
            dynamodb.put_item(TableName=table, Item=_without_base64(image))
        elif change.get("Keys"):
            dynamodb.delete_item(TableName=table, Key=change["Keys"])
    except (ClientError, ParamValidationError, ValueError, TypeError):
        # Not an item any table could hold, so in no table it is.
        return


def _without_base64(value: Any) -> Any:
    """The image with B and BS as bytes, as boto3 takes them; a Lambda event carries them as base64 text."""
    if isinstance(value, list):
        return [_without_base64(entry) for entry in value]
    if not isinstance(value, Mapping):
        return value
    if set(value) == {"B"} and isinstance(value["B"], str):
        return {"B": base64.b64decode(value["B"], validate=True)}
    if set(value) == {"BS"}:
        return {"BS": [base64.b64decode(entry, validate=True) for entry in _texts(value["BS"])]}
    return {name: _without_base64(entry) for name, entry in value.items()}


def _texts(value: Any) -> Iterable[str]:
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []


@dataclass(frozen=True, slots=True)
class Letter:
    """One object of the bucket."""

    key: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bucket:
    """The objects of the failures bucket whose keys begin with `prefix`."""

    s3: Client
    name: str
    prefix: str = ""

    def names(self) -> list[str]:
        """Every key, in order."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=self.prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def read(self, key: str) -> Letter:
        """The object of a key."""
        return Letter(key, json.loads(self.s3.get_object(Bucket=self.name, Key=key)["Body"].read()))

    def letters(self) -> list[Letter]:
        """Every object, by key."""
        return [self.read(key) for key in self.names()]


class News:
    """Tells which objects of a bucket came since it was made, each once. Mutable: it remembers what it told."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._known = set(bucket.names())

    def take(self) -> list[str]:
        """The keys that are new."""
        new = [key for key in self._bucket.names() if key not in self._known]
        self._known.update(new)
        return new


def print_letters(output: Console, found: Sequence[Letter]) -> None:
    """Print why each record was set aside, of which order it is, and where it lies."""
    output.print("Dead letters" if found else "No dead letters", style="italic")
    for letter in found:
        put_letter(output, letter, indent=2)


def put_letter(output: Console, letter: Letter, *, indent: int = INDENT) -> None:
    """Print the reason of one, and its key where a line holds that: `redrive list --objects` has it else."""
    order = order_of(letter.body.get("record"))
    reason = letter.body.get("reason") or letter.body.get("requestContext", {}).get("condition")
    put(output, f"dead letter: {f'{order}: ' if order else ''}{reason}", indent=indent, style="bold red")
    if not output.is_terminal or indent + len(letter.key) <= output.width:
        put(output, letter.key, indent=indent, style="dim")
