"""A reference to what is not there is told with its line and what was meant; what may be there is let through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tablestream.local.errors import TemplateError
from tablestream.local.template.references import references, refuse_missing
from tablestream.local.template.source import Template, read_template

YAML = """\
Transform: AWS::Serverless-2016-10-31
Parameters: { Colour: { Type: String } }
Conditions:
  Red: !Equals [!Ref Colour, red]
Mappings: { Sizes: { red: { Size: 1 } } }
Resources:
  Things: { Type: AWS::DynamoDB::Table }
  Task:
    Type: AWS::Serverless::Function
    Condition: Red
    DependsOn: [Things]
    Properties:
      Handler: app.main
      Environment:
        Variables:
          VALUE: !Ref Things
Outputs:
  Answer: { Value: !Ref Things }
"""
VALUE = "Task's Environment.Variables.VALUE"
PARAMETERS = {"Colour"}


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def read(text: str, old: str = "", new: str = "") -> Template:
        assert old in text
        (tmp_path / "template.yaml").write_text(text.replace(old, new, 1) if old else text)
        return read_template(tmp_path / "template.yaml")

    return read


def told(template: Template, plain: dict[str, Any] | None = None) -> str:
    with pytest.raises(TemplateError) as error:
        refuse_missing(template, PARAMETERS, plain)
    return str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "!Ref Things",
            "!Ref DbThing",
            f"line 16: {VALUE} refers to DbThing, which is neither a parameter nor a resource: did you mean Things?",
        ),
        (
            "!Ref Things",
            "!GetAtt Oolong.Arn",
            f"line 16: {VALUE} refers to an attribute of Oolong, which is no resource: there are Task, Things",
        ),
        (
            "!Ref Things",
            "!GetAtt Colour.Arn",
            f"line 16: {VALUE} refers to an attribute of Colour, which is no resource: there are Task, Things",
        ),
        (
            "!Ref Things",
            "!Sub |\n            of ${Things}\n            and ${ Tings.Arn } and ${!Nothing} ${AWS::Region}",
            f"line 18: {VALUE} refers to an attribute of Tings, which is no resource: did you mean Things?",
        ),
        (
            "!Ref Things",
            '!Sub ["${Own}", { Own: !Ref Oolong }]',
            f"line 16: {VALUE}.Own refers to Oolong, which is neither a parameter nor a resource: there are Colour, ",
        ),
        (
            "!Ref Things",
            "!If [Read, a, b]",
            f"line 16: {VALUE} has the condition Read, which is not in Conditions: did you mean Red?",
        ),
        (
            "!Ref Things",
            "!FindInMap [Sises, !Ref Colour, Size]",
            f"line 16: {VALUE} looks into Sises, which is not in Mappings: did you mean Sizes?",
        ),
        (
            "!Ref Things",
            "!Ref AWS::Regoin",
            f"line 16: {VALUE} refers to AWS::Regoin, which is no pseudo parameter: did you mean AWS::Region?",
        ),
        ("Condition: Red", "Condition: Rot", "line 10: Task has the condition Rot, which is not in Conditions: "),
        ("[Things]", "[Task, Thing]", "line 11: Task depends on Thing, which is no resource: did you mean Things?"),
        ("!Ref Colour, red", "!Ref Things, red", "line 4: the condition Red refers to Things, which is no parameter"),
        (
            "!Equals [!Ref Colour, red]",
            "!Not [{ Condition: Rot }]",
            "line 4: the condition Red has the condition Rot, which is not in Conditions: there are Red",
        ),
        (
            "Answer: { Value: !Ref Things",
            "Answer: { Value: !Ref Answer",
            "line 18: the output Answer's Value refers to Answer, which is neither a parameter nor a resource: ",
        ),
        (
            "Answer: { ",
            "Answer: { Condition: Rot, ",
            "line 18: the output Answer has the condition Rot, which is not in Conditions: ",
        ),
        (
            "Parameters:",
            "Globals:\n  Function: { Environment: { Variables: { A: !Ref Thing } } }\nParameters:",
            "line 3: Globals: Function's Environment.Variables.A refers to Thing, which is neither ",
        ),
    ],
)  # fmt: skip
def test_a_reference_to_nothing_is_told_with_its_line(read: Any, old: str, new: str, sentence: str) -> None:
    assert told(read(YAML, old, new)).startswith(f"template.yaml, {sentence}")


def test_the_names_that_there_are_are_listed_up_to_eight(read: Any) -> None:
    resources = "".join(f"  Tea{number}: {{ Type: T }}\n" for number in range(10))
    template = read(f"Resources:\n{resources}  Pot: {{ Type: T, DependsOn: Zzz }}\n")
    assert told(template).endswith("there are Pot, Tea0, Tea1, Tea2, Tea3, Tea4, Tea5, Tea6 and 3 more")


LETS = {
    "all of it": ("", ""),
    "pseudo parameters": ("!Ref Things", '!Sub "${AWS::StackName}-${AWS::URLSuffix}"'),
    "what is made of a resource, such as its role": ("!Ref Things", "!GetAtt TaskRole.Arn"),
    "the alias of a function": ("!Ref Things", "!Ref Task.Alias"),
    "an implicit API": ("!Ref Things", "!Ref ServerlessHttpApi"),
    "names of the text's own": ("!Ref Things", '!Sub ["${Own} ${Own.Two}", { Own: a, Own.Two: b }]'),
    "an object with the key Condition": ("!Ref Things", "{ Condition: { StringEquals: { a: b } } }"),
    "text under the key Condition": ("!Ref Things", "{ Condition: Rot }"),
    "an object with Ref among other keys": ("!Ref Things", "{ Ref: Rot, Other: 1 }"),
    "computed names": ("!Ref Things", '{ "Ref": !Sub "${Colour}" }'),
    "functions of nothing": (
        "!Ref Things",
        "[!If [], !Sub [], !FindInMap [], !GetAtt [], !Ref []]",
    ),
    "metadata": ("    DependsOn: [Things]", "    Metadata: { Of: !Ref Rot }"),
    "rules": ("Outputs:", "Rules: { R: { Assertions: [{ Assert: !Equals [!Ref Rot, a] }] } }\nOutputs:"),
    "a name that the template chooses": ("!Ref Things", "{ A: !GetAtt Dlq.Arn, QueueLogicalId: Dlq }"),
    "a connector": (
        "Things: { Type: AWS::DynamoDB::Table }",
        "Things: { Type: AWS::SQS::Queue, Connectors: { Own: {} } }\n  More: { Type: T, DependsOn: ThingsOwn }",
    ),
    "a resource of a module": (
        "Things: { Type: AWS::DynamoDB::Table }",
        "Things: { Type: A::B::C::MODULE }\n  More: { Type: T, DependsOn: ThingsTable }",
    ),
    "a template that a macro changes": ("Condition: Red", "Condition: Rot"),
}


@pytest.mark.parametrize("case", LETS)
def test_what_is_there_or_may_be_is_let_through(read: Any, case: str) -> None:
    text = YAML.replace("31\n", "31\nFn::Transform: { Name: Macro }\n", 1) if "macro" in case else YAML
    refuse_missing(read(text, *LETS[case]), PARAMETERS)


def test_another_transform_may_make_anything(read: Any) -> None:
    refuse_missing(read(YAML.replace("31\n", "31, Macro]\n", 1).replace("orm: A", "orm: [A"), "Red\n", "Rot\n"), set())


def test_once_the_translator_has_made_its_names_no_others_are_let_through(read: Any) -> None:
    template = read(YAML, "!Ref Things", "!GetAtt TaskRole.Arn")
    refuse_missing(template, PARAMETERS, {"Resources": {"TaskRole": {}, "Task": {}, "Things": {}}})
    assert "an attribute of TaskRole, which is no resource: did you mean Task?" in told(template, {"Resources": {}})
    template = read(YAML, "Condition: Red", "Condition: ServerlessRestApiCondition")
    refuse_missing(template, PARAMETERS, {"Conditions": {"ServerlessRestApiCondition": {}}})


def test_what_a_module_makes_is_let_through_once_the_translator_has_made_its_names(read: Any) -> None:
    template = read(YAML, *LETS["a resource of a module"])
    refuse_missing(template, PARAMETERS, {"Resources": template.content["Resources"]})


def test_a_name_that_yaml_takes_for_a_value_is_a_name(read: Any) -> None:
    refuse_missing(read(YAML, "Red:", "Off: !Not [{ Condition: Red }]\n  Red:"), PARAMETERS)


def test_references_are_found_with_what_they_are_to_be(read: Any) -> None:
    found = [(one.owner, one.kind, one.name) for one in references(read(YAML).content)]
    assert found == [
        ("Red", "parameter", "Colour"),
        ("Task", "condition", "Red"),
        ("Task", "dependency", "Things"),
        ("Task", "value", "Things"),
        ("Answer", "value", "Things"),
    ]
