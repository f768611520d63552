"""The journal in DynamoDB: batches, what the service leaves unprocessed, expiry, and what happens when it is down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from tablestream import Backoff, Deadline, DynamoDBJournal, JournalUnavailable
from tablestream.testing import CREATED, FakeClock, FakeContext
from tests.integration.shop_aws import JOURNAL, ShopAws, shop_aws

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
        self._error = error or ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "any")
        self.requests: list[Any] = []

    def batch_get_item(self, *, RequestItems: Any) -> Any:  # noqa: N803 -- boto3's name
        self._come(RequestItems)
        wanted = RequestItems[JOURNAL]
        now, later = wanted["Keys"][: self._processes], wanted["Keys"][self._processes :]
        answer = (
            self._client.batch_get_item(RequestItems={JOURNAL: {**wanted, "Keys": now}}) if now else {"Responses": {}}
        )
        return {**answer, "UnprocessedKeys": {JOURNAL: {**wanted, "Keys": later}} if later else {}}

    def batch_write_item(self, *, RequestItems: Any) -> Any:  # noqa: N803 -- boto3's name
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


def journal(client: Any, *, clock: FakeClock | None = None, tries: int = 8, **settings: Any) -> DynamoDBJournal:
    backoff = Backoff(base=1.0, cap=1.0, tries=tries, uniform=lambda _low, high: high)
    return DynamoDBJournal(cast("Any", client), JOURNAL, clock=clock or FakeClock(), backoff=backoff, **settings)


def test_what_is_recorded_is_read_and_the_rest_is_known_to_be_empty(aws: ShopAws) -> None:
    made = journal(aws.dynamodb)
    made.record({"a": frozenset({"mail:0", "mail:1"}), "b": frozenset({"chat:0"})}, FOREVER)
    assert made.read(["a", "b", "c"], FOREVER) == {
        "a": frozenset({"mail:0", "mail:1"}),
        "b": frozenset({"chat:0"}),
        "c": frozenset(),
    }


def test_recording_again_replaces(aws: ShopAws) -> None:
    made = journal(aws.dynamodb)
    made.record({"a": DONE}, FOREVER)
    made.record({"a": DONE | {"mail:1"}}, FOREVER)
    assert made.read(["a"], FOREVER) == {"a": {"mail:0", "mail:1"}}


@pytest.mark.parametrize(("settings", "days"), [({}, 14), ({"ttl_days": 2}, 2)])
def test_an_entry_expires_after_some_days(settings: dict[str, Any], days: int, aws: ShopAws) -> None:
    journal(aws.dynamodb, **settings).record({"a": DONE}, FOREVER)
    (item,) = aws.dynamodb.scan(TableName=JOURNAL)["Items"]
    assert item == {
        "pk": {"S": "a"},
        "done": {"SS": ["mail:0"]},
        "ttl": {"N": str(int(CREATED) + days * 86_400)},
    }


def test_it_reads_by_hundreds_and_consistently(aws: ShopAws) -> None:
    client = Stingy(aws.dynamodb)
    ids = [f"id-{number}" for number in range(205)]
    assert journal(client).read(ids, FOREVER) == dict.fromkeys(ids, frozenset())
    assert client.sizes() == [100, 100, 5]
    assert all(request[JOURNAL]["ConsistentRead"] is True for request in client.requests)


def test_it_asks_once_for_an_id_that_is_given_twice(aws: ShopAws) -> None:
    client = Stingy(aws.dynamodb)
    assert journal(client).read(["a", "b", "a"], FOREVER) == {"a": frozenset(), "b": frozenset()}
    assert client.sizes() == [2]


def test_it_writes_by_twenty_fives(aws: ShopAws) -> None:
    client = Stingy(aws.dynamodb)
    entries = {f"id-{number}": DONE for number in range(60)}
    journal(client).record(entries, FOREVER)
    assert client.sizes() == [25, 25, 10]
    assert journal(aws.dynamodb).read(list(entries), FOREVER) == entries


def test_nothing_to_read_or_write_is_no_call(aws: ShopAws) -> None:
    client = Stingy(aws.dynamodb)
    assert journal(client).read([], FOREVER) == {}
    journal(client).record({}, FOREVER)
    assert client.requests == []


def test_unprocessed_keys_are_asked_for_again_after_a_wait(aws: ShopAws) -> None:
    entries = {f"id-{number}": DONE for number in range(5)}
    journal(aws.dynamodb).record(entries, FOREVER)
    client, clock = Stingy(aws.dynamodb, processes=2), FakeClock()
    assert journal(client, clock=clock).read(list(entries), FOREVER) == entries
    assert (client.sizes(), clock.slept) == ([5, 3, 1], [1.0, 1.0])
    assert all(request[JOURNAL]["ConsistentRead"] is True for request in client.requests)


def test_unprocessed_items_are_written_again_after_a_wait(aws: ShopAws) -> None:
    entries = {f"id-{number}": DONE for number in range(5)}
    client, clock = Stingy(aws.dynamodb, processes=2), FakeClock()
    journal(client, clock=clock).record(entries, FOREVER)
    assert (client.sizes(), clock.slept) == ([5, 3, 1], [1.0, 1.0])
    assert journal(aws.dynamodb).read(list(entries), FOREVER) == entries


def test_what_stays_unprocessed_is_absent_and_not_empty(aws: ShopAws) -> None:
    journal(aws.dynamodb).record({"a": DONE, "b": DONE, "c": DONE}, FOREVER)
    client = Stingy(aws.dynamodb, processes=1)
    assert journal(client, tries=1).read(["a", "b", "c"], FOREVER) == {"a": DONE, "b": DONE}
    assert journal(Stingy(aws.dynamodb, processes=0), tries=1).read(["a"], FOREVER) == {}


def test_what_stays_unwritten_is_an_error(aws: ShopAws) -> None:
    with pytest.raises(JournalUnavailable, match="could not be written"):
        journal(Stingy(aws.dynamodb, processes=1), tries=1).record({"a": DONE, "b": DONE, "c": DONE}, FOREVER)


ERRORS = [
    ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "any"),
    ConnectTimeoutError(endpoint_url="https://dynamodb"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_call_that_fails_is_made_again(error: Exception, aws: ShopAws) -> None:
    client = Stingy(aws.dynamodb, down=2, error=error)
    journal(client).record({"a": DONE}, FOREVER)
    assert len(client.requests) == 3
    client = Stingy(aws.dynamodb, down=2, error=error)
    assert journal(client).read(["a"], FOREVER) == {"a": DONE}
    assert len(client.requests) == 3


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_journal_that_is_down_reads_nothing_and_says_why_it_cannot_write(error: Exception, aws: ShopAws) -> None:
    client = Stingy(aws.dynamodb, down=1000, error=error)
    assert journal(client, tries=2).read(["a"], FOREVER) == {}
    with pytest.raises(JournalUnavailable) as caught:
        journal(client, tries=2).record({"a": DONE}, FOREVER)
    assert caught.value.__cause__ is error
    assert len(client.requests) == 6


def test_one_part_that_is_down_leaves_the_others(aws: ShopAws) -> None:
    ids = [f"id-{number}" for number in range(101)]
    client = Stingy(aws.dynamodb, down=1)
    assert journal(client, tries=0).read(ids, FOREVER) == {ids[100]: frozenset()}


def test_it_does_not_wait_past_the_deadline(aws: ShopAws) -> None:
    clock = FakeClock()
    deadline = Deadline.of(FakeContext(2.5, clock), margin_seconds=0)
    client = Stingy(aws.dynamodb, down=1000)
    assert journal(client, clock=clock).read(["a"], deadline) == {}
    assert clock.slept == [1.0, 1.0]
    with pytest.raises(JournalUnavailable):
        journal(client, clock=clock).record({"a": DONE}, deadline)
    assert clock.slept == [1.0, 1.0]
