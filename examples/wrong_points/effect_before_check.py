"""The points are added first; whether the order had them already is noted behind that."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from examples.wrong_points import Credit, add_points
from tablestream import Change, Worker


def make_worker(client: Any) -> Worker:
    """Return the worker."""
    worker = Worker(table="orders")

    @worker.on_insert()
    def placed(change: Change) -> Credit:
        return Credit(change.new["id"], change.new["customer"], change.new["points"])

    @worker.sink(Credit, idempotent=True)
    def credit(credit: Credit) -> None:
        note = {"TableName": "points", "Key": {"pk": {"S": f"ORDER#{credit.order}"}}}
        if "Item" in client.get_item(**note):
            return
        add_points(client, credit)
        try:
            client.put_item(TableName="points", Item=note["Key"], ConditionExpression="attribute_not_exists(pk)")
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise

    return worker
