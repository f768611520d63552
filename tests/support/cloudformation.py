"""The template as CloudFormation gets it: translated by AWS's own SAM translator, nothing else changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"
PACKAGE = {"Bucket": "packages", "Key": "worker.zip"}  # `sam deploy` uploads the folder and writes this


class NotTranslatableError(Exception):
    """The SAM translator refuses the template; the message tells why."""


def translated(path: Path = TEMPLATE, parameters: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return what the template at `path` becomes. Raises NotTranslatableError."""
    source = yaml_parse(path.read_text(encoding="utf-8"))  # type: ignore[no-untyped-call]  # it has no annotations
    for resource in source["Resources"].values():
        if isinstance(resource.get("Properties", {}).get("CodeUri"), str):
            resource["Properties"]["CodeUri"] = PACKAGE
    session = boto3.Session(region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    translator = Translator(managed_policy_map={}, sam_parser=Parser(), boto_session=session)
    try:
        plain = translator.translate(source, dict(parameters or {}))
    except InvalidDocumentException as error:
        raise NotTranslatableError("; ".join(str(cause.message) for cause in error.causes)) from error
    # Through JSON, because the translator returns its own dict classes.
    document: dict[str, Any] = json.loads(json.dumps(plain))
    return document
