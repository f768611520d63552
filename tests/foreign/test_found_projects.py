"""What was in the way in public projects that were run as they are, each kind as a small project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tablestream.local.application import Options, Running, without_window
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.cloud.elsewhere import Elsewhere
from tablestream.local.cloud.translate import translate
from tablestream.local.delivery.mapping import InvalidSettings, MappingSettings
from tablestream.local.errors import TemplateError, UsageError
from tests.foreign.test_cases import run
from tests.support.streamed_table import THINGS

PLAIN = f"""Resources: {THINGS}
  Task:
    Type: AWS::Lambda::Function
    Properties:
      Code: {{ S3Bucket: parcels, S3Key: task.zip }}
      Handler: app.main
      Runtime: python3.12
      Role: !Sub arn:aws:iam::${{AWS::AccountId}}:role/task
  Mapping:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      EventSourceArn: !GetAtt Things.StreamArn
      FunctionName: !GetAtt Task.Arn
      StartingPosition: LATEST
      MaximumBatchingWindowInSeconds: 60
"""
WITH_LAYERS = f"""Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Runtime: python3.12
    Handler: app.main
    CodeUri: code
    Layers:
      - !Ref Teas
      - !Sub arn:aws:lambda:${{AWS::Region}}:017000801446:layer:AWSLambdaPowertoolsPythonV3:1
      - arn:aws:lambda:us-east-1:210987654321:layer:Cups:3
Parameters: {{ Url: {{ Type: AWS::SSM::Parameter::Value<String>, Default: /url }} }}
Resources: {THINGS}
  Teas: {{ Type: AWS::Serverless::LayerVersion, Properties: {{ ContentUri: teas }} }}
  Pots: {{ Type: AWS::Serverless::LayerVersion, Properties: {{ ContentUri: pots }} }}
"""
TASK = """  {name}:
    Type: AWS::Serverless::Function
    Properties:
      Layers: [!Ref Pots]
      Environment: {{ Variables: {{ URL: !Ref Url }} }}
      Events:
        Stream: {{ Type: DynamoDB, Properties: {{ Stream: !GetAtt Things.StreamArn, StartingPosition: LATEST }} }}
"""


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Write a project: its template, and files with source by their paths."""

    def project(template: str, files: dict[str, str]) -> Path:
        for name, source in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(source)
        (tmp_path / "template.yaml").write_text(template)
        return tmp_path

    return project


def test_code_in_a_bucket_is_run_from_the_folder_that_is_named(project: Callable[..., Path]) -> None:
    folder = project(PLAIN, {"source/app.py": "def main(event, context): print('got', len(event['Records']))"})
    words = 'Task: Code is .*"parcels".* is not in this project: --code Task=FOLDER says where its source is'
    with pytest.raises(TemplateError, match=words):
        run(folder)
    given = Elsewhere(code={"Task": str(folder / "source")})
    assert run(folder, given, logs="got 1").outcomes == [""]


@pytest.mark.parametrize(
    ("name", "place", "words"),
    [
        ("Tusk", "source", "--code Tusk: the template has no such function, but Task"),
        ("Task", "nowhere", "--code Task: .*nowhere is no directory"),
    ],
)
def test_a_folder_that_is_of_no_use_is_told(project: Callable[..., Path], name: str, place: str, words: str) -> None:
    folder = project(PLAIN, {"source/app.py": ""})
    with pytest.raises(TemplateError, match=words):
        run(folder, Elsewhere(code={name: str(folder / place)}))


def test_the_layers_of_a_function_come_on_top_of_those_of_globals(project: Callable[..., Path]) -> None:
    code = {
        "code/app.py": "import pots, teas\ndef main(event, context): print(teas.KIND, pots.SIZE)",
        "teas/teas.py": "KIND = 'oolong'",
        "pots/pots.py": "SIZE = 7",
    }
    folder = project(WITH_LAYERS + TASK.format(name="Brew") + TASK.format(name="Steep"), code)
    came = run(folder, logs="oolong 7")
    assert set(came.outcomes) == {""}
    told = [note for note in came.notes if "Brew" in note]
    # What several functions lack is told once, and nothing of Powertools, which is here.
    assert [note.partition(": ")[0] for note in told] == ["Brew, Steep", "Brew, Steep"]
    assert "layer:Cups:3 is not in this project" in told[0]
    assert "the variable URL is stand-in-Url" in told[1]


