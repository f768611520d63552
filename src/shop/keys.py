"""Keys of the shop's items, and the ids in them: no other file knows how they are written."""

from __future__ import annotations

from tablestream.dynamodb.items import Key

ORDERS, REVIEWS = "ORDER#", "REVIEW#"
"""The sort keys of a user's orders and reviews begin so; that of the user's own item lies between them."""
ORDER_PREFIX = ("sk", ORDERS)
"""The key attribute by which an order is known, and how it begins."""
ENTRIES = "TXN#"
"""The sort keys of an account's entries begin so."""
_USER, _PROFILE, _EMAIL, _SESSION, _LEAD, _ACCOUNT = "USER#", "PROFILE#", "EMAIL#", "SESSION#", "LEAD#", "ACCOUNT#"
_LEDGER, _PRODUCT = "LEDGER#", "PRODUCT#"
_STOCK, _BALANCE = "STOCK", "BALANCE"

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


# --- items of the table that customers write -------------------------------------------------------------------------

ItemKey = dict[str, str]
"""A primary key, `pk` and `sk`, as a part of an item."""


def user_partition(user_id: str) -> str:
    """Return the partition key that a user's item, orders and reviews share."""
    return f"{_USER}{user_id}"


def user_key(user_id: str) -> ItemKey:
    """Return the key of a user's item."""
    return {"pk": user_partition(user_id), "sk": f"{_PROFILE}{user_id}"}


def claim_key(email: str) -> ItemKey:
    """Return the key of the item that says whose an address is."""
    return {"pk": f"{_EMAIL}{email}", "sk": f"{_EMAIL}{email}"}


def customer_order_key(user_id: str, order_id: str) -> ItemKey:
    """Return the key of an order, given its customer and its id."""
    return {"pk": user_partition(user_id), "sk": f"{ORDERS}{order_id}"}


def order_index_partition(order_id: str) -> str:
    """Return the partition key by which GSI1 knows an order."""
    return f"{ORDERS}{order_id}"


def order_index_key(user_id: str, order_id: str) -> ItemKey:
    """Return the attributes that put an order into GSI1."""
    return {"GSI1PK": order_index_partition(order_id), "GSI1SK": user_partition(user_id)}


def session_key(session_id: str) -> ItemKey:
    """Return the key of a session."""
    return {"pk": f"{_SESSION}{session_id}", "sk": f"{_SESSION}{session_id}"}


def lead_key(lead_id: str) -> ItemKey:
    """Return the key of a lead."""
    return {"pk": f"{_LEAD}{lead_id}", "sk": f"{_LEAD}{lead_id}"}


def review_key(user_id: str, review_id: str) -> ItemKey:
    """Return the key of a review, given its author and its id."""
    return {"pk": user_partition(user_id), "sk": f"{REVIEWS}{review_id}"}


def account_partition(account_id: str) -> str:
    """Return the partition key that an account's balance and entries share."""
    return f"{_ACCOUNT}{account_id}"


def account_key(account_id: str) -> ItemKey:
    """Return the key of an account's balance."""
    return {"pk": account_partition(account_id), "sk": _BALANCE}


def entry_key(account_id: str, transfer_id: str) -> ItemKey:
    """Return the key of the entry that a transfer makes in an account."""
    return {"pk": account_partition(account_id), "sk": f"{ENTRIES}{transfer_id}"}


# --- ids -------------------------------------------------------------------------------------------------------------

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID_LETTERS = 26
_RANDOM_BITS = 80


def ulid(seconds: float, random: int) -> str:
    """Return an id that sorts by its time: the milliseconds since the epoch, then 80 random bits, in 26 letters.

    The format is that of the ULID specification. The library for it takes longer to import than this function to read.
    """
    milliseconds = (
        round(seconds * 1_000_000) // 1000
    )  # those that a time of an item has; * 1000 may come out as one less
    value = milliseconds << _RANDOM_BITS | random & (1 << _RANDOM_BITS) - 1
    return "".join([_CROCKFORD[value >> 5 * place & 31] for place in range(_ULID_LETTERS - 1, -1, -1)])
