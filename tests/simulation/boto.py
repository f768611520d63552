"""Clients of botocore without a network: what they raise, or return, for answers that no service of AWS would give."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from unittest.mock import patch

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config as ClientConfig

from shop.worker import make_worker
from tablestream.aws import Aws
from tablestream.sinks.sns import sns_client
from tests.simulation.aws import BUCKET, INVENTORY, JOURNAL, TOPIC
from tests.simulation.stream import TABLE
from tests.support import variables
from tests.support.hostile_aws import CLOSED, DYNAMODBS, NOBODYS, Reply

MARGIN_SECONDS = 3.0
CONCURRENCY = 8
VARIABLES = {
    **variables.VARIABLES,
    "TABLE_NAME": TABLE,
    "INVENTORY_TABLE": INVENTORY,
    "JOURNAL_TABLE": JOURNAL,
    "TOPIC_ARN": TOPIC,
    "FAILURES_BUCKET": BUCKET,
    "DEADLINE_MARGIN_SECONDS": str(MARGIN_SECONDS),
    "CONCURRENCY": str(CONCURRENCY),
}
"""The environment of our worker in all schedules."""
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-central-1"}
_ANYBODYS = [reply for reply in NOBODYS.values() if reply is not CLOSED]
_NOTHING_TOLD = b"<PublishBatchResponse><PublishBatchResult></PublishBatchResult></PublishBatchResponse>"
_OF_SERVICE = {
    "dynamodb": [*_ANYBODYS, *DYNAMODBS.values()],
    "sns": [*_ANYBODYS, Reply(200, _NOTHING_TOLD, {"content-type": "text/xml"})],
    "s3": _ANYBODYS,
}
_WORD = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(slots=True)
class _Body:
    """The body of an answer, as urllib3 gives it."""

    content: bytes

    def stream(self) -> Iterator[bytes]:
        yield self.content

    def read(self) -> bytes:
        return self.content


@dataclass(frozen=True, slots=True)
class Boto:
    """How a client was made: its attempts, how long it waits for an answer, and how it reads one."""

    client: Any
    attempts: int
    _reply: list[Reply] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client.meta.events.register_first("before-send", self._answer)

    @property
    def read_timeout(self) -> float:
        return float(self.client.meta.config.read_timeout)

    def unreadable(self, operation: str, request: Mapping[str, Any], rng: random.Random) -> dict[str, Any]:
        """Make the call and have somebody else answer it; raise or return what botocore makes of that."""
        self._reply[:] = [rng.choice(_OF_SERVICE[self.client.meta.service_model.service_name])]
        answer: dict[str, Any] = getattr(self.client, _WORD.sub("_", operation).lower())(**request)
        return answer

    def _answer(self, request: Any, **_: object) -> AWSResponse:
        (reply,) = self._reply
        headers: Any = reply.headers  # a mapping will do
        return AWSResponse(request.url, reply.status, headers, _Body(reply.body))


@cache
def ours() -> Mapping[str, Boto]:
    """The clients of our worker, as it makes them, by the service of the AWS in memory that they reach."""
    with patch.dict(os.environ, ENVIRONMENT):
        aws = Aws(VARIABLES)
        make_worker(aws).handler(aws)
        clients: Mapping[str, Any] = {
            "dynamodb": aws.dynamodb,
            "topic": aws.client("sns", sns_client),
            "bucket": aws.s3,
        }
        return {name: Boto(one, one.meta.config.retries["total_max_attempts"]) for name, one in clients.items()}


@cache
def plain(name: str, attempts: int) -> Boto:
    """A client as `boto3.client` makes it; its repeated attempts are made by `Network`."""
    with patch.dict(os.environ, ENVIRONMENT):
        alone = ClientConfig(retries={"total_max_attempts": 1})
        make: Any = boto3.client  # its type knows services by literal names only
        return Boto(make("sns" if name == "topic" else name, config=alone), attempts)
