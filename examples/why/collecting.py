"""The usual loop that goes on after a failure and reports the records that failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def collecting(send: Callable[[str, str], None]) -> Callable[[Any, object], dict[str, Any]]:
    """Return a Lambda handler that sends its mails with `send`; the mapping has ReportBatchItemFailures."""

    def handler(event: Any, _context: object) -> dict[str, Any]:
        failures = []
        for record in event["Records"]:
            try:
                order = record["dynamodb"]["NewImage"]
                send(order["email"]["S"], order["status"]["S"])
            except Exception:
                failures.append({"itemIdentifier": record["dynamodb"]["SequenceNumber"]})
        return {"batchItemFailures": failures}

    return handler
