"""What others have recorded of AWS, in our own words and figures: scenarios of one public repository at one commit.

Nothing of their files is here: a scenario says what was set, what the function did and what AWS made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tablestream.local.delivery.mapping import DestinationKind
from tablestream.local.delivery.protocol import Answered, FunctionError, InvocationOutcome, Invoke

REPOSITORY = "localstack/localstack"
COMMIT = "8b9a79f05846835cf4dff63ab7eefdde9df83783"
_MAPPINGS = "tests/aws/services/lambda_/event_source_mapping/test_lambda_integration_"
FILES = {
    "S": f"{_MAPPINGS}dynamodbstreams.snapshot.json",
    "K": f"{_MAPPINGS}kinesis.snapshot.json",
    "E": "tests/aws/services/events/test_events_patterns.snapshot.json",
}
"""S: mappings of DynamoDB streams; K: of Kinesis, for what S does not have; E: EventBridge's patterns."""

Item = Mapping[str, Mapping[str, Any]]
Function = Callable[[Invoke], InvocationOutcome]


@dataclass(frozen=True, slots=True)
class Recording:
    """Where a scenario is, and which rules it shows. `file` is a key of `FILES`."""

    file: str
    scenario: str
    rules: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A function under a mapping. `items` are put one after the other, `ages` seconds before the mapping begins.

    Expected are the items of each invocation by their position, and of the message (None: there is none) its condition,
    approximateInvokeCount and functionError. `absent` stands for a message without responseContext.
    """

    recording: Recording
    settings: Mapping[str, Any]
    function: Function
    invocations: list[list[int]]
    message: tuple[str, int, str | None] | None = None
    items: tuple[Item, ...] = ({"my_partition_key": {"S": "hello world"}, "binary_key": {"B": b"foobar"}},)
    ages: tuple[float, ...] = field(default=())
    kind: DestinationKind = DestinationKind.SQS
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Filtering:
    """Two items put under a filter; `matched` are the names of the events and the SizeBytes that the function got."""

    recording: Recording
    pattern: Mapping[str, Any]
    items: tuple[Item, Item]
    matched: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern over a plain event: whether it matches, or that it is refused (None)."""

    recording: Recording
    pattern: Mapping[str, Any]
    event: Mapping[str, Any]
    matches: bool | None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A scenario that another test shows: its file under tests/ and its name."""

    recording: Recording
    file: str
    test: str


ABSENT = "no response context"
EXHAUSTED, TOO_OLD = "RetryAttemptsExhausted", "RecordAgeExceeded"
FOO: Item = {"my_partition_key": {"S": "hello world"}}
_ONCE = {"batch_size": 1, "batching_window": 1, "max_retries": 1}
_BATCH = {"batch_size": 3, "batching_window": 1, "max_retries": 3, "report_failures": True}
_PROMPT = {"batch_size": 1, "batching_window": 0, "max_retries": 2, "report_failures": True}
_AGE = {"batch_size": 1, "batching_window": 1, "max_age": 60}


def answering(payload: object) -> Function:
    """A function that always returns this."""
    return lambda _: Answered(payload)


def raising(_: Invoke) -> InvocationOutcome:
    """A function that raises."""
    return FunctionError("ZeroDivisionError")


def reporting(invoke: Invoke) -> InvocationOutcome:
    """A function that reports the items that say they should fail."""
    failed = [r for r in invoke.records if r["dynamodb"]["NewImage"]["should_fail"]["BOOL"]]
    return Answered({"batchItemFailures": [{"itemIdentifier": r["dynamodb"]["SequenceNumber"]} for r in failed]})


def _stream(scenario: str, *rules: int) -> Recording:
    return Recording("S", f"test_dynamodb_{scenario}", rules)


def _kinesis(scenario: str, *rules: int) -> Recording:
    return Recording("K", f"test_kinesis_{scenario}", rules)


def _succeeding(name: str, payload: object) -> Delivery:
    recording = _stream(f"report_batch_item_success_scenarios[{name}_success]", 10)
    return Delivery(recording, _PROMPT, answering(payload), [[0]], size_bytes=70)


def _failing(name: str, function: Function, error: str | None = None) -> Delivery:
    recording = _stream(f"report_batch_item_failure_scenarios[{name}]", 11, 16, 24)
    return Delivery(recording, _BATCH, function, [[0]] * 4, (EXHAUSTED, 4, error), size_bytes=70)


def _named(identifier: Mapping[str, object]) -> Function:
    return answering({"batchItemFailures": [identifier]})


def _items(count: int, bad: int) -> tuple[Item, ...]:
    return tuple(
        {"my_partition_key": {"S": f"testId{number}"}, "should_fail": {"BOOL": number == bad}}
        for number in range(count)
    )


DELIVERIES = [
    Delivery(_stream("event_source_mapping", 34, 35), _ONCE, answering(None), [[0]], size_bytes=70),
    *(
        Delivery(
            _stream(f"event_source_mapping_with_{name}", *rules),
            _ONCE,
            raising,
            [[0], [0]],
            (EXHAUSTED, 2, "Unhandled"),
            (FOO,),
            kind=kind,
            size_bytes=54,
        )
        for name, kind, rules in (
            ("on_failure_destination_config", DestinationKind.SQS, (16, 24)),
            ("sns_on_failure_destination_config", DestinationKind.SNS, (16, 24)),
            ("s3_on_failure_destination", DestinationKind.S3, (16, 24, 26)),
        )
    ),
    Delivery(
        _stream("report_batch_item_failures", 13, 14, 24),
        _BATCH,
        reporting,
        [[0, 1, 2], [3, 4, 5], [5], [5], [5], [5]],
        (EXHAUSTED, 4, None),
        _items(6, bad=5),
        size_bytes=58,
    ),
    Delivery(
        _stream("report_batch_item_failures_with_on_failure_destination_config", 16, 24),
        _BATCH,
        reporting,
        [[0], [0], [0], [0]],
        (EXHAUSTED, 4, None),
        _items(1, bad=0),
    ),
    _succeeding("empty_list", []),
    _succeeding("null", None),
    _succeeding("empty_dict", {}),
    _succeeding("empty_batch_item_failure", {"batchItemFailures": []}),
    _succeeding("null_batch_item_failure", {"batchItemFailures": None}),
    Delivery(_kinesis("report_batch_item_success_scenarios[empty_string_success]", 10), _PROMPT, answering(""), [[0]]),
    _failing("item_identifier_not_present_failure", _named({"itemIdentifier": 123})),
    _failing("empty_string_item_identifier_failure", _named({"itemIdentifier": ""})),
    _failing("null_item_identifier_failure", _named({"itemIdentifier": None})),
    _failing("invalid_key_foo_failure", _named({"foo": 123})),
    _failing("invalid_key_foo_null_value_failure", _named({"foo": None})),
    _failing("unhandled_exception_in_function", raising, "Unhandled"),
    Delivery(
        _kinesis("maximum_record_age_exceeded[expire-before-ingestion]", 25),
        {**_AGE, "max_retries": 0},
        raising,
        [],
        (TOO_OLD, 1, ABSENT),
        ages=(61,),
    ),
    Delivery(
        _kinesis("maximum_record_age_exceeded[expire-while-retrying]", 25),
        {**_AGE, "max_retries": -1},
        raising,
        [[0]] * 7,
        (TOO_OLD, 8, ABSENT),
    ),
    Delivery(
        _kinesis("maximum_record_age_exceeded_discard_records", 22, 25),
        {**_AGE, "batch_size": 10, "max_retries": 0},
        answering(None),
        [[1, 2, 3, 4, 5]],
        (TOO_OLD, 1, ABSENT),
        _items(6, bad=6),
        (80, 0, 0, 0, 0, 0),
    ),
]


def _put(key: str, **more: str) -> Item:
    return {"id": {"S": key}, **{name: {"S": value} for name, value in more.items()}}


def _of_image(**attributes: object) -> Mapping[str, Any]:
    return {"dynamodb": {"NewImage": attributes}}


_ONE, _TWO = _put("id_value_1"), _put("id_value_2")
FILTERINGS = [
    Filtering(
        _stream("event_filter[insert_same_entry_twice]", 31, 36),
        {"eventName": ["INSERT"]},
        (_put("id_value", id2="id2_value"), _put("id_value", id2="id2_value")),
        [("INSERT", 32)],
    ),
    Filtering(
        _stream("event_filter[content_or_filter]", 31),
        {"eventName": ["INSERT", "MODIFY"]},
        (_put("id_value"), _put("id_value", id2="id2_new_value")),
        [("INSERT", 20), ("MODIFY", 46)],
    ),
    Filtering(
        _stream("event_filter[content_multiple_filters]", 31),
        {"eventName": ["INSERT"], "eventSource": ["aws:dynamodb"]},
        (_put("id_value"), _put("id_value", id2="id2_new_value")),
        [("INSERT", 20)],
    ),
    Filtering(
        _stream("event_filter[content_filter_type]", 28),
        _of_image(presentKey={"S": ["presentValue"]}),
        (_put("id_value_1", presentKey="presentValue"), _TWO),
        [("INSERT", 46)],
    ),
    Filtering(
        _stream("event_filter[exists_filter_type]", 30),
        _of_image(presentKey={"S": [{"exists": True}]}),
        (_put("id_value_1", presentKey="presentValue"), _TWO),
        [("INSERT", 46)],
    ),
    Filtering(
        _stream("event_filter[exists_false_filter]", 30),
        _of_image(presentKey=[{"exists": False}]),
        (_ONE, _put("id_value_2", presentKey="presentValue")),
        [("INSERT", 24), ("INSERT", 46)],
    ),
    Filtering(
        _stream("event_filter[numeric_filter]", 29),
        _of_image(numericFilter={"N": [{"numeric": [">", 100]}, {"anything-but": "101"}]}),
        ({**_ONE, "numericFilter": {"N": "42"}}, {**_TWO, "numericFilter": {"N": "101"}}),
        [("INSERT", 39)],
    ),
    Filtering(
        _stream("event_filter[prefix_filter]", 27),
        _of_image(prefix={"S": [{"prefix": "us-1"}]}),
        (_put("id_value_1", prefix="us-1-other-suffix"), _put("id_value_1", prefix="other-suffix")),
        [("INSERT", 47)],
    ),
    Filtering(
        _stream("event_filter[date_time_conversion]", 29),
        {"dynamodb": {"ApproximateCreationDateTime": [{"numeric": [">", 0]}]}},
        (_ONE, _TWO),
        [("INSERT", 24), ("INSERT", 24)],
    ),
]

REFUSED_PATTERNS = {
    _stream("invalid_event_filter[single-string]", 32): "single-string",
    _stream('invalid_event_filter[[{"eventName": ["INSERT"=123}]]', 32): '[{"eventName": ["INSERT"=123}]',
}

_MAPPINGS_TEST, _TRIGGER_TEST = "integration/local/test_mappings.py", "integration/local/test_trigger.py"
ELSEWHERE = [
    Elsewhere(
        Recording("S", "test_duplicate_event_source_mappings", (2,)),
        _MAPPINGS_TEST,
        "test_a_second_mapping_of_the_same_stream_and_function_is_refused_in_the_services_words",
    ),
    Elsewhere(
        Recording("S", "test_esm_with_not_existing_dynamodb_stream", (2,)),
        _MAPPINGS_TEST,
        "test_a_stream_that_is_not_there_is_refused_in_the_services_words",
    ),
    Elsewhere(
        Recording("S", "test_disabled_dynamodb_event_source_mapping", (4,)),
        _TRIGGER_TEST,
        "test_a_disabled_mapping_delivers_nothing_and_resumes_where_it_was",
    ),
    Elsewhere(
        Recording("S", "test_deletion_event_source_mapping_with_dynamodb", (2,)),
        "conformance/test_settings.py",
        "test_rule_02_defaults_are_the_services",
    ),
]
