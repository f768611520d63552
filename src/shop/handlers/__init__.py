"""Which change of which entity leads where."""

from __future__ import annotations

from shop.handlers import inventory, notifications
from tablestream.router import Router


def routes() -> Router:
    """Return the shop's router. Handlers are pure: they read a change and return effects.

    The sort key of an order begins with ORDER#: such an item without an entity type is poison, not another entity.
    """
    router = Router(key_prefixes={"Order": ("sk", "ORDER#")})
    for handlers in (inventory, notifications):
        router.on_insert("Order")(handlers.order_placed)
        router.on_modify("Order", changed=("status",))(handlers.status_changed)
        router.on_remove("Order")(handlers.order_removed)
    return router
