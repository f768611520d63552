"""Rules 1 to 3: the settings of an event source mapping, as SAM and CloudFormation spell them."""

from __future__ import annotations

from typing import Any

import pytest

from tablestream.local.delivery.mapping import (
    Destination,
    DestinationKind,
    InvalidSettings,
    MappingSettings,
    RetryDelay,
    read_mapping,
)

STREAM = {"Stream": "arn:aws:dynamodb:eu-west-1:111122223333:table/T/stream/x", "StartingPosition": "LATEST"}
EVERY_ITEM = '{"eventName": ["INSERT"]}'


def read(**properties: object) -> MappingSettings:
    return read_mapping({**STREAM, **properties})


@pytest.mark.parametrize(
    ("setting", "lowest", "highest"),
    [
        ("BatchSize", 1, 10_000),
        ("MaximumBatchingWindowInSeconds", 0, 300),
        ("ParallelizationFactor", 1, 10),
        ("MaximumRetryAttempts", -1, 10_000),
        ("MaximumRecordAgeInSeconds", -1, 604_800),
        ("TumblingWindowInSeconds", 0, 900),
    ],
)
def test_rule_01_limits_of_settings(setting: str, lowest: int, highest: int) -> None:
    read(**{setting: lowest})
    read(**{setting: highest})
    for beyond in (lowest - 1, highest + 1):
        with pytest.raises(InvalidSettings, match=f"{setting} is {beyond}; wanted"):
            read(**{setting: beyond})


def test_rule_01_a_tumbling_window_wants_a_parallelization_factor_of_one() -> None:
    assert read(TumblingWindowInSeconds=60, ParallelizationFactor=1).tumbling_window == 60
    assert read(TumblingWindowInSeconds=0, ParallelizationFactor=2).parallelization == 2
    with pytest.raises(InvalidSettings, match="a tumbling window wants a factor of 1"):
        read(TumblingWindowInSeconds=60, ParallelizationFactor=2)


@pytest.mark.parametrize("age", [0, 1, 59])
def test_rule_01_record_age_is_no_limit_or_a_minute_at_least(age: int) -> None:
    assert read(MaximumRecordAgeInSeconds=60).max_age == 60
    with pytest.raises(InvalidSettings, match=f"MaximumRecordAgeInSeconds is {age}; wanted 60 to 604800 or -1"):
        read(MaximumRecordAgeInSeconds=age)


def test_rule_01_only_one_function_response_type() -> None:
    assert read(FunctionResponseTypes=["ReportBatchItemFailures"]).report_failures
    assert not read(FunctionResponseTypes=[]).report_failures
    with pytest.raises(InvalidSettings, match="the only type is ReportBatchItemFailures"):
        read(FunctionResponseTypes=["ReportEverything"])


def test_rule_01_filters_are_at_most_ten_of_4096_characters() -> None:
    def filters(*patterns: str) -> dict[str, Any]:
        return {"Filters": [{"Pattern": pattern} for pattern in patterns]}

    longest = EVERY_ITEM + " " * (4096 - len(EVERY_ITEM))
    assert read(FilterCriteria=filters(longest)).filters == (longest,)
    with pytest.raises(InvalidSettings, match="4097 characters; at most 4096"):
        read(FilterCriteria=filters(longest + " "))
    with pytest.raises(InvalidSettings, match="11 filters; at most 5, or 10 by quota"):
        read(FilterCriteria=filters(*[EVERY_ITEM] * 11))
    assert read(FilterCriteria=filters(*[EVERY_ITEM] * 5)).notes == ()
    assert "unless the quota is raised" in read(FilterCriteria=filters(*[EVERY_ITEM] * 6)).notes[0]


def test_rule_02_defaults_are_the_services() -> None:
    settings = read()
    assert settings.batch_size == 100
    assert (settings.batching_window, settings.parallelization, settings.tumbling_window) == (0, 1, 0)
    assert (settings.max_retries, settings.max_age) == (-1, -1)
    assert (settings.bisect, settings.report_failures, settings.enabled) == (False, False, True)
    assert (settings.filters, settings.destination) == ((), None)


@pytest.mark.parametrize("missing", ["Stream", "StartingPosition"])
def test_rule_02_stream_and_starting_position_are_required(missing: str) -> None:
    with pytest.raises(InvalidSettings, match=f"^{missing}.* is missing"):
        read_mapping({name: value for name, value in STREAM.items() if name != missing})


