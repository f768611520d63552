"""What a function writes, for a person: structured log entries in one readable line, and routine ones left out."""

from __future__ import annotations

import json
import logging
from typing import Any

QUIET = logging.WARNING
# Said elsewhere in the line, or of no use on this machine.
_LEFT_OUT = {
    "level",
    "message",
    "location",
    "timestamp",
    "service",
    "name",
    "correlation_id",
    "function_request_id",
    "xray_trace_id",
    "exception",
    "stack_trace",
    "function_name",
    "function_arn",
    "function_memory_size",
    "cold_start",
}


def readable(line: str) -> str | None:
    """The line as it is to be shown, or None for what need not be: metrics, and entries below a warning."""
    entry = _entry(line)
    if entry is None:
        return line if line.strip() else None
    if "_aws" in entry or _rank(entry) < QUIET:
        return None
    message = entry.get("message")
    text = message if isinstance(message, str) else json.dumps(message)
    details = ", ".join(f"{name} {_short(value)}" for name, value in entry.items() if name not in _LEFT_OUT)
    return f"{entry['level']}: {text}" + (f" ({details})" if details else "")


def _entry(line: str) -> dict[str, Any] | None:
    """The structured entry of a line; None for plain text, and for JSON that is no entry of a log or of metrics."""
    if not line.startswith("{"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if "_aws" in entry or "level" in entry else None


def _rank(entry: dict[str, Any]) -> int:
    return logging.getLevelNamesMapping().get(str(entry["level"]).upper(), QUIET)


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
