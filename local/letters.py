"""What lies in the failures bucket: the worker's dead letters, and what Lambda gave up."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.clients import Client

PARKED = "dead-letters/"
GIVEN_UP = "aws/lambda/"


@dataclass(frozen=True, slots=True)
class Letter:
    """One object of the bucket."""

    key: str
    body: dict[str, Any]


def letters(s3: Client, bucket: str, prefix: str = "") -> list[Letter]:
    """Everything in the bucket below `prefix`, by key."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return [Letter(key, json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())) for key in keys]
