"""Every sample event by `sam local invoke` in a container: answer and effects of `tests/support/events_table.py`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from demo.warehouse import Bucket, Shop
from tablestream.local.cloud.clients import CloudClients
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.trigger.destinations import Inbox
from tests.e2e import sam
from tests.support.events_table import EVENTS, TABLE, ledger_items

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", TABLE)
def test_a_sample_event_has_its_answer_and_effects_also_in_a_container(name: str, built: Path) -> None:
    expected = TABLE[name]
    sample = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    with (
        sam.world(sample) as cloud,
        Inbox(CloudClients(cloud.endpoint).get, cloud.outputs["TopicArn"]) as inbox,
    ):
        for item in ledger_items(expected):
            cloud.client("dynamodb").put_item(TableName=cloud.outputs["InventoryTableName"], Item=item)
        shop = Shop(cloud.client("dynamodb"), cloud.outputs)
        before = statuses(shop)

        done = sam.invoke(built, "Worker", sample, cloud)

        assert (done.error[0] if done.error else None) == expected.error, done.log
        assert done.answer == expected.answer
        assert shop.available() == expected.stock
        assert {order_of(entry): entry["state"] for entry in shop.ledger()} == expected.ledger
        assert statuses(shop).items() - before.items() == expected.statuses.items()
        assert sorted(announced(inbox)) == sorted(expected.notifications)
        assert stored(cloud, sample) == sorted(expected.dead_letters)


def statuses(shop: Shop) -> dict[str, str]:
    return {order["orderId"]: order["status"] for order in shop.orders() if "orderId" in order}


def order_of(entry: dict[str, Any]) -> str:
    return str(entry["sk"]).removeprefix("ORDER#")


def announced(inbox: Inbox) -> list[str]:
    return [f"{message['type']} {message['orderId']}" for message in inbox.take()]


def stored(cloud: Cloud, sample: dict[str, Any]) -> list[int]:
    """The places in the event of the records that have become dead letters."""
    records = sample["Records"]
    found = Bucket(cloud.client("s3"), cloud.outputs["FailuresBucketName"], "dead-letters/").letters()
    return sorted(records.index(letter.body["record"]) for letter in found)
