"""Routes of leads."""

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
)
from shop.stores.leads import LeadStore


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
