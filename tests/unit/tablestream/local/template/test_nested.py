"""What a nested template makes takes its place in the parent's: each kind of reference, conditions, and parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tablestream.local.errors import TemplateError
from tablestream.local.template.gaps import NESTED_STACKS
from tablestream.local.template.nested import (
    NestedStack,
    Outputs,
    known_values,
    prefix_of,
    renamed,
    rewritten,
    take_nested,
)

STREAM = {"Fn::GetAtt": ["Db", "Outputs.Stream"]}
GIVEN = {"Stream": STREAM, "Name": {"Ref": "Things"}, "Arn": {"Fn::GetAtt": "Things.Arn"}, "Text": {"Fn::Sub": "a${B}"}}


def made(value: Any, condition: str | None = None, **resource: Any) -> dict[str, Any]:
    stack = NestedStack("Work", Path("x"), {}, condition)
    plain = {
        "Resources": {"Task": {"Type": "T", "Properties": value, **resource}},
        "Conditions": {"On": {"Fn::Not": []}},
    }
    return renamed(plain, stack, "Work", GIVEN)


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ({"Ref": "Queue"}, {"Ref": "WorkQueue"}),
        ({"Ref": "AWS::Region"}, {"Ref": "AWS::Region"}),
        ({"Ref": "AWS::StackName"}, {"Fn::Sub": "${AWS::StackName}-Work"}),
        ({"Ref": "Stream"}, STREAM),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, {"Fn::GetAtt": ["WorkQueue", "Arn"]}),
        ({"Fn::GetAtt": "Queue.A.B"}, {"Fn::GetAtt": ["WorkQueue", "A.B"]}),
        ({"Fn::If": ["On", {"Ref": "Queue"}, 1]}, {"Fn::If": ["WorkOn", {"Ref": "WorkQueue"}, 1]}),
        ({"Fn::FindInMap": ["M", {"Ref": "Name"}, "x"]}, {"Fn::FindInMap": ["WorkM", {"Ref": "Things"}, "x"]}),
        ({"Condition": "On"}, {"Condition": "WorkOn"}),
        ([{"Condition": {"Bool": {"Ref": "Q"}}}], [{"Condition": {"Bool": {"Ref": "WorkQ"}}}]),
        ({"Fn::Sub": "${Queue} ${Queue.Arn} ${!Kept}"}, {"Fn::Sub": "${WorkQueue} ${WorkQueue.Arn} ${!Kept}"}),
        ({"Fn::Sub": "${AWS::StackName}-x"}, {"Fn::Sub": "${AWS::StackName}-Work-x"}),
        ({"Fn::Sub": "${Name} ${Arn} ${Text}"}, {"Fn::Sub": "${Things} ${Things.Arn} a${B}"}),
        ({"Fn::Sub": ["${Own}", {"Own": {"Ref": "Q"}}]}, {"Fn::Sub": ["${Own}", {"Own": {"Ref": "WorkQ"}}]}),
        ({"Ref": "Queue", "Other": 1}, {"Ref": "Queue", "Other": 1}),
    ],
)
def test_names_are_those_that_the_parent_has(written: Any, becomes: Any) -> None:
    assert made(written)["Resources"]["WorkTask"]["Properties"] == becomes


def test_a_value_that_no_text_can_hold_becomes_a_variable() -> None:
    given = {"Size": {"Fn::If": ["Many", 1, 2]}}
    stack = NestedStack("Work", Path("x"), {})
    plain = {"Resources": {"Task": {"Type": "T", "Properties": {"Fn::Sub": "size ${Size}"}}}}
    (task,) = renamed(plain, stack, "Work", given)["Resources"].values()
    text, variables = task["Properties"]["Fn::Sub"]
    (name,) = variables
    assert (text, variables[name]) == (f"size ${{{name}}}", given["Size"])


def test_a_resource_keeps_to_its_condition_and_to_that_of_its_stack() -> None:
    assert "Condition" not in made({})["Resources"]["WorkTask"]
    assert made({}, Condition="On")["Resources"]["WorkTask"]["Condition"] == "WorkOn"
    assert made({}, "There")["Resources"]["WorkTask"]["Condition"] == "There"
    both = made({}, "There", Condition="On")
    condition = both["Resources"]["WorkTask"]["Condition"]
    assert both["Conditions"][condition] == {"Fn::And": [{"Condition": "There"}, {"Condition": "WorkOn"}]}


def test_dependencies_are_renamed() -> None:
    assert made({}, DependsOn="Queue")["Resources"]["WorkTask"]["DependsOn"] == ["WorkQueue"]


def test_parameters_of_which_the_text_is_known_are_told_from_others() -> None:
    values = {"Colour": "red", "Size": "2"}
    given = {
        "Number": 7,
        "Switch": True,
        "Colour": {"Ref": "Colour"},
        "Text": {"Fn::Sub": "${Colour} ${Size} ${!x}"},
        "List": ["a", {"Ref": "Size"}],
        "Nothing": {"Ref": "AWS::NoValue"},
        "Table": {"Ref": "Table"},
        "Mixed": {"Fn::Sub": "${Colour} ${Table}"},
        "Some": ["a", {"Ref": "Table"}],
    }
    known, others = known_values(given, values)
    assert known == {"Number": "7", "Switch": "true", "Colour": "red", "Text": "red 2 ${x}", "List": "a,2"}
    assert others == {name: given[name] for name in ("Table", "Mixed", "Some")}


def test_outputs_are_looked_up_also_those_that_are_made_of_others() -> None:
    outputs = Outputs(
        {"Db": {"Stream": {"Fn::GetAtt": ["T", "StreamArn"]}}, "Work": {"Told": {"Fn::Sub": "of ${Db.Outputs.Stream}"}}}
    )
    assert rewritten({"Fn::GetAtt": ["Work", "Outputs.Told"]}, outputs) == {"Fn::Sub": "of ${T.StreamArn}"}
    assert rewritten({"Fn::GetAtt": ["T", "Arn"]}, outputs) == {"Fn::GetAtt": ["T", "Arn"]}
    with pytest.raises(TemplateError, match=r"Db has no Outputs\.Name: its template has Outputs\.Stream"):
        rewritten({"Fn::Sub": "${Db.Outputs.Name}"}, outputs)


def test_outputs_that_are_made_of_themselves_are_told() -> None:
    outputs = Outputs({"A": {"X": {"Fn::GetAtt": ["B", "Outputs.Y"]}}, "B": {"Y": {"Fn::GetAtt": ["A", "Outputs.X"]}}})
    with pytest.raises(TemplateError, match=r"A: Outputs\.X depends on itself"):
        rewritten({"Fn::GetAtt": ["A", "Outputs.X"]}, outputs)


def test_only_files_are_taken_and_others_left(tmp_path: Path) -> None:
    (tmp_path / "db.yaml").write_text("")
    elsewhere = {"ApplicationId": "arn", "SemanticVersion": "1"}
    resources = {
        "Db": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "db.yaml"}, "Condition": "On"},
        "Far": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "https://s3.amazonaws.com/a/b"}},
        "Bucket": {"Type": "AWS::Serverless::Application", "Properties": {"Location": "s3://a/b"}},
        "App": {"Type": "AWS::Serverless::Application", "Properties": {"Location": elsewhere}},
        "Layer": {"Type": "AWS::Serverless::LayerVersion", "Properties": {"Location": "db.yaml"}},
    }
    content: dict[str, dict[str, Any]] = {"Resources": dict(resources)}
    notes: list[str] = []
    assert take_nested(content, tmp_path, notes) == [NestedStack("Db", tmp_path / "db.yaml", {}, "On")]
    assert set(content["Resources"]) == set(resources) - {"Db"}
    content["Resources"]["Db"] = {"Type": "AWS::Serverless::Application", "Properties": {"Location": "no.yaml"}}
    assert take_nested(content, tmp_path, notes) == []
    assert notes == [NESTED_STACKS.of(f"Db: {tmp_path}/no.yaml")]
    content["Resources"]["Db"]["Properties"] = {"Location": "db.yaml", "Parameters": 7}
    with pytest.raises(TemplateError, match="Db: Parameters are 7: wanted an object"):
        take_nested(content, tmp_path, notes)


def test_the_text_before_names_is_longer_where_one_is_taken() -> None:
    assert prefix_of("Db", {"Resources": {"Things": {}}}, {"Other"}) == "Db"
    assert prefix_of("Db", {"Resources": {"Things": {}}}, {"DbThings", "DbNestedThings"}) == "DbNestedNested"