def test_a_long_window_is_told_and_may_be_left_out(project: Callable[..., Path]) -> None:
    folder = project(
        PLAIN.replace("60", "7"), {"source/app.py": "def main(event, context): return len(event['Records'])"}
    )
    given = Elsewhere(code={"Task": str(folder / "source")})
    with Cloud(folder / "template.yaml", elsewhere=given) as cloud:
        assert windows(cloud, lambda settings: settings) == [(7, ("records wait up to 7 s",))]
        assert windows(cloud, without_window) == [(0, ())]
        assert windows(cloud, lambda settings: replace(settings, batching_window=1)) == [(1, ())]


def windows(
    cloud: Cloud, settings: Callable[[MappingSettings], MappingSettings]
) -> list[tuple[float, tuple[str, ...]]]:
    """The window of each mapping, and how what is told of it begins."""
    with Running(cloud, lambda _seen: None, Options(settings=settings)) as running:
        found = running.settings.values()
        return [(one.batching_window, tuple(note.partition(" for ")[0] for note in one.notes)) for one in found]


ELSEWHERE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stream: { Type: String, Default: "arn:aws-cn:dynamodb:cn-north-1:1:table/far.away/stream/2020-04-06T14:35:39.992" }
Resources:
  Task:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: code
      Handler: app.main
      Runtime: python3.12
      Environment: { Variables: { STREAM: !Ref Stream, TOLD: !Sub "of ${Stream}" } }
      Events: { Things: { Type: DynamoDB, Properties: { Stream: STREAM, StartingPosition: LATEST } } }
"""
TELLS = """
import os
def main(event, context):
    record = event["Records"][-1]  # it is written until the mapping has begun, so there may be several
    arn = record["eventSourceARN"]
    print(record["dynamodb"]["Keys"], os.environ["STREAM"] == arn, os.environ["TOLD"] == f"of {arn}")
