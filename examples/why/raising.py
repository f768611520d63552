"""The usual loop that stops at the first failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def raising(send: Callable[[str, str], None]) -> Callable[[Any, object], None]:
    """Return a Lambda handler that sends its mails with `send`."""

    def handler(event: Any, _context: object) -> None:
        for record in event["Records"]:
            order = record["dynamodb"]["NewImage"]
            send(order["email"]["S"], order["status"]["S"])

    return handler
