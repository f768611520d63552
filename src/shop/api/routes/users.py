"""Routes of users."""

from __future__ import annotations

from typing import Any

from shop.api.answers import (
    ALREADY_EXISTS,
    CONDITION_FAILED,
    INVALID_CURSOR,
    NOT_FOUND,
    RACE_CONDITION,
    VERSION_CONFLICT,
    Answer,
    Endpoint,
    answer,
    chosen,
    page_of,
    required,
    shown,
)
from shop.api.problems import not_found
from shop.api.schemas import (
    PAGE,
    AsEmail,
    Consistent,
    Cursor,
    Fields,
    Include,
    Limit,
    MaybeEmail,
    SettingsBody,
    UserBody,
    UserChange,
    UserId,
    UserIds,
)
from shop.stores.users import UserStore

NEWEST_ORDERS = 20
"""The orders that come with a user."""


class UserRoutes:
    """Answers what is asked about users."""

    def __init__(self, users: UserStore) -> None:
        """Take the store of users."""
        self._users = users

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        one, conflicts = "/users/<user_id>", (NOT_FOUND, VERSION_CONFLICT, ALREADY_EXISTS)
        return [
            Endpoint("POST", "/users", self.create_user, "User", 201, (ALREADY_EXISTS,)),
            Endpoint("GET", "/users", self.find_users, "UserPage", errors=(INVALID_CURSOR,)),
            Endpoint("POST", "/users/batch-get", self.get_users, "UserBatch"),
            Endpoint("GET", one, self.get_user, "UserWithOrders", errors=(NOT_FOUND,)),
            Endpoint("PATCH", one, self.update_user, "User", errors=conflicts),
            Endpoint("DELETE", one, self.delete_user, "DeletedUser", errors=(NOT_FOUND, CONDITION_FAILED)),
            Endpoint("PUT", f"{one}/settings", self.change_settings, "User", errors=(NOT_FOUND, RACE_CONDITION)),
            Endpoint("POST", f"{one}/views", self.count_view, "ViewCount", errors=(NOT_FOUND,)),
        ]

    def create_user(self, body: UserBody) -> Answer:
        """Create a user, whose address must be nobody else's."""
        return answer(shown(self._users.create(body.given())), 201)

    def find_users(self, email: AsEmail, limit: Limit = PAGE, cursor: Cursor = None) -> Answer:
        """Find the user with an address."""
        return answer(page_of(self._users.find(email, limit=limit, cursor=cursor)))

    def get_users(self, body: UserIds, fields: Fields = None) -> Answer:
        """Read up to 100 users, in the order of their ids."""
        found = self._users.get_many(list(dict.fromkeys(body.ids)), fields=required(fields))
        items = [chosen(user, fields) if fields else shown(user) for user in found.values() if user is not None]
        return answer({"items": items, "missing": [user_id for user_id, user in found.items() if user is None]})

    def get_user(
        self, user_id: UserId, fields: Fields = None, include: Include = None, *, consistent: Consistent = False
    ) -> Answer:
        """Read a user, some attributes of it, or the user with the newest orders."""
        more: dict[str, Any] = {}
        if include:
            found = self._users.get_with_orders(user_id, NEWEST_ORDERS, consistent=consistent)
            user = None if found is None else found[0]
            more = {"orders": [shown(order) for order in found[1]]} if found else {}
        else:
            user = self._users.get(user_id, consistent=consistent, fields=required(fields))
        if user is None:
            raise not_found("user")
        return answer({**(chosen(user, fields) if fields else shown(user)), **more})

    def update_user(self, user_id: UserId, body: UserChange) -> Answer:
        """Change attributes of a user; null removes the profile or the tags."""
        changes = body.given()
        version = changes.pop("expectedVersion", None)
        return answer(shown(self._users.update(user_id, changes, version)))

    def delete_user(self, user_id: UserId, email: MaybeEmail = None) -> Answer:
        """Delete a user and free the address; the orders stay."""
        return answer({"deleted": shown(self._users.delete(user_id, email))})

    def change_settings(self, user_id: UserId, body: SettingsBody) -> Answer:
        """Give a user other settings, in the place of all that there were."""
        return answer(shown(self._users.change_settings(user_id, body)))

    def count_view(self, user_id: UserId) -> Answer:
        """Count a view of a user."""
        return answer({"viewCount": self._users.count_view(user_id)})
