"""What lies in the failures bucket: the worker's dead letters, and what Lambda gave up."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tablestream.local.cli.terminal import INDENT, put
from tablestream.local.orders import order_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from tablestream.local.cloud.clients import Client

PARKED = "dead-letters/"
GIVEN_UP = "aws/lambda/"


@dataclass(frozen=True, slots=True)
class Letter:
    """One object of the bucket."""

    key: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bucket:
    """The objects of the failures bucket whose keys begin with `prefix`."""

    s3: Client
    name: str
    prefix: str = ""

    def names(self) -> list[str]:
        """Every key, in order."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=self.prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def read(self, key: str) -> Letter:
        """The object of a key."""
        return Letter(key, json.loads(self.s3.get_object(Bucket=self.name, Key=key)["Body"].read()))

    def letters(self) -> list[Letter]:
        """Every object, by key."""
        return [self.read(key) for key in self.names()]


class News:
    """Tells which objects of a bucket came since it was made, each once. Mutable: it remembers what it told."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._known = set(bucket.names())

    def take(self) -> list[str]:
        """The keys that are new."""
        new = [key for key in self._bucket.names() if key not in self._known]
        self._known.update(new)
        return new


def print_letters(output: Console, found: Sequence[Letter]) -> None:
    """Print why each record was set aside, of which order it is, and where it lies."""
    output.print("Dead letters" if found else "No dead letters", style="italic")
    for letter in found:
        put_letter(output, letter, indent=2)


def put_letter(output: Console, letter: Letter, *, indent: int = INDENT) -> None:
    """Print one."""
    order = order_of(letter.body.get("record"))
    reason = letter.body.get("reason") or letter.body.get("requestContext", {}).get("condition")
    put(output, f"dead letter: {f'{order}: ' if order else ''}{reason}", indent=indent, style="bold red")
    put(output, f"in {letter.key}", indent=indent, style="dim")
