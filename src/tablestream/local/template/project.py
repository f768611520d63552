"""The files of a project: its template, and what samconfig.toml says of it as the SAM CLI reads that.

Where there is none it may be samconfig.yaml or samconfig.yml, which hold the same.
"""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tablestream.local.errors import TemplateError, UsageError
from tablestream.local.template.nested import local_files
from tablestream.local.template.source import Template, in_a_line, read_template

TEMPLATES = ("template.yaml", "template.yml", "template.json")  # as the SAM CLI looks for them
ENVIRONMENTS = ("local", "default")  # the first that the file has, where none is named; `default` is what SAM writes
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
SAMCONFIGS = ("samconfig.toml", "samconfig.yaml", "samconfig.yml")  # the first that is there, as for the SAM CLI
BUILD_FOLDER = ".aws-sam"
BUILT = Path(BUILD_FOLDER) / "build" / "template.yaml"
MOST_NAMED = 3  # files that may have been meant
LARGEST_TEMPLATE = 1_000_000  # bytes: what CloudFormation takes
LONGEST_NAME = 40  # characters of a folder's name: what AWS names after a stack may have 64
_UPLOADED = {"Code", "CodeUri", "Content", "ContentUri", "DefinitionUri", "Location", "TemplateURL"}
_SUFFIXES = {".yaml", ".yml", ".json"}
_NO_SOURCES = {"__pycache__", "node_modules", "venv"}


class ChosenTemplate(NamedTuple):
    """The template to run, and a note on why it is this one; empty where there was no choice."""

    template: Template
    note: str = ""


def choose_template(given: Path | None, folder: Path, *, built: bool = True) -> ChosenTemplate:
    """The template that was given, or that of a folder: of `sam build`, where that ran after the last change.

    Raises TemplateError if there is none.
    """
    if given is not None:
        return ChosenTemplate(read_template(given))
    found = next((folder / name for name in TEMPLATES if (folder / name).exists()), None)
    if found is None:
        like = ", ".join(islice(_like_templates(folder), MOST_NAMED))
        raise TemplateError(
            f"there is no {', '.join(TEMPLATES)} here: wanted --template FILE{f', such as {like}' if like else ''}"
        )
    source = read_template(found)
    try:
        made = (folder / BUILT).stat().st_mtime_ns
    except OSError:
        return ChosenTemplate(source)
    newer = _newer(source, made, folder)
    if newer is not None:
        return ChosenTemplate(
            source, f"{newer} is newer than {BUILT.parent}: the sources are run, and `sam build` builds them"
        )
    if not built:
        return ChosenTemplate(source, f"{BUILT.parent} is not run with --reload: it does not change with the sources")
    return ChosenTemplate(
        read_template(folder / BUILT), f"what `sam build` made is run, {BUILT.parent}: no source is newer"
    )


def _like_templates(folder: Path) -> Iterator[str]:
    """The files of a folder and of those in it that look like templates; first those with a table's stream."""
    found: list[tuple[bool, Path]] = []
    for path in [one for pattern in ("*.*", "*/*.*") for one in sorted(folder.glob(pattern))]:
        inside = path.relative_to(folder)
        if path.suffix not in _SUFFIXES or inside.parts[0].startswith(".") or inside.parts[0] in _NO_SOURCES:
            continue
        try:
            text = path.read_text(encoding="utf-8") if path.stat().st_size <= LARGEST_TEMPLATE else ""
        except (OSError, UnicodeDecodeError):
            continue
        if "Resources" in text and "AWS::" in text:
            found.append(("StreamArn" not in text, inside))
    yield from (str(inside) for _, inside in sorted(found, key=lambda one: (one[0], len(one[1].parts))))


def _newer(source: Template, made: int, project: Path, above: tuple[Path, ...] = ()) -> Path | None:
    """A file of the project that was written after this time: the template, or one that a function or a layer has."""
    folder = source.path.parent
    for _, path in local_files(source.content, folder):
        if path.is_file() and path not in above:
            nested = read_template(path, os.path.relpath(path, project))
            if (found := _newer(nested, made, project, (*above, path))) is not None:
                return found
    files = (file for named in sorted(set(_named(source.content))) for file in _files(folder / named))
    for file in (source.path, *files):
        if file.stat().st_mtime_ns > made:
            return file.relative_to(project) if file.is_relative_to(project) else file
    return None


