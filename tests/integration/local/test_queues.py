"""Queues and topics that invoke functions: each message once, what fails again, and filters, as in AWS."""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tablestream.local.application import Options, Running
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.trigger.observations import Logged

SOON = 30.0
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Lost: { Type: AWS::SQS::Queue }
  Work:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 1
      RedrivePolicy: { deadLetterTargetArn: !GetAtt Lost.Arn, maxReceiveCount: 2 }
  News: { Type: AWS::SNS::Topic }
  Inline: { Type: AWS::SNS::Topic, Properties: { Subscription: [{ Protocol: lambda, Endpoint: !GetAtt Task.Arn }] } }
  Task:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: code
      Handler: app.main
      Runtime: python3.13
      Events:
        Queue: { Type: SQS, Properties: { Queue: !GetAtt Work.Arn, BatchSize: 5, QUEUE } }
        Topic: { Type: SNS, Properties: { Topic: !Ref News, TOPIC } }
Outputs:
  Work: { Value: !Ref Work }
  Lost: { Value: !Ref Lost }
  News: { Value: !Ref News }
  Inline: { Value: !Ref Inline }
"""
CODE = """
    def main(event, context):
        failures = []
        for record in event["Records"]:
            if "Sns" in record:
                topic = record["Sns"]["TopicArn"].split(":")[-1]
                print("topic", record["Sns"]["Message"], record["EventSource"], topic)
            elif record["body"] == "bad":
                failures.append({"itemIdentifier": record["messageId"]})
            else:
                kind = record["messageAttributes"].get("kind", {}).get("stringValue")
                print("queue", record["body"], record["eventSource"], kind)
        return {"batchItemFailures": failures}
"""


class Stack:
    """A running stack, and what its function prints."""

    def __init__(self, cloud: Cloud, running: Running, seen: list[Any], invoked: list[str]) -> None:
        self.cloud = cloud
        self.running = running
        self.invoked = invoked
        self._seen = seen

    def send(self, *bodies: str, **attributes: Any) -> None:
        for body in bodies:
            self.cloud.client("sqs").send_message(
                QueueUrl=self.cloud.outputs["Work"], MessageBody=body, MessageAttributes=attributes
            )

    def publish(self, topic: str, message: str, **attributes: Any) -> None:
        arn = self.cloud.outputs[topic]
        self.cloud.client("sns").publish(TopicArn=arn, Message=message, MessageAttributes=attributes)

    @property
    def printed(self) -> list[str]:
        return [one.line for one in self._seen if isinstance(one, Logged)]

    def left(self, queue: str) -> list[str]:
        """Return what waits in a queue."""
        received = self.cloud.client("sqs").receive_message(
            QueueUrl=self.cloud.outputs[queue], MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        return [one["Body"] for one in received.get("Messages", [])]

    def wait(self, holds: Callable[[], bool]) -> bool:
        ends = time.monotonic() + SOON
        while not holds() and time.monotonic() < ends:
            time.sleep(0.02)
        return holds()


@contextmanager
def started(folder: Path, queue: str = "Enabled: true", topic: str = "") -> Iterator[Stack]:
    (folder / "template.yaml").write_text(TEMPLATE.replace("QUEUE", queue).replace(", TOPIC", topic))
    (folder / "code").mkdir()
    (folder / "code" / "app.py").write_text(textwrap.dedent(CODE))
    seen: list[Any] = []
    invoked: list[str] = []
    options = Options(invoked=lambda function, _invocation: invoked.append(function))
    with Cloud(folder / "template.yaml") as cloud, Running(cloud, seen.append, options) as running:
        yield Stack(cloud, running, seen, invoked)


def test_a_queue_hands_its_messages_over_and_they_are_gone(tmp_path: Path) -> None:
    with started(tmp_path) as stack:
        stack.send("a", "b", kind={"DataType": "String", "StringValue": "tea"})
        assert stack.running.settle(SOON)
        assert stack.wait(lambda: len(stack.printed) == 2)
        assert sorted(stack.printed) == ["queue a aws:sqs tea", "queue b aws:sqs tea"]
        assert set(stack.invoked) == {"Task"}
        assert stack.left("Work") == stack.left("Lost") == []
        assert not stack.cloud.notes


def test_a_message_that_fails_comes_again_and_ends_in_the_dead_letter_queue_alone(tmp_path: Path) -> None:
    with started(tmp_path, "FunctionResponseTypes: [ReportBatchItemFailures]") as stack:
        stack.send("good", "bad")
        assert stack.wait(lambda: stack.left("Lost") == ["bad"])
        assert stack.printed == ["queue good aws:sqs None"]


def test_without_the_setting_an_answer_that_names_failures_is_a_success(tmp_path: Path) -> None:
    with started(tmp_path) as stack:
        stack.send("bad")
        assert stack.wait(lambda: bool(stack.invoked))
        assert stack.running.settle(SOON)
        assert stack.left("Work") == stack.left("Lost") == []


def test_what_the_filter_leaves_out_is_removed(tmp_path: Path) -> None:
    pattern = json.dumps(json.dumps({"body": {"kind": ["tea"]}}))
    with started(tmp_path, f"FilterCriteria: {{ Filters: [{{ Pattern: {pattern} }}] }}") as stack:
        stack.send(json.dumps({"kind": "cup"}), json.dumps({"kind": "tea"}), "no JSON")
        assert stack.running.settle(SOON)
        assert stack.wait(lambda: len(stack.printed) == 1)
        assert '"tea"' in stack.printed[0]
        assert stack.left("Work") == []


@pytest.mark.parametrize("topic", ["News", "Inline"])
def test_a_topic_invokes_its_functions_with_each_message(tmp_path: Path, topic: str) -> None:
    with started(tmp_path) as stack:
        stack.publish(topic, "one")
        stack.publish(topic, "two")
        assert stack.wait(lambda: len(stack.printed) == 2)
        name = stack.cloud.outputs[topic].rpartition(":")[2]
        assert stack.printed == [f"topic one aws:sns {name}", f"topic two aws:sns {name}"]


def test_a_filter_policy_keeps_messages_from_the_function(tmp_path: Path) -> None:
    with started(tmp_path, topic=", FilterPolicy: { kind: [tea] }") as stack:
        stack.publish("News", "cup", kind={"DataType": "String", "StringValue": "cup"})
        stack.publish("News", "tea", kind={"DataType": "String", "StringValue": "tea"})
        assert stack.wait(lambda: bool(stack.printed))
        assert [line.split()[1] for line in stack.printed] == ["tea"]


def test_what_invokes_what_is_said(tmp_path: Path) -> None:
    with started(tmp_path) as stack:
        told = [one.told for one in stack.cloud.queues]
        assert told[0].startswith("TaskQueue hands the messages of the queue ")
        assert [one.split(" of the ")[1].split()[0] for one in told] == ["queue", "topic", "topic"]
        assert {one.rpartition(" to ")[2] for one in told} == {"Task"}
