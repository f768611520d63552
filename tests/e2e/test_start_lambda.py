"""A batch through `sam local start-lambda`, sent the way any program sends it: with boto3."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3

from demo.warehouse import Shop
from tests.e2e import sam
from tests.support.events_table import EVENTS, TABLE

if TYPE_CHECKING:
    from pathlib import Path


def test_a_batch_by_boto3_has_the_answer_and_effects_of_the_same_batch_in_lambda(built: Path) -> None:
    expected = TABLE["mixed-batch"]
    sample = json.loads((EVENTS / "mixed-batch.json").read_text(encoding="utf-8"))
    with sam.world(sample) as cloud, sam.start_lambda(built, "Worker", cloud) as endpoint:
        client = boto3.client(
            "lambda",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )
        answer = client.invoke(FunctionName="Worker", Payload=json.dumps(sample))
        payload = json.load(answer["Payload"])
        stock = Shop(cloud.client("dynamodb"), cloud.outputs).available()

    assert "FunctionError" not in answer
    assert payload == expected.answer
    assert stock == expected.stock
