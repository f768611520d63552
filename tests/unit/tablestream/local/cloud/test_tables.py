"""What AWS refuses of tables and mappings is refused, with the line; what only may be wrong is noted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tablestream.local.cloud.tables import SHAPES, refuse_misdeclared
from tablestream.local.errors import TemplateError
from tablestream.local.template.source import read_template

YAML = """\
Resources:
  Things:
    Type: AWS::DynamoDB::Table
    Properties:
      TableClass: STANDARD
      BillingMode: !Ref Mode
      AttributeDefinitions:
        - { AttributeName: id, AttributeType: S }
        - { AttributeName: part, AttributeType: N }
        - { AttributeName: kind, AttributeType: B }
      KeySchema:
        - { AttributeName: id, KeyType: HASH }
        - { AttributeName: part, KeyType: RANGE }
      GlobalSecondaryIndexes:
        - IndexName: byKind
          KeySchema: [{ AttributeName: kind, KeyType: HASH }]
          Projection: { ProjectionType: ALL }
      StreamSpecification: { StreamViewType: NEW_IMAGE }
  Changes:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      FunctionName: task
      BatchSize: 5
      DestinationConfig: { OnFailure: { Destination: a } }
"""
VALUES = {"Mode": "PAY_PER_REQUEST", "Wrong": "ON_DEMAND", "Later": "stand-in-Later"}
Notes = Callable[..., list[str]]


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    """The notes on the template with another text in the place of one in it."""

    def notes(old: str = "", new: str = "") -> list[str]:
        assert old in YAML
        (tmp_path / "template.yaml").write_text(YAML.replace(old, new, 1) if old else YAML)
        template = read_template(tmp_path / "template.yaml")
        return refuse_misdeclared(template.content["Resources"], VALUES, template)

    return notes


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("NEW_IMAGE }", "NEW_IMG }", "18: Things: StreamSpecification.StreamViewType is 'NEW_IMG': wanted one of NEW_"),
        ("AttributeType: N", "AttributeType: Number", "9: Things: AttributeDefinitions.AttributeType is 'Number': "),
        ("RANGE", "SORT", "13: Things: KeySchema.KeyType is 'SORT': wanted one of HASH, RANGE"),
        ("Type: ALL", "Type: SOME", "17: Things: GlobalSecondaryIndexes.Projection.ProjectionType is 'SOME': wanted"),
        ("!Ref Mode", "ON_DEMAND", "6: Things: BillingMode is 'ON_DEMAND': wanted one of PAY_PER_REQUEST, PROVISIONED"),
        ("!Ref Mode", "!Ref Wrong", "2: Things: BillingMode is 'ON_DEMAND': wanted one of PAY_PER_REQUEST, "),
        ("BillingMode", "BilingMode", "6: Things has no property BilingMode: did you mean BillingMode?"),
        ("TableClass", "tableclass", "5: Things has no property tableclass: did you mean TableClass?"),
        ("{ StreamViewType", "{ StreamViewTyp", "18: Things's StreamSpecification has no property StreamViewTyp: "),
        ("{ StreamViewType: NEW_IMAGE }", "{}", "18: Things: StreamSpecification has no StreamViewType: wanted"),
        ("BatchSize", "BatchSise", "23: Changes has no property BatchSise: did you mean BatchSize?"),
        ("OnFailure", "OnFailur", "24: Changes's DestinationConfig has no property OnFailur: did you mean OnFailure?"),
        (
            "{ AttributeName: part, KeyType",
            "{ AttributeName: prt, KeyType",
            "13: Things: KeySchema has the attribute prt, which AttributeDefinitions have not: they have id, part, kin",
        ),
        (
            "[{ AttributeName: kind",
            "[{ AttributeName: kin",
            "16: Things: GlobalSecondaryIndexes.byKind.KeySchema has the attribute kin, which AttributeDefinitions ",
        ),
        ("KeySchema: [{ AttributeName: kind", "KeySchema: [{ AttributeName: id", "10: Things: AttributeDefinitions ha"),
        ("KeySchema:\n", "LocalSecondaryIndexes:\n", "4: Things: it has no KeySchema: wanted"),
    ],
)  # fmt: skip
def test_what_aws_refuses_is_refused_with_its_line(notes: Notes, old: str, new: str, told: str) -> None:
    with pytest.raises(TemplateError) as error:
        notes(old, new)
    assert str(error.value).startswith(f"template.yaml, line {told}")


def test_a_property_that_may_be_newer_than_the_list_is_noted(notes: Notes) -> None:
    (told,) = notes("TableClass: STANDARD", "Colour: red")
    assert told.startswith("template.yaml, line 5: Things has no property Colour that is known here: it does nothing")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("!Ref Mode", "!If [Cheap, PAY_PER_REQUEST, ON_DEMAND]"),
        ("!Ref Mode", "!Ref Later"),
        ("{ AttributeName: part, KeyType", "{ AttributeName: !GetAtt Other.Name, KeyType"),
        ("AttributeName: part, AttributeType", "AttributeName: !GetAtt Other.Name, AttributeType"),
        ("{ StreamViewType: NEW_IMAGE }", "!If [Cheap, { StreamViewType: NEW_IMAGE }, !Ref AWS::NoValue]"),
        ("[{ AttributeName: kind, KeyType: HASH }]", "!If [Cheap, [{ AttributeName: kind, KeyType: HASH }], []]"),
        (
            "AttributeName: kind, KeyType: HASH }]\n          Projection: { ProjectionType: ALL }",
            "AttributeName: id, KeyType: HASH }]\n      VectorIndexes: []",
        ),
    ],
)
def test_what_is_right_and_what_only_the_stack_knows_is_let_through(notes: Notes, old: str, new: str) -> None:
    assert notes(old, new) == []


@pytest.mark.parametrize("kind", SHAPES)
def test_the_properties_are_those_of_cloudformation(kind: str) -> None:
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    made = {one.rpartition("/")[2] for one in schema["readOnlyProperties"]}
    assert set(SHAPES[kind]) == set(schema["properties"]) - made
    definitions = schema["definitions"]
    for name, inner in SHAPES[kind].items():
        assert not isinstance(inner, Mapping) or inner_names(schema["properties"][name], definitions) <= set(inner)


def inner_names(schema: Any, definitions: Any) -> set[str]:
    """The properties of an object, or of those in a list."""
    for _ in range(3):
        schema = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema.get("items", schema)
    return set(schema.get("properties", ()))
