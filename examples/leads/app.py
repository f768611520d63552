"""The Lambda function `examples.leads.app.handler`."""

from __future__ import annotations

import os

import boto3
from botocore.config import Config

from examples.leads.handlers import Message, router
from tablestream import Worker, each

# One attempt a call, and a short one: the worker itself tries again, and ends in time.
CALLS = Config(connect_timeout=0.5, read_timeout=1.5, retries={"total_max_attempts": 1})
topic = boto3.client("sns", config=CALLS)


def send(message: Message) -> None:
    """Publish a message."""
    topic.publish(TopicArn=os.environ["TOPIC_ARN"], Message=message.text)


worker = Worker(sinks=[each(Message, send, name="messages")])
worker.include(router)
handler = worker.handler()  # JOURNAL_TABLE and FAILURES_BUCKET come from the environment
