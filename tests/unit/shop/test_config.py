"""The configuration: read once, with one error that names all that is wrong."""

from __future__ import annotations

import pytest

from shop.config import Config
from tablestream.errors import ConfigurationError

GOOD = {
    "TABLE_NAME": "orders",
    "INVENTORY_TABLE": "inventory",
    "JOURNAL_TABLE": "journal",
    "TOPIC_ARN": "arn:aws:sns:eu-central-1:123456789012:order-events",
    "FAILURES_BUCKET": "order-failures",
}


def test_the_rest_has_defaults() -> None:
    assert Config.from_env(GOOD) == Config(
        table_name="orders",
        inventory_table="inventory",
        journal_table="journal",
        topic_arn="arn:aws:sns:eu-central-1:123456789012:order-events",
        failures_bucket="order-failures",
        journal_ttl_days=14,
        deadline_margin_seconds=5.0,
        concurrency=8,
    )


def test_numbers_are_read() -> None:
    config = Config.from_env({**GOOD, "JOURNAL_TTL_DAYS": "7", "DEADLINE_MARGIN_SECONDS": "2.5", "CONCURRENCY": "4"})
    assert (config.journal_ttl_days, config.deadline_margin_seconds, config.concurrency) == (7, 2.5, 4)


def test_one_error_names_everything_that_is_missing_or_wrong() -> None:
    with pytest.raises(ConfigurationError) as raised:
        Config.from_env({"TABLE_NAME": "x", "TOPIC_ARN": "orders", "CONCURRENCY": "many"})
    assert str(raised.value).split("; ") == [
        "TABLE_NAME: wanted a table's name, got str 'x'",
        "INVENTORY_TABLE: wanted a table's name, got nothing",
        "JOURNAL_TABLE: wanted a table's name, got nothing",
        "TOPIC_ARN: wanted the ARN of a standard SNS topic, got str 'orders'",
        "FAILURES_BUCKET: wanted a bucket's name, got nothing",
        "CONCURRENCY: wanted a whole number from 1 to 64, got str 'many'",
    ]


def test_each_table_has_a_name_of_its_own() -> None:
    with pytest.raises(ConfigurationError) as raised:
        Config.from_env({**GOOD, "JOURNAL_TABLE": "orders"})
    assert str(raised.value) == "TABLE_NAME, JOURNAL_TABLE: wanted different tables, got str 'orders' for all of them"
    with pytest.raises(ConfigurationError, match="TABLE_NAME, INVENTORY_TABLE, JOURNAL_TABLE: wanted different tables"):
        Config.from_env({**GOOD, "JOURNAL_TABLE": "orders", "INVENTORY_TABLE": "orders"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOPIC_ARN", "arn:aws:sns:eu-central-1:123456789012:orders.fifo"),
        ("FAILURES_BUCKET", "Not_A_Bucket"),
        ("JOURNAL_TTL_DAYS", "0"),
        ("JOURNAL_TTL_DAYS", "1.5"),
        ("DEADLINE_MARGIN_SECONDS", "nan"),
        ("DEADLINE_MARGIN_SECONDS", "0.5"),
        ("CONCURRENCY", "65"),
    ],
)
def test_what_cannot_be_right_is_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Config.from_env({**GOOD, name: value})


def test_the_table_can_be_told_by_its_arn_and_a_start_and_a_region_can_be_set() -> None:
    arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders"
    told = {"TABLE_ARN": arn, "IGNORE_BEFORE": "2025-11-20T12:00:00Z", "LOCAL_CHANGES_ONLY": "true"}
    config = Config.from_env({**GOOD, **told, "AWS_LAMBDA_FUNCTION_NAME": "shop-worker"})
    assert (config.table_arn, config.ignore_before, config.local_changes_only) == (arn, 1_763_640_000.0, True)
    assert config.consumer == "shop-worker"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("TABLE_ARN", "orders", "TABLE_ARN: wanted a table's ARN, got str 'orders'"),
        ("IGNORE_BEFORE", "yesterday", "IGNORE_BEFORE: wanted a time like 2025-11-20T12:00:00Z, got str 'yesterday'"),
        ("IGNORE_BEFORE", "2025-11-20T12:00:00", "IGNORE_BEFORE: wanted a time like 2025-11-20T12:00:00Z, got str"),
        ("LOCAL_CHANGES_ONLY", "1", "LOCAL_CHANGES_ONLY: wanted true or false, got str '1'"),
    ],
)
def test_what_is_optional_is_checked_where_it_is_set(name: str, value: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{told}"):
        Config.from_env({**GOOD, name: value})
