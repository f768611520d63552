"""boto3 clients of the embedded AWS, and its tables on another DynamoDB where that is wanted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Sequence


Client = Any  # boto3 builds its client classes at run time
REGION = "us-east-1"  # where nobody says another
DYNAMODB = ("dynamodb", "dynamodbstreams")


class CloudClients:
    """One client per service, safe to share between threads. Tables live at `dynamodb_endpoint` if there is one."""

    def __init__(self, endpoint: str, dynamodb_endpoint: str | None = None, region: str = REGION) -> None:
        self._endpoint = endpoint
        self._dynamodb_endpoint = dynamodb_endpoint
        self._clients: dict[tuple[str, str], Client] = {}
        self._lock = threading.Lock()
        # Any: the service names are variables here, and the stubs have an overload for each literal.
        self._session: Any = boto3.Session(region_name=region, aws_access_key_id="local", aws_secret_access_key="local")

    def get(self, service: str) -> Client:
        """The client of a service where its data is."""
        external = self._dynamodb_endpoint if service in DYNAMODB else None
        return self._get(service, external or self._endpoint)

    def embedded(self, service: str) -> Client:
        """The client of a service in the embedded AWS, DynamoDB too."""
        return self._get(service, self._endpoint)

    def _get(self, service: str, endpoint: str) -> Client:
        with self._lock:  # creating a client is not thread safe, using one is
            if (service, endpoint) not in self._clients:
                # "disabled": calls that carry an ARN would else go to a host name made of the account id.
                config = Config(account_id_endpoint_mode="disabled", retries={"total_max_attempts": 3})
                self._clients[service, endpoint] = self._session.client(service, endpoint_url=endpoint, config=config)
            return self._clients[service, endpoint]


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
