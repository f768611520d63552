"""The routes of the API, a class for each entity: a new entity's are added to this list."""

from __future__ import annotations

from shop.api.answers import Endpoint
from shop.api.routes.accounts import AccountRoutes
from shop.api.routes.leads import LeadRoutes
from shop.api.routes.orders import OrderRoutes
from shop.api.routes.reviews import ReviewRoutes
from shop.api.routes.sessions import SessionRoutes
from shop.api.routes.users import UserRoutes
from shop.stores import Stores
from shop.stores.entity import Makers


def endpoints(stores: Stores, makers: Makers) -> list[Endpoint]:
    """Return all routes."""
    return [
        *UserRoutes(stores.users).endpoints(),
        *OrderRoutes(stores.orders, makers).endpoints(),
        *AccountRoutes(stores.accounts).endpoints(),
        *SessionRoutes(stores.sessions).endpoints(),
        *LeadRoutes(stores.leads).endpoints(),
        *ReviewRoutes(stores.reviews).endpoints(),
    ]
