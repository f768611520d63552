"""What schemathesis has to know besides the OpenAPI document, which cannot say it; `tests/fuzz_api.py` loads this file.

Requests that do not fit the document are left as they are: made-up cursors, and lists of leads by nothing, are among
them.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import schemathesis

from tests.support.local_shop import PAYER, PRODUCT, RECEIVER

_MAX_SETTINGS = 2048  # characters: fewer than 4096 bytes, however they are written
_LEAST, _MOST = 1e-6, 1e12  # prices whose sum has at most 38 digits


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Let a request that fits the document be one that fits the API as well."""
    if case.meta is None:
        return
    if not case.meta.generation.mode.is_positive:
        case.body, case.query = _without_at(case.body), _without_at(case.query)
        return
    query = case.query
    query.pop("cursor", None)  # only what a page has given is a cursor
    if "from" in query:
        query.pop("to", None)  # which must not be before it
    if case.operation.label == "GET /leads" and len({"email", "status"} & query.keys()) != 1:
        query.pop("email", None)
        query["status"] = "new"
    _fit_body(case)


def _fit_body(case: Any) -> None:
    if case.operation.label == "POST /users/{userId}/orders":
        for line in case.body["items"]:
            line["price"] = min(line["price"], _MOST) if line["price"] >= _LEAST else 0
        if "reserve" in case.query:
            case.body["items"] = [{**line, "productId": PRODUCT, "quantity": 1} for line in case.body["items"]]
    if case.operation.label == "PUT /users/{userId}/settings" and len(json.dumps(case.body)) > _MAX_SETTINGS:
        case.body = {"theme": "dark"}
    if case.operation.label == "POST /transfers" and (case.body["from"] == case.body["to"] or case.body["amount"] % 2):
        case.body = {"from": PAYER, "to": RECEIVER, "amount": case.body["amount"] % 9 + 1}
    if "Idempotency-Key" in case.headers:  # the same key for the same body, or it would be used for another request
        case.headers["Idempotency-Key"] = hashlib.sha256(json.dumps(case.body, sort_keys=True).encode()).hexdigest()


def _without_at(given: Any) -> Any:
    """Let an address that is none to the document be none to the API, which takes more: a message proves an address.

    A copy, since cases share their parts.
    """
    if isinstance(given, dict) and isinstance(given.get("email"), str):
        return {**given, "email": given["email"].replace("@", "")}
    return given
