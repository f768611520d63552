"""Hostile records, by the thousand: only documented outcomes, and nothing of what they carry in the log."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import shop
from tablestream import aws as aws_module
from tablestream.change import Change
from tablestream.errors import InvalidEvent, InvalidRecord
from tablestream.image import Image
from tablestream.testing import FakeContext, event, expired, inserted, modified, removed
from tests.simulation.aws import BUCKET, INVENTORY, JOURNAL, TOPIC, Aws
from tests.simulation.stream import TABLE
from tests.support.orders import line, nth_order
from tests.support.variables import VARIABLES

ENOUGH = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
CANARY = "Zuckerrohrgasse 7"
"""Stands for a customer's address: no log line may carry it."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(CANARY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
TEXTS = st.text(max_size=8) | st.sampled_from(
    ["", "NaN", "Infinity", "1e400", "0" * 50, "9" * 40, "-0", "\ud800", CANARY]
)
TAGGED = st.recursive(
    st.fixed_dictionaries({"S": TEXTS})
    | st.fixed_dictionaries({"N": TEXTS | st.integers().map(str) | st.decimals().map(str)})
    | st.fixed_dictionaries({"B": TEXTS | st.binary().map(repr)})
    | st.sampled_from([{"BOOL": True}, {"BOOL": "true"}, {"NULL": True}, {"NULL": False}, {}, {"S": "a", "N": "1"}])
    | st.fixed_dictionaries({"SS": st.lists(TEXTS, max_size=3)})
    | st.fixed_dictionaries({"NS": st.lists(TEXTS, max_size=3)})
    | st.fixed_dictionaries({"BS": st.lists(TEXTS, max_size=3)})
    | st.dictionaries(st.sampled_from(["X", "s", "M", "L", "S"]), JSON, max_size=1),
    lambda inner: (
        st.fixed_dictionaries({"L": st.lists(inner, max_size=3)})
        | st.fixed_dictionaries({"M": st.dictionaries(st.text(max_size=5), inner, max_size=3)})
    ),
    max_leaves=6,
)
ANYTHING = JSON | TAGGED


def order(number: int, **changes: object) -> dict[str, Any]:
    return nth_order(number, items=[line("p0")], address=CANARY, **changes)


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"S": "x"}
    for _ in range(levels):
        value = {"L": [value]}
    return value


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A sound record with up to three of its parts replaced or gone."""
    number = draw(st.integers(0, 3))
    old, new = order(number), order(number, status=draw(st.sampled_from(["confirmed", "cancelled", "shipped"])))
    made = draw(st.sampled_from([inserted(old), modified(old, new), removed(new), expired(old)]))
    made = copy.deepcopy(made)
    for _ in range(draw(st.integers(0, 3))):
        _spoil(draw, made)
    return made


def _spoil(draw: st.DrawFn, part: dict[str, Any]) -> None:
    """Walk into the record and replace something."""
    while True:
        name = draw(st.sampled_from(sorted(part)))
        inside = part[name]
        if isinstance(inside, dict) and inside and draw(st.integers(0, 4)):
            part = inside
        elif isinstance(inside, list) and inside and isinstance(inside[0], dict) and inside[0] and draw(st.booleans()):
            part = inside[0]
        elif draw(st.booleans()):
            part[name] = draw(ANYTHING | st.just(deep(40)))
            return
        else:
            if len(part) > 1:
                del part[name]
            return


@ENOUGH
@given(TAGGED | ANYTHING | st.sampled_from([deep(32), deep(33), deep(5000)]))
def test_an_attribute_is_read_or_refused(value: Any) -> None:
    image = Image({"x": value})

    for _ in range(2):
        with contextlib.suppress(InvalidRecord):
            assert image["x"] == image.get("x")
    assert list(image) == ["x"]
    assert CANARY not in repr(image)


@ENOUGH
@given(records())
def test_a_record_becomes_a_change_or_is_refused(record: dict[str, Any]) -> None:
    stream = record.get("dynamodb")
    if not isinstance(stream, dict) or not isinstance(stream.get("SequenceNumber"), str):
        return  # refused with the whole event, before any change is made of it
    try:
        change = Change.from_record(record)
    except InvalidRecord:
        return
    with contextlib.suppress(InvalidRecord):
        assert hash(change.item_key) is not None
    assert isinstance(change.key_hash, str)
    assert isinstance(change.changed("status"), bool)
    assert isinstance(change.expired, bool)
    assert change.approximate_creation is None or change.approximate_creation > 0
    assert CANARY not in repr(change)


@dataclass
class Function:
    """`shop.processor` as Lambda loads it, over an AWS in memory."""

    handler: Any
    aws: Aws
    written: io.StringIO


@pytest.fixture(scope="module")
def function() -> Iterator[Function]:
    environment = {
        **VARIABLES,
        "TABLE_NAME": TABLE,
        "INVENTORY_TABLE": INVENTORY,
        "JOURNAL_TABLE": JOURNAL,
        "TOPIC_ARN": TOPIC,
        "FAILURES_BUCKET": BUCKET,
        "CONCURRENCY": "1",
        "POWERTOOLS_LOG_LEVEL": "DEBUG",
        "POWERTOOLS_SERVICE_NAME": "hostile",
    }
    aws, written = Aws(lambda: 0.0), io.StringIO()
    services = {"dynamodb": aws.dynamodb, "sns": aws.topic, "s3": aws.bucket}
    log = logging.getLogger("tablestream")
    kept = list(log.handlers), log.level, log.propagate
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(written):
        patch.setattr(aws_module.Aws, "client", lambda _self, service, _make: services[service])
        for name, value in environment.items():
            patch.setenv(name, value)
        # A copy of its own: other tests load the entry point with other surroundings.
        spec = importlib.util.spec_from_file_location(
            "hostile_shop_app", Path(str(shop.__file__)).parent / "processor.py"
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    yield Function(module.handler, aws, written)
    log.handlers, log.level, log.propagate = kept[0], kept[1], kept[2]


@ENOUGH
@given(batch=st.lists(records(), min_size=1, max_size=6))
def test_the_function_answers_or_refuses_the_event(function: Function, batch: list[dict[str, Any]]) -> None:
    before = len(function.aws.bucket.objects)
    function.written.truncate(0)
    function.written.seek(0)
    with contextlib.redirect_stdout(function.written):
        try:
            answer = function.handler(event(*batch) if _numbered(batch) else {"Records": batch}, FakeContext())
        except InvalidEvent:
            assert len(function.aws.bucket.objects) == before
        else:
            # Nothing is wrong with AWS, so there is nothing to try again.
            assert answer == {"batchItemFailures": []}
    assert CANARY not in function.written.getvalue()


def _numbered(batch: list[dict[str, Any]]) -> bool:
    return all(isinstance(record.get("dynamodb"), dict) and "SequenceNumber" in record["dynamodb"] for record in batch)


@ENOUGH
@given(JSON | st.dictionaries(st.sampled_from(["Records", "detail", "Message"]), JSON, max_size=2))
def test_what_is_no_event_of_a_stream_is_refused(function: Function, happening: Any) -> None:
    with contextlib.redirect_stdout(function.written):
        if isinstance(happening, dict) and happening.get("Records") == []:
            assert function.handler(happening, FakeContext()) == {"batchItemFailures": []}
        else:
            with pytest.raises(InvalidEvent):
                function.handler(happening, FakeContext())
