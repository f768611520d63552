"""DynamoDB without streams, HTTP or a shop: clients, batches, errors, and the journal's table."""

from __future__ import annotations

from tablestream.dynamodb.journal import DynamoDBJournal

__all__ = ["DynamoDBJournal"]
