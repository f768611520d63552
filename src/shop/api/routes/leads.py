"""Routes of leads and of sessions."""

from __future__ import annotations

from shop.api.answers import INVALID_CURSOR, NOT_FOUND, Answer, Endpoint, answer, page_of, shown
from shop.api.problems import FieldProblem, invalid, not_found
from shop.api.schemas import (
    PAGE,
    Cursor,
    LeadBody,
    LeadChange,
    LeadId,
    Limit,
    MaybeEmail,
    MaybeLeadStatus,
    SessionBody,
    SessionChange,
    SessionId,
)
from shop.stores.leads import LeadStore
from shop.stores.sessions import SessionStore


class LeadRoutes:
    """Answers what is asked about leads."""

    def __init__(self, leads: LeadStore) -> None:
        """Take the store of leads."""
        self._leads = leads

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        one = "/leads/<lead_id>"
        return [
            Endpoint("POST", "/leads", self.create_lead, "Lead", 201),
            Endpoint("GET", "/leads", self.find_leads, "LeadPage", errors=(INVALID_CURSOR,)),
            Endpoint("GET", one, self.get_lead, "Lead", errors=(NOT_FOUND,)),
            Endpoint("PATCH", one, self.update_lead, "Lead", errors=(NOT_FOUND,)),
            Endpoint("DELETE", one, self.delete_lead, "DeletedLead", errors=(NOT_FOUND,)),
        ]

    def create_lead(self, body: LeadBody) -> Answer:
        """Take a message from somebody who is no user yet."""
        return answer(shown(self._leads.create(body.given())), 201)

    def find_leads(
        self,
        email: MaybeEmail = None,
        status: MaybeLeadStatus = None,
        limit: Limit = PAGE,
        cursor: Cursor = None,
    ) -> Answer:
        """Read a page of the leads with an address, or with a status, the newest first."""
        if email is not None and status is None:
            page = self._leads.with_email(email, limit=limit, cursor=cursor)
        elif status is not None and email is None:
            page = self._leads.with_status(status, limit=limit, cursor=cursor)
        else:
            got = "neither" if email is None else "both"
            raise invalid([FieldProblem("email", f"wanted either email or status, got {got}")])
        return answer(page_of(page))

    def get_lead(self, lead_id: LeadId) -> Answer:
        """Read a lead."""
        lead = self._leads.get(lead_id)
        if lead is None:
            raise not_found("lead")
        return answer(shown(lead))

    def update_lead(self, lead_id: LeadId, body: LeadChange) -> Answer:
        """Change attributes of a lead; null removes the company."""
        return answer(shown(self._leads.update(lead_id, body.given())))

    def delete_lead(self, lead_id: LeadId) -> Answer:
        """Delete a lead."""
        return answer({"deleted": shown(self._leads.delete(lead_id))})


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
