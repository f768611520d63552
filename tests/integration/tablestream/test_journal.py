"""The journal in DynamoDB: batches, what the service leaves unprocessed, expiry, and what happens when it is down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest
from botocore.exceptions import ConnectTimeoutError

from tablestream import Backoff, Deadline, JournalUnavailable, Run
from tablestream.dynamodb.journal import DynamoDBJournal
from tablestream.testing import CREATED, FakeClock, FakeContext, client_error
from tests.support.shop_aws import JOURNAL, ShopAws, shop_aws

FOREVER = Deadline(lambda: float("inf"))
DONE = frozenset({"mail:0"})


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[ShopAws]:
    with shop_aws(monkeypatch) as made:
        yield made


class Stingy:
    """A client that processes only so many keys or items of each call, and can be down for some calls."""

    def __init__(self, client: Any, *, processes: int = 1000, down: int = 0, error: Exception | None = None) -> None:
        self._client, self._processes, self._down = client, processes, down
        self._error = error or client_error("ProvisionedThroughputExceededException")
        self.requests: list[Any] = []

    def batch_get_item(self, *, RequestItems: Any) -> Any:
        self._come(RequestItems)
        wanted = RequestItems[JOURNAL]
        now, later = wanted["Keys"][: self._processes], wanted["Keys"][self._processes :]
        answer = (
            self._client.batch_get_item(RequestItems={JOURNAL: {**wanted, "Keys": now}}) if now else {"Responses": {}}
        )
        return {**answer, "UnprocessedKeys": {JOURNAL: {**wanted, "Keys": later}} if later else {}}

    def batch_write_item(self, *, RequestItems: Any) -> Any:
        self._come(RequestItems)
        now, later = RequestItems[JOURNAL][: self._processes], RequestItems[JOURNAL][self._processes :]
        if now:
            self._client.batch_write_item(RequestItems={JOURNAL: now})
        return {"UnprocessedItems": {JOURNAL: later} if later else {}}

    def _come(self, request: Any) -> None:
        self.requests.append(request)
        if len(self.requests) <= self._down:
            raise self._error

    def sizes(self) -> list[int]:
        """How many keys or items each call asked for."""
        parts = [request[JOURNAL] for request in self.requests]
        return [len(part["Keys"] if isinstance(part, Mapping) else part) for part in parts]


def journal(client: Any, **settings: Any) -> DynamoDBJournal:
    return DynamoDBJournal(cast("Any", client), JOURNAL, **settings)


def lent(*, clock: FakeClock | None = None, tries: int = 8, deadline: Deadline = FOREVER) -> Run:
    backoff = Backoff(base=1.0, cap=1.0, tries=tries, uniform=lambda _low, high: high)
    return Run(deadline, clock=clock or FakeClock(), backoff=backoff)


def test_what_is_recorded_is_read_and_the_rest_is_known_to_be_empty(aws: ShopAws) -> None:
    made = journal(aws.dynamodb)
    made.record({"a": frozenset({"mail:0", "mail:1"}), "b": frozenset({"chat:0"})}, lent())
    assert made.read(["a", "b", "c"], lent()) == {
        "a": frozenset({"mail:0", "mail:1"}),
        "b": frozenset({"chat:0"}),
        "c": frozenset(),
    }


def test_recording_again_replaces(aws: ShopAws) -> None:
    made = journal(aws.dynamodb)
    made.record({"a": DONE}, lent())
    made.record({"a": DONE | {"mail:1"}}, lent())
    assert made.read(["a"], lent()) == {"a": {"mail:0", "mail:1"}}


@pytest.mark.parametrize(("settings", "days"), [({}, 14), ({"ttl_days": 2}, 2)])
def test_an_entry_expires_after_some_days(settings: dict[str, Any], days: int, aws: ShopAws) -> None:
    journal(aws.dynamodb, **settings).record({"a": DONE}, lent())
    (item,) = aws.dynamodb.scan(TableName=JOURNAL)["Items"]
    assert item == {
        "pk": {"S": "a"},
        "done": {"SS": ["mail:0"]},
        "ttl": {"N": str(int(CREATED) + days * 86_400)},
    }


def test_it_reads_by_hundreds_and_consistently(aws: ShopAws) -> None:
    client = Stingy(aws.dynamodb)
    ids = [f"id-{number}" for number in range(205)]
    assert journal(client).read(ids, lent()) == dict.fromkeys(ids, frozenset())
    assert client.sizes() == [100, 100, 5]
    assert all(request[JOURNAL]["ConsistentRead"] is True for request in client.requests)


def test_it_asks_once_for_an_id_that_is_given_twice(aws: ShopAws) -> None:
    client = Stingy(aws.dynamodb)
    assert journal(client).read(["a", "b", "a"], lent()) == {"a": frozenset(), "b": frozenset()}
    assert client.sizes() == [2]


def test_it_writes_by_twenty_fives(aws: ShopAws) -> None:
    client = Stingy(aws.dynamodb)
    entries = {f"id-{number}": DONE for number in range(60)}
    journal(client).record(entries, lent())
    assert client.sizes() == [25, 25, 10]
    assert journal(aws.dynamodb).read(list(entries), lent()) == entries


def test_nothing_to_read_or_write_is_no_call(aws: ShopAws) -> None:
    client = Stingy(aws.dynamodb)
    assert journal(client).read([], lent()) == {}
    journal(client).record({}, lent())
    assert client.requests == []


def test_unprocessed_keys_are_asked_for_again_after_a_wait(aws: ShopAws) -> None:
    entries = {f"id-{number}": DONE for number in range(5)}
    journal(aws.dynamodb).record(entries, lent())
    client, clock = Stingy(aws.dynamodb, processes=2), FakeClock()
    assert journal(client).read(list(entries), lent(clock=clock)) == entries
    assert (client.sizes(), clock.slept) == ([5, 3, 1], [1.0, 1.0])
    assert all(request[JOURNAL]["ConsistentRead"] is True for request in client.requests)


def test_unprocessed_items_are_written_again_after_a_wait(aws: ShopAws) -> None:
    entries = {f"id-{number}": DONE for number in range(5)}
    client, clock = Stingy(aws.dynamodb, processes=2), FakeClock()
    journal(client).record(entries, lent(clock=clock))
    assert (client.sizes(), clock.slept) == ([5, 3, 1], [1.0, 1.0])
    assert journal(aws.dynamodb).read(list(entries), lent()) == entries


def test_what_stays_unprocessed_is_absent_and_not_empty(aws: ShopAws) -> None:
    journal(aws.dynamodb).record({"a": DONE, "b": DONE, "c": DONE}, lent())
    client = Stingy(aws.dynamodb, processes=1)
    assert journal(client).read(["a", "b", "c"], lent(tries=1)) == {"a": DONE, "b": DONE}
    assert journal(Stingy(aws.dynamodb, processes=0)).read(["a"], lent(tries=1)) == {}


def test_what_stays_unwritten_is_an_error(aws: ShopAws) -> None:
    with pytest.raises(JournalUnavailable, match="could not be written"):
        journal(Stingy(aws.dynamodb, processes=1)).record({"a": DONE, "b": DONE, "c": DONE}, lent(tries=1))


ERRORS = [
    client_error("ProvisionedThroughputExceededException"),
    ConnectTimeoutError(endpoint_url="https://dynamodb"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_call_that_fails_is_made_again(error: Exception, aws: ShopAws) -> None:
    client = Stingy(aws.dynamodb, down=2, error=error)
    journal(client).record({"a": DONE}, lent())
    assert len(client.requests) == 3
    client = Stingy(aws.dynamodb, down=2, error=error)
    assert journal(client).read(["a"], lent()) == {"a": DONE}
    assert len(client.requests) == 3


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_journal_that_is_down_reads_nothing_and_says_why_it_cannot_write(error: Exception, aws: ShopAws) -> None:
    client = Stingy(aws.dynamodb, down=1000, error=error)
    assert journal(client).read(["a"], lent(tries=2)) == {}
    with pytest.raises(JournalUnavailable) as caught:
        journal(client).record({"a": DONE}, lent(tries=2))
    assert caught.value.__cause__ is error
    assert len(client.requests) == 6


def test_one_part_that_is_down_leaves_the_others(aws: ShopAws) -> None:
    ids = [f"id-{number}" for number in range(101)]
    client = Stingy(aws.dynamodb, down=1)
    assert journal(client).read(ids, lent(tries=0)) == {ids[100]: frozenset()}


def test_it_does_not_wait_past_the_deadline(aws: ShopAws) -> None:
    clock = FakeClock()
    deadline = Deadline.of(FakeContext(2.5, clock), margin_seconds=0)
    client = Stingy(aws.dynamodb, down=1000)
    assert journal(client).read(["a"], lent(clock=clock, deadline=deadline)) == {}
    assert clock.slept == [1.0, 1.0]
    with pytest.raises(JournalUnavailable):
        journal(client).record({"a": DONE}, lent(clock=clock, deadline=deadline))
    assert clock.slept == [1.0, 1.0]


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("ThrottlingException", None),
        ("ResourceNotFoundException", "a table whose key is pk, text"),
        ("ValidationException", "a table whose key is pk, text"),
    ],
)
def test_the_log_says_what_table_is_wanted_where_the_table_may_be_at_fault(
    code: str, wanted: str | None, aws: ShopAws, caplog: pytest.LogCaptureFixture
) -> None:
    assert journal(Stingy(aws.dynamodb, down=99, error=client_error(code))).read(["a"], lent(tries=1)) == {}
    (line,) = caplog.records
    assert (line.getMessage(), getattr(line, "error_class", None)) == ("journal cannot be read", code)
    assert getattr(line, "wanted", None) == wanted
