"""Nested templates that are local files: what they make is there, wired by parameters and outputs as in AWS."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tablestream.local.cloud.cloud import Cloud
from tablestream.local.cloud.elsewhere import Elsewhere
from tablestream.local.cloud.translate import translate
from tablestream.local.errors import TemplateError
from tablestream.local.template.project import BUILT, choose_template
from tests.foreign.test_cases import run
from tests.support.streamed_table import THINGS

PARENT = """
Transform: AWS::Serverless-2016-10-31
Parameters: { Colour: { Type: String, Default: red } }
Conditions: { Grey: !Equals [!Ref Colour, grey] }
Resources:
  Db: { Type: AWS::Serverless::Application, Properties: { Location: db/template.yaml } }
  Work:
    Type: AWS::CloudFormation::Stack
    DependsOn: Db
    Properties:
      TemplateURL: ./work/stack.yml
      Parameters:
        Stream: !GetAtt Db.Outputs.Stream
        Table: !Sub "${Db.Outputs.Name}"
        Kind: !Sub "${Colour} tea"
        Cups: 2
  News: { Type: AWS::SNS::Topic, DependsOn: [Db, Work] }
  Grey: { Type: AWS::Serverless::Application, Condition: Grey, Properties: { Location: db/template.yaml } }
Outputs:
  Answer: { Value: !GetAtt Work.Outputs.Answer }
  Stack: { Value: !Ref Work }
