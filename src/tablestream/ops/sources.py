"""Items to replay, from a query, a scan in segments or an export, page by page; and their records, made of them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Protocol

from tablestream.change import RawRecord
from tablestream.dynamodb.items import record_bytes
from tablestream.ops.terminal import CommandError

Item = Mapping[str, Any]
"""An item in DynamoDB JSON; binary values as bytes, as boto3 gives them, or as base64 text, as exports have them."""

_DIGITS = 18
_WIDTH = 40
"""A sequence number has 21 to 40 digits (DynamoDB Streams API reference)."""


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes records. They follow from the run's name and the item's key: whoever goes on after a crash makes the same.

    The sequence numbers are below all that a stream gives, since the item may have changed again before its record is
    processed: next to real changes of the item the replayed one is the oldest.
    """

    table_arn: str
    keys: tuple[str, ...]
    """The attributes of the primary key."""
    run: str
    at: float
    """When the run began, in seconds since the epoch."""
    notify: bool

    def record(self, item: Item) -> RawRecord:
        """Return the record of one item."""
        image = as_json(item)
        keys = {name: image[name] for name in self.keys}
        digest = hashlib.sha256(json.dumps([self.run, self.table_arn, keys], sort_keys=True).encode()).hexdigest()
        return {
            "eventID": f"replay-{digest[:32]}",
            "eventName": "INSERT",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": self.table_arn.split(":")[3],
            "dynamodb": {
                "ApproximateCreationDateTime": self.at,
                "Keys": keys,
                "NewImage": image,
                "SequenceNumber": f"{int(digest, 16) % 10**_DIGITS:0{_WIDTH}d}",
                "SizeBytes": record_bytes(keys, image, None),
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
            "eventSourceARN": f"{self.table_arn}/stream/replay",
            "replayed": True,
            **({"notify": True} if self.notify else {}),
        }


def as_json(item: Item) -> dict[str, Any]:
    """Return an item with binary values as base64 text, as a Lambda event carries them."""
    return {name: _text(value) for name, value in item.items()}


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        return {name: _text(entry) for name, entry in value.items()}
    return [_text(entry) for entry in value] if isinstance(value, list) else value


def as_key(key: Item) -> dict[str, Any]:
    """Return a primary key out of JSON as boto3 takes it: a binary value as bytes."""
    return {
        name: {tag: base64.b64decode(value) if tag == "B" else value for tag, value in tagged.items()}
        for name, tagged in key.items()
    }


def entity_of(item: Item) -> str | None:
    """Return an item's entity type."""
    tagged = item.get("entityType")
    entity = tagged.get("S") if isinstance(tagged, dict) else None
    return entity if isinstance(entity, str) else None


Client = Any
"""boto3 builds its classes at run time; the stubs know only services that are named literally."""
Cursor = Any
"""Where to go on, as JSON; None is the beginning, and what follows the last page."""

_LINES = 1000
_WHOLE = "full"


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Some items, and where to go on after them; None after the last."""

    items: Sequence[Item]
    after: Cursor
    within: Callable[[int], Cursor]
    """Return where to go on after the item at this position."""


class ItemSource(Protocol):
    """Items in units that can be read side by side; no item is in two."""

    def units(self) -> Sequence[str]:
        """Return the names of the units; always the same."""
        ...

    def pages(self, unit: str, cursor: Cursor) -> Iterator[ItemPage]:
        """Yield the pages of a unit from a cursor on."""
        ...


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table, as DescribeTable tells of it."""

    name: str
    arn: str
    keys: tuple[str, ...]
    """The attributes of the primary key, the partition key first."""
    types: Mapping[str, str]
    """Their types: S, N or B."""
    items: int
    """About how many items there are; DynamoDB counts every six hours."""
    size: int
    """Likewise, bytes."""

    @classmethod
    def described(cls, client: Client, name: str) -> SourceTable:
        """Ask for a table's description."""
        table = client.describe_table(TableName=name)["Table"]
        schema = sorted(table["KeySchema"], key=lambda part: str(part["KeyType"]))  # HASH before RANGE
        return cls(
            name=name,
            arn=table["TableArn"],
            keys=tuple(part["AttributeName"] for part in schema),
            types={one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]},
            items=table.get("ItemCount", 0),
            size=table.get("TableSizeBytes", 0),
        )


