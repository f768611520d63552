"""The clients: boto3's calls as switch points of the scheduler, with faults on the way there and back."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.simulation.aws import JOURNAL, Aws
from tests.simulation.errors import cancelled, client_error, no_answer
from tests.simulation.faults import ANYWHERE, OF_OPERATION, Fault, Plan
from tests.simulation.invocation import Invocation
from tests.simulation.scheduler import Killed, Scheduler

Serve = Callable[..., dict[str, Any]]
_RETRYABLE = frozenset({"ThrottlingException", "InternalServerError", "ServiceUnavailable", "SlowDown", "Throttled"})
_PUBLISHING = frozenset({"Publish", "PublishBatch"})


@dataclass(frozen=True, slots=True)
class Outage:
    """A service that is down, or slow, for a while."""

    service: str
    begins: float
    ends: float
    slow: bool = False


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

    def call(self, operation: str, serve: Serve, request: dict[str, Any], attempts: int) -> dict[str, Any]:
        """Make a call as boto3 does, with so many attempts."""
        while True:
            attempts -= 1
            try:
                return self._attempt(operation, serve, request)
            except (ClientError, BotoCoreError) as error:
                if attempts <= 0 or not _retryable(error):
                    self._journal_failed(request)
                    raise
                self.scheduler.sleep(self.random.uniform(0, 0.05))

    def _attempt(self, operation: str, serve: Serve, request: dict[str, Any]) -> dict[str, Any]:
        invocation = self._invocation()
        self.calls += 1
        there, back = self._latency(), self._latency()
        service = _service(operation, request)
        if self._down(service):
            self.scheduler.sleep(there + back)
            raise client_error("ServiceUnavailable", operation, status=503)
        fault = self.plan.draw(OF_OPERATION.get(operation, ANYWHERE))
        if fault is None:
            return self._exchange(serve, request, there, back)
        invocation.faults.append(fault)
        return self._faulty(fault, operation, serve, request, invocation)

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
        raise _refusal(fault, operation, request, self.random)

    def _unanswered(self, operation: str, serve: Serve, request: dict[str, Any]) -> dict[str, Any]:
        """Mostly the request is carried out, at times late, at times never; half of the time the client asks again."""
        fate = self.random.random()
        if operation in _PUBLISHING:
            self.explain(_event_ids(operation, request), "no answer of the topic")
        if fate < 0.8:
            self._send(serve, request, self._latency() + (self.random.uniform(0.5, 20) if fate < 0.2 else 0))
        self.scheduler.sleep(self.random.uniform(0.02, 1.5))
        if self.random.random() < 0.5:
            return self._exchange(serve, request, self._latency(), self._latency())
        raise no_answer(self.random.randrange(3))

    def _partial(self, operation: str, serve: Serve, request: dict[str, Any]) -> dict[str, Any]:
        kept, dropped = _split(operation, request, self.random)
        answer = self._exchange(serve, kept, self._latency(), self._latency()) if kept else {}
        if operation == "PublishBatch":
            failed = [
                {"Id": entry["Id"], "Code": self.random.choice(("InternalError", "Throttled")), "SenderFault": False}
                for entry in dropped
            ]
            return {"Successful": answer.get("Successful", []), "Failed": failed}
        ((table, part),) = request["RequestItems"].items()
        if operation == "BatchGetItem":
            found = answer.get("Responses", {})
            return {"Responses": found, "UnprocessedKeys": {table: {**part, "Keys": dropped}}}
        if self._invocation().remaining() < self._invocation().margin:
            self._journal_failed(request)
        return {"UnprocessedItems": {table: dropped}}

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
        slow = any(o.slow and o.begins <= self.scheduler.now < o.ends for o in self.outages)
        return self.random.uniform(0.1, 0.4) if slow else self.random.uniform(0.001, 0.015)

    def _down(self, service: str) -> bool:
        now = self.scheduler.now
        return any(o.service == service and not o.slow and o.begins <= now < o.ends for o in self.outages)

    def _journal_failed(self, request: dict[str, Any]) -> None:
        """The journal did not take what it was given: that may explain a repeated notification."""
        for table, puts in request.get("RequestItems", {}).items():
            if table == JOURNAL and isinstance(puts, list):
                self.explain([put["PutRequest"]["Item"]["pk"]["S"] for put in puts], "journal down")

    def _invocation(self) -> Invocation:
        task = self.scheduler.current
        if task is None or not isinstance(task.group, Invocation):
            raise RuntimeError("a call outside of an invocation")
        return task.group


def _retryable(error: Exception) -> bool:
    return not isinstance(error, ClientError) or error.response["Error"]["Code"] in _RETRYABLE


def _service(operation: str, request: dict[str, Any]) -> str:
    if operation in _PUBLISHING:
        return "topic"
    if operation == "PutObject":
        return "s3"
    return "journal" if JOURNAL in request.get("RequestItems", {}) else "dynamodb"


def _event_ids(operation: str, request: dict[str, Any]) -> list[str]:
    entries: Sequence[dict[str, Any]] = (
        request["PublishBatchRequestEntries"] if operation == "PublishBatch" else (request,)
    )
    return [json.loads(entry["Message"])["eventId"] for entry in entries]


def _split(operation: str, request: dict[str, Any], rng: random.Random) -> tuple[dict[str, Any], list[Any]]:
    """Part the entries of a request into those that are served and those that are not: at least one of these."""
    if operation == "PublishBatch":
        entries = request["PublishBatchRequestEntries"]
        kept, dropped = _halves(entries, rng)
        return ({**request, "PublishBatchRequestEntries": kept} if kept else {}), dropped
    ((table, part),) = request["RequestItems"].items()
    kept, dropped = _halves(part["Keys"] if operation == "BatchGetItem" else part, rng)
    rest = {**part, "Keys": kept} if operation == "BatchGetItem" else kept
    return ({"RequestItems": {table: rest}} if kept else {}), dropped


def _halves(entries: Sequence[Any], rng: random.Random) -> tuple[list[Any], list[Any]]:
    certain = rng.randrange(len(entries))
    dropped = {index for index in range(len(entries)) if index == certain or rng.random() < 0.5}
    return [e for i, e in enumerate(entries) if i not in dropped], [e for i, e in enumerate(entries) if i in dropped]


def _refusal(fault: Fault, operation: str, request: dict[str, Any], rng: random.Random) -> ClientError:
    if operation == "TransactWriteItems":
        actions = request["TransactItems"]
        code = "TransactionConflict" if fault is Fault.CONFLICT else "ThrottlingError"
        if fault is Fault.CONFLICT or rng.random() < 0.5:
            met = rng.randrange(len(actions))
            return cancelled([{"Code": code if index == met else "None"} for index in range(len(actions))])
    code = (
        "SlowDown" if operation == "PutObject" else "Throttled" if operation in _PUBLISHING else "ThrottlingException"
    )
    return client_error(code, operation, "Rate exceeded")


class Client:
    """A boto3 client of one service, with its number of attempts."""

    def __init__(self, network: Network, service: Any, attempts: int) -> None:
        self._network = network
        self._service = service
        self._attempts = attempts

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        serve = getattr(self._service, method)
        operation = "".join(part.capitalize() for part in method.split("_"))

        def call(**request: Any) -> dict[str, Any]:
            return self._network.call(operation, serve, request, self._attempts)

        # Found on the instance from now on.
        self.__dict__[method] = call
        return call
