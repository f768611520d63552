from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tablestream.testing import event, inserted
from tests.e2e import sam
from tests.support.cloudformation import ROOT

if TYPE_CHECKING:
    from pathlib import Path

ON_A_LAPTOP = ("tablestream/local/", "tablestream/ops/", "tablestream/simulation/", "tablestream/testing/")
PACKAGES = {
    "Worker": ("requirements.txt", (*ON_A_LAPTOP, "shop/api/", "shop/stores/"), set[str]()),
    "Api": ("requirements-api.txt", ON_A_LAPTOP, {"shop/api/openapi.json"}),
}
"""Of each function: the requirements, what is left out, and what is made when the package is built."""
ORDER = {
    "pk": "USER#ada",
    "sk": "ORDER#1",
    "entityType": "Order",
    "orderId": "1",
    "customerId": "ada",
    "status": "pending",
    "items": [{"productId": "tea", "quantity": 3, "price": 5}],
    "total": 15,
    "createdAt": "2026-01-01T00:00:00Z",
    "updatedAt": "2026-01-01T00:00:00Z",
    "version": 1,
}


def test_the_built_package_moves_stock_from_inside_a_container(built: Path) -> None:
    sample = event(inserted(ORDER))
    with sam.world(sample) as cloud:
        done = sam.invoke(built, "Worker", sample, cloud)
        stock = cloud.client("dynamodb").get_item(
            TableName=cloud.outputs["InventoryTableName"], Key={"pk": {"S": "PRODUCT#tea"}, "sk": {"S": "STOCK"}}
        )

    assert done.error is None
    assert done.answer == {"batchItemFailures": []}
    assert stock["Item"]["available"] == {"N": "17"}


@pytest.mark.parametrize("function", PACKAGES)
def test_a_package_holds_the_program_its_libraries_and_nothing_else(function: str, package: Path) -> None:
    folder, (requirements, left_out, made) = package.parent / function, PACKAGES[function]
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    plain = {file for file in files if not file.endswith(".pyc")}
    ours = {file for file in plain if file.startswith(("shop/", "tablestream/"))}
    pinned = (ROOT / "src" / requirements).read_text("utf-8").splitlines()
    libraries = {line.split("==")[0] for line in pinned if re.match(r"[a-z0-9-]+==", line)}

    deployed = {file for file in tracked("src") if file.startswith(("shop/", "tablestream/"))}
    compiled = {file for file in plain if file.endswith(".so")}  # of both architectures; one is recorded
    assert ours - made == {file for file in deployed if not file.startswith(left_out)}
    assert plain - ours - compiled <= recorded(folder) | {file.removesuffix(".gz") for file in recorded(folder)}
    assert {path.name.split("-")[0].replace("_", "-") for path in folder.glob("*.dist-info")} == libraries
    assert {file.partition("/")[0] for file in compiled} <= {"pydantic_core"}


def invoked_by_make(event: str) -> subprocess.CompletedProcess[str]:
    """What `make invoke-docker EVENT=...` runs."""
    command = [sys.executable, "-m", "tests.e2e.sam", event]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("built")
def test_make_invoke_docker_shows_answer_and_effects() -> None:
    done = invoked_by_make("events/insert-order.json")

    assert done.returncode == 0, done.stderr
    for line in ("batchItemFailures", r"tea\W+20\W+18", r"1001\W+confirmed\W+RESERVED", r"order.received\W+1001"):
        assert re.search(line, done.stdout), done.stdout


@pytest.mark.usefixtures("built")
def test_make_invoke_docker_fails_where_the_function_does() -> None:
    done = invoked_by_make("events/keys-only.json")

    assert done.returncode == 1, done.stderr
    assert "InvalidEvent" in done.stdout
    assert invoked_by_make("events/none.json").returncode == 2


def test_a_function_that_cannot_be_imported_is_an_error(built: Path) -> None:
    sample = event(inserted(ORDER))
    with sam.world(sample) as cloud:
        done = sam.invoke(built, "Worker", sample, cloud, {"JOURNAL_TABLE": "?"})

    assert done.answer is None
    assert done.error is not None
    assert done.error[0] == "ConfigurationError"


def recorded(folder: Path) -> set[str]:
    """What the libraries say they have installed."""
    lines = [line for record in folder.glob("*.dist-info/RECORD") for line in record.read_text("utf-8").splitlines()]
    return {next(csv.reader([line]))[0] for line in lines}


def tracked(folder: str) -> set[str]:
    """The files of the checkout that git knows, or would add, relative to the folder."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "."],
        cwd=ROOT / folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return {line for line in listed.stdout.splitlines() if (ROOT / folder / line).is_file()}


def test_the_log_names_neither_the_customer_nor_what_was_ordered(built: Path) -> None:
    sample = event(inserted({**ORDER, "pk": "USER#mary-jones", "customerId": "mary-jones", "status": "no such status"}))
    done = sam.run(built, sample)

    assert done.answer == {"batchItemFailures": []}
    assert json.dumps(sample["Records"][0]["eventID"])[1:-1] in done.log
    assert "mary-jones" not in done.log
    assert "tea" not in done.log
