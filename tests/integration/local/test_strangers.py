"""Templates of other people's projects: none ends in a traceback, what cannot be created is named, the rest runs."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from tablestream.local.application import Options, Running, hurried
from tablestream.local.cli.banner import about
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.delivery.filters import InvalidFilterPattern
from tablestream.local.delivery.mapping import InvalidSettings
from tablestream.local.errors import TemplateError, UsageError
from tablestream.local.template.gaps import DESTINATIONS, REPLICAS, SUBSCRIPTIONS
from tablestream.local.template.project import stack_name
from tests.support.streamed_table import THINGS

pytestmark = pytest.mark.integration
SOON = 20  # seconds no condition here ever needs; only a failing test waits for so long

HEAD = "Transform: AWS::Serverless-2016-10-31\n"
STREAM = "{ Type: DynamoDB, Properties: { Stream: !GetAtt Things.StreamArn, StartingPosition: TRIM_HORIZON } }"
FUNCTION = """
  Task:
    Type: AWS::Serverless::Function
    Properties:
      InlineCode: "def handler(event, context): return len(event['Records'])"
      Handler: index.handler
      Runtime: python3.13
      Timeout: 20
      Events: {{ Stream: {stream}, {events} }}
      Environment: {{ Variables: {{ VALUE: {value} }} }}
      {properties}
