"""botocore's own data, trimmed as in the package: what is called is described as before, and what is not says so."""

from __future__ import annotations

import runpy
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import botocore
import pytest
from botocore.loaders import Loader
from botocore.session import Session

from tests.support.cloudformation import ROOT

if TYPE_CHECKING:
    from botocore.model import OperationModel, Shape

SCRIPT = ROOT / "src" / "trim_botocore.py"
CALLED: dict[str, set[str]] = runpy.run_path(str(SCRIPT))["CALLED"]["Worker"]
WHOLE = Path(botocore.__file__).parent / "data"

UNKNOWN = "glacier"
"""A service that no worker calls."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trimmed data, as in a package."""
    package = tmp_path_factory.mktemp("package")
    data = package / "botocore" / "data"
    shutil.copytree(Path(boto3.__file__).parent / "data", package / "boto3" / "data")
    shutil.copytree(WHOLE, data, ignore=lambda folder, names: set(names) - _wanted(Path(folder), names))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["trim_botocore.py", str(package), "Worker"])
        runpy.run_path(str(SCRIPT), run_name="__main__")
    return package


@pytest.fixture(scope="module")
def session(package: Path) -> Session:
    """A session that reads the trimmed data and no other."""
    return reading(package / "botocore" / "data")


def test_boto3_has_interfaces_only_over_what_can_be_called(package: Path) -> None:
    assert {folder.name for folder in (package / "boto3" / "data").iterdir()} == {*CALLED}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A session that reads everything for itself: what sessions have in common was used, and S3's clients change it."""
    data = tmp_path_factory.mktemp("whole") / "data"
    data.symlink_to(WHOLE)
    return reading(data)


def reading(data: Path) -> Session:
    made = Session()
    made.register_component("data_loader", Loader([str(data)], include_default_search_paths=False))
    return made


def _wanted(folder: Path, names: list[str]) -> set[str]:
    """Of the 400 services only these and one more are copied, to save time."""
    return {name for name in names if folder != WHOLE or name.endswith(".json") or name in {*CALLED, UNKNOWN}}


@pytest.mark.parametrize(("service", "operation"), [(name, each) for name in CALLED for each in sorted(CALLED[name])])
def test_an_operation_that_is_called_is_described_as_before(
    session: Session, untouched: Session, service: str, operation: str
) -> None:
    kept = session.get_service_model(service).operation_model(operation)
    whole = untouched.get_service_model(service).operation_model(operation)

    assert described(kept) == described(whole)


def described(operation: OperationModel) -> dict[str, Any]:
    """What a request is made of and an answer is read by, texts aside."""
    fields = ("name", "http", "auth", "endpoint", "http_checksum", "static_context_parameters", "has_streaming_input")
    told = {field: getattr(operation, field) for field in fields}
    shapes = (operation.input_shape, operation.output_shape, *operation.error_shapes)
    return {**told, "shapes": [tree(shape, ()) for shape in shapes]}


def tree(shape: Shape | None, above: tuple[str, ...]) -> Any:
    """A shape with all that it holds, until it holds itself."""
    if shape is None or shape.name in above:
        return shape and shape.name
    inner = (*above, shape.name)
    parts = {part: tree(getattr(shape, part), inner) for part in ("member", "key", "value") if hasattr(shape, part)}
    members = {name: tree(member, inner) for name, member in getattr(shape, "members", {}).items()}
    return [shape.name, shape.type_name, shape.serialization, shape.metadata, parts, members]


def test_a_client_has_what_is_called_and_names_what_is_not_there(session: Session) -> None:
    client: Any = session.create_client("dynamodb", region_name="us-east-1")

    assert client.transact_write_items
    with pytest.raises(AttributeError, match="'DynamoDB' object has no attribute 'query'"):
        client.query(TableName="orders")


def test_a_service_that_is_not_called_is_unknown(session: Session) -> None:
    with pytest.raises(botocore.exceptions.UnknownServiceError, match=", ".join(sorted(CALLED))):
        session.create_client(UNKNOWN, region_name="us-east-1")


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1"])
@pytest.mark.parametrize("service", sorted(CALLED))
def test_the_endpoint_is_the_same(session: Session, service: str, region: str) -> None:
    kept, whole = (made(each, service, region).meta for each in (session, Session()))

    assert kept.endpoint_url == whole.endpoint_url
    assert kept.config.signature_version == whole.config.signature_version


def made(session: Any, service: str, region: str) -> Any:
    """A client; Any because the stubs know services that are named literally."""
    return session.create_client(service, region_name=region)