def test_rule_02_cloudformation_spells_the_stream_event_source_arn() -> None:
    properties = {"EventSourceArn": STREAM["Stream"], "StartingPosition": "TRIM_HORIZON", "FunctionName": "worker"}
    assert read_mapping({**properties, "BatchSize": 7}, function_timeout=30) == MappingSettings(
        batch_size=7, starting_position="TRIM_HORIZON", function_timeout=30
    )


@pytest.mark.parametrize(
    ("arn", "kind"),
    [
        ("arn:aws:sqs:eu-west-1:111122223333:queue", DestinationKind.SQS),
        ("arn:aws-cn:sns:cn-north-1:111122223333:topic", DestinationKind.SNS),
        ("arn:aws:s3:::bucket", DestinationKind.S3),
    ],
)
def test_rule_02_the_destinations_type_is_sams_and_may_be_left_out(arn: str, kind: DestinationKind) -> None:
    for on_failure in ({"Destination": arn}, {"Destination": arn, "Type": str(kind)}):
        assert read(DestinationConfig={"OnFailure": on_failure}).destination == Destination(kind, arn)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"OnSuccess": {"Destination": "x"}}, "a stream has OnFailure only"),
        ({"OnFailure": {"Destination": "arn:aws:lambda:eu-west-1:1:function:f"}}, "wanted the ARN of an SQS queue"),
        ({"OnFailure": {"Destination": "kafka://topic"}}, "wanted the ARN of an SQS queue"),
        ({"OnFailure": {"Destination": {"Ref": "Queue"}}}, "wanted text"),
        ({"OnFailure": {"Destination": "arn:aws:s3:::bucket", "Type": "SQS"}}, "is the ARN of S3"),
        ({"OnFailure": "arn:aws:s3:::bucket"}, "wanted an object with Destination"),
        (
            {"OnFailure": {"Destination": "arn:aws:sqs:eu-west-1:1:q.fifo"}},
            "q.fifo', a FIFO queue or topic; a stream's",
        ),
        ({"OnFailure": {"Destination": "arn:aws:sns:eu-west-1:1:t.fifo", "Type": "SNS"}}, "go to a standard one"),
    ],
)
def test_rule_02_a_destination_that_cannot_be_is_named(config: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSettings, match=message):
        read(DestinationConfig=config)


def test_rule_02_settings_of_other_sources_are_named() -> None:
    with pytest.raises(InvalidSettings, match="not a setting of a DynamoDB stream: Queues, ScalingConfig"):
        read(Queues=["q"], ScalingConfig={})


def test_rule_02_settings_without_effect_are_noted() -> None:
    notes = read(KmsKeyArn="arn", MetricsConfig={}).notes
    assert [note.split()[0] for note in notes] == ["KmsKeyArn", "MetricsConfig"]


def test_rule_02_parameters_arrive_as_text() -> None:
    settings = read(BatchSize="25", BisectBatchOnFunctionError="true", Enabled="false", MaximumRetryAttempts="-1")
    assert (settings.batch_size, settings.bisect, settings.enabled, settings.max_retries) == (25, True, False, -1)


@pytest.mark.parametrize("value", [{"Ref": "Size"}, "many", 2.5, True, "", "--1"])
def test_rule_02_a_value_of_the_wrong_type_says_what_came(value: object) -> None:
    with pytest.raises(InvalidSettings, match=r"BatchSize is .*; wanted a whole number"):
        read(BatchSize=value)


def test_rule_02_a_flag_is_true_or_false() -> None:
    with pytest.raises(InvalidSettings, match="Enabled is 'maybe'; wanted true or false"):
        read(Enabled="maybe")


@pytest.mark.parametrize("criteria", ["text", {"Filters": ["text"]}, {"Filters": {}}])
def test_rule_02_filter_criteria_of_another_shape_are_refused(criteria: object) -> None:
    with pytest.raises(InvalidSettings, match=r"wanted \{Filters:"):
        read(FilterCriteria=criteria)


@pytest.mark.parametrize("position", ["TRIM_HORIZON", "LATEST"])
def test_rule_03_starting_positions(position: str) -> None:
    assert read(StartingPosition=position).starting_position == position


def test_rule_03_at_timestamp_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="takes TRIM_HORIZON or LATEST"):
        read(StartingPosition="AT_TIMESTAMP")


def test_rule_23_the_default_backoff_doubles_up_to_a_limit() -> None:
    backoff = RetryDelay(first=0.5, factor=2, longest=60)
    assert [backoff(failures) for failures in (1, 2, 3, 7, 8, 10_000)] == [0.5, 1, 2, 32, 60, 60]
