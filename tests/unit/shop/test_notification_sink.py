"""Notifications published: packed, in order for each order, each answered for."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any, cast

import pytest
from botocore.exceptions import ReadTimeoutError

from shop.announcements import announce_order
from shop.effects import MAX_BYTES, Message
from shop.notifications import SnsSink
from shop.orders import Order
from tablestream.run import Backoff, Deadline, Run
from tablestream.sink import DONE, Answer, Permanent, Transient
from tablestream.testing import FakeClock, effects
from tests.unit.shop.builders import order_change
from tests.unit.shop.fake_dynamodb import failure

TOPIC = "arn:aws:sns:eu-central-1:123456789012:orders"
FOREVER = Deadline(lambda: float("inf"))


class FakeSns:
    """SNS, as strict as the real one about sizes; `faults` are used up one a call, `refused` are codes by order id."""

    def __init__(self) -> None:
        self.calls: list[list[dict[str, Any]]] = []
        self.faults: list[Exception | None] = []
        self.refused: dict[str, tuple[str, bool]] = {}
        self.refused_once: dict[str, tuple[str, bool]] = {}
        self.forgets: set[str] = set()
        self.invalid: set[str] = set()

    def publish_batch(self, *, TopicArn: str, PublishBatchRequestEntries: list[Any]) -> dict[str, Any]:  # noqa: N803 -- boto3's
        assert TopicArn == TOPIC
        entries = PublishBatchRequestEntries
        assert 1 <= len(entries) <= 10
        assert len({entry["Id"] for entry in entries}) == len(entries)
        assert sum(map(size_of, entries)) <= MAX_BYTES
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        if self.invalid & {order_of(entry) for entry in entries}:
            raise failure("InvalidParameter")
        self.calls.append(entries)
        answer: dict[str, Any] = {"Successful": [], "Failed": []}
        for entry in entries:
            self._answer(entry, answer)
        return answer

    def _answer(self, entry: dict[str, Any], answer: dict[str, Any]) -> None:
        order = order_of(entry)
        refusal = self.refused.get(order) or self.refused_once.pop(order, None)
        if refusal:
            answer["Failed"].append({"Id": entry["Id"], "Code": refusal[0], "SenderFault": refusal[1]})
        elif order not in self.forgets:
            answer["Successful"].append({"Id": entry["Id"], "MessageId": "m"})

    @property
    def published(self) -> list[str]:
        """The types of the messages in the order of sending, with the order's id."""
        return [f"{order_of(entry)} {json.loads(entry['Message'])['type']}" for call in self.calls for entry in call]


def order_of(entry: dict[str, Any]) -> str:
    order_id: str = json.loads(entry["Message"])["orderId"]
    return order_id


def size_of(entry: dict[str, Any]) -> int:
    attributes = entry["MessageAttributes"].items()
    around = sum(len(name) + len(one["DataType"]) + len(one["StringValue"]) for name, one in attributes)
    return len(entry["Message"].encode()) + around


class Newsroom:
    """The sink on a fake SNS."""

    def __init__(self) -> None:
        self.sns = FakeSns()
        self.clock = FakeClock()
        self.backoff = Backoff(uniform=random.Random(1).uniform)
        self.sink = SnsSink(cast("Any", self.sns), TOPIC)

    def apply(self, *messages: Message, deadline: Deadline = FOREVER) -> Sequence[Answer]:
        run = Run(deadline, clock=self.clock, backoff=self.backoff)
        return self.sink.apply(effects(*messages), run)


@pytest.fixture
def room() -> Newsroom:
    return Newsroom()


def told(number: int = 1, kind: str = "order.received", **changes: Any) -> Message:
    change = order_change(number, **changes)
    return announce_order(change, kind, Order.from_image(change.image))


def test_notifications_go_ten_in_a_call_with_attributes_to_filter_by(room: Newsroom) -> None:
    assert room.apply(*[told(number) for number in range(23)]) == [DONE] * 23
    assert [len(call) for call in room.sns.calls] == [10, 10, 3]
    assert room.sns.calls[0][0]["MessageAttributes"] == {
        "type": {"DataType": "String", "StringValue": "order.received"},
        "entity": {"DataType": "String", "StringValue": "Order"},
        "status": {"DataType": "String", "StringValue": "pending"},
    }


