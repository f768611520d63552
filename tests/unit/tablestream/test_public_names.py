"""What users import stays: a name that goes, or comes by accident, fails here."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import tablestream
from tablestream import dynamodb, simulation, sinks

ENGINE = """
DONE Answer Backoff Change Clock ConfigurationError DeadLetter DeadLetters Deadline Done Effect Image
InvalidEvent InvalidRecord Journal JournalUnavailable Kind MissingAttribute NoProgress RecordState Parallel Permanent
PermanentFailure Report Router Run Sequential Sink SystemClock SystemicFailure TablestreamError
ThreadParallel Transient RecordOutcome Worker __version__ answer_to each
"""
TESTING = """
CREATED FakeClock FakeContext MemoryDeadLetters MemoryDynamoDB MemoryJournal Raw RecordingSink event expired
image inserted modified record removed tagged
"""
DYNAMODB = """
AccessRefused AlreadyExists Append Check Codec ConditionFailed Conflict Delete Got Held IdempotencyKey
IdempotencyKeyReused IdempotencyKeys IfAbsent Index InvalidCursor InvalidRequest InvalidValue ItemStore ItemTooLarge
Lock Misconfigured NotFound Nulls Outcome OutcomeUnknown Page Put RaceCondition ReadyAction Returns Table TableAction
TableError Throttled TransactionCancelled Unavailable Unwritten Update VersionConflict connect
"""
SIMULATION = "Mishap ScheduleFailed SentEffect Services Stream Trial fresh"
SINKS = "Counters Event EventBus Increment Message MessageTooLarge Queue S3DeadLetters Topic"


def test_the_engines_names_are_these() -> None:
    assert sorted(tablestream.__all__) == sorted(ENGINE.split())
    assert all(hasattr(tablestream, name) for name in tablestream.__all__)


def test_the_sinks_names_are_these_and_each_is_there() -> None:
    assert sinks.__all__ == SINKS.split()
    assert {getattr(sinks, name).__name__ for name in sinks.__all__} == {*sinks.__all__}


def test_the_names_of_dynamodb_are_these_and_each_is_there() -> None:
    assert dynamodb.__all__ == DYNAMODB.split()
    for name in dynamodb.__all__:
        assert getattr(getattr(dynamodb, name), "__name__", name) == name
    missing = "Nothing"
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        getattr(dynamodb, missing)


def test_the_simulations_names_are_these_and_each_is_there() -> None:
    assert simulation.__all__ == SIMULATION.split()
    assert {getattr(simulation, name).__name__ for name in simulation.__all__} == {*simulation.__all__}
    missing = "Nothing"
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        getattr(simulation, missing)


def test_every_error_of_a_table_is_one() -> None:
    named = [getattr(dynamodb, name) for name in dynamodb.__all__]
    errors = [one for one in named if isinstance(one, type) and issubclass(one, Exception)]
    assert len(errors) == 18
    assert all(issubclass(error, dynamodb.TableError) for error in errors)
    assert issubclass(dynamodb.TableError, tablestream.TablestreamError)


@pytest.mark.parametrize(
    ("asked", "brought"),
    [
        ("import tablestream.dynamodb", []),
        ("from tablestream.dynamodb import TableError", ["botocore"]),
        ("from tablestream.dynamodb import Table, Put", ["botocore", "tablestream.dynamodb.table"]),
        ("import shop.stock.sink, tablestream.aws", ["botocore"]),
    ],
)
def test_a_name_of_dynamodb_that_nobody_asks_for_is_not_imported(asked: str, brought: list[str]) -> None:
    names = ["boto3", "botocore", "tablestream.dynamodb.table", "tablestream.testing"]
    ask = f"import sys\n{asked}\nprint([name for name in {names} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(brought)


def test_a_sink_that_nobody_asks_for_is_not_imported() -> None:
    ask = "import sys; from tablestream.sinks import Topic; print('tablestream.sinks.sqs' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


@pytest.mark.parametrize("name", TESTING.split())
def test_the_test_kit_has(name: str) -> None:
    assert hasattr(importlib.import_module("tablestream.testing"), name)


def test_every_error_is_one_of_ours() -> None:
    errors = [
        "ConfigurationError",
        "InvalidEvent",
        "InvalidRecord",
        "JournalUnavailable",
        "NoProgress",
        "SystemicFailure",
    ]
    assert all(issubclass(getattr(tablestream, name), tablestream.TablestreamError) for name in errors)


def test_importing_the_library_does_not_bring_boto() -> None:
    ask = "import sys, tablestream; print('botocore' in sys.modules, 'tablestream.testing' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "False"]