"""
DB = f"""
Resources: {THINGS}
Outputs: {{ Stream: {{ Value: !GetAtt Things.StreamArn }}, Name: {{ Value: !Ref Things }} }}
"""
WORK = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stream: { Type: String }
  Table: { Type: String }
  Kind: { Type: String, AllowedPattern: "[a-z ]+" }
  Cups: { Type: Number }
  Pots: { Type: Number, Default: 1 }
Conditions: { Many: !Equals [!Ref Cups, 2], Few: !Not [{ Condition: Many }] }
Mappings: { Sizes: { red tea: { Text: two }, grey tea: { Text: three } } }
Globals: { Function: { Runtime: python3.12, Handler: app.main } }
Resources:
  Task:
    Type: AWS::Serverless::Function
    Condition: Many
    Properties:
      CodeUri: code
      Environment:
        Variables:
          TABLE: !Ref Table
          TEXT: !Sub "${Kind} ${Cups} ${Pots} of ${Table} ${!Literal}"
          SIZE: !If [Many, !FindInMap [Sizes, !Ref Kind, Text], none]
          STACK: !Ref AWS::StackName
          TOPIC: !GetAtt Inner.Outputs.Topic
      Events: { Things: { Type: DynamoDB, Properties: { Stream: !Ref Stream, StartingPosition: LATEST } } }
  Other: { Type: AWS::Serverless::Function, Condition: Few, Properties: { CodeUri: nowhere } }
  Inner: { Type: AWS::Serverless::Application, Properties: { Location: inner/template.json } }
Outputs: { Answer: { Value: !Sub "${Cups} cups, ${Task}" } }
"""
INNER = '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}, "Outputs": {"Topic": {"Value": {"Ref": "Topic"}}}}'
CODE = """
import os
import re
def main(event, context):
    names = ("TABLE", "TEXT", "SIZE", "STACK", "TOPIC")
    print(len(event["Records"]), "|".join(os.environ[name] for name in names), context.function_name)
"""
FILES = {
    "template.yaml": PARENT,
    "db/template.yaml": DB,
    "work/stack.yml": WORK,
    "work/code/app.py": CODE,
    "work/inner/template.json": INNER,
}


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Write the project, with other texts for some of its files; None leaves one out."""

    def project(**others: str | None) -> Path:
        changed = {name.replace("__", "/").replace("_", "."): text for name, text in others.items()}
        for name, text in {**FILES, **changed}.items():
            (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
            if text is not None:
                (tmp_path / name).write_text(text)
        return tmp_path

    return project


def test_a_function_of_one_nested_stack_gets_the_changes_of_a_table_in_another(project: Callable[..., Path]) -> None:
    came = run(project(), logs="red tea")
    stack = came.logs[0].split("|")[3]
    table = rf"{stack.removesuffix('-Work')}-DbThings-\w+"
    told = (
        rf"\d {table}\|red tea 2 1 of {table} \${{Literal}}\|two\|{stack}\|"
        r"arn:aws:sns:us-east-1:\d+:\S+-WorkInnerTopic-\w+ \S+-WorkTask-\w+$"
    )
    assert [line for line in came.logs if not re.match(told, line)] == []
    assert stack.endswith("-Work")
    assert (set(came.outcomes), came.notes) == ({""}, ())


def test_the_parents_outputs_have_those_of_nested_stacks_and_conditions_hold_for_all_of_one(
    project: Callable[..., Path],
) -> None:
    with Cloud(project() / "template.yaml") as cloud:
        assert cloud.outputs["Answer"].startswith("2 cups, tablestream-WorkTask-")
        assert cloud.outputs["Stack"].endswith(":stack/tablestream-Work/local")
        (table,) = cloud.client("dynamodb").list_tables()["TableNames"]
        assert table.startswith("tablestream-DbThings-")
        assert set(cloud.functions) == {"WorkTask"}
    with Cloud(project() / "template.yaml", parameters={"Colour": "grey"}) as cloud:
        assert len(cloud.client("dynamodb").list_tables()["TableNames"]) == 2
        assert [note.partition(":")[0] for note in cloud.notes] == []


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"db__template_yaml": "{"}, r"db/template\.yaml is not a YAML or JSON template: .*line 2"),
        ({"db__template_yaml": "\nResources:\n  Pot: 7\n"}, r"^db/template\.yaml, line 3: the resource Pot is 7"),
        (
            {"work__stack_yml": WORK.replace("Pots: { Type: Number, Default: 1 }", "Pots: { Type: Number }")},
            r"^work/stack\.yml, line 8: no value and no default for Pots: wanted Pots in the Parameters of Work",
        ),
        (
            {"template_yaml": PARENT.replace("Cups: 2", "Cups: 2\n        Lids: 3")},
            r"^template\.yaml, line 7: Work: its Parameters have Lids, and work/stack\.yml has Stream, Table, Kind, ",
        ),
        (
            {"template_yaml": PARENT.replace("Default: red", "Default: R2")},
            r"^work/stack\.yml, line 6: the parameter Kind is 'R2 tea': AllowedPattern is",
        ),
        (
            {"work__stack_yml": WORK.replace("CodeUri: code", "CodeUri: cod")},
            r'^work/stack\.yml, line 13: WorkTask: CodeUri is "cod", and .*/work/cod is not there',
        ),
        (
            {"template_yaml": PARENT.replace("Db.Outputs.Stream", "Db.Outputs.Steam")},
            r"^template\.yaml, line 6: Db has no Outputs\.Steam: its template has Outputs\.Stream, Outputs\.Name",
        ),
        (
            {"work__stack_yml": WORK.replace("of ${Table}", "of ${Tabel}")},
            r"^work/stack\.yml, line 21: Task's Environment\.Variables\.TEXT refers to Tabel, .* you mean Table\?$",
        ),
        (
            {"work__inner__template_json": INNER.replace('{"Ref": "Topic"}', '{"Ref": "Work"}')},
            r"^work/inner/template\.json, line 1: the output Topic's Value refers to Work, which is neither ",
        ),
        (
            {"template_yaml": PARENT.replace("DependsOn: [Db, Work]", "DependsOn: [Db, DbThings]")},
            r"^template\.yaml, line 17: News depends on DbThings, which is no resource: there are Db, Grey, ",
        ),
        (
            {"template_yaml": PARENT.replace("Parameters:\n", "Parameters: 7\n      X:\n", 1).replace("X", "Y")},
            r"template\.yaml",
        ),
        (
            {"work__inner__template_json": '{"Resources": {"A": {"Type": "AWS::CloudFormation::Stack", '
             '"Properties": {"TemplateURL": "../stack.yml"}}}}'},
            r"^work/inner/template\.json, line 1: A: stack\.yml is nested in itself",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_nested_template_is_told_with_its_file_and_line(
    project: Callable[..., Path], others: dict[str, str | None], words: str
) -> None:
    folder = project(**others)
    with pytest.raises(TemplateError, match=words) as told:
        run(folder)
    assert "\n" not in str(told.value)


def test_a_template_that_is_not_there_is_told_and_the_rest_runs(project: Callable[..., Path]) -> None:
    folder = project(work__inner__template_json=None)
    note, *others = run(folder, logs="red tea").notes
    assert re.match(r"work/stack\.yml, line 27: Inner: .*/work/inner/template\.json is no file: nothing", note)
    assert len(others) == 1
    assert "WorkTask: the variable TOPIC is stand-in-WorkInner-Outputs.Topic" in others[0]


def test_notes_of_a_nested_template_have_its_line_too(project: Callable[..., Path]) -> None:
    default = "Pots: { Type: AWS::SSM::Parameter::Value<String>, Default: /pots }"
    folder = project(work__stack_yml=WORK.replace("Pots: { Type: Number, Default: 1 }", default))
    with Cloud(folder / "template.yaml") as cloud:
        told = [cloud.placed(note) for note in cloud.notes]
    assert told == [
        "work/stack.yml, line 8: Pots is /pots in SSM, not known here: Pots in the Parameters of Work gives it",
        "work/stack.yml, line 13: WorkTask: the variable TEXT is " + told[1].partition("TEXT is ")[2],
    ]


def test_what_is_given_for_a_nested_template_reaches_it(project: Callable[..., Path]) -> None:
    folder = project(
        work__stack_yml=WORK.replace("CodeUri: code", "CodeUri: s3://a/b").replace('"${Kind}', '"{{resolve:ssm:/k}}')
    )
    given = Elsewhere(references={"ssm:/k": "green"}, code={"WorkTask": str(folder / "work" / "code")})
    assert run(folder, given, logs="green 2 1 of").outcomes == [""]
    with pytest.raises(TemplateError, match="--code Task: the template has no such function, but WorkOther, WorkTask"):
        run(folder, Elsewhere(code={"Task": "x"}))


def test_one_template_may_be_nested_twice_and_names_that_would_be_there_twice_differ(
    project: Callable[..., Path],
) -> None:
    twice = PARENT.replace("Condition: Grey, ", "").replace(
        "Outputs:\n", "  DbThings: { Type: AWS::SNS::Topic }\nOutputs:\n", 1
    )
    with Cloud(project(template_yaml=twice) / "template.yaml") as cloud:
        tables = sorted(cloud.client("dynamodb").list_tables()["TableNames"])
        assert [name.split("-")[1] for name in tables] == ["DbNestedThings", "GreyThings"]


def test_names_of_two_nested_templates_that_would_be_the_same_differ(project: Callable[..., Path]) -> None:
    first = "  D: { Type: AWS::CloudFormation::Stack, Properties: { TemplateURL: d.yaml } }\n  Db: "
    folder = project(template_yaml=PARENT.replace("  Db: ", first, 1))
    (folder / "d.yaml").write_text("Resources: { bThings: { Type: AWS::SNS::Topic } }")
    with Cloud(folder / "template.yaml") as cloud:
        topics = [one["TopicArn"] for one in cloud.client("sns").list_topics()["Topics"]]
        assert len([arn for arn in topics if "-DbThings-" in arn]) == 1
        (table,) = cloud.client("dynamodb").list_tables()["TableNames"]
        assert "-DbNestedThings-" in table


def test_a_build_is_not_run_where_the_source_of_a_nested_function_is_newer(project: Callable[..., Path]) -> None:
    folder = project()
    for place in folder.rglob("*"):
        os.utime(place, (1, 1))
    (folder / BUILT).parent.mkdir(parents=True)
    (folder / BUILT).write_text(PARENT)
    os.utime(folder / BUILT, (2, 2))
    assert choose_template(None, folder).template.path == folder / BUILT
    os.utime(folder / "work" / "code" / "app.py", (3, 3))
    assert choose_template(None, folder).note.startswith("work/code/app.py is newer than")


def test_what_one_nested_stack_exports_another_imports(project: Callable[..., Path]) -> None:
    exported = "Stream: { Value: !GetAtt Things.StreamArn, Export: { Name: !Sub 'tea-${AWS::Region}-stream' } }"
    folder = project(
        template_yaml=PARENT.replace("        Stream: !GetAtt Db.Outputs.Stream\n", ""),
        db__template_yaml=DB.replace("Stream: { Value: !GetAtt Things.StreamArn }", exported),
        work__stack_yml=WORK.replace("  Stream: { Type: String }\n", "").replace(
            "!Ref Stream", "!ImportValue { 'Fn::Sub': 'tea-${AWS::Region}-stream' }"
        ),
    )
    came = run(folder, logs="red tea")
    assert (set(came.outcomes), came.notes) == ({""}, ())


def test_what_no_nested_stack_exports_is_told_with_the_line_of_its_file(project: Callable[..., Path]) -> None:
    folder = project(
        template_yaml=PARENT.replace("        Stream: !GetAtt Db.Outputs.Stream\n", ""),
        db__template_yaml=DB.replace("StreamArn }", "StreamArn, Export: { Name: tea-stream } }"),
        work__stack_yml=WORK.replace("  Stream: { Type: String }\n", "").replace(
            "!Ref Stream", "!ImportValue my-tea-stream"
        ),
    )
    words = r"^work/stack\.yml, line 24: WorkTaskThings reads the stream that another stack exports as my-tea-stream, "
    made = translate(folder / "template.yaml")
    assert [bool(re.match(words, made.source.placed(note))) for note in made.notes] == [True]
