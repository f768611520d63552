"""A mail service that fails on order, and the delivery of orders to a Lambda handler by Lambda's rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tablestream.local.delivery.protocol import Answered, FunctionError, InvocationOutcome, Invoke
from tablestream.testing import FakeContext, Record, event
from tests.conformance.driver import Shard

Handler = Callable[[Any, Any], Mapping[str, Any] | None]
PARTIAL = {"report_failures": True, "max_retries": 100}


@dataclass
class Post:
    """A mail service that fails for some customers a number of times."""

    failures: dict[str, int] = field(default_factory=dict)
    sent: list[tuple[str, str]] = field(default_factory=list)

    def send(self, address: str, words: str) -> None:
        if self.failures.get(address, 0) > 0:
            self.failures[address] -= 1
            raise ConnectionError("the mail service does not answer")
        self.sent.append((address, words))


def deliver(handler: Handler, batch: list[Record], errors: tuple[type[Exception], ...], **settings: Any) -> Shard:
    """Deliver records as Lambda does until there is nothing more to do; `errors` are those that fail an invocation."""

    def function(invoke: Invoke) -> InvocationOutcome:
        try:
            return Answered(handler(invoke.event(), FakeContext()))
        except errors as error:
            return FunctionError(type(error).__name__)

    shard = Shard(batch_size=len(batch), **settings)
    shard.offer(*event(*batch)["Records"])
    shard.run(function)
    return shard


def order(customer: str, status: str = "placed") -> dict[str, Any]:
    return {"pk": f"ORDER#{customer}", "sk": "A", "email": f"{customer}@example.com", "status": status}


def without_address(customer: str) -> dict[str, Any]:
    return {name: value for name, value in order(customer).items() if name != "email"}
