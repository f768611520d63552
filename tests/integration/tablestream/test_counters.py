"""`Counters` against the embedded AWS: what the conditions mean, and a whole worker that dies around its calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from moto import mock_aws

from tablestream import DONE, Answer, Permanent, Run, Transient, Worker
from tablestream.sinks import Counters, Increment
from tablestream.testing import (
    FakeClock,
    FakeContext,
    MemoryDeadLetters,
    MemoryJournal,
    effects,
    event,
    inserted,
    modified,
)

TABLE = "lead-counts"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        made: Any = boto3.client("dynamodb", "eu-central-1")
        made.create_table(
            TableName=TABLE,
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield made


def apply(client: Any, *wanted: Increment) -> Sequence[Answer]:
    return Counters(table=TABLE, client=client).apply(effects(*wanted), Run(clock=FakeClock()))


def leads(client: Any, status: str) -> str | None:
    found = client.get_item(TableName=TABLE, Key={"pk": {"S": status}}).get("Item", {})
    counted: str | None = found.get("leads", {}).get("N")
    return counted


class Dies:
    """A client whose process ends before or after a transaction."""

    def __init__(self, client: Any, *, after: bool) -> None:
        self._client = client
        self._after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def transact_write_items(self, **request: Any) -> Any:
        if self._after:
            self._client.transact_write_items(**request)
        raise KeyboardInterrupt


class Losing(Dies):
    """A client whose transactions take effect, and whose answers are lost."""

    def transact_write_items(self, **request: Any) -> Any:
        self._client.transact_write_items(**request)
        raise ReadTimeoutError(endpoint_url="https://dynamodb")


def test_repeats_count_nothing_more(client: Any) -> None:
    wanted = [Increment({"pk": "won"}, leads=2), Increment({"pk": "won"}, leads=-1), Increment({"pk": "new"}, leads=0)]
    assert [*apply(client, *wanted), *apply(client, *wanted)] == [DONE] * 6
    assert (leads(client, "won"), leads(client, "new")) == ("1", "0")


def test_answers_that_are_lost_count_nothing_twice(client: Any) -> None:
    # The emulator does not know tokens: here it is the ledger alone that stops the repetition.
    assert apply(Losing(client, after=True), Increment({"pk": "won"}, leads=1)) == [DONE]
    assert leads(client, "won") == "1"


def test_a_key_that_the_table_does_not_have_is_the_effects_fault(client: Any) -> None:
    first, second = apply(client, Increment({"status": "won"}, leads=1), Increment({"pk": "won"}, leads=1))
    assert isinstance(first, Permanent)
    assert "DynamoDB does not take the transaction" in first.reason
    assert (second, leads(client, "won")) == (DONE, "1")


def test_a_counter_that_holds_text_waits_to_be_mended(client: Any) -> None:
    client.put_item(TableName=TABLE, Item={"pk": {"S": "won"}, "leads": {"S": "many"}})
    wanted = [Increment({"pk": "won"}, leads=1), Increment({"pk": "new"}, leads=1)]
    first, second = apply(client, *wanted)
    assert isinstance(first, Transient)
    assert second == DONE
    client.delete_item(TableName=TABLE, Key={"pk": {"S": "won"}})
    assert apply(client, *wanted) == [DONE, DONE]
    assert (leads(client, "won"), leads(client, "new")) == ("1", "1")


@pytest.mark.parametrize("after", [False, True])
def test_a_worker_that_dies_around_its_transaction_counts_each_change_once(client: Any, *, after: bool) -> None:
    lead = {"id": "1", "status": "new"}
    batch = event(inserted(lead, keys=("id",)), modified(lead, {**lead, "status": "won"}, keys=("id",)))

    def worker(on: Any) -> Worker:
        made = Worker(
            sinks=[Counters(table=TABLE, client=on)], journal=MemoryJournal(), dead_letters=MemoryDeadLetters()
        )
        made.on_insert()(lambda change: Increment({"pk": change.new["status"]}, leads=1))
        made.on_modify(changed=["status"])(
            lambda change: [
                Increment({"pk": change.old["status"]}, leads=-1),
                Increment({"pk": change.new["status"]}, leads=+1),
            ]
        )
        return made

    with pytest.raises(KeyboardInterrupt):
        worker(Dies(client, after=after))(batch, FakeContext())
    for _ in range(2):
        assert worker(client)(batch, FakeContext()) == {"batchItemFailures": []}
    assert (leads(client, "new"), leads(client, "won")) == ("0", "1")
