"""The policies in docs/redrive.md are what the tools use: nothing is missing, nothing is too much."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient

from tablestream.local.cloud.faults import Fault
from tablestream.ops.__main__ import main
from tests.integration.ops.bench import Bench, bench

DOCS = Path(__file__).parents[3] / "docs" / "redrive.md"
STACK = ("--stack", "tablestream")
S3_ACTIONS = {
    "HeadObject": "s3:GetObject",
    "GetObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "CopyObject": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
    "ListObjectsV2": "s3:ListBucket",
}
ACTIONS = {
    "Invoke": "lambda:InvokeFunction",
    "GetFunctionConfiguration": "lambda:GetFunctionConfiguration",
    "DescribeStacks": "cloudformation:DescribeStacks",
    "DescribeTable": "dynamodb:DescribeTable",
    "Query": "dynamodb:Query",
    "Scan": "dynamodb:Scan",
}
Need = tuple[str, str]
"""An action and the resource, as the policies name it."""


def needs(operation: str, request: Any, bucket: str) -> set[Need]:
    if operation in S3_ACTIONS:
        names = {bucket: "BUCKET", "exports": "EXPORTS"}
        path = "".join(f"/{part}" for part in [request["Key"]] if part) if "Key" in request else ""
        found = {(S3_ACTIONS[operation], f"arn:aws:s3:::{names[request['Bucket']]}{path}")}
        if operation == "CopyObject":
            found.add(("s3:GetObject", f"arn:aws:s3:::BUCKET/{request['CopySource']['Key']}"))
        return found
    return {(ACTIONS[operation], "")}


@contextmanager
def recorded(world: Bench, patch: pytest.MonkeyPatch) -> Iterator[set[Need]]:
    """Gather what is needed within the with block."""
    found: set[Need] = set()
    client: Any = BaseClient
    call = client._make_api_call  # noqa: SLF001 -- every call of boto3 passes here

    def made(self: BaseClient, operation: str, request: Any) -> Any:
        found.update(needs(operation, request, world.bucket))
        return call(self, operation, request)

    with patch.context() as patched:
        patched.setattr(client, "_make_api_call", made)
        yield found


def granted(policy: str) -> set[Need]:
    match = re.search(rf"```json {policy}\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert match
    pairs: set[Need] = set()
    for statement in json.loads(match[1])["Statement"]:
        actions, resources = (_list(statement[name]) for name in ("Action", "Resource"))
        pairs |= {(action, resource) for action in actions for resource in resources}
    return pairs


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def allows(grant: Need, need: Need) -> bool:
    return grant[0] == need[0] and (not need[1] or fnmatchcase(need[1], grant[1]))


def check(policy: str, used: set[Need]) -> None:
    grants = granted(policy)
    assert [need for need in used if not any(allows(grant, need) for grant in grants)] == [], "not granted"
    assert [grant for grant in grants if not any(allows(grant, need) for need in used)] == [], "not used"


@pytest.fixture(scope="module")
def world() -> Iterator[Bench]:
    with bench() as opened:
        opened.cloud.client("s3").create_bucket(Bucket="exports")
        yield opened


@pytest.fixture
def fresh(world: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    world.begin()
    return world


STUCK = Fault("TransactWriteItems", "AccessDeniedException", "ORDER#stuck")
BUSY = b'{"owner": "somebody", "seconds": 1}'


def test_the_redrive_needs_its_policy(fresh: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    letter = fresh.park(fresh.placed("stuck", 1))
    fresh.give_up([fresh.placed("good", 2), fresh.placed("stuck-too", 3)])
    fresh.cloud.client("s3").put_object(Bucket=fresh.bucket, Key="redrive/lease.json", Body=BUSY)
    with recorded(fresh, monkeypatch) as used:
        main(["redrive", "list", *STACK])
        main(["redrive", "show", letter, *STACK])
        with fresh.cloud.faults.during(STUCK):
            main(["redrive", "run", *STACK])
        main(["redrive", "run", "--prefix", "aws/lambda/", *STACK])
        main(["redrive", "discard", "--yes", "--why", "a test", *STACK])
    assert fresh.left() == []
    check("redrive", used | {("s3:ListBucket", "arn:aws:s3:::BUCKET")})


def test_the_replay_needs_its_policy(fresh: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    s3, folder = fresh.cloud.client("s3"), "PREFIX/AWSDynamoDB/01"
    fresh.placed("stuck", 1)
    s3.put_object(Bucket=fresh.bucket, Key="redrive/lease.json", Body=BUSY)
    s3.put_object(Bucket="exports", Key=f"{folder}/data/a.json.gz", Body=gzip.compress(b""))
    manifest = json.dumps({"dataFileS3Key": f"{folder}/data/a.json.gz"}).encode()
    s3.put_object(Bucket="exports", Key=f"{folder}/manifest-files.json", Body=manifest)
    s3.put_object(Bucket="exports", Key=f"{folder}/manifest-summary.json", Body=b"{}")
    with recorded(fresh, monkeypatch) as used, fresh.cloud.faults.during(STUCK):
        main(["replay", "scan", "--state", "1", *STACK])
        main(["replay", "query", "--key", "USER#ada", "--state", "2", *STACK])
        main(["replay", "export", f"s3://exports/{folder}", "--state", "3", *STACK])
    # S3 asks for it when it looks for an object that is not there; no call has its name.
    check("replay", used | {("s3:ListBucket", "arn:aws:s3:::BUCKET")})
