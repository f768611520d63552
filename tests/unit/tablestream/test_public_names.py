"""What users import stays: a name that goes, or comes by accident, fails here."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import tablestream
from tablestream import sinks

ENGINE = """
DONE Answer Backoff Change Clock ConfigurationError DeadLetter DeadLetters Deadline Done Effect Image
InvalidEvent InvalidRecord Journal JournalUnavailable Kind MissingAttribute NoProgress RecordState Parallel Permanent
PermanentFailure Report Router Run Sequential Sink SystemClock SystemicFailure TablestreamError
ThreadParallel Transient RecordOutcome Worker __version__ answer_to each
"""
TESTING = """
CREATED FakeClock FakeContext MemoryDeadLetters MemoryJournal Raw RecordingSink event expired image inserted modified
record removed tagged
"""
SINKS = "Counters Event EventBus Increment Message MessageTooLarge Queue S3DeadLetters Topic"


def test_the_engines_names_are_these() -> None:
    assert sorted(tablestream.__all__) == sorted(ENGINE.split())
    assert all(hasattr(tablestream, name) for name in tablestream.__all__)


def test_the_sinks_names_are_these_and_each_is_there() -> None:
    assert sinks.__all__ == SINKS.split()
    assert {getattr(sinks, name).__name__ for name in sinks.__all__} == {*sinks.__all__}


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
