"""Routes of reviews."""

from __future__ import annotations

from shop.api.answers import INVALID_CURSOR, NOT_FOUND, Answer, Endpoint, answer, page_of, shown
from shop.api.schemas import PAGE, Cursor, Limit, ReviewBody, UserId
from shop.stores.reviews import ReviewStore


class ReviewRoutes:
    """Answers what is asked about a user's reviews."""

    def __init__(self, reviews: ReviewStore) -> None:
        """Take the store of reviews."""
        self._reviews = reviews

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        path = "/users/<user_id>/reviews"
        return [
            Endpoint("POST", path, self.write_review, "Review", 201, (NOT_FOUND,)),
            Endpoint("GET", path, self.get_reviews, "ReviewPage", errors=(NOT_FOUND, INVALID_CURSOR)),
        ]

    def write_review(self, user_id: UserId, body: ReviewBody) -> Answer:
        """Write a review of a product."""
        return answer(shown(self._reviews.write(user_id, body.given())), 201)

    def get_reviews(self, user_id: UserId, limit: Limit = PAGE, cursor: Cursor = None) -> Answer:
        """Read a page of a user's reviews, the newest first."""
        return answer(page_of(self._reviews.of_user(user_id, limit=limit, cursor=cursor)))
