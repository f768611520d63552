"""The shop's tables in a DynamoDB Local, the worker that works off their stream, and what they came to in the end."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.session import Session

from shop.api.service import MARGIN_SECONDS
from shop.keys import account_key, user_key
from shop.worker import make_worker
from tablestream import aws as aws_module
from tablestream.dynamodb.client import settings
from tablestream.testing import image
from tests.kill_api.clients import ACCOUNTS, STOCK, USERS
from tests.simulation.aws import INVENTORY, JOURNAL, Aws
from tests.simulation.boto import VARIABLES
from tests.simulation.stream import TABLE
from tests.support.shop_api import create_tables, stock_item

_REGION = "eu-central-1"
_ROUNDS = 20
_BATCH = 100
_STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


@dataclass
class KillableShop:
    """Tables, and the environment in which a process of the API finds them."""

    endpoint: str
    owner: str = field(default_factory=lambda: uuid.uuid4().hex[:16])
    """The access key: DynamoDB Local keeps the tables of each apart."""

    def __post_init__(self) -> None:
        self.dynamodb: Any = self._client("dynamodb")
        self._streams: Any = self._client("dynamodbstreams")

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a process of the API."""
        return {
            "TABLE_NAME": TABLE,
            "INVENTORY_TABLE": INVENTORY,
            "AWS_ENDPOINT_URL_DYNAMODB": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.owner,
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
        }

    def fill(self) -> None:
        """Make the tables, and put in what is there before the first request."""
        create_tables(self.dynamodb)
        keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
        types = [{"AttributeName": "pk", "AttributeType": "S"}]
        self.dynamodb.create_table(
            TableName=JOURNAL, KeySchema=keys, AttributeDefinitions=types, BillingMode="PAY_PER_REQUEST"
        )
        self.dynamodb.update_table(TableName=TABLE, StreamSpecification=_STREAM)
        for number, balance in enumerate(ACCOUNTS):
            account = {"entityType": "Account", "accountId": f"a{number}", "balance": balance, "version": 1}
            self._put({**account_key(f"a{number}"), **account})
        for user in USERS:
            self._put({**user_key(user), "entityType": "User", "userId": user, "name": user, "version": 1})
        for number, units in enumerate(STOCK):
            self.dynamodb.put_item(TableName=INVENTORY, Item=stock_item(f"p{number}", units))

    def remove(self) -> None:
        """Take the tables away."""
        for table in (TABLE, INVENTORY, JOURNAL):
            self.dynamodb.delete_table(TableName=table)

    def settle(self) -> tuple[Aws, list[dict[str, Any]]]:
        """Have the worker work off the stream; return what AWS has then, in memory, and the stream's records."""
        found = Aws(time.time)
        clients = {"dynamodb": self.dynamodb, "sns": found.topic, "s3": found.bucket}
        named = aws_module.Aws(VARIABLES, clients=clients)
        handler = make_worker(named).handler(named)
        done, records = 0, list[dict[str, Any]]()
        for _ in range(_ROUNDS):
            records = list(self._records())
            waiting = [record for record in records[done:] if _is_of_an_order(record)]
            done = len(records)
            if not waiting:
                break
            for start in range(0, len(waiting), _BATCH):
                answer = handler({"Records": waiting[start : start + _BATCH]}, None)
                if answer["batchItemFailures"]:
                    raise RuntimeError(f"the worker left records undone: {answer['batchItemFailures'][:3]}")
        for name, table in ((TABLE, found.orders), (INVENTORY, found.inventory)):
            for page in self.dynamodb.get_paginator("scan").paginate(TableName=name, ConsistentRead=True):
                table.items.update({(item["pk"]["S"], item["sk"]["S"]): item for item in page["Items"]})
        return found, records

    def _records(self) -> Iterator[dict[str, Any]]:
        """Yield the records of the stream from its beginning, as Lambda would hand them over."""
        arn = self.dynamodb.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]
        shards = self._streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        for shard in shards:
            place = self._streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )
            iterator = place["ShardIterator"]
            while iterator:
                page = self._streams.get_records(ShardIterator=iterator, Limit=1000)
                yield from [_as_lambda(record, arn) for record in page["Records"]]
                iterator = page.get("NextShardIterator") if page["Records"] else None

    def _put(self, item: Mapping[str, Any]) -> None:
        self.dynamodb.put_item(TableName=TABLE, Item=image(item))

    def _client(self, service: str) -> Any:
        return Session().create_client(
            service,
            endpoint_url=self.endpoint,
            region_name=_REGION,
            aws_access_key_id=self.owner,
            aws_secret_access_key="none",
            config=settings(MARGIN_SECONDS),
        )


@contextmanager
def killable_shop(endpoint: str) -> Iterator[KillableShop]:
    """Make the tables of a shop in a DynamoDB Local, and take them away again."""
    shop = KillableShop(endpoint)
    shop.fill()
    try:
        yield shop
    finally:
        shop.remove()


def _as_lambda(record: Mapping[str, Any], arn: str) -> dict[str, Any]:
    made = record["dynamodb"]["ApproximateCreationDateTime"]
    told = {**record["dynamodb"], "ApproximateCreationDateTime": made.timestamp()}
    return {**record, "dynamodb": told, "eventSourceARN": arn}


def _is_of_an_order(record: Mapping[str, Any]) -> bool:
    """Tell what the filters of the template let through of this shop's items."""
    return str(record["dynamodb"]["Keys"]["sk"]["S"]).startswith("ORDER#")


def count_of(records: Sequence[Mapping[str, Any]], prefix: str) -> int:
    """Return how many items were made whose sort key begins so."""
    made = [record["dynamodb"]["Keys"]["sk"]["S"] for record in records if record["eventName"] == "INSERT"]
    return sum(key.startswith(prefix) for key in made)
