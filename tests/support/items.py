"""Items of a table of any size, as DynamoDB stores them."""

from __future__ import annotations

from typing import Any

from tablestream.testing import image


def stored_item(number: int) -> dict[str, Any]:
    """Return the nth item of a table, with type tags, some 300 bytes large; a hundred share a partition key."""
    return image({"pk": f"USER#{number % 100}", "sk": f"ORDER#{number}", "entityType": "Order", "note": "x" * 300})