@dataclass(frozen=True, slots=True)
class Scan:
    """All items of a table, in segments."""

    client: Client
    table: SourceTable
    segments: int

    def units(self) -> Sequence[str]:
        """Return the segments."""
        return [f"{segment}/{self.segments}" for segment in range(self.segments)]

    def pages(self, unit: str, cursor: Cursor) -> Iterator[ItemPage]:
        """Yield the pages of a segment, of up to 1 MB each."""
        where = {"Segment": int(unit.partition("/")[0]), "TotalSegments": self.segments}
        return _pages(self.client.scan, {"TableName": self.table.name, **where}, self.table.keys, cursor)


@dataclass(frozen=True, slots=True)
class Query:
    """The items of one partition, of all sort keys or of those that begin with a prefix."""

    client: Client
    table: SourceTable
    partition: str
    prefix: str | None

    def units(self) -> Sequence[str]:
        """Return the only unit."""
        return ["query"]

    def pages(self, unit: str, cursor: Cursor) -> Iterator[ItemPage]:  # there is only one unit
        """Yield the pages of the query."""
        names = {"#p": self.table.keys[0]}
        values = {":p": {self.table.types[self.table.keys[0]]: self.partition}}
        condition = "#p = :p"
        if self.prefix is not None:
            names["#s"], values[":s"] = self.table.keys[1], {"S": self.prefix}
            condition += " AND begins_with(#s, :s)"
        request = {
            "TableName": self.table.name,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }
        return _pages(self.client.query, request, self.table.keys, cursor)


def _pages(call: Any, request: Mapping[str, Any], keys: Sequence[str], cursor: Cursor) -> Iterator[ItemPage]:
    """Yield pages; the key of any item of a page is a place from which DynamoDB goes on."""
    while True:
        begin = {} if cursor is None else {"ExclusiveStartKey": as_key(cursor)}
        answer = call(**request, **begin)
        last = answer.get("LastEvaluatedKey")
        cursor = as_json(last) if last else None
        yield ItemPage(answer["Items"], cursor, partial(_key_at, answer["Items"], keys))
        if cursor is None:
            return


def _key_at(items: Sequence[Item], keys: Sequence[str], position: int) -> Cursor:
    return as_json({name: items[position][name] for name in keys})


@dataclass(frozen=True, slots=True)
class Export:
    """A full export to S3 in DynamoDB JSON: a unit is one of its files."""

    client: Client
    bucket: str
    folder: str
    """`…/AWSDynamoDB/<export id>`, where the manifests are."""

    def units(self) -> Sequence[str]:
        """Return the keys of the data files, as the manifest lists them."""
        lines = self._object(f"{self.folder}/manifest-files.json").decode().splitlines()
        return [json.loads(line)["dataFileS3Key"] for line in lines if line.strip()]

    def check(self) -> int:
        """Return how many items the export has. Raises `CommandError` where it is not a full one in DynamoDB JSON."""
        summary = json.loads(self._object(f"{self.folder}/manifest-summary.json"))
        kind, form = summary.get("exportType", "FULL_EXPORT"), summary.get("outputFormat", "DYNAMODB_JSON")
        if not kind.lower().startswith(_WHOLE) or form != "DYNAMODB_JSON":
            raise CommandError(f"wanted a full export in DYNAMODB_JSON, got {kind} in {form}")
        return int(summary.get("itemCount", 0))

    def pages(self, unit: str, cursor: Cursor) -> Iterator[ItemPage]:
        """Yield the lines of a file by thousands; to go on, those that are done are read past."""
        body = self.client.get_object(Bucket=self.bucket, Key=unit)["Body"]
        done = int(cursor or 0)
        with gzip.open(body) as lines:
            rest = islice(lines, done, None)
            while part := [json.loads(line)["Item"] for line in islice(rest, _LINES)]:
                before, done = done, done + len(part)
                yield ItemPage(part, done if len(part) == _LINES else None, partial(_line_at, before))

    def _object(self, key: str) -> bytes:
        body: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body


def _line_at(before: int, position: int) -> Cursor:
    return before + position + 1
