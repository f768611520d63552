"""The entry point, `shop.api.app.handler`. All that can be made once is made when this is imported."""

# ruff: noqa: E402 -- the collector is switched off before what it would look through is imported

from __future__ import annotations

import gc

gc.disable()

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shop.api.service import MARGIN_SECONDS, Api
from shop.stock.decisions import Tables, iso_time
from tablestream.aws import TABLE, Aws, quiet_collector, stay_on_one_core, trace_calls

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_CONTAINERS = 50_000
"""A page of a hundred orders is read into a tenth of that: the collector looks between requests, not during one."""
_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "tablestream-shop")


def _tell(fields: Mapping[str, object]) -> None:
    """Write the line of a request as Powertools' logger would, which takes a twentieth of a request for it."""
    level = "ERROR" if "failure" in fields else "INFO"
    line = {"level": level, "message": "request", "timestamp": iso_time(time.time()), "service": _SERVICE, **fields}
    sys.stdout.write(f"{json.dumps(line)}\n")


_aws = Aws(os.environ)
if _aws.is_sam_local:
    from tablestream.dry_run import join_stack  # nothing of it is imported in AWS

    # The template's names of resources are no names of tables: `make local` tells those of its own.
    if (_alone := join_stack(os.environ)) is not None:
        print(f"{_alone}: start it, or requests will find no table")  # noqa: T201
    _aws = _aws.read_again(os.environ)
_aws.prepare(MARGIN_SECONDS, 1)
_tables = Tables(*[_aws.named(name, TABLE, "a table's name") for name in ("TABLE_NAME", "INVENTORY_TABLE")])
_aws.distinct("TABLE_NAME", "INVENTORY_TABLE")
_api = Api(
    _tables,
    _aws.dynamodb,
    _tell,
    docs=_aws.switch("API_DOCS"),
)
_aws.check()
_aws.start()

trace_calls(os.environ)
quiet_collector(_CONTAINERS)
stay_on_one_core(os.environ)
gc.enable()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer a request of an HTTP API, payload version 2.0."""
    return _api.answer(event, context)
