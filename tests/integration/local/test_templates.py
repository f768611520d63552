"""Any SAM template: applications of other shapes than ours, and what of them cannot run here, by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from demo.warehouse import Shop, seed
from tablestream.local.application import Options, Running, hurried
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.errors import TemplateError
from tablestream.local.runtime.function import FunctionSpec
from tablestream.local.trigger.observations import Ended, Observation
from tests.support.streamed_table import THINGS

ROOT = Path(__file__).parents[3]
SOON = 20  # seconds no condition here ever needs; only a failing test waits for so long

SERVERLESS = "Transform: AWS::Serverless-2016-10-31\nOutputs: { Things: { Value: !Ref Things } }\n"
STREAM = "Type: DynamoDB, Properties: { Stream: !GetAtt Things.StreamArn, StartingPosition: TRIM_HORIZON"


@dataclass
class Application:
    cloud: Cloud
    running: Running
    seen: list[Observation]

    def write(self, *items: str) -> None:
        with self.running.held():
            for item in items:
                self.cloud.client("dynamodb").put_item(TableName=self.cloud.outputs["Things"], Item={"id": {"S": item}})
        assert self.running.settle(SOON), self.seen

    def answers(self) -> dict[str, list[Any]]:
        """What each mapping's function answered, in order."""
        found: dict[str, list[Any]] = {name: [] for name in self.running.triggers}
        for ended in self.seen:
            if isinstance(ended, Ended):
                found[ended.mapping].append(ended.invocation.payload)
        return found


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Write a project: its template, and code by the path of its files."""

    def project(template: str, **code: str) -> Path:
        for name, source in code.items():
            folder = tmp_path / name
            folder.mkdir()
            (folder / "app.py").write_text(source)
        (tmp_path / "template.yaml").write_text(template)
        return tmp_path / "template.yaml"

    return project


@pytest.fixture
def start(project: Callable[..., Path]) -> Iterator[Callable[..., Application]]:
    with ExitStack() as stack:

        def start(template: str, **code: str) -> Application:
            cloud = stack.enter_context(Cloud(project(template, **code)))
            seen: list[Observation] = []
            running = stack.enter_context(Running(cloud, seen.append, Options(poll_interval=0.02, settings=hurried)))
            return Application(cloud, running, seen)

        yield start


NAMES = "def handler(event, context): return [r['dynamodb']['Keys']['id']['S'] for r in event['Records']]"
COUNTS = "def count(event, context): return len(event['Records'])"


def test_several_functions_on_one_stream_each_get_everything_with_settings_of_their_own(
    start: Callable[..., Application],
) -> None:
    application = start(
        SERVERLESS
        + "Globals: { Function: { Runtime: python3.13, Timeout: 20 } }\nResources:"
        + THINGS
        + f"""
  Names:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: names/
      Handler: app.handler
      Events: {{ Stream: {{ {STREAM}, BatchSize: 2 }} }} }}
  Counts:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: counts/
      Handler: app.count
      AutoPublishAlias: live
      Events: {{ Stream: {{ {STREAM}, BatchSize: 1000 }} }} }}
""",
        names=NAMES,
        counts=COUNTS,
    )
    application.write("a", "b", "c")
    assert application.answers() == {"NamesStream": [["a", "b"], ["c"]], "CountsStream": [3]}


def test_a_plain_cloudformation_template_with_inline_code_and_a_mapping_of_its_own(
    start: Callable[..., Application],
) -> None:
    application = start(
        """
Outputs: { Things: { Value: !Ref Things } }
Resources:
"""
        + THINGS
        + """
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: { Version: "2012-10-17", Statement: [] }
  Task:
    Type: AWS::Lambda::Function
    Properties:
      Code:
        ZipFile: |
          import os
          def handler(event, context):
              return [os.environ["GREETING"], os.environ["TABLE"], len(event["Records"])]
      Handler: index.handler
      Runtime: python3.13
      Role: !GetAtt Role.Arn
      Timeout: 20
      Environment: { Variables: { GREETING: hello, TABLE: !Ref Things } }
  Changes:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      FunctionName: !GetAtt Task.Arn
      EventSourceArn: !GetAtt Things.StreamArn
      StartingPosition: TRIM_HORIZON
      BatchSize: 2
      FilterCriteria: { Filters: [{ Pattern: '{"eventName": ["INSERT"]}' }] }
