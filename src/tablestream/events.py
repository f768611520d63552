"""The event as a whole: is it a batch of DynamoDB stream records for this worker? Checked before any effect."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tablestream.change import RawRecord, table_arn_of
from tablestream.columns import MAX_SEQUENCE_NUMBER, are_plain
from tablestream.errors import InvalidEvent

WANTED = (
    "wanted an event of a DynamoDB stream trigger, {'Records': [{'eventSource': 'aws:dynamodb', 'dynamodb': {…}}, …]}"
)

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)
_SERVICE = re.compile(r"aws:[A-Za-z0-9_.-]{1,64}", re.ASCII)
_TABLE_ARN = re.compile(r"arn:[a-z-]+:dynamodb:[a-z0-9-]+:[0-9]+:table/[A-Za-z0-9_.-]{1,255}", re.ASCII)
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


def check(records: Sequence[Any], whole: Sequence[Any], start: int, table_name: str | None) -> bool:
    """Check the part of the records of an event that begins at `start`.

    `table_name` is the table the worker is for, None for any. Return whether they are plain: records as AWS sends them,
    of the stream that the first record of the event is of. Raises `InvalidEvent` for a record of another service or
    another table, without a sequence number, or of a stream that does not carry both images.
    """
    plain = are_plain(records, whole[0])
    if not plain:
        for position, record in enumerate(records, start):
            _check_record(record, position)
        _check_view(records, whole)
    if table_name is not None:
        _check_tables({table_arn_of(record) for record in (whole[:1] if plain else records)}, table_name)
    return plain


def _check_record(record: Any, position: int) -> None:
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


def _check_tables(arns: set[str], table_name: str) -> None:
    for arn in arns:
        if arn.rpartition(":table/")[2] != table_name:
            raise InvalidEvent(f"wanted records of the table {table_name}, got {_shown(arn, _TABLE_ARN)}")


def _shown(value: object, wanted: re.Pattern[str]) -> str:
    """Name what came only when it looks like what it should be: these errors are logged, and it could be anything."""
    return value if isinstance(value, str) and wanted.fullmatch(value) else f"a {type(value).__name__} that names none"


def _check_view(records: Sequence[RawRecord], whole: Sequence[Any]) -> None:
    views = [view for record in records if type(view := record["dynamodb"].get("StreamViewType")) is str]
    lesser = _LESSER_VIEWS.intersection(views)
    if lesser or (len(whole) > 1 and not any(map(_has_image, records)) and not any(map(_has_image, whole))):
        got = ", ".join(sorted(lesser)) or "no images in any record"
        raise InvalidEvent(f"wanted a stream with the StreamViewType NEW_AND_OLD_IMAGES, got {got}")


def _has_image(record: object) -> bool:
    stream = record.get("dynamodb") if isinstance(record, dict) else None
    return isinstance(stream, dict) and ("NewImage" in stream or "OldImage" in stream)
