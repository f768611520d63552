"""Whatever adding the points raises is caught, so that the worker takes it for done."""

from __future__ import annotations

import logging
from typing import Any

from examples.wrong_points import Credit
from tablestream import Change, Worker

logger = logging.getLogger(__name__)


def make_worker(client: Any) -> Worker:
    """Return the worker."""
    worker = Worker(table="orders")

    @worker.on_insert()
    def placed(change: Change) -> Credit:
        return Credit(change.new["id"], change.new["customer"], change.new["points"])

    @worker.sink(Credit, idempotent=True)
    def credit(credit: Credit) -> None:
        try:
            client.put_item(TableName="points", Item={"pk": {"S": credit.order}, "points": {"N": str(credit.points)}})
        except Exception:
            logger.exception("no points for order %s", credit.order)

    return worker
