"""A sink that packs effects: entries of an audit trail, up to 500 in one call of Amazon Data Firehose."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tablestream import DONE, Answer, Effect, Run, Transient

MOST = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """What was done to an item."""

    item: str
    what: str


class AuditSink:
    """Puts entries into a delivery stream."""

    name = "audit"
    takes = (Entry,)
    idempotent = False

    def __init__(self, client: Any, stream: str) -> None:
        """Take a boto3 Firehose client and the name of the delivery stream."""
        self._client = client
        self._stream = stream

    def apply(self, effects: Sequence[Effect[Entry]], run: Run) -> Sequence[Answer]:
        """Put entries until the deadline."""
        answers: list[Answer] = []
        for start in range(0, len(effects), MOST):
            part = effects[start : start + MOST]
            late = Transient(TimeoutError("the deadline came first"))
            answers += [late] * len(part) if run.deadline.expired else self._put(part)
        return answers

    def _put(self, effects: Sequence[Effect[Entry]]) -> list[Answer]:
        records = [{"Data": json.dumps({"id": effect.id, **asdict(effect.value)}) + "\n"} for effect in effects]
        try:
            put = self._client.put_record_batch(DeliveryStreamName=self._stream, Records=records)
            codes = [result.get("ErrorCode") for result in put["RequestResponses"]]
        except Exception as error:
            return [Transient(error)] * len(effects)
        return [Transient(ConnectionError(code)) if code else DONE for code in codes]