def test_a_call_stays_under_the_limit_of_size(room: Newsroom) -> None:
    notifications = [told(number, statusReason="x" * 100_000) for number in range(5)]
    assert room.apply(*notifications) == [DONE] * 5
    assert [len(call) for call in room.sns.calls] == [2, 2, 1]


@pytest.mark.parametrize(
    ("code", "sender_fault", "answer"),
    [
        ("InvalidParameter", True, Permanent),
        ("SomethingOfTheSender", True, Permanent),
        ("InternalError", False, Transient),
        ("Throttled", True, Transient),
        ("KMSAccessDenied", True, Transient),
        ("SomethingOfSns", False, Transient),
    ],
)
def test_an_entry_that_fails_is_answered_by_whose_fault_it_is(
    room: Newsroom, code: str, *, sender_fault: bool, answer: type[Answer]
) -> None:
    room.sns.refused = {"o-1": (code, sender_fault)}
    first, second = room.apply(told(1), told(2))
    assert isinstance(first, answer)
    assert second == DONE
    assert room.sns.published.count("o-2 order.received") == 1


def test_a_failure_that_stays_is_answered_with_the_code_that_sns_gave(room: Newsroom) -> None:
    room.sns.refused = {"o-1": ("InternalError", False)}
    (answer,) = room.apply(told())
    assert isinstance(answer, Transient)
    assert str(answer.error) == "InternalError"


def test_an_entry_that_failed_for_the_moment_is_sent_again_alone(room: Newsroom) -> None:
    room.sns.refused_once = {"o-1": ("InternalError", False)}
    assert room.apply(told(1), told(2)) == [DONE, DONE]
    assert [len(call) for call in room.sns.calls] == [2, 1]


def test_an_entry_that_the_answer_does_not_mention_counts_as_not_sent(room: Newsroom) -> None:
    room.sns.forgets = {"o-1"}
    first, second = room.apply(told(1), told(2))
    assert isinstance(first, Transient)
    assert second == DONE


@pytest.mark.parametrize(
    "fault", [failure("Throttling"), failure("InternalError", 500), ReadTimeoutError(endpoint_url="https://sns")]
)
def test_a_passing_fault_of_a_call_is_waited_for(room: Newsroom, fault: Exception) -> None:
    room.sns.faults = [fault, fault]
    assert room.apply(told()) == [DONE]
    assert len(room.clock.slept) == 2


def test_a_fault_without_end_is_transient_after_bounded_tries(room: Newsroom) -> None:
    room.sns.faults = [failure("Throttling")] * 100
    (answer,) = room.apply(told())
    assert isinstance(answer, Transient)
    assert len(room.sns.faults) == 95


def test_a_configuration_that_is_wrong_is_not_waited_for(room: Newsroom) -> None:
    room.sns.faults = [failure("AuthorizationError", 403)]
    (answer,) = room.apply(told())
    assert isinstance(answer, Transient)
    assert room.clock.slept == []


def test_a_message_that_fails_its_whole_call_is_found(room: Newsroom) -> None:
    room.sns.invalid = {"o-2"}
    answers = room.apply(told(1), told(2), told(3))
    assert [isinstance(answer, Permanent) for answer in answers] == [False, True, False]


def test_where_sns_takes_none_of_many_messages_none_is_blamed(room: Newsroom) -> None:
    room.sns.invalid = {f"o-{number}" for number in range(10)}
    answers = room.apply(*[told(number) for number in range(10)])
    assert all(isinstance(answer, Transient) for answer in answers)


def test_after_the_deadline_nothing_is_sent(room: Newsroom) -> None:
    (answer,) = room.apply(told(), deadline=Deadline(lambda: 0.0))
    assert isinstance(answer, Transient)
    assert room.sns.calls == []
