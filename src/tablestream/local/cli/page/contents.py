"""Tables with their items and dead letters with their records, as JSON objects for the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ParamValidationError

from tablestream.local.cli.terminal import counted

if TYPE_CHECKING:
    from tablestream.local.cloud.clients import Client

Json = Any

ITEMS = 25  # of a table at a time


class NotThereError(LookupError):
    """The stack has no such table, or no item begins there."""


class Contents:
    """Reads from a stack what is stored there; `client` gives the boto3 client of a service. Mutable: it remembers.

    `letters` gives the paths (bucket, slash, key) at which dead letters and on-failure records were stored.
    """

    def __init__(self, client: Callable[[str], Client], letters: Callable[[], Iterable[str]]) -> None:
        self._client = client
        self._letters = letters
        self._told: dict[str, tuple[str, dict[str, Json] | None]] = {}

    def tables(self) -> list[dict[str, Json]]:
        """Each table with the number of its items and the view of its stream, None without one; by name."""
        dynamodb = self._client("dynamodb")
        pages = dynamodb.get_paginator("list_tables").paginate()
        names = sorted(name for page in pages for name in page["TableNames"])
        described = {name: self._described(name) for name in names}
        return [{"name": name, "items": one["ItemCount"], "stream": _view(one)} for name, one in described.items()]

    def items(self, table: str, start: Mapping[str, Json] | None = None) -> dict[str, Json]:
        """Some items of a table, behind the key `start`; `next` is where the rest begins, None at the end.

        Raises NotThereError.
        """
        described = self._described(table)
        begin = {} if start is None else {"ExclusiveStartKey": start}
        try:
            page = self._client("dynamodb").scan(TableName=table, Limit=ITEMS, **begin)
        except (ClientError, ParamValidationError) as error:
            words = getattr(error, "response", {}).get("Error", {}).get("Message") or " ".join(str(error).split())
            raise NotThereError(f"{table}: {words}") from error
        return {
            "items": page["Items"],
            "next": page.get("LastEvaluatedKey"),
            "keys": [key["AttributeName"] for key in described["KeySchema"]],
            "stream": _view(described),
        }

    def letters(self) -> list[dict[str, Json]]:
        """Each dead letter and on-failure record that is still where it was stored, without its records; latest first.

        An object is read when it is new, or has been written over.
        """
        paths = list(self._letters())
        there = self._etags({path.partition("/")[0] for path in paths})
        told = self._told
        self._told = {
            path: told[path] if told.get(path, ("", None))[0] == there[path] else (there[path], self._summary(path))
            for path in paths
            if path in there
        }
        return [summary for _, summary in self._told.values() if summary is not None]

    def letter(self, bucket: str, key: str) -> Sequence[Json]:
        """Return the records of a dead letter, or of an on-failure record. Raises NotThereError."""
        content = self._read(bucket, key)
        if content is None:
            raise NotThereError(f"{bucket}/{key} is not there any more")
        return _records(content)

    def _etags(self, buckets: Iterable[str]) -> dict[str, str]:
        pages = self._client("s3").get_paginator("list_objects_v2")
        return {
            f"{bucket}/{entry['Key']}": entry["ETag"]
            for bucket in buckets
            for page in pages.paginate(Bucket=bucket)
            for entry in page.get("Contents", ())
        }

    def _described(self, table: str) -> dict[str, Json]:
        try:
            described: dict[str, Json] = self._client("dynamodb").describe_table(TableName=table)["Table"]
        except ClientError as error:
            raise NotThereError(f"there is no table {table}") from error
        return described

    def _summary(self, path: str) -> dict[str, Json] | None:
        bucket, _, key = path.partition("/")
        content = self._read(bucket, key)
        return None if content is None else {"bucket": bucket, "key": key, "reason": _reason(content)}

    def _read(self, bucket: str, key: str) -> dict[str, Json] | None:
        try:
            stored = self._client("s3").get_object(Bucket=bucket, Key=key)
            content = json.loads(stored["Body"].read())
        except (ClientError, ValueError):  # redriven or discarded meanwhile, or no JSON
            return None
        return content if isinstance(content, dict) else None


def _view(described: Mapping[str, Json]) -> str | None:
    view: str | None = described.get("StreamSpecification", {}).get("StreamViewType")
    return view


def _reason(content: Mapping[str, Json]) -> str:
    """The reason for which records were set aside: a dead letter's own words, or the condition of what was given up."""
    context = content.get("requestContext")
    if isinstance(context, dict):
        return f"{context.get('condition')} after {counted(int(context.get('approximateInvokeCount', 0)), 'attempt')}"
    handler = content.get("handler")
    return f"{content.get('reason')}{f' (in {handler})' if handler else ''}"


def _records(content: Mapping[str, Json]) -> Sequence[Json]:
    if "record" in content:
        return [content["record"]]
    payload = content.get("payload")
    records: Sequence[Json] = payload.get("Records", []) if isinstance(payload, dict) else []
    return records
