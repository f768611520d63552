"""The clients: boto3's calls as switch points of the scheduler, with faults on the way there and back."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tablestream.testing.doubles import cancelled, client_error
from tests.simulation.aws import Aws
from tests.simulation.boto import Boto
from tests.simulation.errors import no_answer, timed_out
from tests.simulation.faults import ANYWHERE, OF_OPERATION, ON_ITS_WAY, Fault, Plan
from tests.simulation.invocation import Invocation
from tests.simulation.scheduler import Killed, Scheduler
from tests.simulation.wire import PUBLISHING, event_ids, is_hot, journalled, refusal, retryable, service, split

Serve = Callable[..., dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Outage:
    """What does not work for a while: a service, or only a part of it.

    `inventory`, `journal`, `topic`, `s3`: answers 503. `inventory hangs` and so on: does not answer at all, and may
    have done what it was asked. `slow`: everything takes long. `entries`: the topic refuses the messages of every other
    order. `hot`: somebody else keeps changing the stock of the first product. `twice`: every batch is invoked twice at
    once. `throttled`: DynamoDB throttles every call. `busy`: every transaction meets another one.
    """

    service: str
    begins: float
    ends: float


class Network:
    """Between the worker and AWS."""

    def __init__(
        self,
        scheduler: Scheduler,
        aws: Aws,
        plan: Plan,
        rng: random.Random,
        explain: Callable[[Iterable[str], str], None],
    ) -> None:
        self.scheduler = scheduler
        self.aws = aws
        self.plan = plan
        self.random = rng
        self.explain = explain
        self.outages: list[Outage] = []
        self.calls = 0

    def call(self, operation: str, serve: Serve, request: dict[str, Any], boto: Boto) -> dict[str, Any]:
        """Make a call as boto3 does, with the attempts and the patience of a client."""
        attempts = boto.attempts
        while True:
            attempts -= 1
            try:
                answer = self._attempt(operation, serve, request, boto)
                self._invocation().unjournalled.difference_update(journalled(request))
            except Exception as error:
                if attempts <= 0 or not retryable(error):
                    self._invocation().unjournalled.update(journalled(request))
                    raise
            else:
                return answer
            self.scheduler.sleep(self.random.uniform(0, 0.05))

    def _attempt(self, operation: str, serve: Serve, request: dict[str, Any], boto: Boto) -> dict[str, Any]:
        invocation = self._invocation()
        self.calls += 1
        there, back = self._latency(), self._latency()
        reached = service(operation, request)
        if self.is_on(f"{reached} hangs"):
            return self._hanging(operation, serve, request, boto)
        if self.is_on(reached):
            self.scheduler.sleep(there + back)
            raise client_error("ServiceUnavailable", operation, status=503)
        if operation == "PublishBatch" and self.is_on("entries"):
            return self._without_some_orders(serve, request)
        burst = self._burst(operation, request, reached)
        if burst is not None:
            self.scheduler.sleep(there + back)
            raise burst
        fault = self.plan.draw(OF_OPERATION.get(operation, ANYWHERE))
        if fault is None:
            return self._exchange(serve, request, there, back)
        invocation.faults.append(fault)
        if fault is Fault.UNREADABLE:
            return self._unreadable(operation, serve, request, boto)
        return self._faulty(fault, operation, serve, request, invocation)

    def _burst(self, operation: str, request: dict[str, Any], reached: str) -> Exception | None:
        """Return how DynamoDB refuses a call while others use it too much."""
        if reached in {"inventory", "journal"} and self.is_on("throttled"):
            return refusal(Fault.THROTTLE, operation, request, self.random)
        if operation == "TransactWriteItems" and self.is_on("busy"):
            return refusal(Fault.CONFLICT, operation, request, self.random)
        if operation == "TransactWriteItems" and self.is_on("hot") and any(map(is_hot, request["TransactItems"])):
            codes = ["TransactionConflict" if is_hot(action) else "None" for action in request["TransactItems"]]
            return cancelled([{"Code": code} for code in codes])
        return None

    def _hanging(self, operation: str, serve: Serve, request: dict[str, Any], boto: Boto) -> dict[str, Any]:
        """The request is carried out or not; the client waits for the answer for as long as it waits."""
        self._may_be_done(operation, serve, request)
        self.scheduler.sleep(boto.read_timeout)
        raise timed_out()

    def _unreadable(self, operation: str, serve: Serve, request: dict[str, Any], boto: Boto) -> dict[str, Any]:
        """Something on the way answers; the request has reached the service or not."""
        self._may_be_done(operation, serve, request)
        self.scheduler.sleep(self._latency() + self._latency())
        return boto.unreadable(operation, request, self.random)

    def _may_be_done(self, operation: str, serve: Serve, request: dict[str, Any]) -> None:
        if operation in PUBLISHING:
            self.explain(event_ids(operation, request), "no answer of the topic")
        if self.random.random() < 0.5:
            self._send(serve, request, self._latency())

    def _faulty(
        self, fault: Fault, operation: str, serve: Serve, request: dict[str, Any], invocation: Invocation
    ) -> dict[str, Any]:
        there = self._latency()
        if fault is Fault.CRASH_BEFORE:
            invocation.crash()
            raise Killed
        if fault is Fault.CRASH_AFTER:
            self._send(serve, request, there)
            self.scheduler.sleep(self.random.choice((0.0, there * 1.5)))
            invocation.crash()
            raise Killed
        if fault is Fault.HANG:
            if self.random.random() < 0.5:
                self._send(serve, request, there)
            invocation.hangs = True
            self.scheduler.sleep(1e6)
        if fault is Fault.NO_ANSWER:
            return self._unanswered(operation, serve, request)
        if fault is Fault.PARTIAL:
            return self._partial(operation, serve, request)
        self.scheduler.sleep(there + self._latency())
        raise refusal(fault, operation, request, self.random)

    def _unanswered(self, operation: str, serve: Serve, request: dict[str, Any]) -> dict[str, Any]:
        """Mostly the request is carried out, at times late, at times never; nobody says so."""
        fate = self.random.random()
        if operation in PUBLISHING:
            self.explain(event_ids(operation, request), "no answer of the topic")
        if fate < 0.2 and operation in PUBLISHING:
            self.explain(event_ids(operation, request), ON_ITS_WAY)
        if fate < 0.8:
            self._send(serve, request, self._latency() + (self.random.uniform(0.5, 20) if fate < 0.2 else 0))
        self.scheduler.sleep(self.random.uniform(0.02, 1.5))
        raise no_answer(self.random.randrange(3))

    def _partial(self, operation: str, serve: Serve, request: dict[str, Any]) -> dict[str, Any]:
        kept, dropped = split(operation, request, self.random)
        answer = self._exchange(serve, kept, self._latency(), self._latency()) if kept else {}
        if operation == "PublishBatch":
            return {"Successful": answer.get("Successful", []), "Failed": self._refused(dropped)}
        ((table, part),) = request["RequestItems"].items()
        if operation == "BatchGetItem":
            found = answer.get("Responses", {})
            return {"Responses": found, "UnprocessedKeys": {table: {**part, "Keys": dropped}}}
        if self._invocation().remaining() < self._invocation().margin:
            # There may be no time left for another try.
            self._invocation().unjournalled.update(journalled({"RequestItems": {table: dropped}}))
        return {"UnprocessedItems": {table: dropped}}

    def _without_some_orders(self, serve: Serve, request: dict[str, Any]) -> dict[str, Any]:
        entries = request["PublishBatchRequestEntries"]
        dropped = [entry for entry in entries if int(json.loads(entry["Message"])["orderId"], 36) % 2]
        kept = [entry for entry in entries if entry not in dropped]
        rest = {**request, "PublishBatchRequestEntries": kept}
        answer = self._exchange(serve, rest, self._latency(), self._latency()) if kept else {}
        return {"Successful": answer.get("Successful", []), "Failed": self._refused(dropped)}

    def _refused(self, entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        code = self.random.choice(("InternalError", "Throttled"))
        return [{"Id": entry["Id"], "Code": code, "SenderFault": False} for entry in entries]

    def _exchange(self, serve: Serve, request: dict[str, Any], there: float, back: float) -> dict[str, Any]:
        answers = self._send(serve, request, there)
        self.scheduler.sleep(there + back)
        (answer,) = answers
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _send(self, serve: Serve, request: dict[str, Any], there: float) -> list[dict[str, Any] | Exception]:
        """Have the request arrive; it does so even if nobody waits for the answer any more."""
        answers: list[dict[str, Any] | Exception] = []

        def arrive() -> None:
            try:
                answers.append(serve(**request))
            except ClientError as error:
                answers.append(error)

        self.scheduler.at(self.scheduler.now + there, arrive)
        return answers

    def _latency(self) -> float:
        return self.random.uniform(0.1, 0.4) if self.is_on("slow") else self.random.uniform(0.001, 0.015)

    def is_on(self, outage: str) -> bool:
        """Tell whether an outage is on."""
        now = self.scheduler.now
        return any(o.service == outage and o.begins <= now < o.ends for o in self.outages)

    def outages_between(self, begun: float, ended: float) -> set[str]:
        """Return the outages that were on at any time between two."""
        return {o.service for o in self.outages if o.begins <= ended and begun < o.ends}

    def _invocation(self) -> Invocation:
        task = self.scheduler.current
        if task is None or not isinstance(task.group, Invocation):
            raise RuntimeError("a call outside of an invocation")
        return task.group


class Client:
    """A boto3 client of one service, which is in memory."""

    def __init__(self, network: Network, service: Any, boto: Boto) -> None:
        self._network = network
        self._service = service
        self._boto = boto

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        serve = getattr(self._service, method)
        operation = "".join(part.capitalize() for part in method.split("_"))

        def call(**request: Any) -> dict[str, Any]:
            return self._network.call(operation, serve, request, self._boto)

        # Found on the instance from now on.
        self.__dict__[method] = call
        return call
