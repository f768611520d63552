from __future__ import annotations

import json
from typing import TYPE_CHECKING

from local.cloud import prepare_for_event
from tablestream.testing import event, inserted
from tests.e2e import sam

if TYPE_CHECKING:
    from pathlib import Path

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
    with prepare_for_event(sample, host=sam.LISTEN) as cloud:
        done = sam.invoke(built, "Worker", cloud.addressed(sample), cloud)
        stock = cloud.client("dynamodb").get_item(
            TableName=cloud.outputs["InventoryTableName"], Key={"pk": {"S": "PRODUCT#tea"}, "sk": {"S": "STOCK"}}
        )

    assert done.error is None
    assert done.answer == {"batchItemFailures": []}
    assert stock["Item"]["available"] == {"N": "17"}


def test_the_package_holds_the_program_its_libraries_and_nothing_else(built: Path) -> None:
    folder = built.parent / "Worker"
    names = {path.name for path in folder.iterdir() if not path.name.endswith((".dist-info", "-stubs"))}

    assert {"shop", "tablestream", "boto3", "aws_lambda_powertools"} <= names
    assert names.isdisjoint({"local", "ops", "tests", "Makefile", "bin", "moto", "__pycache__"})
    assert not list(folder.rglob("*.so"))  # one package for both architectures


def test_the_log_names_neither_the_customer_nor_what_was_ordered(built: Path) -> None:
    sample = event(inserted({**ORDER, "pk": "USER#mary-jones", "customerId": "mary-jones", "status": "no such status"}))
    done = sam.run(built, sample)

    assert done.answer == {"batchItemFailures": []}
    assert json.dumps(sample["Records"][0]["eventID"])[1:-1] in done.log
    assert "mary-jones" not in done.log
    assert "tea" not in done.log
