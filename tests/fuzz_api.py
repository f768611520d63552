"""`python -m tests.fuzz_api` (`make fuzz-api`): schemathesis against the HTTP API of `make local`, with all its checks.

It reads the OpenAPI document that the API serves, makes requests that fit it and requests that do not, and follows what
answers name (a user that was made is read, changed, deleted and read again). More arguments are schemathesis's own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any
from urllib.request import Request, urlopen

import boto3

from tablestream.local.cloud.clients import REGION
from tests.support.local_shop import PAYER, PRODUCT, RECEIVER, ROOT, LocalShop, local_shop
from tests.support.shop_api import stock_item

SCHEMATHESIS = ROOT / ".venv-fuzz" / "bin" / "schemathesis"
CONFIG = ROOT / "tests" / "schemathesis.toml"
_SETTINGS = ("--checks", "all", "--seed", "20261126", "--max-examples", "40", "--no-color")


def main() -> int:
    """Serve the API, let schemathesis ask it, and return its exit status."""
    with local_shop() as shop:
        _prepare(shop)
        run = [str(SCHEMATHESIS), "--config-file", str(CONFIG), "run", f"{shop.api}/openapi.json"]
        variables = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.fuzz_hooks", "PYTHONPATH": str(ROOT)}
        return subprocess.run([*run, *_SETTINGS, *sys.argv[1:]], env=variables, check=False).returncode


def _prepare(shop: LocalShop) -> None:
    """Put stock and accounts in place, without which no order is reserved and no money moves."""
    credentials: dict[str, Any] = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    client = boto3.client("dynamodb", endpoint_url=shop.endpoint, region_name=REGION, **credentials)
    client.put_item(TableName=shop.outputs["InventoryTableName"], Item=stock_item(PRODUCT, 10**9))
    for account in (PAYER, RECEIVER):
        body = json.dumps({"balance": 10**9}).encode()
        asked = Request(f"{shop.api}/accounts/{account}", body, {"Content-Type": "application/json"}, method="PUT")  # noqa: S310 -- the local shop's
        urlopen(asked).close()  # noqa: S310 -- likewise


if __name__ == "__main__":
    sys.exit(main())
