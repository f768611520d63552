"""The event as a whole: is it a batch of DynamoDB stream records for this worker? Checked before any effect."""

from __future__ import annotations

import re
from typing import Any

from tablestream.change import RawRecord, table_arns_of
from tablestream.errors import InvalidEvent

WANTED = (
    "wanted an event of a DynamoDB stream trigger, {'Records': [{'eventSource': 'aws:dynamodb', 'dynamodb': {…}}, …]}"
)

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)
_SERVICE = re.compile(r"aws:[A-Za-z0-9_.-]{1,64}", re.ASCII)
_TABLE_ARN = re.compile(r"arn:[a-z-]+:dynamodb:[a-z0-9-]+:[0-9]+:table/[A-Za-z0-9_.-]{1,255}", re.ASCII)
_MAX_SEQUENCE_NUMBER = 128
"""The service model allows 40 digits; whatever is longer than this is not a sequence number."""
_LESSER_VIEWS = frozenset({"KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE"})


def records_of(event: object, table_name: str | None = None) -> list[RawRecord]:
    """Return the records of a Lambda event.

    `table_name` is the table the worker is for, None for any. Raises `InvalidEvent` for an event of another service, a
    record without a sequence number, a record of another table, or a stream that does not carry both images.
    """
    records = _list_of(event)
    if not _all_plain(records):
        for position, record in enumerate(records):
            _check_record(record, position)
    if table_name is not None:
        _check_tables(table_arns_of(records), table_name)
    _check_view(records)
    return records


def _list_of(event: object) -> list[Any]:
    if not isinstance(event, dict):
        raise InvalidEvent(f"{WANTED}; got a {type(event).__name__}")
    records = event.get("Records")
    if not isinstance(records, list):
        names = ", ".join(sorted(name for name in map(str, event) if _NAME.fullmatch(name))[:10])
        got = "no Records" if records is None else f"Records of type {type(records).__name__}"
        raise InvalidEvent(f"{WANTED}; got {got} in an event with the keys: {names or 'none'}")
    return records


def _all_plain(records: list[Any]) -> bool:
    """Tell whether nothing is wrong with any record.

    Looking at all of them at once takes a fraction of the time; `_check_record` says what is wrong with which.
    """
    try:
        numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
        digits = "".join(numbers)
        sources = {record["eventSource"] for record in records}
    except (KeyError, TypeError):
        return False
    lengths = set(map(len, numbers))
    return (
        sources == {"aws:dynamodb"}
        and digits.isdigit()
        and digits.isascii()
        and min(lengths) > 0
        and max(lengths) <= _MAX_SEQUENCE_NUMBER
    )


def _check_record(record: Any, position: int) -> None:  # noqa: ANN401 -- anything that JSON can hold
    if type(record) is not dict:
        raise InvalidEvent(f"{WANTED}; record {position} is a {type(record).__name__}")
    source = record.get("eventSource", record.get("EventSource", "aws:dynamodb"))
    if source != "aws:dynamodb":
        raise InvalidEvent(f"{WANTED}; record {position} comes from {_shown(source, _SERVICE)}")
    stream = record.get("dynamodb")
    if type(stream) is not dict:
        raise InvalidEvent(f"{WANTED}; record {position} has no dynamodb object")
    number = stream.get("SequenceNumber")
    if type(number) is not str or not number.isdigit() or not number.isascii() or len(number) > _MAX_SEQUENCE_NUMBER:
        raise InvalidEvent(
            f"wanted a SequenceNumber of digits in record {position}, got a {type(number).__name__} that is none"
        )


def _check_tables(arns: set[str], table_name: str) -> None:
    for arn in arns:
        if arn.rpartition(":table/")[2] != table_name:
            raise InvalidEvent(f"wanted records of the table {table_name}, got {_shown(arn, _TABLE_ARN)}")


def _shown(value: object, wanted: re.Pattern[str]) -> str:
    """Name what came only when it looks like what it should be: these errors are logged, and it could be anything."""
    return value if isinstance(value, str) and wanted.fullmatch(value) else f"a {type(value).__name__} that names none"


def _check_view(records: list[RawRecord]) -> None:
    views = [view for record in records if type(view := record["dynamodb"].get("StreamViewType")) is str]
    lesser = _LESSER_VIEWS.intersection(views)
    imageless = len(records) > 1 and not any(
        "NewImage" in r["dynamodb"] or "OldImage" in r["dynamodb"] for r in records
    )
    if lesser or imageless:
        got = ", ".join(sorted(lesser)) or "no images in any record"
        raise InvalidEvent(f"wanted a stream with the StreamViewType NEW_AND_OLD_IMAGES, got {got}")
