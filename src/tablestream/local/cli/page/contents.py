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
    """Reads from a stack what is stored there; `client` gives the boto3 client of a service.

    `letters` gives the paths (bucket, slash, key) at which dead letters and on-failure records were stored.
    """

    def __init__(self, client: Callable[[str], Client], letters: Callable[[], Iterable[str]]) -> None:
        self._client = client
        self._letters = letters

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
        """Each dead letter and on-failure record that is still where it was stored, with its records; latest first."""
        found = [self._letter(*path.split("/", 1)) for path in self._letters()]
        return [letter for letter in found if letter is not None]

    def _described(self, table: str) -> dict[str, Json]:
        try:
            described: dict[str, Json] = self._client("dynamodb").describe_table(TableName=table)["Table"]
        except ClientError as error:
            raise NotThereError(f"there is no table {table}") from error
        return described

    def _letter(self, bucket: str, key: str) -> dict[str, Json] | None:
        try:
            stored = self._client("s3").get_object(Bucket=bucket, Key=key)
            content = json.loads(stored["Body"].read())
        except (ClientError, ValueError):  # redriven or discarded meanwhile, or written over
            return None
        if not isinstance(content, dict):
            return None
        return {"bucket": bucket, "key": key, "reason": _reason(content), "records": _records(content)}


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
