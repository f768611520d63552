"""The worker's configuration: environment variables, read and checked once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from tablestream.dynamodb.journal import DEFAULT_TTL_DAYS
from tablestream.errors import ConfigurationError, describe
from tablestream.run import DEFAULT_MARGIN_SECONDS

N = TypeVar("N", int, float)

DEFAULT_CONCURRENCY = 8

_TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}")
_TABLE_ARN = re.compile(r"arn:[a-z0-9-]+:dynamodb:[a-z0-9-]+:\d{12}:table/[A-Za-z0-9_.-]{3,255}")
_TOPIC = re.compile(r"arn:[a-z0-9-]+:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

_LOGICAL_ID = re.compile(r"[A-Za-z0-9]{1,255}")

_KINDS = {int: "a whole number", float: "a number"}
_MAX_TTL_DAYS = 3650
_MIN_MARGIN_SECONDS = 2.0
_MAX_MARGIN_SECONDS = 60.0
_MAX_CONCURRENCY = 64


def is_unresolved(environ: Mapping[str, str]) -> bool:
    """Tell whether this is `sam local`, with the template's own names for topic and bucket in place of theirs.

    The SAM CLI resolves no reference to a resource. Only of these two can that be told: a table may be called Table.
    """
    topic, bucket = environ.get("TOPIC_ARN", ""), environ.get("FAILURES_BUCKET", "")
    return (
        bool(environ.get("AWS_SAM_LOCAL"))
        and all(_LOGICAL_ID.fullmatch(name) for name in (topic, bucket))
        and not _BUCKET.fullmatch(bucket)
    )


@dataclass(frozen=True, slots=True)
class Config:
    """What the worker needs to know about its surroundings."""

    table_name: str
    inventory_table: str
    journal_table: str
    topic_arn: str
    failures_bucket: str
    journal_ttl_days: int = DEFAULT_TTL_DAYS
    deadline_margin_seconds: float = DEFAULT_MARGIN_SECONDS
    concurrency: int = DEFAULT_CONCURRENCY
    consumer: str = "worker"
    """The function's name: it tells this consumer of the stream from others."""
    table_arn: str | None = None
    """Where it is given, records of a table of the same name in another account or region are refused."""
    ignore_before: float | None = None
    """Seconds since the epoch."""
    local_changes_only: bool = False
    any_table: bool = False
    """Whether records of every table are taken: in `sam local`, where the event in a file names a table of its own."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Config:
        """Read the configuration; raises `ConfigurationError` that names every variable that is missing or wrong."""
        reader = _Reader(environ)
        config = cls(
            table_name=reader.text("TABLE_NAME", _TABLE, "a table's name"),
            inventory_table=reader.text("INVENTORY_TABLE", _TABLE, "a table's name"),
            journal_table=reader.text("JOURNAL_TABLE", _TABLE, "a table's name"),
            topic_arn=reader.text("TOPIC_ARN", _TOPIC, "the ARN of a standard SNS topic"),
            failures_bucket=reader.text("FAILURES_BUCKET", _BUCKET, "a bucket's name"),
            journal_ttl_days=reader.number("JOURNAL_TTL_DAYS", DEFAULT_TTL_DAYS, 1, _MAX_TTL_DAYS),
            deadline_margin_seconds=reader.number(
                "DEADLINE_MARGIN_SECONDS", DEFAULT_MARGIN_SECONDS, _MIN_MARGIN_SECONDS, _MAX_MARGIN_SECONDS
            ),
            concurrency=reader.number("CONCURRENCY", DEFAULT_CONCURRENCY, 1, _MAX_CONCURRENCY),
            consumer=environ.get("AWS_LAMBDA_FUNCTION_NAME") or "worker",
            table_arn=reader.text("TABLE_ARN", _TABLE_ARN, "a table's ARN") if environ.get("TABLE_ARN") else None,
            ignore_before=reader.time("IGNORE_BEFORE"),
            local_changes_only=reader.switch("LOCAL_CHANGES_ONLY"),
            any_table=bool(environ.get("AWS_SAM_LOCAL")),
        )
        reader.distinct("TABLE_NAME", "INVENTORY_TABLE", "JOURNAL_TABLE")
        reader.check()
        return config


class _Reader:
    """Reads variables and gathers what is wrong with them, so that one error names all."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._problems: list[str] = []

    def text(self, name: str, pattern: re.Pattern[str], wanted: str) -> str:
        value = self._environ.get(name, "")
        if not pattern.fullmatch(value):
            self._problems.append(f"{name}: wanted {wanted}, got {describe(value) if value else 'nothing'}")
        return value

    def number(self, name: str, default: N, least: N, most: N) -> N:
        value = self._environ.get(name, "")
        if not value:
            return default
        try:
            number = type(default)(value)
        except ValueError:
            number = most + 1
        # Written so that NaN is refused too: it compares as False with everything.
        if not least <= number <= most:
            kind = _KINDS[type(default)]
            self._problems.append(f"{name}: wanted {kind} from {least} to {most}, got {describe(value)}")
        return number

    def time(self, name: str) -> float | None:
        """Read a moment in ISO 8601 with its offset from UTC; None when the variable is not set."""
        value = self._environ.get(name, "")
        if not value:
            return None
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self._problems.append(f"{name}: wanted a time like 2025-11-20T12:00:00Z, got {describe(value)}")
            return None
        return moment.timestamp()

    def switch(self, name: str) -> bool:
        value = self._environ.get(name, "")
        if value not in {"", "true", "false"}:
            self._problems.append(f"{name}: wanted true or false, got {describe(value)}")
        return value == "true"

    def distinct(self, *names: str) -> None:
        """Each of these variables names a table of its own."""
        values = [self._environ.get(name, "") for name in names]
        for value in dict.fromkeys(values):
            same = [name for name, other in zip(names, values, strict=True) if other == value]
            if value and len(same) > 1:
                self._problems.append(
                    f"{', '.join(same)}: wanted different tables, got {describe(value)} for all of them"
                )

    def check(self) -> None:
        if self._problems:
            raise ConfigurationError("; ".join(self._problems))
