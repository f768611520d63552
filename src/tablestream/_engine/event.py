"""Checks of the event as a whole: whether it is a batch of DynamoDB stream records for this worker."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tablestream.change import table_arn_of
from tablestream.errors import InvalidEvent

WANTED = (
    "wanted an event of a DynamoDB stream trigger, {'Records': [{'eventSource': 'aws:dynamodb', 'dynamodb': {…}}, …]}"
)
MAX_SEQUENCE_NUMBER = 128
"""The service model allows 40 digits; whatever is longer than this is not a sequence number."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)
_SERVICE = re.compile(r"aws:[A-Za-z0-9_.-]{1,64}", re.ASCII)
_TABLE_ARN = re.compile(r"arn:[a-z-]+:dynamodb:[a-z0-9-]+:[0-9]+:table/[A-Za-z0-9_.-]{1,255}", re.ASCII)
BOTH_IMAGES = "NEW_AND_OLD_IMAGES"
_LESSER_VIEWS = frozenset({"KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE"})


def records_of(event: object) -> list[Any]:
    """Return the records of a Lambda event, which are still to be checked; raises `InvalidEvent` when it has none."""
    if not isinstance(event, dict):
        raise InvalidEvent(f"{WANTED}; got a {type(event).__name__}")
    records = event.get("Records")
    if not isinstance(records, list):
        names = ", ".join(sorted(name for name in map(str, event) if _NAME.fullmatch(name))[:10])
        got = "no Records" if records is None else f"Records of type {type(records).__name__}"
        raise InvalidEvent(f"{WANTED}; got {got} in an event with the keys: {names or 'none'}")
    return records


def is_plain(record: Any, tables: Mapping[str, str]) -> bool:
    """Tell whether a record is as AWS sends them, of a stream that was seen before.

    Anything else gets a careful look, which says what is wrong.
    """
    try:
        stream = record["dynamodb"]
        number = stream["SequenceNumber"]
        plain: bool = (
            record["eventSourceARN"] in tables
            and record["eventSource"] == "aws:dynamodb"
            and stream["StreamViewType"] == BOTH_IMAGES
            and number.isdigit()
            and number.isascii()
            and len(number) <= MAX_SEQUENCE_NUMBER
        )
    except (AttributeError, KeyError, TypeError):
        return False
    return plain


def check_record(record: Any, position: int) -> None:
    if type(record) is not dict:
        raise InvalidEvent(f"{WANTED}; record {position} is a {type(record).__name__}")
    source = record.get("eventSource", record.get("EventSource", "aws:dynamodb"))
    if source != "aws:dynamodb":
        raise InvalidEvent(f"{WANTED}; record {position} comes from {_shown(source, _SERVICE)}")
    stream = record.get("dynamodb")
    if type(stream) is not dict:
        raise InvalidEvent(f"{WANTED}; record {position} has no dynamodb object")
    number = stream.get("SequenceNumber")
    if type(number) is not str or not number.isdigit() or not number.isascii() or len(number) > MAX_SEQUENCE_NUMBER:
        raise InvalidEvent(
            f"wanted a SequenceNumber of digits in record {position}, got a {type(number).__name__} that is none"
        )
    view = stream.get("StreamViewType")
    if type(view) is str and view in _LESSER_VIEWS:
        raise InvalidEvent(f"wanted a stream with the StreamViewType {BOTH_IMAGES}, got {view}")


def _shown(value: object, wanted: re.Pattern[str]) -> str:
    """Name what came only when it looks like what it should be: these errors are logged, and it could be anything."""
    return value if isinstance(value, str) and wanted.fullmatch(value) else f"a {type(value).__name__} that names none"


def check_table(record: Mapping[str, Any], wanted: str | None) -> str:
    """Return the ARN of a record's table; raises `InvalidEvent` when another one is wanted, by its name or its ARN."""
    arn = table_arn_of(record)
    if wanted is not None and wanted not in (arn, arn.rpartition(":table/")[2]):
        raise InvalidEvent(f"wanted records of the table {wanted}, got {_shown(arn, _TABLE_ARN)}")
    return arn
