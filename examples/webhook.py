"""A call of another company's API for each change: a plain function is the sink."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from tablestream import Change, PermanentFailure, Worker

GONE, TOO_LARGE = 410, 413


@dataclass(frozen=True, slots=True)
class Call:
    """A POST to the partner, and the key by which the partner knows a repetition."""

    body: str
    key: str


def tell_partner(worker: Worker, post: Callable[[str, str], int]) -> None:
    """Have a worker call `post(body, idempotency_key)`, which returns the HTTP status."""

    @worker.on_modify(changed=["status"])
    def status_changed(change: Change) -> Call:
        return Call(json.dumps({"order": change.new["id"], "status": change.new["status"]}), change.event_id)

    @worker.sink(Call)
    def partner(call: Call) -> None:
        status = post(call.body, call.key)
        if status in {GONE, TOO_LARGE}:
            raise PermanentFailure(f"the partner answered {status}")  # a dead letter: it can never be taken
        if status >= 300:  # noqa: PLR2004 -- HTTP's line between what worked and what did not
            raise ConnectionError(f"the partner answered {status}")  # delivered again later
