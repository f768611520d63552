"""A stranger's SAM project, which knows nothing of ours, under `python -m tablestream.local up --template`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tablestream.local.cli.commands import main
from tablestream.local.cloud.clients import CloudClients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 40  # seconds: a machine under load starts slowly
ROOT = Path(__file__).parents[3]

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Attempts: { Type: Number, Default: 5 }
Globals:
  Function: { Runtime: python3.12, Timeout: 10, MemorySize: 256 }
Resources:
  Readings:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{ AttributeName: sensor, AttributeType: S }, { AttributeName: at, AttributeType: N }]
      KeySchema: [{ AttributeName: sensor, KeyType: HASH }, { AttributeName: at, KeyType: RANGE }]
      StreamSpecification: { StreamViewType: NEW_IMAGE }
  Totals:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{ AttributeName: sensor, AttributeType: S }]
      KeySchema: [{ AttributeName: sensor, KeyType: HASH }]
  Lost: { Type: AWS::SQS::Queue }
  Sum:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/sum/
      Handler: main.on_readings
      Environment: { Variables: { TOTALS: !Ref Totals } }
      Policies: [{ DynamoDBCrudPolicy: { TableName: !Ref Totals } }]
      Events:
        Readings:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Readings.StreamArn
            StartingPosition: TRIM_HORIZON
            BatchSize: 10
            BisectBatchOnFunctionError: true
            MaximumRetryAttempts: !Ref Attempts
            DestinationConfig: { OnFailure: { Type: SQS, Destination: !GetAtt Lost.Arn } }
Outputs:
  Readings: { Value: !Ref Readings }
  Totals: { Value: !Ref Totals }
  Lost: { Value: !Ref Lost }
  Sum: { Value: !GetAtt Sum.Arn }
"""
HANDLER = """
import os
import boto3
from units import in_celsius

table = boto3.resource("dynamodb").Table(os.environ["TOTALS"])

def on_readings(event, context):
    for record in event["Records"]:
        image = record["dynamodb"]["NewImage"]
        table.update_item(
            Key={"sensor": image["sensor"]["S"]},
            UpdateExpression="ADD degrees :t",
            ExpressionAttributeValues={":t": in_celsius(image)},
        )
"""
UNITS = """
def in_celsius(image):
    return int(image["celsius"]["N"])
"""


@dataclass
class Project:
    folder: Path
    process: subprocess.Popen[str]
    state: dict[str, Any]

    def client(self, service: str) -> Any:
        return CloudClients(self.state["endpoint"]).get(service)

    def measure(self, at: int, *, sensor: str = "attic", unit: str = "celsius", value: str = "20") -> None:
        item = {"sensor": {"S": sensor}, "at": {"N": str(at)}, unit: {"N": value}}
        self.client("dynamodb").put_item(TableName=self.state["outputs"]["Readings"], Item=item)

    def total(self, sensor: str = "attic") -> str | None:
        key = {"sensor": {"S": sensor}}
        found = self.client("dynamodb").get_item(TableName=self.state["outputs"]["Totals"], Key=key).get("Item")
        return found["degrees"]["N"] if found else None

    def lost(self) -> dict[str, Any] | None:
        """The next message of the queue."""
        found = self.client("sqs").receive_message(QueueUrl=self.state["outputs"]["Lost"]).get("Messages")
        return json.loads(found[0]["Body"]) if found else None

    def end(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=PATIENCE)
        return output


def write_project(tmp_path: Path) -> None:
    code = tmp_path / "functions" / "sum"
    code.mkdir(parents=True)
    (code / "main.py").write_text(HANDLER)
    (code / "units.py").write_text(UNITS)
    (tmp_path / "template.yaml").write_text(TEMPLATE)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    write_project(tmp_path)
    (tmp_path / "samconfig.toml").write_text('[local.deploy.parameters]\nparameter_overrides = "Attempts=1"')
    command = [
        sys.executable,
        "-m",
        "tablestream.local",
        "up",
        "--template",
        "template.yaml",
        "--port",
        "0",
        "--reload",
    ]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    state = tmp_path / ".local" / "up.json"
    wait_for(lambda: state.exists() or process.poll() is not None)
    assert process.poll() is None
    yield Project(tmp_path, process, json.loads(state.read_text()))
    process.kill()
    process.communicate()


def wait_for(condition: Callable[[], object]) -> Any:
    until = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


