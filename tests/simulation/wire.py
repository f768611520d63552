"""What requests are about, and how they are refused or parted."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tablestream.testing.doubles import cancelled, client_error
from tests.simulation.aws import JOURNAL
from tests.simulation.faults import Fault

PUBLISHING = frozenset({"Publish", "PublishBatch"})
_RETRYABLE = frozenset({"ThrottlingException", "InternalServerError", "ServiceUnavailable", "SlowDown", "Throttled"})


def retryable(error: Exception) -> bool:
    if isinstance(error, ClientError):
        return (
            error.response["Error"]["Code"] in _RETRYABLE or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
        )
    return isinstance(error, BotoCoreError)  # what the parser raises is not tried again


def is_hot(action: dict[str, Any]) -> bool:
    ((_, request),) = action.items()
    return bool(request.get("Key", {}).get("pk") == {"S": "PRODUCT#p0"})


def service(operation: str, request: dict[str, Any]) -> str:
    if operation in PUBLISHING:
        return "topic"
    if operation == "PutObject":
        return "s3"
    return "journal" if JOURNAL in request.get("RequestItems", {}) else "inventory"


def journalled(request: dict[str, Any]) -> list[str]:
    """The event ids that a request writes to the journal."""
    puts = request.get("RequestItems", {}).get(JOURNAL, ())
    keys = [put["PutRequest"]["Item"]["pk"]["S"] for put in puts] if isinstance(puts, list) else []
    return [key.rpartition("/")[2].partition(".")[0] for key in keys]  # consumer / event id . sequence number


def event_ids(operation: str, request: dict[str, Any]) -> list[str]:
    entries: Sequence[dict[str, Any]] = (
        request["PublishBatchRequestEntries"] if operation == "PublishBatch" else (request,)
    )
    return [json.loads(entry["Message"])["eventId"] for entry in entries]


def split(operation: str, request: dict[str, Any], rng: random.Random) -> tuple[dict[str, Any], list[Any]]:
    """Part the entries of a request into those that are served and those that are not: at least one of these."""
    if operation == "PublishBatch":
        entries = request["PublishBatchRequestEntries"]
        kept, dropped = _halves(entries, rng)
        return ({**request, "PublishBatchRequestEntries": kept} if kept else {}), dropped
    ((table, part),) = request["RequestItems"].items()
    kept, dropped = _halves(part["Keys"] if operation == "BatchGetItem" else part, rng)
    rest = {**part, "Keys": kept} if operation == "BatchGetItem" else kept
    return ({"RequestItems": {table: rest}} if kept else {}), dropped


def _halves(entries: Sequence[Any], rng: random.Random) -> tuple[list[Any], list[Any]]:
    certain = rng.randrange(len(entries))
    dropped = {index for index in range(len(entries)) if index == certain or rng.random() < 0.5}
    return [e for i, e in enumerate(entries) if i not in dropped], [e for i, e in enumerate(entries) if i in dropped]


def refusal(fault: Fault, operation: str, request: dict[str, Any], rng: random.Random) -> ClientError:
    if operation == "TransactWriteItems":
        actions = request["TransactItems"]
        code = "TransactionConflict" if fault is Fault.CONFLICT else "ThrottlingError"
        if fault is Fault.CONFLICT or rng.random() < 0.5:
            met = rng.randrange(len(actions))
            return cancelled([{"Code": code if index == met else "None"} for index in range(len(actions))])
    code = "SlowDown" if operation == "PutObject" else "Throttled" if operation in PUBLISHING else "ThrottlingException"
    return client_error(code, operation, message="Rate exceeded")