"""
    )
    application.write("a", "b", "c")
    table = application.cloud.outputs["Things"]
    assert application.answers() == {"Changes": [["hello", table, 2], ["hello", table, 1]]}


def test_inline_code_in_a_serverless_function(start: Callable[..., Application]) -> None:
    application = start(
        SERVERLESS
        + "Resources:"
        + THINGS
        + f"""
  Task:
    Type: AWS::Serverless::Function
    Properties:
      Handler: index.handler
      Runtime: python3.13
      Timeout: 20
      InlineCode: "def handler(event, context): return 'inline'"
      Events: {{ Stream: {{ {STREAM} }} }} }}
"""
    )
    application.write("a")
    assert application.answers() == {"TaskStream": ["inline"]}


FOREIGN = """
  Other:
    Type: AWS::Serverless::Function
    Properties:
      {code}
      Handler: index.handler
      Runtime: {runtime}
      Events:
        Queue: {{ Type: SQS, Properties: {{ Queue: !GetAtt Jobs.Arn }} }}
        Log: {{ Type: Kinesis, Properties: {{ Stream: !GetAtt Log.Arn, StartingPosition: LATEST }} }}
        Topic: {{ Type: SNS, Properties: {{ Topic: !Ref News }} }}
        Clock: {{ Type: Schedule, Properties: {{ Schedule: rate(1 minute) }} }}
  Jobs: {{ Type: AWS::SQS::Queue }}
  Log: {{ Type: AWS::Kinesis::Stream, Properties: {{ ShardCount: 1 }} }}
  News: {{ Type: AWS::SNS::Topic }}
  Nested: {{ Type: AWS::Serverless::Application, Properties: {{ Location: nested.yaml }} }}
  Libraries: {{ Type: AWS::Serverless::LayerVersion, Properties: {{ ContentUri: libraries/ }} }}
"""
STREAMED = f"""
  Task:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: task
      Handler: app.handler
      Runtime: python3.13
      Timeout: 20
      Layers: [!Ref Libraries]
      Events: {{ Stream: {{ {STREAM} }} }} }}
"""


@pytest.mark.parametrize(
    ("code", "runtime", "complaint"),
    [
        ("CodeUri: other/", "ruby3.4", "Other: Runtime is ruby3.4: only Python and Node.js functions run here"),
        (
            "CodeUri: s3://bucket/key",
            "python3.13",
            'Other: CodeUri is "s3://bucket/key", which is not in this project: --code Other=FOLDER',
        ),
    ],
)
def test_what_is_beside_a_stream_does_not_stop_it_and_is_named(
    start: Callable[..., Application], code: str, runtime: str, complaint: str
) -> None:
    foreign = FOREIGN.format(code=code, runtime=runtime)
    application = start(SERVERLESS + "Resources:" + THINGS + foreign + STREAMED, task=NAMES)
    application.write("a")
    assert application.answers() == {"TaskStream": [["a"]]}
    application.cloud.client("sns").publish(TopicArn=topic(application), Message="nobody is invoked")
    notes = "\n".join([*application.cloud.notes, *application.cloud.differences])
    for note in (
        complaint,
        "Task: the layer Libraries is not in this project",
        "OtherQueue invokes no function that can run here",
        "OtherLog reads arn:aws:kinesis:",
        "is sent nothing: only queues and functions",
        "OtherClock (AWS::Events::Rule) invokes no function here",
        "AWS::CloudFormation::Stack is not emulated: Nested",
    ):
        assert note in notes


def topic(application: Application) -> str:
    (found,) = application.cloud.client("sns").list_topics()["Topics"]
    return str(found["TopicArn"])


@pytest.mark.parametrize(
    ("properties", "complaint"),
    [
        ("PackageType: Image, ImageUri: 'image:1'", "Task: an image function"),
        ("CodeUri: task, Handler: index.handler, Runtime: ruby3.4", "Task: Runtime is ruby3.4"),
        ("CodeUri: 's3://bucket/key', Handler: a.b, Runtime: python3.13", 'Task: CodeUri is "s3://bucket/key"'),
        (
            "CodeUri: nowhere, Handler: a.b, Runtime: python3.13",
            'Task: CodeUri is "nowhere", and .*nowhere is not there',
        ),
    ],
)
def test_a_streams_function_that_cannot_run_here_is_refused_by_name(
    project: Callable[..., Path], properties: str, complaint: str
) -> None:
    function = f"""
  Task:
    Type: AWS::Serverless::Function
    Properties: {{ {properties}, Events: {{ Stream: {{ {STREAM} }} }} }} }}
