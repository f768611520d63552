"""A folder's template is found as the SAM CLI finds it, and what `sam build` made is run where no source is newer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tablestream.local.errors import TemplateError, UsageError
from tablestream.local.template.project import BUILT, choose_template, chosen_region, parameter_overrides, stack_name

TEMPLATE = """\
Globals: { Function: { CodeUri: code } }
Resources:
  Task: { Type: AWS::Serverless::Function, Properties: { Handler: app.main } }
  Fn::ForEach::Tasks: [N, [A], { "Task${N}": { Type: AWS::Serverless::Function, Properties: { CodeUri: other } } }]
"""


def write(path: Path, text: str, at: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write(tmp_path / "template.yaml", TEMPLATE, at=1)
    write(tmp_path / "code" / "app.py", "", at=2)
    write(tmp_path / "code" / "__pycache__" / "app.pyc", "", at=9)
    write(tmp_path / "notes.txt", "", at=9)
    write(tmp_path / BUILT, TEMPLATE, at=3)
    return tmp_path


def test_the_build_is_run_where_it_is_newer(project: Path) -> None:
    chosen = choose_template(None, project)
    assert chosen.template.path == project / BUILT
    assert "what `sam build` made is run" in chosen.note


@pytest.mark.parametrize("name", ["template.yaml", "code/app.py", "code/new.py", "other/app.py"])
def test_the_sources_are_run_where_one_is_newer_and_it_is_named(project: Path, name: str) -> None:
    write(project / name, TEMPLATE, at=4)
    chosen = choose_template(None, project)
    assert chosen.template.path == project / "template.yaml"
    assert chosen.note.startswith(f"{name} is newer than .aws-sam/build: the sources are run")


def test_a_build_does_not_change_with_the_sources(project: Path) -> None:
    assert choose_template(None, project, built=False).template.path == project / "template.yaml"


def test_a_template_that_is_named_is_run(project: Path) -> None:
    named = project / "template.yaml"
    assert choose_template(named, project).template.path == named
    assert choose_template(named, project).note == ""


@pytest.mark.parametrize("name", ["template.yml", "template.json"])
def test_other_names_are_taken_as_the_sam_cli_takes_them(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, TEMPLATE, at=1)
    assert choose_template(None, tmp_path).template.path == tmp_path / name
    write(tmp_path / "template.yaml", TEMPLATE, at=1)
    assert choose_template(None, tmp_path).template.path == tmp_path / "template.yaml"


def test_a_folder_without_a_template_is_told_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"no template\.yaml, .* here: wanted --template FILE"):
        choose_template(None, tmp_path)


def test_templates_of_other_names_are_named_first_those_with_a_stream(tmp_path: Path) -> None:
    write(tmp_path / "auth.yaml", "Resources: { Pool: { Type: AWS::Cognito::UserPool } }", at=1)
    write(tmp_path / "backend" / "shop.yml", "Resources: { S: { Type: AWS::X, P: !GetAtt T.StreamArn } }", at=1)
    for other in ("notes.txt", "compose.yaml", "node_modules/x.yaml", ".github/ci.yml"):
        text = "Resources: {}" if other == "compose.yaml" else "Resources: { Pool: { Type: AWS::X } }"
        write(tmp_path / other, text, at=1)
    (tmp_path / "picture.json").write_bytes(b"\xff\xfe")
    with pytest.raises(TemplateError, match=r"wanted --template FILE, such as backend/shop\.yml, auth\.yaml$"):
        choose_template(None, tmp_path)


SAMCONFIG = """
[default.global.parameters]
region = "eu-north-1"
[default.deploy.parameters]
region = "eu-west-1"
[prod.deploy.parameters]
region = "eu-west-2"
[prod.local_invoke.parameters]
region = "eu-west-3"
[other.deploy.parameters]
stack_name = "other"
"""
BOTH = {"AWS_REGION": "sa-east-1", "AWS_DEFAULT_REGION": "ca-central-1"}


@pytest.mark.parametrize(
    ("given", "environment", "variables", "region"),
    [
        ("us-west-2", "prod", BOTH, "us-west-2"),
        (None, None, BOTH, "eu-west-1"),
        (None, "prod", BOTH, "eu-west-3"),
        (None, "other", BOTH, "sa-east-1"),
        (None, "other", {"AWS_REGION": "", "AWS_DEFAULT_REGION": "ca-central-1"}, "ca-central-1"),
        (None, "other", {}, None),
    ],
)
def test_the_region_is_the_one_given_else_that_of_samconfig_else_that_of_the_environment(
    tmp_path: Path, given: str | None, environment: str | None, variables: dict[str, str], region: str | None
) -> None:
    write(tmp_path / "samconfig.toml", SAMCONFIG, at=1)
    template = write(tmp_path / "template.yaml", TEMPLATE, at=1)
    assert chosen_region(given, template, environment, variables) == region


def test_without_samconfig_the_region_is_that_of_the_environment(tmp_path: Path) -> None:
    assert chosen_region(None, tmp_path / "template.yaml", None, BOTH) == "sa-east-1"


IN_YAML = """
version: 0.1
default:
  global: { parameters: { stack_name: kitchen, region: eu-west-3 } }
  deploy: { parameters: { parameter_overrides: [Colour=red, "Kind=green tea"] } }
"""


@pytest.mark.parametrize("name", ["samconfig.yaml", "samconfig.yml"])
def test_samconfig_may_be_yaml_and_toml_wins(tmp_path: Path, name: str) -> None:
    template = write(tmp_path / "template.yaml", TEMPLATE, at=1)
    write(tmp_path / name, IN_YAML, at=1)
    assert parameter_overrides(template) == {"Colour": "red", "Kind": "green tea"}
    assert chosen_region(None, template, None, BOTH) == "eu-west-3"
    assert stack_name(template) == "kitchen"
    write(tmp_path / "samconfig.toml", SAMCONFIG, at=1)
    assert parameter_overrides(template) == {}
    assert chosen_region(None, template, None, BOTH) == "eu-west-1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("default: [", r"cannot read .*samconfig\.yaml: .* \(line 1, column 11\)$"),
        ("text", "wanted environments by their names"),
        ("default: { deploy: { parameters: { parameter_overrides: 3 } } }", "wanted text or a list of NAME=VALUE"),
    ],
)
def test_a_samconfig_that_is_none_is_told(tmp_path: Path, text: str, words: str) -> None:
    write(tmp_path / "samconfig.yaml", text, at=1)
    with pytest.raises(UsageError, match=words) as told:
        parameter_overrides(tmp_path / "template.yaml")
    assert "\n" not in str(told.value)
