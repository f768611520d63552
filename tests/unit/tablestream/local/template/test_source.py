"""A template is read with the line of everything that has a name, so that each complaint can say where to look."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tablestream.local.errors import TemplateError
from tablestream.local.template.source import Template, read_template

YAML = """\
Transform: AWS::Serverless-2016-10-31
Globals: { Function: { Timeout: 5 } }
Resources:
  Table: { Type: AWS::DynamoDB::Table }
  Task:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: !Sub "${Folder}"
      Events:
        Changes:
          Type: DynamoDB
          Properties: { Stream: !GetAtt Table.StreamArn }
        Clock: { Type: Schedule }
  Plain:
    Type: AWS::Lambda::EventSourceMapping
    Properties: { FunctionName: !Ref Task }
Parameters:
  Folder: { Type: String, Default: 2012-10-17 }
"""


def read(tmp_path: Path, text: str) -> Template:
    (tmp_path / "template.yaml").write_text(text)
    return read_template(tmp_path / "template.yaml")


def test_resources_events_and_parameters_have_lines(tmp_path: Path) -> None:
    lines = {"Table": 4, "Task": 5, "TaskChanges": 10, "TaskClock": 13, "Plain": 14, "Folder": 18}
    assert read(tmp_path, YAML).lines == lines


def test_a_template_may_be_json(tmp_path: Path) -> None:
    events = {"Changes": {"Type": "DynamoDB"}}
    resources = {"Task": {"Type": "AWS::Serverless::Function", "Properties": {"Events": events}}}
    template = read(tmp_path, json.dumps({"Resources": resources}, indent=2))
    assert template.place("TaskChanges") == "template.yaml, line 7"
    assert template.content == {"Resources": resources}


def test_short_forms_become_long_ones_and_dates_text(tmp_path: Path) -> None:
    content = read(tmp_path, YAML).content
    task = content["Resources"]["Task"]["Properties"]
    assert task["CodeUri"] == {"Fn::Sub": "${Folder}"}
    assert task["Events"]["Changes"]["Properties"]["Stream"] == {"Fn::GetAtt": ["Table", "StreamArn"]}
    assert content["Parameters"]["Folder"]["Default"] == "2012-10-17"


def test_a_sentence_begins_with_the_place_of_what_it_is_about(tmp_path: Path) -> None:
    template = read(tmp_path, YAML)
    assert template.placed("Plain names Task") == "template.yaml, line 14: Plain names Task"
    assert template.placed("no value for Folder", short=True) == "line 18: no value for Folder"
    assert template.placed("nothing of it") == "nothing of it"
    told = template.placed("Task fails")
    assert template.placed(told) == told


def test_a_name_that_is_made_of_one_is_where_that_is(tmp_path: Path) -> None:
    template = read(tmp_path, YAML).knowing(["TaskRole", "TaskClockPermission", "Own"])
    assert template.place("TaskRole") == "template.yaml, line 5"
    assert template.place("TaskClockPermission") == "template.yaml, line 13"
    assert template.place("Own") == ""


def test_an_error_keeps_its_class_and_gets_the_place(tmp_path: Path) -> None:
    template = read(tmp_path, YAML)
    with pytest.raises(TemplateError, match=r"^template\.yaml, line 5: Task fails$"), template.placing():
        raise TemplateError("Task fails")


def test_what_stands_twice_is_told_with_the_error_that_it_leads_to(tmp_path: Path) -> None:
    slip = "  Table:\n    Type: AWS::DynamoDB::Table\n    Type: AWS::SQS::Queue\n"
    template = read(tmp_path, f"Resources:\n{slip}")
    told = r"^template\.yaml, line 2: Table fails\. Table has Type twice, in line 3 and line 4: the second counts$"
    with pytest.raises(TemplateError, match=told), template.placing():
        raise TemplateError("Table fails")


@pytest.mark.parametrize("text", ["", "text", "[]", "Resources: []"])
def test_what_has_no_resources_is_no_template(tmp_path: Path, text: str) -> None:
    with pytest.raises(TemplateError, match="has no Resources section"):
        read(tmp_path, text)


@pytest.mark.parametrize("text", ["a: [", "\tx: 1", "? [1, 2]\n: x", "a: 2012-13-45"])
def test_what_is_no_yaml_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(TemplateError, match="is not a YAML or JSON template: ") as told:
        read(tmp_path, text)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "written", ["!ImportValue tray-name", "{ 'Fn::ImportValue': tray-name }", "[a, !ImportValue tray-name]"]
)
def test_what_is_imported_has_the_line_where_it_is_asked_for(tmp_path: Path, written: str) -> None:
    template = read(tmp_path, f"Resources:\n  Table: {{ Type: T }}\nOutputs:\n  Tray:\n    Value: {written}\n")
    assert template.placed("tray-name is exported", short=True) == "line 5: tray-name is exported"
