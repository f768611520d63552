"""Routes of sessions."""

from __future__ import annotations

from shop.api.answers import NOT_FOUND, Answer, Endpoint, answer, shown
from shop.api.problems import not_found
from shop.api.schemas import SessionBody, SessionChange, SessionId
from shop.stores.sessions import SessionStore


class SessionRoutes:
    """Answers what is asked about sessions."""

    def __init__(self, sessions: SessionStore) -> None:
        """Take the store of sessions."""
        self._sessions = sessions

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        one = "/sessions/<session_id>"
        return [
            Endpoint("POST", "/sessions", self.open_session, "Session", 201),
            Endpoint("GET", one, self.get_session, "Session", errors=(NOT_FOUND,)),
            Endpoint("PATCH", one, self.extend_session, "Session", errors=(NOT_FOUND,)),
            Endpoint("DELETE", one, self.close_session, "DeletedSession", errors=(NOT_FOUND,)),
        ]

    def open_session(self, body: SessionBody) -> Answer:
        """Open a session of a user, for a day."""
        return answer(shown(self._sessions.open(body.user_id, body.data)), 201)

    def get_session(self, session_id: SessionId) -> Answer:
        """Read a session that has not run out."""
        session = self._sessions.get(session_id)
        if session is None:
            raise not_found("session")
        return answer(shown(session))

    def extend_session(self, session_id: SessionId, body: SessionChange) -> Answer:
        """Let a session last so many seconds from now."""
        return answer(shown(self._sessions.extend(session_id, body.extend_seconds)))

    def close_session(self, session_id: SessionId) -> Answer:
        """Close a session."""
        return answer({"deleted": shown(self._sessions.close(session_id))})
