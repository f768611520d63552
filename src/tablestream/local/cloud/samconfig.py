"""The template's parameters as samconfig.toml sets them for an environment, as `sam deploy --config-env` reads them."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tablestream.local.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


ENVIRONMENTS = ("local", "default")  # the first that the file has, where none is named; `default` is what SAM writes
FILE = "samconfig.toml"
BUILD = ".aws-sam"
LONGEST_NAME = 40  # characters of a folder's name: what AWS names after a stack may have 64


def parameter_overrides(template: Path, environment: str | None = None) -> dict[str, str]:
    """`parameter_overrides` of an environment in the samconfig.toml beside the template.

    For a template made by `sam build` that is the file of its project. If no environment is named it is `local`, or
    `default` where there is no `local`. A command's own section is more specific than `global`, and `deploy` is the
    command that sets parameters. Raises UsageError for a file that is no TOML, for an environment that was named and is
    not there, and for overrides in a form that the SAM CLI does not take either.
    """
    overrides: dict[str, str] = {}
    for parameters in _sections(template, environment):
        given = parameters.get("parameter_overrides", [])
        overrides |= dict(_pairs(given, f"{_file(template)}: parameter_overrides"))
    return overrides


def stack_name(template: Path, environment: str | None = None) -> str:
    """The stack's name in samconfig.toml (see `parameter_overrides`), else the name of the project's folder.

    What CloudFormation does not take in a stack's name becomes a hyphen.
    """
    named = [parameters["stack_name"] for parameters in _sections(template, environment) if "stack_name" in parameters]
    name = str(named[-1]) if named else _file(template).parent.name[:LONGEST_NAME]
    allowed = re.sub("[^A-Za-z0-9]+", "-", name).strip("-")
    return allowed if allowed[:1].isalpha() else f"stack-{allowed}".rstrip("-")


def _sections(template: Path, environment: str | None) -> list[Mapping[str, Any]]:
    """The parameters of the chosen environment, the more specific ones later."""
    path = _file(template)
    environments = _read(path)
    if environment is not None and environment not in environments:
        raise UsageError(f"{path} has no environment {environment!r}: wanted one of {_names(environments)}")
    known = [name for name in ENVIRONMENTS if name in environments]
    chosen = environments.get(environment or next(iter(known), ""), {})
    return [_parameters(chosen, command) for command in ("global", "deploy")]


def _file(template: Path) -> Path:
    return _project(template.resolve().parent) / FILE


def _project(folder: Path) -> Path:
    built = [parent for parent in (folder, *folder.parents) if parent.name == BUILD]
    return built[0].parent if built else folder


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    return {name: value for name, value in content.items() if isinstance(value, dict)}


def _parameters(environment: Mapping[str, Any], command: str) -> Mapping[str, Any]:
    section = environment.get(command)
    parameters = section.get("parameters") if isinstance(section, dict) else None
    return parameters if isinstance(parameters, dict) else {}


def _pairs(given: object, where: str) -> Iterator[tuple[str, str]]:
    """`"A=1 B='x y'"`, `["A=1", "B=x y"]`, and the older `ParameterKey=A,ParameterValue=1`."""
    words = shlex.split(given) if isinstance(given, str) else given
    if not isinstance(words, list):
        raise UsageError(f"{where} is {given!r}: wanted text or a list of NAME=VALUE")
    for word in words:
        name, equals, value = str(word).partition("=")
        if name == "ParameterKey":
            name, equals, value = value.partition(",ParameterValue=")
        if not equals:
            raise UsageError(f"{where} has {word!r}: wanted NAME=VALUE")
        yield name, value


def _names(environments: Mapping[str, Any]) -> str:
    return ", ".join(sorted(environments)) or "none, as the file is not there or empty"
