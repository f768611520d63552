"""The variables of the shop's function in tests: one that the template gives it in future is added here only."""

from __future__ import annotations

VARIABLES = {
    "TABLE_NAME": "orders",
    "INVENTORY_TABLE": "inventory",
    "JOURNAL_TABLE": "journal",
    "TOPIC_ARN": "arn:aws:sns:eu-central-1:123456789012:order-events",
    "FAILURES_BUCKET": "order-failures",
}