@pytest.mark.slow
def test_it_runs_and_what_its_handler_cannot_take_ends_in_its_queue(project: Project) -> None:
    project.measure(1, value="20")
    project.measure(2, value="1")
    wait_for(lambda: project.total() == "21")

    project.measure(3, unit="fahrenheit", value="70")
    message = wait_for(project.lost)
    (streams,) = project.client("dynamodbstreams").list_streams()["Streams"]
    batch = message["DDBStreamBatchInfo"]
    assert message == {
        "requestContext": {
            "requestId": message["requestContext"]["requestId"],
            "functionArn": project.state["outputs"]["Sum"],
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 2,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": message["timestamp"],
        "DDBStreamBatchInfo": {
            "shardId": batch["shardId"],
            "startSequenceNumber": batch["endSequenceNumber"],
            "endSequenceNumber": batch["endSequenceNumber"],
            "approximateArrivalOfFirstRecord": batch["approximateArrivalOfLastRecord"],
            "approximateArrivalOfLastRecord": batch["approximateArrivalOfLastRecord"],
            "batchSize": 1,
            "streamArn": streams["StreamArn"],
        },
    }
    project.measure(4, value="2")
    wait_for(lambda: project.total() == "23")

    shown = project.end()
    assert project.process.returncode == 0
    assert "1 record given up after 2 attempts (RetryAttemptsExhausted), told to arn:aws:sqs:" in shown
    assert "write to handler: median" in shown


@pytest.mark.slow
def test_changed_code_takes_effect_and_broken_code_is_told_at_once(project: Project) -> None:
    units = project.folder / "functions" / "sum" / "units.py"
    project.measure(1, value="20")
    wait_for(lambda: project.total() == "20")

    units.write_text("def in_celsius(image:")
    told = project.process.stdout
    assert told is not None
    broken = next(line for line in told if "source changed" in line)
    assert "cannot be imported: SyntaxError: '(' was never closed (units.py, line 1)" in broken
    project.measure(2, value="20")
    wait_for(lambda: project.total() == "40")

    units.write_text(UNITS.replace("int(", "100 * int("))
    assert "imported anew" in next(line for line in told if "source changed" in line)
    project.measure(3, value="1")
    wait_for(lambda: project.total() == "140")

    (project.folder / "template.yaml").write_text(TEMPLATE.replace("BatchSize: 10", "BatchSize: 20"))
    line = next(line for line in told if "template.yaml changed" in line)
    assert "it is read at the start only, so end this and start again" in line


WITH_KIND = """
Parameters: { Kind: { Type: String } }
Resources:
  Task:
    Type: AWS::Lambda::Function
    Properties:
      Code: { ZipFile: "import os\\ndef main(event, context): return os.environ['KIND']" }
      Handler: index.main
      Runtime: python3.12
      Role: arn:aws:iam::123456789012:role/task
      Environment: { Variables: { KIND: !Ref Kind } }
"""


def test_a_sample_event_is_invoked_in_a_project_that_is_no_shop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_project(tmp_path)
    record = {"eventSourceARN": "arn:aws:dynamodb:eu-west-1:1:table/R/stream/x", "eventName": "INSERT"}
    event = {"Records": [{**record, "dynamodb": {"NewImage": {"sensor": {"S": "attic"}, "celsius": {"N": "20"}}}}]}
    (tmp_path / "event.json").write_text(json.dumps(event))
    assert main(["invoke", "--template", str(tmp_path / "template.yaml"), str(tmp_path / "event.json")]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Answer after ")
    assert shown.split(":\n", 1)[1] == "null\n\n"


@pytest.mark.parametrize(
    ("options", "answer"),
    [([], "from samconfig"), (["--config-env", "other"], "from other"), (["--parameter", "Kind=given"], "given")],
)
def test_an_invocation_has_the_parameters_of_samconfig(
    tmp_path: Path, options: list[str], answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "template.yaml").write_text(WITH_KIND)
    (tmp_path / "event.json").write_text("{}")
    (tmp_path / "samconfig.yaml").write_text(
        "version: 0.1\n"
        "default: { deploy: { parameters: { parameter_overrides: [Kind=from samconfig] } } }\n"
        "other: { deploy: { parameters: { parameter_overrides: \"Kind='from other'\" } } }\n"
    )
    given = ["--template", str(tmp_path / "template.yaml"), "--function", "Task", *options]
    assert main(["invoke", *given, str(tmp_path / "event.json")]) == 0
    assert capsys.readouterr().out.split(":\n", 1)[1] == f'"{answer}"\n\n'
