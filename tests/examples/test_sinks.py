"""The sinks of docs/extending.md: what they send, and what they answer when that fails."""

from __future__ import annotations

import json
from typing import Any

from examples.audit import AuditSink, Entry
from examples.texts import Text, texts
from tablestream import DONE, Deadline, Permanent, Run, Transient
from tablestream.testing import effects


class Gateway:
    def __init__(self, *broken: str) -> None:
        self.broken = broken
        self.sent: list[str] = []

    def send(self, number: str, words: str) -> None:
        if number in self.broken:
            raise ConnectionError("busy")
        self.sent.append(words)


def test_a_text_that_fails_is_tried_again_and_one_that_is_too_long_is_set_aside() -> None:
    gateway = Gateway("2")
    answers = texts(gateway).apply(effects(Text("1", "hello"), Text("2", "hello"), Text("3", "x" * 161)), Run())
    assert gateway.sent == ["hello"]
    assert [type(answer) for answer in answers] == [type(DONE), Transient, Permanent]


class Firehose:
    """Remembers what was put; refuses the entries of some items, and calls when told to."""

    def __init__(self, *refused: str, down: bool = False) -> None:
        self.refused = refused
        self.down = down
        self.calls: list[list[dict[str, str]]] = []

    def put_record_batch(self, **request: Any) -> dict[str, Any]:
        if self.down:
            raise ConnectionError("no answer")
        entries = [json.loads(record["Data"]) for record in request["Records"]]
        self.calls.append(entries)
        return {
            "RequestResponses": [
                {"ErrorCode": "ServiceUnavailableException"} if entry["item"] in self.refused else {"RecordId": "1"}
                for entry in entries
            ]
        }


def test_entries_are_put_by_five_hundreds_and_each_gets_its_answer() -> None:
    firehose = Firehose("3")
    wanted = effects(*[Entry(str(number), "created") for number in range(501)])
    answers = AuditSink(firehose, "audit").apply(wanted, Run())
    assert [len(call) for call in firehose.calls] == [500, 1]
    assert firehose.calls[0][0] == {"id": wanted[0].id, "item": "0", "what": "created"}
    assert [index for index, answer in enumerate(answers) if answer != DONE] == [3]


def test_a_call_that_fails_concerns_its_entries_and_nothing_is_begun_after_the_deadline() -> None:
    wanted = effects(Entry("1", "created"))
    assert isinstance(AuditSink(Firehose(down=True), "audit").apply(wanted, Run())[0], Transient)
    firehose = Firehose()
    late = AuditSink(firehose, "audit").apply(wanted, Run(deadline=Deadline(lambda: 0.0)))
    assert isinstance(late[0], Transient)
    assert firehose.calls == []