"""


def template(resources: str = "", head: str = HEAD, table: str = THINGS, **of_the_function: str) -> str:
    values = {"stream": STREAM, "events": "", "value": "fixed", "properties": ""} | of_the_function
    return f"{head}Resources:{table}{FUNCTION.format(**values)}{resources}"


Open = Callable[..., Cloud]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as stack:

        def opened(text: str, **parameters: str) -> Cloud:
            (tmp_path / "template.yaml").write_text(text)
            return stack.enter_context(Cloud(tmp_path / "template.yaml", parameters=parameters))

        yield opened


def delivers(cloud: Cloud) -> bool:
    """Whether an item that is written to the table reaches the function."""
    (table,) = cloud.client("dynamodb").list_tables()["TableNames"]
    with Running(cloud, lambda _observation: None, Options(poll_interval=0.02, settings=hurried)) as running:
        with running.held():
            cloud.client("dynamodb").put_item(TableName=table, Item={"id": {"S": "1"}})
        return running.settle(SOON)


def test_what_moto_fails_to_create_gets_a_stand_in_that_is_named_and_the_stream_runs(opened: Open) -> None:
    layer = "  Common: { Type: AWS::Lambda::LayerVersion, Properties: { Content: { S3Bucket: none, S3Key: k } } }\n"
    made = opened(template(layer))
    (told,) = [line for line in made.differences if line.startswith("AWS::Lambda::LayerVersion")]
    assert told.startswith("AWS::Lambda::LayerVersion cannot be created here: Common (InvalidParameterValueException: ")
    assert delivers(made)


def test_a_table_that_cannot_be_created_is_refused_by_name(opened: Open) -> None:
    table = THINGS.replace("StreamSpecification", "GlobalSecondaryIndexes: [{}]\n      StreamSpecification")
    with pytest.raises(TemplateError, match=r"cannot create Things \(AWS::DynamoDB::Table\): "):
        opened(template(table=table))


def test_a_table_is_checked_where_its_condition_holds(opened: Open) -> None:
    table = THINGS.replace("Type: AWS::DynamoDB::Table", "Type: AWS::DynamoDB::Table\n    Condition: Never")
    other = table.replace("Things", "Others").replace("AttributeName: id, KeyType", "AttributeName: ip, KeyType")
    made = opened(template(other, head=HEAD + CONDITION))
    assert len(made.client("dynamodb").list_tables()["TableNames"]) == 1
    for slip in (("KeyType: HASH", "KeyType: HUSH"), ("AttributeName: id, KeyType", "AttributeName: ip, KeyType")):
        always = other.replace("AttributeName: ip", "AttributeName: id").replace("Never", "Always").replace(*slip)
        with pytest.raises(TemplateError, match=r"template\.yaml, line \d+: Others: KeySchema"):
            opened(template(always, head=HEAD + CONDITION))


def test_a_table_without_a_stream_is_named(opened: Open) -> None:
    table = THINGS.replace("StreamSpecification", "Tags: []\n      # StreamSpecification")
    with pytest.raises(TemplateError, match="TaskStream reads the stream of Things, which has none: wanted a Stream"):
        opened(template(table=table))


@pytest.mark.parametrize(
    ("resource", "complaint"),
    [
        ("  Empty:\n", "the resource Empty is None: wanted an object with a Type"),
        ("  Bare: { Properties: {} }\n", "the resource Bare is .*: wanted an object with a Type"),
        ("  Odd: { Type: 'AWS::SQS::Queue', Properties: [] }\n", "the Properties of Odd are .*: wanted an object"),
        ("  Off: { Type: 'AWS::SQS::Queue' }\n", "the name of a resource is False: wanted text"),
    ],
)
def test_what_is_no_resource_is_refused_by_name(opened: Open, resource: str, complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint):
        opened(template(resource))


def test_a_section_that_is_none_is_refused_by_name(opened: Open) -> None:
    with pytest.raises(TemplateError, match="the section Globals is 3: wanted an object"):
        opened(template(head=HEAD + "Globals: 3\n"))


WHOLE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters: { Size: { Type: Number, Default: 5, MinValue: 1 }, Bus: { Type: "AWS::SSM::Parameter::Value<String>" } }
Conditions: { Big: !Equals [!Ref Size, "9"] }
Globals: { Function: { Runtime: python3.13, Timeout: 10, Environment: { Variables: { A: b } } } }
Resources:
  Things:
    Type: AWS::DynamoDB::GlobalTable
    Properties:
      AttributeDefinitions: [{ AttributeName: id, AttributeType: S }, { AttributeName: at, AttributeType: N }]
      KeySchema: [{ AttributeName: id, KeyType: HASH }]
      GlobalSecondaryIndexes:
        - { IndexName: i, KeySchema: [{ AttributeName: at, KeyType: HASH }], Projection: { ProjectionType: ALL } }
      StreamSpecification: { StreamViewType: NEW_AND_OLD_IMAGES }
      TimeToLiveSpecification: { AttributeName: ttl, Enabled: true }
      Replicas: [{ Region: us-east-1 }]
  Lost: { Type: AWS::SQS::Queue }
  News: { Type: AWS::SNS::Topic, Properties: { Subscription: [{ Protocol: lambda, Endpoint: !GetAtt Task.Arn }] } }
  Sub:
    Type: AWS::SNS::Subscription
    Properties: { Protocol: sqs, TopicArn: !Ref News, Endpoint: !GetAtt Lost.Arn, FilterPolicy: { a: [b] } }
  Task:
    Type: AWS::Serverless::Function
    Properties:
      InlineCode: "def handler(event, context): pass"
      Handler: index.handler
      MemorySize: 256
      ReservedConcurrentExecutions: 3
      AutoPublishAlias: live
      Layers: [arn:aws:lambda:us-east-1:123456789012:layer:x:1]
      Environment: { Variables: { TABLE: !Ref Things, URL: !Sub "${Lost.QueueUrl}/x", BUS: !Ref Bus } }
      Events:
        Stream:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Things.StreamArn
            StartingPosition: TRIM_HORIZON
            BatchSize: !Ref Size
            FilterCriteria: { Filters: [{ Pattern: '{"eventName": ["INSERT"]}' }] }
            DestinationConfig: { OnFailure: { Type: SQS, Destination: !GetAtt Lost.Arn } }
        Clock: { Type: Schedule, Properties: { Schedule: rate(1 day) } }
        Web: { Type: HttpApi, Properties: { ApiId: !Ref Site, Path: "/x/{id}", Method: GET, TimeoutInMillis: 900 } }
  Site: { Type: AWS::Serverless::HttpApi, Properties: { StageName: s, CorsConfiguration: { AllowOrigins: ["*"] } } }
  Raw: { Type: AWS::ApiGatewayV2::Api, Properties: { Name: raw, ProtocolType: HTTP, CorsConfiguration: { MaxAge: 9 } } }
  Way: { Type: AWS::ApiGatewayV2::Route, Properties: { ApiId: !Ref Raw, RouteKey: GET /x, Target: !Sub "x/${Goal}" } }
  Goal:
    Type: AWS::ApiGatewayV2::Integration
    Properties: { IntegrationType: AWS_PROXY, IntegrationUri: !GetAtt Task.Arn, PayloadFormatVersion: "2.0" }
Outputs: { Things: { Value: !Ref Things }, News: { Value: !Sub "topic ${News}" } }
"""
JUNK = [None, 3, -1, "x", "", [], {}, True, {"Ref": "Nobody"}, {"Fn::GetAtt": ["Things", "Nope"]}, {"a": 1}, [None]]


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each value below the top."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in items:
        yield (*path, key)
        yield from places(entry, (*path, key))


