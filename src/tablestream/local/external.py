"""Tables on another DynamoDB (e.g. DynamoDB Local): same names, keys, indexes and stream as in the embedded AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tablestream.local.clients import Client


def mirror(embedded: Client, external: Client) -> dict[str, str]:
    """Create every table of the client `embedded` on the client `external`, unless it is there.

    Returns the stream ARN there by the stream ARN here. A table that is there keeps its items and its stream.
    """
    streams: dict[str, str] = {}
    there = set(external.list_tables()["TableNames"])
    for name in embedded.list_tables()["TableNames"]:
        table = embedded.describe_table(TableName=name)["Table"]
        if name not in there:
            external.create_table(**_definition(table))
            external.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        if arn := table.get("LatestStreamArn"):
            streams[arn] = external.describe_table(TableName=name)["Table"]["LatestStreamArn"]
    return streams


def _definition(table: dict[str, Any]) -> dict[str, Any]:
    definition = {
        "TableName": table["TableName"],
        "AttributeDefinitions": table["AttributeDefinitions"],
        "KeySchema": table["KeySchema"],
        "BillingMode": "PAY_PER_REQUEST",
    }
    for indexes in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        if described := table.get(indexes):
            definition[indexes] = _indexes(described)
    if stream := table.get("StreamSpecification"):
        definition["StreamSpecification"] = stream
    return definition


def _indexes(described: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: index[key] for key in ("IndexName", "KeySchema", "Projection")} for index in described]
