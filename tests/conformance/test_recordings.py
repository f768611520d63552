"""The delivery machine does what AWS was recorded doing: the scenarios of `recordings`, one test each."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tablestream.local.delivery.filters import FilterSet, InvalidFilterPattern
from tablestream.local.delivery.mapping import RetryDelay
from tablestream.local.delivery.on_failure import OnFailureContext, on_failure_body
from tablestream.local.delivery.protocol import LambdaRecord
from tablestream.local.trigger.stream import to_lambda_record
from tablestream.testing import CREATED
from tests.conformance.driver import SHARD, STREAM, Shard, numbers
from tests.conformance.recorded_patterns import PATTERNS
from tests.conformance.recordings import (
    ABSENT,
    DELIVERIES,
    ELSEWHERE,
    FILTERINGS,
    REFUSED_PATTERNS,
    Delivery,
    Elsewhere,
    Filtering,
    Item,
    Pattern,
    Recording,
)

TESTS = Path(__file__).parents[1]
FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:worker"
RECORDINGS = [
    *(one.recording for group in (DELIVERIES, FILTERINGS, PATTERNS, ELSEWHERE) for one in group),
    *REFUSED_PATTERNS,
]


def name(scenario: Delivery | Filtering | Pattern | Elsewhere) -> str:
    return scenario.recording.scenario


def read(number: int, item: Item, *, old: Item | None = None, age: float = 0.0) -> LambdaRecord:
    """A put as the stream has it, shaped for the function; what the emulators tell wrongly is wrong in it."""
    key = next(iter(item))
    change: dict[str, Any] = {
        "ApproximateCreationDateTime": datetime.fromtimestamp(CREATED - age + 0.25, UTC),
        "Keys": {key: item[key]},
        "NewImage": item,
        **({} if old is None else {"OldImage": old}),
        "SequenceNumber": str(number),
        "SizeBytes": 999,
    }
    name = "INSERT" if old is None else "MODIFY"
    return to_lambda_record({"eventID": str(number), "eventName": name, "dynamodb": change}, STREAM)


@pytest.mark.parametrize("scenario", DELIVERIES, ids=name)
def test_a_recorded_delivery(scenario: Delivery) -> None:
    shard = Shard(**{"backoff": RetryDelay(), **scenario.settings})
    ages = scenario.ages or (0.0,) * len(scenario.items)
    puts = [read(n, item, age=age) for n, (item, age) in enumerate(zip(scenario.items, ages, strict=True))]
    shard.offer(*puts)
    shard.run(scenario.function)
    assert shard.invocations == scenario.invocations
    assert scenario.size_bytes in (None, puts[0]["dynamodb"]["SizeBytes"])
    assert len(shard.discards) == (scenario.message is not None)
    for discard in shard.discards:
        body = on_failure_body(scenario.kind, discard, OnFailureContext("r-1", FUNCTION), CREATED)
        assert body == message_of(scenario, [puts[number] for number in numbers(discard.records)])


def message_of(scenario: Delivery, given_up: list[LambdaRecord]) -> dict[str, Any]:
    assert scenario.message is not None
    condition, count, error = scenario.message
    (record,) = given_up  # every recorded message is about one record
    number, at = record["dynamodb"]["SequenceNumber"], record["dynamodb"]["ApproximateCreationDateTime"]
    arrival = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body: dict[str, Any] = {
        "requestContext": {
            "requestId": "r-1",
            "functionArn": FUNCTION,
            "condition": condition,
            "approximateInvokeCount": count,
        },
        "version": "1.0",
        "timestamp": "2025-11-20T12:00:00.000Z",
        "DDBStreamBatchInfo": {
            "shardId": SHARD,
            "startSequenceNumber": number,
            "endSequenceNumber": number,
            "approximateArrivalOfFirstRecord": arrival,
            "approximateArrivalOfLastRecord": arrival,
            "batchSize": 1,
            "streamArn": STREAM,
        },
    }
    if error != ABSENT:
        body["responseContext"] = {"statusCode": 200, "executedVersion": "$LATEST", "functionError": error}
    return body | ({"payload": {"Records": given_up}} if scenario.kind == "S3" else {})


def test_the_recorded_record() -> None:
    """All of `test_dynamodb_event_source_mapping`'s record, but for what differs from run to run."""
    (scenario,) = [one for one in DELIVERIES if one.recording.scenario == "test_dynamodb_event_source_mapping"]
    assert read(7, scenario.items[0]) == {
        "eventID": "7",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": CREATED,
            "Keys": {"my_partition_key": {"S": "hello world"}},
            "NewImage": {"my_partition_key": {"S": "hello world"}, "binary_key": {"B": "Zm9vYmFy"}},
            "SequenceNumber": "7",
            "SizeBytes": 70,
        },
        "eventSourceARN": STREAM,
    }


@pytest.mark.parametrize("scenario", FILTERINGS, ids=name)
def test_a_recorded_filter(scenario: Filtering) -> None:
    first, second = scenario.items
    old = first if second["id"] == first["id"] else None
    puts = [read(1, first), read(2, second, old=old)]
    shard = Shard(filters=(json.dumps(scenario.pattern),), batch_size=1, batching_window=1, max_retries=1)
    shard.offer(*(put for put in puts if put["dynamodb"]["NewImage"] != put["dynamodb"].get("OldImage")))
    shard.run(DELIVERIES[0].function)
    assert [
        (puts[number - 1]["eventName"], puts[number - 1]["dynamodb"]["SizeBytes"]) for (number,) in shard.invocations
    ] == scenario.matched


@pytest.mark.parametrize("scenario", PATTERNS, ids=name)
def test_a_recorded_pattern(scenario: Pattern) -> None:
    pattern = json.dumps(scenario.pattern)
    if scenario.matches is None:
        with pytest.raises(InvalidFilterPattern, match=r"^Invalid filter pattern definition\."):
            FilterSet.compile([pattern])
    else:
        assert FilterSet.compile([pattern]).matches(scenario.event) is scenario.matches


@pytest.mark.parametrize(("recording", "pattern"), REFUSED_PATTERNS.items(), ids=str)
def test_a_recorded_refusal_of_a_filter(recording: Recording, pattern: str) -> None:
    assert recording.rules == (32,)
    with pytest.raises(InvalidFilterPattern, match=r"^Invalid filter pattern definition\."):
        FilterSet.compile([pattern])


@pytest.mark.parametrize("scenario", ELSEWHERE, ids=name)
def test_a_scenario_that_is_shown_elsewhere_has_its_test(scenario: Elsewhere) -> None:
    assert f"\ndef {scenario.test}(" in (TESTS / scenario.file).read_text(encoding="utf-8")


def test_every_recorded_scenario_of_dynamodb_streams_is_here_once() -> None:
    counts = Counter((recording.file, recording.scenario) for recording in RECORDINGS)
    assert set(counts.values()) == {1}
    assert sum(file == "S" for file, _ in counts) == 32
