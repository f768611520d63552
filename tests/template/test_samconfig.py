"""Every environment of samconfig.toml has what the SAM CLI's commands need, and what is written of them is true."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.cloudformation import ROOT, translated

FILE = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
ENVIRONMENTS = sorted(name for name, content in FILE.items() if isinstance(content, dict))
NAMED = re.compile(r"--config-env[= ]([a-z]+)")


def settings(environment: str, command: str) -> dict[str, Any]:
    """What a command gets: its own section before `global`, and nothing of another environment."""
    sections = [FILE[environment].get(name, {}).get("parameters", {}) for name in ("global", command)]
    return {name: value for section in sections for name, value in section.items()}


def test_these_are_the_environments() -> None:
    assert ENVIRONMENTS == ["default", "dev", "local", "prod"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_has_what_sam_deploy_needs(environment: str) -> None:
    deploy = settings(environment, "deploy")
    stage = "dev" if environment == "default" else environment

    assert deploy["stack_name"] == deploy["s3_prefix"] == f"tablestream-{stage}"
    assert deploy["resolve_s3"] is True
    assert deploy["capabilities"] == "CAPABILITY_IAM"
    assert f"stage={stage}" in deploy["tags"]


def test_without_a_named_environment_it_is_dev() -> None:
    assert FILE["default"] == FILE["dev"]


def test_no_more_capabilities_are_given_than_the_template_asks_for() -> None:
    named = [
        resource for resource in translated()["Resources"].values() if "RoleName" in resource.get("Properties", {})
    ]
    assert named == []  # a role with a name of its own would need CAPABILITY_NAMED_IAM


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("command", ["local_invoke", "local_start_lambda", "local_start_api"])
def test_an_environment_finds_the_stack_of_make_local(environment: str, command: str) -> None:
    local = settings(environment, command)
    (told,) = json.loads((ROOT / local["env_vars"]).read_text(encoding="utf-8")).values()
    host = told["AWS_ENDPOINT_URL"].removeprefix("http://").partition(":")[0]

    assert local["add_host"] == [f"{host}:host-gateway"]
    # The SAM CLI overrides only variables that the template declares.
    for function in ("Worker", "Api"):
        assert set(told) <= set(translated()["Resources"][function]["Properties"]["Environment"]["Variables"])


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_is_validated_with_the_linter(environment: str) -> None:
    assert settings(environment, "validate")["lint"] is True


def test_whatever_names_an_environment_names_one_that_is_there() -> None:
    texts = [path for pattern in ("*.md", "docs/*.md", "*.toml") for path in ROOT.glob(pattern)]
    named = {name for path in texts for name in NAMED.findall(path.read_text(encoding="utf-8"))}

    assert named >= {"prod", "local"}
    assert named <= set(ENVIRONMENTS)


def test_the_readme_lists_the_environments() -> None:
    readme = Path(ROOT / "README.md").read_text(encoding="utf-8")

    assert "`samconfig.toml` has the environments dev, local and prod" in readme


def test_the_workflow_deploys_to_environments_that_are_there() -> None:
    workflow = Path(ROOT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8")
    (options,) = re.findall(r"options: \[(.*)\]", workflow)

    assert set(options.split(", ")) <= set(ENVIRONMENTS)
    assert "STAGE: ${{ inputs.environment }}" in workflow
