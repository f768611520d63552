"""Sends messages about discarded records to the on-failure destination: an S3 object, an SQS or an SNS message."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

from tablestream.local.delivery.mapping import Destination, DestinationKind
from tablestream.local.delivery.on_failure import OnFailureContext, object_key, on_failure_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from tablestream.local.clients import Client
    from tablestream.local.delivery.protocol import Discard


class OnFailureDestination:
    """The on-failure destination of one event source mapping. `client` gives the boto3 client of a service."""

    def __init__(self, destination: Destination, mapping_uuid: str, client: Callable[[str], Client]) -> None:
        self._destination = destination
        self._mapping_uuid = mapping_uuid
        self._client = client

    def send(self, discard: Discard, context: OnFailureContext, now: float) -> str:
        """Send one message and say where it went. Raises botocore's exceptions."""
        kind, arn = self._destination.kind, self._destination.arn
        body = json.dumps(on_failure_body(kind, discard, context, now))
        name = arn.rsplit(":", 1)[1]
        if kind is DestinationKind.S3:
            key = object_key(self._mapping_uuid, discard.shard_id, now, str(uuid.uuid4()))
            self._client("s3").put_object(Bucket=name, Key=key, Body=body.encode(), ContentType="application/json")
            return f"s3://{name}/{key}"
        if kind is DestinationKind.SQS:
            sqs = self._client("sqs")
            sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"], MessageBody=body)
        else:
            self._client("sns").publish(TopicArn=arn, Message=body)
        return arn
