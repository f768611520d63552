"""Routes of accounts and of transfers between them."""

from __future__ import annotations

from shop.api.answers import ALREADY_EXISTS, IDEMPOTENCY_KEY_REUSED, NOT_FOUND, Answer, Endpoint, answer, shown
from shop.api.problems import not_found, sent_under
from shop.api.schemas import AccountBody, AccountId, RequiredKey, TransferBody
from shop.stores.accounts import AccountStore, Transfer

NEWEST_ENTRIES = 20
"""The entries that come with an account."""
_REPEATED = "Done before, under the same key"


class AccountRoutes:
    """Answers what is asked about accounts."""

    def __init__(self, accounts: AccountStore) -> None:
        """Take the store of accounts."""
        self._accounts = accounts

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        one = "/accounts/<account_id>"
        refusals = (
            (404, "SENDER_NOT_FOUND"),
            (404, "RECIPIENT_NOT_FOUND"),
            (409, "INSUFFICIENT_BALANCE"),
            IDEMPOTENCY_KEY_REUSED,
        )
        return [
            Endpoint("PUT", one, self.open_account, "Account", 201, (ALREADY_EXISTS,)),
            Endpoint("GET", one, self.get_account, "AccountWithEntries", errors=(NOT_FOUND,)),
            Endpoint("POST", "/transfers", self.transfer, "Transfer", 201, refusals, also=(200, _REPEATED)),
        ]

    def open_account(self, account_id: AccountId, body: AccountBody) -> Answer:
        """Open an account with a balance of whole minor units, for tests and the back office."""
        return answer(shown(self._accounts.open(account_id, body.balance)), 201)

    def get_account(self, account_id: AccountId) -> Answer:
        """Read the balance of an account and its newest entries."""
        found = self._accounts.get(account_id, NEWEST_ENTRIES)
        if found is None:
            raise not_found("account")
        account, entries = found
        told = {"accountId": account["accountId"], "balance": account["balance"]}
        return answer({**told, "entries": [shown(entry) for entry in entries]})

    def transfer(self, body: TransferBody, idempotency_key: RequiredKey) -> Answer:
        """Move whole minor units from one account to another, once for each key: a repeat gets the same answer."""
        with sent_under(idempotency_key):
            outcome = self._accounts.transfer(Transfer(body.sender, body.recipient, body.amount), idempotency_key)
        return answer(outcome.answer, 200 if outcome.replayed else 201)