def _named(value: Any) -> Iterator[str]:
    """The files and folders that a template names."""
    if isinstance(value, list):
        for entry in value:
            yield from _named(entry)
    for key, entry in value.items() if isinstance(value, dict) else ():
        if key in _UPLOADED and isinstance(entry, str):
            yield entry
        else:
            yield from _named(entry)


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    for where, folders, files in os.walk(place):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _NO_SOURCES)
        yield from (Path(where) / name for name in sorted(files) if (Path(where) / name).is_file())


def parameter_overrides(template: Path, environment: str | None = None) -> dict[str, str]:
    """`parameter_overrides` of an environment in the samconfig.toml beside the template, as `sam deploy` reads it.

    For a template made by `sam build` that is the file of its project. If no environment is named it is `local`, or
    `default` where there is no `local`. A command's own section is more specific than `global`, and `deploy` is the
    command that sets parameters. Raises UsageError for a file that is no TOML or YAML, for an environment that was
    named and is not there, and for overrides in a form that the SAM CLI does not take either.
    """
    overrides: dict[str, str] = {}
    for parameters in _sections(template, environment):
        given = parameters.get("parameter_overrides", [])
        overrides |= dict(_pairs(given, f"{_samconfig(template)}: parameter_overrides"))
    return overrides


def chosen_region(
    given: str | None, template: Path, environment: str | None, variables: Mapping[str, str]
) -> str | None:
    """The region: the one `given`, that of samconfig.toml (see `parameter_overrides`), or of the environment variables.

    None where nobody says one. A section of `sam local` is more specific than that of `deploy`.
    """
    commands = ("global", "deploy", "local_start_lambda", "local_start_api", "local_invoke")
    named = [one["region"] for one in _sections(template, environment, commands) if one.get("region")]
    configured = str(named[-1]) if named else None
    return given or configured or next((variables[name] for name in REGION_VARIABLES if variables.get(name)), None)


def stack_name(template: Path, environment: str | None = None) -> str:
    """The stack's name in samconfig.toml (see `parameter_overrides`), else the name of the project's folder.

    What CloudFormation does not take in a stack's name becomes a hyphen.
    """
    named = [parameters["stack_name"] for parameters in _sections(template, environment) if "stack_name" in parameters]
    name = str(named[-1]) if named else _samconfig(template).parent.name[:LONGEST_NAME]
    allowed = re.sub("[^A-Za-z0-9]+", "-", name).strip("-")
    return allowed if allowed[:1].isalpha() else f"stack-{allowed}".rstrip("-")


def _sections(
    template: Path, environment: str | None, commands: Sequence[str] = ("global", "deploy")
) -> list[Mapping[str, Any]]:
    """The parameters of these commands in the chosen environment, the more specific ones later."""
    path = _samconfig(template)
    environments = _read(path)
    if environment is not None and environment not in environments:
        raise UsageError(f"{path} has no environment {environment!r}: wanted one of {_names(environments)}")
    known = [name for name in ENVIRONMENTS if name in environments]
    chosen = environments.get(environment or next(iter(known), ""), {})
    return [_parameters(chosen, command) for command in commands]


def _samconfig(template: Path) -> Path:
    folder = _project(template.resolve().parent)
    return next((folder / name for name in SAMCONFIGS if (folder / name).exists()), folder / SAMCONFIGS[0])


def _project(folder: Path) -> Path:
    built = [parent for parent in (folder, *folder.parents) if parent.name == BUILD_FOLDER]
    return built[0].parent if built else folder


def _read(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text) or {}
    except FileNotFoundError:
        return {}
    except yaml.YAMLError as error:
        raise UsageError(f"cannot read {path}: {in_a_line(error)}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"cannot read {path}: wanted environments by their names")
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
