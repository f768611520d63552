"""What is logged: event id, item key hash, error class and counts; never a key, an image or a reason."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tablestream import Change, Permanent, TablestreamError, Transient
from tablestream.report import show_fields
from tablestream.sink import Answer
from tablestream.testing import event, inserted
from tests.unit.tablestream.kit import Bench, altered, failing, made, thing

SECRETS = ("jane", "doe", "example.com", "main street")


class Kept(logging.Handler):
    """Keeps records, whatever the logger's configuration elsewhere is."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def lines(self, *fields: str) -> list[tuple[Any, ...]]:
        return [
            (record.levelname, record.getMessage(), *(getattr(record, name, None) for name in fields))
            for record in self.records
        ]


@pytest.fixture
def log() -> Iterator[Kept]:
    logger, kept = logging.getLogger("tablestream"), Kept()
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(kept)
    yield kept
    logger.removeHandler(kept)
    logger.setLevel(level)


def test_a_good_batch_is_one_line_of_counts(log: Kept) -> None:
    Bench().run(made("a", "stock:1"), made("b", "mail:1"))
    assert log.lines("records", "applied", "skipped", "checkpoint", "error_class") == [
        ("INFO", "batch processed", 2, 2, None, None, None)
    ]


def test_a_bug_is_found_by_the_function_and_the_line_that_raised_it(log: Kept) -> None:
    def broken(_effect: object) -> Answer:
        raise KeyError("jane@example.com")

    bench = Bench()
    bench.mail.answer = broken
    bench.run(made("a"), made("b", "mail:1"), made("c", "mail:2"), made("d", "raise:x"))
    found = {line[1]: line[2] for line in log.lines("where")}
    assert re.fullmatch(r"kit.py, line \d+, in act", found["dead letter stored"])
    assert re.fullmatch(r"test_log.py, line \d+, in .*broken", found["records failed"])


def test_each_dead_letter_has_a_line_that_finds_it(log: Kept) -> None:
    whole = event(made("a", "invalid:x"), made("b", "raise:y"))
    Bench().send(whole)
    first, second = (Change.from_record(record) for record in whole["Records"])
    assert log.lines("event_id", "key_hash", "error_class")[:2] == [
        ("WARNING", "dead letter stored", first.event_id, first.key_hash, "InvalidRecord"),
        ("WARNING", "dead letter stored", second.event_id, second.key_hash, "ZeroDivisionError"),
    ]
    assert log.lines("poisoned")[2:] == [("INFO", "batch processed", 2)]


def test_an_outage_is_a_line_for_each_cause_and_not_for_each_record(log: Kept) -> None:
    bench = Bench()
    bench.stock.answer = failing("1", "2", "3")
    bench.mail.answer = failing("4", answer=Transient(TimeoutError()))
    whole = event(made("z"), *[made(str(n), f"stock:{n}") for n in range(1, 4)], made("4", "mail:4"))
    bench.send(whole)
    assert log.lines("error_class", "records", "event_id")[:-1] == [
        ("WARNING", "records failed", "ConnectionError", 3, whole["Records"][1]["eventID"]),
        ("WARNING", "records failed", "TimeoutError", 1, whole["Records"][4]["eventID"]),
    ]
    assert log.lines("failed", "checkpoint")[-1][2:] == (4, whole["Records"][1]["dynamodb"]["SequenceNumber"])


def test_an_invocation_that_raises_ends_with_an_error_line(log: Kept) -> None:
    bench = Bench()
    bench.stock.answer = failing("1")
    with pytest.raises(TablestreamError):
        bench.run(made("a", "stock:1"), altered("a", "stock:2"))
    assert log.lines("error_class", "failed", "held_back")[-1] == ("ERROR", "batch processed", "NoProgress", 1, 1)


def test_a_journal_that_cannot_be_written_is_an_error_line(log: Kept) -> None:
    bench = Bench()

    def down_from_now_on(effect: Any) -> Any:
        bench.journal.down = True
        return failing("a")(effect)

    bench.stock.answer = down_from_now_on
    bench.run(made("z"), made("a", "stock:a"), made("b", "mail:b"))
    assert log.lines("error_class")[0] == ("ERROR", "journal unavailable", "JournalUnavailable")


def test_no_line_tells_a_key_an_image_or_a_reason(log: Kept) -> None:
    bench = Bench()
    bench.stock.answer = failing("jane", answer=Transient(ConnectionError("jane doe was throttled")))
    bench.mail.answer = failing("jane", answer=Permanent("jane doe's address is too long"))
    secret = "jane doe, main street, jane@example.com"
    dirty = made("jane@example.com", "invalid:" + secret)
    unkeyed = event(made("x", "mail:1"))["Records"][0]
    unkeyed = {**unkeyed, "eventID": secret, "dynamodb": {**unkeyed["dynamodb"], "Keys": {"pk": secret}}}
    odd = {**made("jane@example.com", "mail:1"), "eventName": secret}
    records = [
        made("z"),
        dirty,
        made("jane 1", "raise:" + secret),
        made("jane 2", "stock:jane"),
        made("jane 3", "mail:jane"),
        inserted(thing("jane 4", "read:main street", **{"jane@example.com": 1})),
    ]
    bench.send({"Records": [*event(*records)["Records"], unkeyed, odd]})
    assert bench.counts == {"applied": 1, "poisoned": 6, "failed": 1}
    assert any("jane@example.com" in reason for reason in bench.letters.reasons), "the dead letter tells what is there"

    for foreign in (
        {secret: 1},
        {"Records": [{"eventSource": secret}]},
        {"Records": [{"dynamodb": {"SequenceNumber": secret}}]},
    ):
        with pytest.raises(TablestreamError) as caught:
            bench.send(foreign)
        assert "jane" not in str(caught.value)

    written = " ".join(str(vars(record)) for record in log.records).lower()
    assert "dead letter stored" in written
    assert [secret for secret in SECRETS if secret in written] == []


# --- where Lambda drops the fields -----------------------------------------------------------------------------------

IN_LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "crm"}


def test_a_worker_of_ones_own_shows_the_fields_of_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("tablestream")
    show_fields(logger, IN_LAMBDA)
    logger.warning("records failed", extra={"error_class": "Throttled", "records": 2, "checkpoint": None})
    assert capsys.readouterr().out == "WARNING records failed (error_class Throttled, records 2)\n"


@pytest.mark.parametrize("environ", [{}, {**IN_LAMBDA, "AWS_LAMBDA_LOG_FORMAT": "JSON"}])
def test_elsewhere_and_where_lambda_writes_json_the_logger_is_left_as_it_is(environ: dict[str, str]) -> None:
    logger = logging.getLogger("tablestream")
    show_fields(logger, environ)
    assert logger.handlers == []
    assert logger.propagate


def test_a_handler_of_the_users_is_left_as_it_is() -> None:
    logger = logging.getLogger("tablestream")
    logger.addHandler(logging.NullHandler())
    show_fields(logger, IN_LAMBDA)
    assert [type(handler) for handler in logger.handlers] == [logging.NullHandler]
