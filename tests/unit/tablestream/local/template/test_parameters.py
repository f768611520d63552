"""AWS::LanguageExtensions: loops and the other functions of the transform, as the user guide has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tablestream.local.errors import TemplateError
from tablestream.local.template.parameters import expanded
from tablestream.local.template.source import Template, read_template

TWO = "AWS::LanguageExtensions, AWS::Serverless-2016-10-31"


def read(tmp_path: Path, text: str, transform: str = TWO) -> Template:
    (tmp_path / "template.yaml").write_text(f"Transform: [{transform}]\n{text}")
    return read_template(tmp_path / "template.yaml")


def value(tmp_path: Path, text: str, **parameters: str) -> Any:
    resources = f"Resources: {{ Table: {{ Type: T, Properties: {{ Value: {text} }} }} }}"
    resources += "\nMappings: { Sizes: { a: { b: 1 } } }"
    return expanded(read(tmp_path, resources), parameters).content["Resources"]["Table"]["Properties"]["Value"]


LOOP = """\
Resources:
  Table: { Type: T }
  Fn::ForEach::Spouts:
    - Side
    - [Left, Right-Hand]
    - "Spout&{Side}": { Type: F, Properties: { Name: !Ref Side, Text: !Sub "${Side} of ${Table}" } }
"""


def test_a_loop_makes_one_resource_for_each_value(tmp_path: Path) -> None:
    made = expanded(read(tmp_path, LOOP), {})
    assert made.content == {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Table": {"Type": "T"},
            "SpoutLeft": {"Type": "F", "Properties": {"Name": "Left", "Text": {"Fn::Sub": "Left of ${Table}"}}},
            "SpoutRightHand": {
                "Type": "F",
                "Properties": {"Name": "Right-Hand", "Text": {"Fn::Sub": "Right-Hand of ${Table}"}},
            },
        },
    }
    assert made.place("SpoutRightHand") == "template.yaml, line 4"


def test_values_may_be_those_of_a_parameter_and_loops_stand_in_loops(tmp_path: Path) -> None:
    text = """\
Resources:
  Fn::ForEach::Rows:
    - Row
    - !Ref Rows
    - Fn::ForEach::Columns:
        - Column
        - ["1", "2"]
        - "Cell${Row}${Column}": { Type: T, Properties: { "Fn::ForEach::P": [N, [X], { "${N}": !Ref Row }] } }
"""
    made = expanded(read(tmp_path, text), {"Rows": "A, B"}).content["Resources"]
    assert list(made) == ["CellA1", "CellA2", "CellB1", "CellB2"]
    assert made["CellB1"]["Properties"] == {"X": "B"}


def test_a_reference_may_be_to_a_name_that_a_loop_makes(tmp_path: Path) -> None:
    loop = LOOP.replace("!Ref Side, Text", '{ Ref: !Sub "Pot${Side}" }, Text').replace(", Right-Hand", "")
    made = expanded(read(tmp_path, loop), {}).content["Resources"]
    assert made["SpoutLeft"]["Properties"]["Name"] == {"Ref": "PotLeft"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{ 'Fn::Length': [a, b, c] }", 3),
        ("{ 'Fn::Length': !Ref Sides }", 2),
        ("{ 'Fn::ToJsonString': { a: 1, b: [x] } }", '{"a":1,"b":["x"]}'),
        ("{ 'Fn::ToJsonString': { a: !Ref Table } }", {"Fn::Sub": ['{"a":"${Value0}"}', {"Value0": {"Ref": "Table"}}]}),
        ("!FindInMap [Sizes, a, b, { DefaultValue: 2 }]", 1),
        ("!FindInMap [Sizes, !Ref Side, b, { DefaultValue: 2 }]", 2),
        ("!FindInMap [Sizes, a, b]", {"Fn::FindInMap": ["Sizes", "a", "b"]}),
    ],
)
def test_the_other_functions_of_the_transform(tmp_path: Path, text: str, wanted: Any) -> None:
    assert value(tmp_path, text, Sides="l,r", Side="l") == wanted


def test_without_the_transform_a_template_stays_as_it_is_and_loops_are_refused(tmp_path: Path) -> None:
    plain = read(tmp_path, "Resources: { Table: { Type: T } }", "AWS::Serverless-2016-10-31")
    assert expanded(plain, {}) is plain
    with pytest.raises(TemplateError, match=r"Fn::ForEach::Spouts: wanted Transform: AWS::LanguageExtensions"):
        expanded(read(tmp_path, LOOP, "AWS::Serverless-2016-10-31"), {})


@pytest.mark.parametrize(
    ("loop", "complaint"),
    [
        ("[Side, [Left]]", "Fn::ForEach::S: wanted .Name, .values., "),
        ("[Side, [!GetAtt Table.Arn], { '${Side}': { Type: T } }]", "Fn::ForEach::S: its values are .*Fn::GetAtt"),
        ("[Side, [Left, Right], { Same: { Type: T } }, 4]", "Fn::ForEach::S: wanted"),
        ("[Side, [Table], { '${Side}': { Type: T } }]", "Fn::ForEach::S makes Table, which is there already"),
        ("[Side, [Left], { '${Side}': { Properties: {} } }]", "the resource Left is .*: wanted an object with a Type"),
    ],
)
def test_a_loop_that_is_none_is_named(tmp_path: Path, loop: str, complaint: str) -> None:
    template = read(tmp_path, f"Resources: {{ Table: {{ Type: T }}, 'Fn::ForEach::S': {loop} }}")
    with pytest.raises(TemplateError, match=complaint):
        expanded(template, {})
