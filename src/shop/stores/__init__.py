"""The access patterns of the shop's table: what can be written and found, without a word of HTTP.

Each pattern, with what it costs, is a row of docs/access-patterns.md. A new entity is a store of its own beside these.
"""

from __future__ import annotations

from typing import NamedTuple

from shop.stores.accounts import AccountStore
from shop.stores.customer_orders import OrderStore
from shop.stores.entity import Makers
from shop.stores.leads import LeadStore
from shop.stores.reviews import ReviewStore
from shop.stores.sessions import SessionStore
from shop.stores.users import UserStore
from tablestream.dynamodb import IdempotencyKeys, Table


class Stores(NamedTuple):
    """The stores of one table."""

    users: UserStore
    orders: OrderStore
    accounts: AccountStore
    sessions: SessionStore
    leads: LeadStore
    reviews: ReviewStore

    @classmethod
    def of(cls, table: Table, inventory: str, makers: Makers) -> Stores:
        """Return the stores of a table, given the name of the inventory and what makes their times and ids."""
        keys = IdempotencyKeys(table, attributes={"entityType": "Idempotency"})
        return cls(
            UserStore(table, makers),
            OrderStore(table, inventory, makers, keys),
            AccountStore(table, makers, keys),
            SessionStore(table, makers),
            LeadStore(table, makers),
            ReviewStore(table, makers),
        )