"""
    template = project(SERVERLESS + "Resources:" + THINGS + function, task=NAMES)
    with pytest.raises(TemplateError, match=complaint), Cloud(template):
        pass


def test_a_mapping_of_a_function_that_is_not_in_the_template_is_refused_by_name(project: Callable[..., Path]) -> None:
    mapping = """
  Changes:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      { FunctionName: elsewhere, EventSourceArn: !GetAtt Things.StreamArn, StartingPosition: LATEST }
"""
    template = project("Resources:" + THINGS + mapping)
    with pytest.raises(TemplateError, match='Changes names the function "elsewhere"'), Cloud(template):
        pass


def test_a_resource_the_embedded_aws_cannot_create_has_a_stand_in(tmp_path: Path) -> None:
    unknown = {"Type": "AWS::Unheard::Of", "Properties": {"Of": {"Ref": "Queue"}}}
    outputs = {"Ref": {"Value": {"Ref": "New"}}, "Arn": {"Value": {"Fn::GetAtt": ["New", "Arn"]}}}
    outputs["Sub"] = {"Value": {"Fn::Sub": "<${New.Arn}>"}}
    resources = {"Queue": {"Type": "AWS::SQS::Queue"}, "New": unknown}
    (tmp_path / "template.json").write_text(json.dumps({"Resources": resources, "Outputs": outputs}))
    with Cloud(tmp_path / "template.json") as made:
        assert made.differences == ("AWS::Unheard::Of is not emulated: New",)
        assert made.outputs == {"Ref": "stand-in-New", "Arn": "stand-in-New-Arn", "Sub": "<stand-in-New-Arn>"}


SAMPLES: dict[str, dict[str, tuple[str, dict[str, int]]]] = {
    "modify-cancelled": {"1005": ("RESERVED", {"tea": 3})},
    "remove-cancelled": {"1006": ("RELEASED", {"tea": 1})},
    "insert-order": {},
    "same-order-three-changes": {},
    "mixed-batch": {"2003": ("RESERVED", {"cup": 1}), "2004": ("RESERVED", {"cup": 2})},
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_cloud_seeded_for_a_sample_event_knows_what_was_decided_about_older_orders(name: str) -> None:
    with Cloud(ROOT / "template.yaml") as fresh:
        seed(fresh.client("dynamodb"), fresh.outputs, json.loads((ROOT / "events" / f"{name}.json").read_text()))
        ledger = Shop(fresh.client("dynamodb"), fresh.outputs).ledger()
    assert {e["sk"].removeprefix("ORDER#"): (e["state"], e["lines"]) for e in ledger} == SAMPLES[name]


def test_a_function_is_fitted_to_this_machine_once(project: Callable[..., Path]) -> None:
    fitted: list[str] = []

    def fit(function: FunctionSpec) -> FunctionSpec:
        fitted.append(function.logical_id)
        return replace(function, name="fitted")

    template = project(SERVERLESS + "Resources:" + THINGS + STREAMED.replace("!Ref Libraries", "a:b:c"), task=NAMES)
    with Cloud(template) as cloud, Running(cloud, lambda _seen: None, Options(function=fit)) as running:
        assert running.runtime("Task").function.name == "fitted"
    assert fitted == ["Task"]
