"""The shop's worker: its settings come from the environment, with one error that names all that is wrong."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from shop.worker import make_worker
from tablestream import NoProgress, Sequential
from tablestream.aws import Aws
from tablestream.errors import ConfigurationError, InvalidEvent
from tablestream.testing import CREATED, FakeClock, FakeContext, Record, event, inserted
from tablestream.worker import LambdaHandler
from tests.support.orders import nth_order
from tests.support.variables import VARIABLES

ARN = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders"


def function(environment: Mapping[str, str]) -> LambdaHandler:
    """Return the function with clients that can nothing: what would be carried out fails."""
    aws = Aws(environment, clients=dict.fromkeys(("dynamodb", "sns", "s3"), object()))
    return make_worker(aws, clock=FakeClock(), parallel=Sequential()).handler(aws)


def test_one_error_names_everything_that_is_missing_or_wrong() -> None:
    with pytest.raises(ConfigurationError) as raised:
        function({"TABLE_NAME": "x", "TOPIC_ARN": "orders", "CONCURRENCY": "many"})
    assert str(raised.value).split("; ") == [
        "CONCURRENCY: wanted a whole number from 1 to 64, got str 'many'",
        "TABLE_NAME: wanted a table's name, got str 'x'",
        "INVENTORY_TABLE: wanted a table's name, got nothing",
        "TOPIC_ARN: wanted the ARN of a standard SNS topic, got str 'orders'",
        "JOURNAL_TABLE: wanted a table's name, got nothing",
        "FAILURES_BUCKET: wanted a bucket's name, got nothing",
    ]


def test_each_table_has_a_name_of_its_own() -> None:
    with pytest.raises(ConfigurationError) as raised:
        function({**VARIABLES, "JOURNAL_TABLE": "orders"})
    assert str(raised.value) == "TABLE_NAME, JOURNAL_TABLE: wanted different tables, got str 'orders' for all of them"
    with pytest.raises(ConfigurationError, match="TABLE_NAME, INVENTORY_TABLE, JOURNAL_TABLE: wanted different tables"):
        function({**VARIABLES, "JOURNAL_TABLE": "orders", "INVENTORY_TABLE": "orders"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOPIC_ARN", "arn:aws:sns:eu-central-1:123456789012:orders.fifo"),
        ("FAILURES_BUCKET", "Not_A_Bucket"),
        ("JOURNAL_TTL_DAYS", "0"),
        ("JOURNAL_TTL_DAYS", "1.5"),
        ("DEADLINE_MARGIN_SECONDS", "nan"),
        ("DEADLINE_MARGIN_SECONDS", "0.5"),
        ("CONCURRENCY", "0"),
        ("CONCURRENCY", "65"),
    ],
)
def test_what_cannot_be_right_is_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        function({**VARIABLES, name: value})


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
        function({**VARIABLES, name: value})


# --- what the settings do --------------------------------------------------------------------------------------------


def batch(**more: object) -> dict[str, list[Record]]:
    """Two orders: of one record a failure would be answered, of two the function raises."""
    records = [inserted(nth_order(number)) for number in range(2)]
    return event(*[{**record, **more} for record in records])


@pytest.mark.parametrize("variable", [{}, {"TABLE_ARN": ARN}])
def test_records_of_another_table_are_refused(variable: dict[str, str]) -> None:
    foreign = f"{ARN.replace('eu-central-1', 'us-west-1').replace('orders', 'people')}/stream/2025-01-01T00:00:00.000"
    with pytest.raises(InvalidEvent, match="wanted records of the table"):
        function(VARIABLES | variable)(batch(eventSourceARN=foreign), FakeContext())


def test_a_table_of_the_same_name_elsewhere_is_refused_where_the_arn_is_known() -> None:
    elsewhere = f"{ARN.replace('eu-central-1', 'us-west-1')}/stream/2025-01-01T00:00:00.000"
    with pytest.raises(NoProgress):
        function(VARIABLES)(batch(eventSourceARN=elsewhere), FakeContext())
    with pytest.raises(InvalidEvent, match="wanted records of the table"):
        function(VARIABLES | {"TABLE_ARN": ARN})(batch(eventSourceARN=elsewhere), FakeContext())


def test_changes_before_a_time_can_be_skipped() -> None:
    assert CREATED < 4_102_444_800  # 2100
    with pytest.raises(NoProgress):
        function(VARIABLES | {"IGNORE_BEFORE": "1999-01-01T00:00:00Z"})(batch(), FakeContext())
    answer = function(VARIABLES | {"IGNORE_BEFORE": "2100-01-01T00:00:00Z"})(batch(), FakeContext())
    assert answer == {"batchItemFailures": []}