"""


@pytest.mark.parametrize("stream", ["!Ref Stream", "!ImportValue far"])
def test_a_table_of_another_stack_is_made_where_its_key_is_given(project: Callable[..., Path], stream: str) -> None:
    folder = project(ELSEWHERE.replace("Stream: STREAM", f"Stream: {stream}"), {"code/app.py": TELLS})
    imports = {"far": "arn:aws:dynamodb:us-east-1:1:table/far.away/stream/x"} if "Import" in stream else {}
    with pytest.raises(InvalidSettings, match=r"Stream not found: .*, or --table far\.away=KEY$"):
        run(folder, Elsewhere(imports))
    given = Elsewhere(imports, tables={"far.away": "id,part", "other": "n:N"})
    came = run(folder, given, logs="'part'")
    assert {*came.logs} == {"{'id': {'S': 'x'}, 'part': {'S': 'x'}} True True"}
    with Cloud(folder / "template.yaml", elsewhere=given) as cloud:
        other = cloud.client("dynamodb").describe_table(TableName="other")["Table"]
    assert other["AttributeDefinitions"] == [{"AttributeName": "n", "AttributeType": "N"}]


@pytest.mark.parametrize("key", ["", "a,b,c", "a,", "a:X"])
def test_a_key_that_is_none_is_told(project: Callable[..., Path], key: str) -> None:
    folder = project(ELSEWHERE.replace("STREAM, S", "!Ref Stream, S"), {"code/app.py": TELLS})
    with pytest.raises(TemplateError, match=f"--table far={key}: wanted one attribute or two, such as id, or pk,sk:N"):
        run(folder, Elsewhere(tables={"far": key}))


ARN = "arn:aws:dynamodb:us-east-1:123456789012:table"
SSM = "  Far: { Type: AWS::SSM::Parameter::Value<String>, Default: /far }\nResources:\n"


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        ("!ImportValue far", f"another stack exports as far, which is not known here: --import far={ARN}/"),
        ("!Ref Far", f"the parameter Far has in SSM, which is not known here: --parameter Far={ARN}/"),
        (
            '"{{resolve:ssm:/far}}"',
            f"{{{{resolve:ssm:/far}}}} stands for, which is not known here: --resolve ssm:/far={ARN}/",
        ),
    ],
)
def test_a_stream_of_another_stack_that_is_not_given_is_told_with_the_way_to_give_it(
    project: Callable[..., Path], stream: str, words: str
) -> None:
    text = ELSEWHERE.replace("Stream: STREAM", f"Stream: {stream}").replace("Resources:\n", SSM)
    folder = project(text, {"code/app.py": TELLS})
    told = f"template.yaml, line 14: TaskThings reads the stream that {words}"
    with pytest.raises(TemplateError) as error:
        run(folder)
    assert str(error.value) == f"{told}NAME/stream/1 gives it, and --table NAME=KEY makes its table"
    with pytest.raises(TemplateError) as error:
        run(folder, Elsewhere(tables={"far.away": "id,part"}))
    assert str(error.value) == f"{told}far.away/stream/1 gives it, and --table far.away=id,part makes its table"


@pytest.mark.parametrize(
    "other",
    [
        "    Api: { Type: HttpApi, Properties: { Path: /, Method: get } }",
        "    Jobs: { Type: SQS, Properties: { Queue: arn:aws:sqs:us-east-1:1:jobs } }",
    ],
)
def test_a_function_that_something_else_invokes_runs_without_its_stream(
    project: Callable[..., Path], other: str
) -> None:
    text = ELSEWHERE.replace(
        "Events: { Things: { Type: DynamoDB, Properties: { Stream: STREAM, StartingPosition: LATEST } } }",
        "Events:\n        Things:\n          Type: DynamoDB\n          Properties: { Stream: !ImportValue far, "
        f"StartingPosition: LATEST }}\n    {other}",
    )
    made = translate(project(text, {"code/app.py": TELLS}) / "template.yaml")
    assert [note.partition(", which")[0] for note in made.notes] == [
        "TaskThings reads the stream that another stack exports as far"
    ]
    assert "TaskThings" not in made.mappings


def test_a_table_whose_stream_nothing_reads_is_told(project: Callable[..., Path]) -> None:
    folder = project(ELSEWHERE.replace("Stream: STREAM", "Stream: !Ref Stream"), {"code/app.py": TELLS})
    given = Elsewhere(tables={"far.away": "id", "other": "id"})
    assert translate(folder / "template.yaml", elsewhere=given).notes == (
        "--table other: the table is made, and nothing in the template reads its stream",
    )


SIZED = PLAIN.replace("Resources:", "Parameters: { Cups: { Type: Number, Default: 3 } }\nResources:", 1)
SIZED = SIZED.replace(
    "{ S3Bucket: parcels, S3Key: task.zip }",
    "source\n      Environment: { Variables: { SIZE: !FindInMap [Sizes, !Ref Cups, Text] } }",
).replace("60", "0")
SIZED = f"Mappings: {{ Sizes: {{ 3: {{ Text: three cups }} }} }}\n{SIZED}"


def test_a_number_is_a_key_of_a_mapping(project: Callable[..., Path]) -> None:
    source = {"source/app.py": "import os\ndef main(event, context): print(os.environ['SIZE'])"}
    assert run(project(SIZED, source), logs="three cups").outcomes == [""]


def test_a_key_that_a_mapping_lacks_is_told_with_those_that_it_has(project: Callable[..., Path]) -> None:
    folder = project(SIZED.replace("Default: 3", "Default: 4"), {"source/app.py": TELLS})
    words = r"template.yaml, line \d+: .* Task .*: Fn::FindInMap: there is no 4 in Sizes \(3\)"
    with pytest.raises(UsageError, match=words):
        run(folder)
