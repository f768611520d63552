"""A package keeps botocore's data of the services and operations that its function calls, and no other."""

from __future__ import annotations

import gzip
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "src" / "trim_botocore.py"
OPERATIONS = {
    "dynamodb": ["BatchGetItem", "BatchWriteItem", "DescribeEndpoints", "TransactWriteItems"],
    "s3": ["CreateSession", "HeadBucket", "PutObject"],
    "sns": ["PublishBatch"],
}

trimmed = runpy.run_path(str(SCRIPT))["trimmed"]


def model(*operations: str) -> dict[str, Any]:
    """A service's model as botocore has them, with texts wherever there can be some."""
    told = {"documentation": "<p>What it is.</p>"}
    return {
        **told,
        "metadata": {"serviceId": "Service"},
        "operations": {
            name: {
                **told,
                "name": name,
                "input": {"shape": f"{name}Input", **told},
                "output": {"shape": "Tree"},
                "errors": [{"shape": f"{name}Error", **told}],
            }
            for name in operations
        },
        "shapes": {
            **{
                f"{name}Input": {**told, "type": "structure", "members": {"documentation": {"shape": "Text", **told}}}
                for name in operations
            },
            **{f"{name}Error": {**told, "type": "structure", "members": {}, "exception": True} for name in operations},
            "Tree": {"type": "structure", "members": {"branches": {"shape": "Branches"}, "names": {"shape": "Names"}}},
            "Branches": {"type": "list", "member": {"shape": "Tree", **told}},
            "Names": {"type": "map", "key": {"shape": "Key", **told}, "value": {"shape": "Value", **told}},
            **{name: {"type": "string", **told} for name in ("Text", "Key", "Value", "Unreached")},
        },
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "botocore" / "data"
    for service in (*OPERATIONS, "ec2"):
        version = folder / service / "2012-08-10"
        version.mkdir(parents=True)
        described = model(*OPERATIONS.get(service, ()), "ListThings")
        (version / "service-2.json.gz").write_bytes(gzip.compress(json.dumps(described).encode()))
        (version / "endpoint-rule-set-1.json.gz").write_bytes(gzip.compress(b'{"rules": []}'))
        (version / "waiters-2.json").write_text("{}", encoding="utf-8")
    (folder / "dynamodb" / "2011-12-05").mkdir()
    (folder / "dynamodb" / "2011-12-05" / "examples-1.json").write_text("{}", encoding="utf-8")
    (folder / "partitions.json").write_text("{}", encoding="utf-8")
    services: dict[str, object] = {name: {"endpoints": {}} for name in (*OPERATIONS, "ec2")}
    (folder / "endpoints.json").write_text(json.dumps({"version": 3, "partitions": [{"services": services}]}))
    return folder


def trim(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["trim_botocore.py", str(data.parents[1]), "Worker"])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_what_a_client_is_made_of_stays_and_is_not_packed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trim(data, monkeypatch)

    files = {path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file()}
    read = {
        f"{service}/2012-08-10/{name}.json" for service in OPERATIONS for name in ("service-2", "endpoint-rule-set-1")
    }
    assert files == {"endpoints.json", "partitions.json", *read}
    for service, operations in OPERATIONS.items():
        described = json.loads((data / service / "2012-08-10" / "service-2.json").read_bytes())
        assert sorted(described["operations"]) == operations
        assert json.loads((data / service / "2012-08-10" / "endpoint-rule-set-1.json").read_bytes()) == {"rules": []}


def test_the_endpoints_of_the_services_that_are_called_stay(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trim(data, monkeypatch)

    kept = json.loads((data / "endpoints.json").read_bytes())
    assert kept["version"] == 3
    assert sorted(kept["partitions"][0]["services"]) == ["dynamodb", "s3", "sns"]


def test_an_operation_stays_with_all_shapes_that_it_reaches_and_without_texts() -> None:
    kept = trimmed(model("Get", "Put"), {"Get"})

    assert list(kept["operations"]) == ["Get"]
    assert set(kept["shapes"]) == {"GetInput", "GetError", "Tree", "Branches", "Names", "Text", "Key", "Value"}
    assert "What it is" not in json.dumps(kept)


def test_a_member_that_is_called_documentation_is_not_a_text() -> None:
    kept = trimmed(model("Get"), {"Get"})

    assert kept["shapes"]["GetInput"]["members"] == {"documentation": {"shape": "Text"}}


def test_an_operation_that_the_service_does_not_have_stops_the_build() -> None:
    with pytest.raises(ValueError, match=r"wanted operations of Service, got unknown ones: \['Gte'\]"):
        trimmed(model("Get"), {"Get", "Gte"})
