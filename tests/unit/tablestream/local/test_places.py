"""Event source mappings are found by the line of the template that has them."""

from __future__ import annotations

import json

import pytest

from tablestream.local.cloud.translate import mapping_lines

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
"""


def test_of_a_functions_event_and_of_a_mapping_of_its_own() -> None:
    assert mapping_lines(YAML) == {"TaskChanges": 10, "TaskClock": 13, "Plain": 14}


def test_a_template_may_be_json() -> None:
    events = {"Changes": {"Type": "DynamoDB"}}
    resources = {"Task": {"Type": "AWS::Serverless::Function", "Properties": {"Events": events}}}
    assert mapping_lines(json.dumps({"Resources": resources}, indent=2)) == {"TaskChanges": 7}


@pytest.mark.parametrize("text", ["", "text", "[]", "Resources: []", "Resources: { A: text }", "a: [", "\tx: 1"])
def test_what_is_no_template_has_no_lines(text: str) -> None:
    assert mapping_lines(text) == {}
