"""Five workers for the points of orders, each with one mistake that a test of its handlers does not show.

docs/testing.md says how the schedules find them; examples/points has the worker without a mistake.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Credit:
    """Give a customer the points of an order."""

    order: str
    customer: str
    points: int


def add_points(client: Any, credit: Credit) -> None:
    """Add points to those of a customer."""
    client.update_item(
        TableName="points",
        Key={"pk": {"S": credit.customer}},
        UpdateExpression="ADD #points :points",
        ExpressionAttributeNames={"#points": "points"},
        ExpressionAttributeValues={":points": {"N": str(credit.points)}},
    )