def broken(seed: int) -> dict[str, Any]:
    """The whole template with junk at one place."""
    chance = random.Random(seed)
    made: dict[str, Any] = yaml_parse(WHOLE)  # type: ignore[no-untyped-call]  # it has no annotations
    *path, last = chance.choice(list(places(made)))
    node: Any = made
    for key in path:
        node = node[key]
    node[last] = chance.choice(JUNK)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_junk_in_a_template_is_a_sentence_or_no_matter(tmp_path: Path, seed: int) -> None:
    (tmp_path / "template.yaml").write_text(json.dumps(broken(seed)))
    with (
        suppress(UsageError, InvalidSettings, InvalidFilterPattern),
        Cloud(tmp_path / "template.yaml", parameters={"Bus": "line-7"}) as made,
        Running(made, lambda _observation: None) as running,
        running.apis(port=0) as apis,
    ):
        assert about(made, running, apis, "http://127.0.0.1:1", None).stack == "tablestream"


def test_the_whole_template_runs(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(WHOLE)
    with Cloud(tmp_path / "template.yaml", parameters={"Bus": "line-7"}) as made:
        assert [one.function for one in made.mappings] == ["Task"]
        assert delivers(made)


@pytest.mark.parametrize(
    ("resources", "value", "found"),
    [
        ("  Jobs: { Type: 'AWS::SQS::Queue' }\n", "!GetAtt Jobs.QueueUrl", "http.*Jobs.*"),
        ("  News: { Type: 'AWS::SNS::Topic' }\n", "!GetAtt News.TopicArn", "arn:aws:sns:.*News.*"),
        ("  News: { Type: 'AWS::SNS::Topic' }\n", "!Sub 'to ${News.TopicArn}'", "to arn:aws:sns:.*News.*"),
        (
            "  Blend: { Type: 'AWS::SSM::Parameter', Properties: { Type: String, Value: assam } }\n",
            "!GetAtt Blend.Value",
            "assam",
        ),
        ("  Bus: { Type: 'AWS::Events::EventBus', Properties: { Name: kitchen } }\n", "!Ref Bus", "kitchen"),
        ("  Odd: { Type: 'AWS::Unheard::Of' }\n", "{ 'Fn::GetAtt': Odd.Arn }", "stand-in-Odd-Arn"),
        ("", "{ 'Fn::GetAtt': Things.Arn }", "arn:aws:dynamodb:.*Things.*"),
        ("", "!ImportValue other-stack-name", "stand-in-other-stack-name"),
        ("", "2012-10-17", "2012-10-17"),
    ],
)
def test_a_variable_has_the_value_of_what_it_refers_to_or_text_that_says_so(
    opened: Open, resources: str, value: str, found: str
) -> None:
    made = opened(template(resources, value=value))
    environment = made.functions["Task"].environment
    assert re.fullmatch(found, environment["VALUE"]), environment["VALUE"]
    told = [note for note in made.notes if "the variable VALUE is" in note]
    assert bool(told) == found.startswith("stand-in")


def test_a_dynamic_reference_is_said_to_be_none_here(opened: Open) -> None:
    made = opened(template(value="'{{resolve:ssm:/kitchen/key}}'"))
    assert "Task: the variable VALUE is {{resolve:ssm:/kitchen/key}}, which is not looked up here" in made.notes


PARAMETERS = """Parameters:
  Leaves: { Type: CommaDelimitedList, Default: "green,black" }
  Bus: { Type: "AWS::SSM::Parameter::Value<String>", Default: /kitchen/bus }
"""


def test_lists_and_parameters_of_ssm_are_what_they_are_in_aws(opened: Open) -> None:
    listed = opened(template(head=HEAD + PARAMETERS, value="!Select [1, !Ref Leaves]"))
    assert listed.functions["Task"].environment["VALUE"] == "black"
    assert "Bus is /kitchen/bus in SSM, not known here: --parameter Bus=VALUE gives it" in listed.notes


def test_several_parameters_of_ssm_are_told_in_one_line_also_without_a_default(opened: Open) -> None:
    head = HEAD + PARAMETERS + '  Url: { Type: "AWS::SSM::Parameter::Value<String>" }\n'
    made = opened(template(head=head, value="!Ref Url"))
    assert made.functions["Task"].environment["VALUE"] == "stand-in-Url"
    assert "Bus, Url are values in SSM, not known here: --parameter NAME=VALUE gives one" in made.notes


def test_a_parameter_of_ssm_that_is_given_is_the_value(opened: Open) -> None:
    made = opened(template(head=HEAD + PARAMETERS, value="!Ref Bus"), Bus="line-7")
    assert made.functions["Task"].environment["VALUE"] == "line-7"
    assert not [note for note in made.notes if "SSM" in note]


CONDITION = "Conditions:\n  Never: !Equals [a, b]\n  Always: !Equals [a, a]\n"


def test_a_function_whose_condition_is_false_is_left_out(opened: Open) -> None:
    off = FUNCTION.replace("Task:", "Idle:").replace("Type: AWS", "Condition: Never\n    Type: AWS", 1)
    off = off.format(stream=STREAM, events="", value="x", properties="Role: arn:aws:iam::123456789012:role/none")
    made = opened(template(off, head=HEAD + CONDITION))
    assert list(made.functions) == ["Task"]
    assert [one.function for one in made.mappings] == ["Task"]


@pytest.mark.parametrize(
    "properties",
    [
        "Role: arn:aws:iam::123456789012:role/elsewhere",
        "Layers: [!Ref Libraries]",
        "AutoPublishAlias: live",
        "VpcConfig: { SubnetIds: [subnet-1], SecurityGroupIds: [sg-1] }",
    ],
)
def test_what_a_function_needs_in_aws_only_does_not_stop_it(opened: Open, properties: str) -> None:
    libraries = (
        "  Libraries: { Type: 'AWS::Lambda::LayerVersion', Properties: { Content: { S3Bucket: b, S3Key: k } } }\n"
    )
    clock = "Clock: { Type: Schedule, Properties: { Schedule: rate(1 day) } }"
    made = opened(template(libraries, properties=properties, events=clock))
    assert (
        "TaskClock (AWS::Events::Rule) invokes no function here: only streams, queues, topics and APIs do" in made.notes
    )
    assert delivers(made)


def test_a_global_table_is_one_table(opened: Open) -> None:
    table = THINGS.replace("::Table", "::GlobalTable") + "      Replicas: [{ Region: us-east-1 }]\n"
    made = opened(template(table=table))
    assert REPLICAS.of("Things (AWS::DynamoDB::GlobalTable)") in made.notes
    assert delivers(made)


def test_a_destination_that_is_not_there_is_named(opened: Open) -> None:
    stream = STREAM[:-3] + ", DestinationConfig: { OnFailure: { Destination: !GetAtt Sink.Outputs.QueueArn } } } }"
    nested = "  Sink: { Type: 'AWS::Serverless::Application', Properties: { Location: sink.yaml } }\n"
    made = opened(template(nested, stream=stream))
    assert DESTINATIONS.of("TaskStream") in made.notes
    assert "DestinationConfig" not in made.mappings[0].properties


SUBSCRIBED = """
  News: { Type: 'AWS::SNS::Topic' }
  Inbox: { Type: 'AWS::SQS::Queue' }
  Filtered: { Type: 'AWS::SQS::Queue' }
  Quiet: { Type: 'AWS::SQS::Queue' }
  All:
    Type: AWS::SNS::Subscription
    Properties: { TopicArn: !Ref News, Protocol: sqs, Endpoint: !GetAtt Inbox.Arn }
  Some:
    Type: AWS::SNS::Subscription
    Properties:
      TopicArn: !Ref News
      Protocol: sqs
      Endpoint: !GetAtt Filtered.Arn
      RawMessageDelivery: true
      FilterPolicy: { kind: [good] }
  Never:
    Type: AWS::SNS::Subscription
    Condition: Never
    Properties: { TopicArn: !Ref News, Protocol: sqs, Endpoint: !GetAtt Quiet.Arn }
  Mail:
    Type: AWS::SNS::Subscription
    Properties: { TopicArn: !Ref News, Protocol: email, Endpoint: ann@example.com }
  Inline:
    Type: AWS::SNS::Topic
    Properties: { Subscription: [{ Protocol: lambda, Endpoint: !GetAtt Task.Arn }] }
Outputs:
  News: { Value: !Ref News }
  Inline: { Value: !Ref Inline }
  Inbox: { Value: !Ref Inbox }
  Filtered: { Value: !Ref Filtered }
  Quiet: { Value: !Ref Quiet }
  Unknown: { Value: !Select [5, [a]] }
"""


def test_queues_get_what_the_topics_they_are_subscribed_to_get(opened: Open) -> None:
    made = opened(template(SUBSCRIBED, head=HEAD + CONDITION))
    kind = {"kind": {"DataType": "String", "StringValue": "good"}}
    made.client("sns").publish(TopicArn=made.outputs["News"], Message="plain")
    made.client("sns").publish(TopicArn=made.outputs["News"], Message="good news", MessageAttributes=kind)
    made.client("sns").publish(TopicArn=made.outputs["Inline"], Message="nobody is invoked")

    def bodies(queue: str) -> list[str]:
        received = made.client("sqs").receive_message(QueueUrl=made.outputs[queue], MaxNumberOfMessages=10)
        return [message["Body"] for message in received.get("Messages", [])]

    assert [json.loads(body)["Message"] for body in bodies("Inbox")] == ["plain", "good news"]
    assert bodies("Filtered") == ["good news"]
    assert bodies("Quiet") == []
    assert SUBSCRIPTIONS.of("Mail: ann@example.com (email)") in made.notes
    assert "Unknown" not in made.outputs
    assert "Output cannot be created here: Unknown (IndexError: list index out of range)" in made.differences
    assert "InlineSubscription0 hands the messages of the topic" in " ".join(one.told for one in made.queues)


def test_a_function_that_cannot_run_stops_no_other_of_the_stream(opened: Open) -> None:
    other = FUNCTION.replace("Task:", "Other:").replace("python3.13", "!Ref Language")
    other = other.format(stream=STREAM, events="", value="x", properties="")
    made = opened(template(other, head=HEAD + "Parameters:\n  Language: { Type: String, Default: ruby3.4 }\n"))
    assert [one.function for one in made.mappings] == ["Task"]
    assert "Other: Runtime is ruby3.4: only Python and Node.js functions run here" in made.notes


@pytest.mark.parametrize(
    ("folder", "samconfig", "name"),
    [
        ("leads", "", "leads"),
        ("My leads_2 ", "", "My-leads-2"),
        ("2nd", "", "stack-2nd"),
        ("leads", '[default.global.parameters]\nstack_name = "from-default"', "from-default"),
        (
            "leads",
            '[default.deploy.parameters]\nstack_name = "other"\n[local.deploy.parameters]\nstack_name = "mine"',
            "mine",
        ),
    ],
)
def test_the_stack_has_the_name_of_samconfig_or_of_the_folder(
    tmp_path: Path, folder: str, samconfig: str, name: str
) -> None:
    project = tmp_path / folder
    project.mkdir()
    if samconfig:
        (project / "samconfig.toml").write_text(samconfig)
    assert stack_name(project / "template.yaml") == name
    assert stack_name(project / ".aws-sam" / "build" / "template.yaml") == name


def test_the_stack_is_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(template())
    with Cloud(tmp_path / "template.yaml", stack_name="leads") as made:
        described: Any = made.client("cloudformation").describe_stacks(StackName="leads")
        assert described["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
        assert made.functions["Task"].name.startswith("leads-Task-")
