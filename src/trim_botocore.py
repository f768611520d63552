"""Leaves in a function's package, of botocore's data, the services and operations that it calls; `make build` runs it.

botocore looks through the folders of all 400 services when the first client is made, reads the endpoints of all, and
reads a service's whole model, texts included, to make a client of it. Without the rest a cold start takes less CPU, and
the package is a third of its size. What is not here cannot be called: a client of another service raises
`UnknownServiceError`, another operation `AttributeError` with its name. Add to `CALLED` what a sink of your own calls.

Usage: python3 trim_botocore.py FOLDER_OF_THE_PACKAGE FUNCTION
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

CALLED = {
    "Worker": {
        "dynamodb": {"BatchGetItem", "BatchWriteItem", "TransactWriteItems"},
        "s3": {"PutObject"},
        "sns": {"PublishBatch"},
    },
    "Api": {
        "dynamodb": {
            *("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query"),
            *("BatchGetItem", "TransactGetItems", "TransactWriteItems"),
        },
    },
}
"""The operations that each function calls, by service; a test compares them with the code."""

CALLED_BY_BOTOCORE = {
    "dynamodb": {"DescribeEndpoints"},  # where AWS_ENABLE_ENDPOINT_DISCOVERY is set
    "s3": {"CreateSession", "HeadBucket"},  # of a directory bucket; of a bucket that turns out to be in another region
}
"""What botocore calls itself to get a call through."""

_READ = ("endpoint-rule-set-1", "service-2", "service-2.sdk-extras")
"""The files of a service that a client is made of. The others are about operations that are not here, and examples."""

Json = dict[str, Any]


def main() -> None:
    """Trim the package."""
    package, called = Path(sys.argv[1]), CALLED[sys.argv[2]]
    for folder in (package / "boto3" / "data").glob("*"):  # boto3's own interfaces, over what botocore calls
        if folder.name not in called:
            shutil.rmtree(folder)
    data = package / "botocore" / "data"
    for folder in data.iterdir():
        if folder.is_dir():
            _trim_service(folder, called.get(folder.name, set()))
    known = json.loads((data / "endpoints.json").read_bytes())
    for partition in known["partitions"]:
        partition["services"] = {name: kept for name, kept in partition["services"].items() if name in called}
    _write(data / "endpoints.json", known)


def _trim_service(folder: Path, operations: set[str]) -> None:
    if not operations:
        shutil.rmtree(folder)
        return
    for version in folder.iterdir():
        if not (version / "service-2.json.gz").exists():
            shutil.rmtree(version)  # botocore takes the last version that has a model
            continue
        for file in version.iterdir():
            _trim_file(file, operations | CALLED_BY_BOTOCORE.get(folder.name, set()))


def _trim_file(file: Path, operations: set[str]) -> None:
    """Keep a file that is read, without compression: botocore looks for that first, and has nothing to unpack."""
    name = file.name.removesuffix(".gz").removesuffix(".json")
    content = file.read_bytes()
    file.unlink()
    if name in _READ:
        known = json.loads(gzip.decompress(content) if file.suffix == ".gz" else content)
        _write(file.with_name(f"{name}.json"), trimmed(known, operations) if name == "service-2" else known)


def trimmed(model: Json, operations: set[str]) -> Json:
    """Return a service's model with these operations and the shapes they reach, without texts.

    Raises `ValueError` when the service does not have one of them.
    """
    if missing := operations - set(model["operations"]):
        raise ValueError(f"wanted operations of {model['metadata']['serviceId']}, got unknown ones: {sorted(missing)}")
    kept = {name: _untold(operation) for name, operation in model["operations"].items() if name in operations}
    reached: set[str] = set()
    waiting = list(_names(kept.values()))
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _names([model["shapes"][name]])
    shapes = {name: _untold(shape) for name, shape in model["shapes"].items() if name in reached}
    return {**_untold(model), "operations": kept, "shapes": shapes}


def _references(node: Json) -> Iterator[Json]:
    """Yield what refers to shapes in an operation or in a shape: its input, its members, its errors."""
    yield from (node[part] for part in ("input", "output", "member", "key", "value") if part in node)
    yield from node.get("members", {}).values()
    yield from node.get("errors", ())


def _names(nodes: Iterable[Json]) -> Iterator[str]:
    return (reference["shape"] for node in nodes for reference in _references(node))


def _untold(node: Json) -> Json:
    """Return an operation or a shape without its documentation; a member may be called that and stays."""
    for reference in _references(node):
        reference.pop("documentation", None)
    return {name: value for name, value in node.items() if name != "documentation"}


def _write(file: Path, known: Json) -> None:
    file.write_text(json.dumps(known, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    main()
