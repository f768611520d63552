"""The shop's HTTP function as it is deployed."""

from __future__ import annotations

from typing import Any

from benchmarks.contenders.context import Context
from shop.api.app import handler as _handle


def handler(event: Any) -> object:
    """Answer a request."""
    context: Any = Context()
    return _handle(event, context)
