"""Keys of the shop's items: no other file knows how they are written."""

from __future__ import annotations

from tablestream.dynamodb.items import Key

ORDER_PREFIX = ("sk", "ORDER#")
"""The key attribute by which an order is known, and how it begins."""
_LEDGER, _PRODUCT = "LEDGER#", "PRODUCT#"
_STOCK = "STOCK"

MAX_PK_BYTES = 2048 - len(_LEDGER)
"""DynamoDB's limit of a partition key, less what the ledger puts in front of the order's."""
MAX_SK_BYTES = 1024
"""DynamoDB's limit of a sort key."""
MAX_PRODUCT_ID_BYTES = 2048 - len(_PRODUCT)
"""DynamoDB's limit of a partition key, less what a stock item puts in front of the product's id."""


def order_key(table: str, order: tuple[str, str]) -> Key:
    """Return the key of an order's item, given its partition key and its sort key."""
    return Key(table, (("pk", order[0]), ("sk", order[1])))


def ledger_key(table: str, order: tuple[str, str]) -> Key:
    """Return the key of an order's ledger item."""
    return Key(table, (("pk", f"{_LEDGER}{order[0]}"), ("sk", order[1])))


def stock_key(table: str, product_id: str) -> Key:
    """Return the key of a product's stock item."""
    return Key(table, (("pk", f"{_PRODUCT}{product_id}"), ("sk", _STOCK)))


def product_of(stock: Key) -> str:
    """Return the id of the product whose stock item has this key."""
    return str(stock.attributes[0][1]).removeprefix(_PRODUCT)
