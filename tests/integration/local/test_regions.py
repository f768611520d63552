"""The region of a stack: names, records and variables have it, whatever region a caller signs for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from tablestream.local.application import Options, Running, hurried
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.cloud.translate import translate
from tablestream.local.errors import UsageError
from tablestream.local.trigger.observations import Ended, Observation
from tests.support.streamed_table import THINGS

SOON = 20  # seconds no condition here ever needs
TEMPLATE = f"""
Transform: AWS::Serverless-2016-10-31
Outputs:
  Things: {{ Value: !Ref Things }}
  Url: {{ Value: !Sub "https://${{Api}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}" }}
  Topic: {{ Value: !Ref Topic }}
Resources: {THINGS}
  Api: {{ Type: AWS::Serverless::HttpApi }}
  Bucket: {{ Type: 'AWS::S3::Bucket' }}
  Topic: {{ Type: 'AWS::SNS::Topic' }}
  Queue: {{ Type: 'AWS::SQS::Queue' }}
  Sent:
    Type: AWS::SNS::Subscription
    Properties: {{ TopicArn: !Ref Topic, Protocol: sqs, Endpoint: !GetAtt Queue.Arn }}
  Task:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: index.main
      Timeout: 20
      InlineCode: |
        import os
        import boto3
        def main(event, context):
            (record,) = event["Records"]
            # As a table's client without a region: it takes the one of the environment.
            found = boto3.client("dynamodb").get_item(TableName=os.environ["TABLE"], Key=record["dynamodb"]["Keys"])
            boto3.client("sns").publish(TopicArn=os.environ["TOPIC"], Message="told")
            arns = (record["eventSourceARN"], context.invoked_function_arn, os.environ["TOPIC"])
            named = [arn.split(":")[3] for arn in arns]
            return [record["awsRegion"], os.environ["AWS_REGION"], "Item" in found, *named]
      Environment: {{ Variables: {{ TABLE: !Ref Things, TOPIC: !Ref Topic }} }}
      Events:
        Things:
          Type: DynamoDB
          Properties: {{ Stream: !GetAtt Things.StreamArn, StartingPosition: TRIM_HORIZON }}
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    return tmp_path / "template.yaml"


@pytest.mark.parametrize("region", ["eu-central-1", "us-east-1", "cn-north-1"])
def test_a_function_its_records_and_what_it_names_are_in_the_region(template: Path, region: str) -> None:
    seen: list[Observation] = []
    options = Options(poll_interval=0.02, settings=hurried)
    with Cloud(template, region=region) as cloud, Running(cloud, seen.append, options) as running:
        # Signed for another region, as by a program that says none of it.
        client = boto3.client(
            "dynamodb",
            endpoint_url=cloud.endpoint,
            region_name="ap-south-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
        )
        client.put_item(TableName=cloud.outputs["Things"], Item={"id": {"S": "a"}})
        assert running.settle(SOON)
        variables, outputs = cloud.aws_environment(), cloud.outputs
    (ended,) = [one for one in seen if isinstance(one, Ended)]
    assert ended.invocation.error is None, ended.invocation.error
    assert ended.invocation.payload == [region, region, True, region, region, region]
    assert (variables["AWS_REGION"], variables["AWS_DEFAULT_REGION"]) == (region, region)
    assert f".execute-api.{region}.amazonaws.com" in outputs["Url"]


def test_a_region_that_is_none_is_told(template: Path) -> None:
    with pytest.raises(UsageError, match="there is no region 'eu-central-9': wanted one such as us-east-1 or"):
        Cloud(template, region="eu-central-9").__enter__()


@pytest.mark.parametrize(("region", "partition"), [("eu-central-1", "aws"), ("cn-north-1", "aws-cn")])
def test_what_sam_makes_is_in_the_partition_of_the_region(template: Path, region: str, partition: str) -> None:
    made = json.dumps(translate(template, region=region).template)
    assert set(re.findall(r"arn:([a-z-]+):iam::aws:policy", made)) == {partition}


def test_the_command_line_takes_the_region(template: Path) -> None:
    (template.parent / "event.json").write_text('{"Records": []}')
    code = "import os\ndef main(event, context): return os.environ['AWS_REGION']"
    (template.parent / "template.yaml").write_text(
        TEMPLATE.replace("InlineCode: |", "CodeUri: code\n      Description: |").replace("index.main", "app.main")
    )
    (template.parent / "code").mkdir()
    (template.parent / "code" / "app.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "tablestream.local", "invoke", "event.json", "--region", "eu-west-3"],
        cwd=template.parent,
        env={"PATH": "/usr/bin:/bin", "AWS_REGION": "sa-east-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert '"eu-west-3"' in done.stdout, done.stderr
