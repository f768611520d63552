"""Witnesses of calls: messages that are published or sent to queues, dead letters that are stored, changes of tables.

Nothing is received from a queue or read from a stream for it, so that their consumers miss nothing, and nothing is
subscribed to a topic: moto would take several milliseconds for each copy of a message.
"""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from threading import Lock
from typing import Any, Protocol
from urllib.parse import parse_qsl

from tablestream.local.cloud.faults import Call, call_of, service_of
from tablestream.local.http import App, Environ, StartResponse

MOST_KEPT = 1000  # sights that nobody has asked for: the oldest are forgotten
_ROOT = re.compile(r"Root=(?P<id>[0-9a-f-]+)")
_OF_FUNCTIONS = {("sqs", "SendMessage"), ("sqs", "SendMessageBatch"), ("s3", "PutObject")}
_OF_ALL = {("sns", "Publish"), ("sns", "PublishBatch")}  # like a subscriber, who does not know who published
_FAILED = re.compile(r"<Failed>.*?</Failed>", re.DOTALL)
_ID = re.compile(r"<Id>([^<]*)</Id>")


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was published to the topic of this name, or that a function has sent to the queue of this name.

    `request_id` is that of the invocation which sent it; empty where no function did.
    """

    to: str
    text: str
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class SetAside:
    """A dead letter that a function has stored as `path`, bucket and key; `item` is the changed item's key, as JSON.

    `handler` is None where the record did not come as far as a handler; `request_id` is that of the invocation.
    """

    path: str
    item: str
    handler: str | None
    reason: str
    request_id: str = ""


Sight = Sent | SetAside


class Witness:
    """WSGI middleware that remembers what is published, sent to queues and set aside, from calls answered well.

    Mutable. Safe to use from several threads, and by several readers, each of which gets every sight once.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._sights: deque[Sight] = deque(maxlen=MOST_KEPT)
        self._count = 0
        self._lock = Lock()

    def reader(self) -> Callable[[], list[Sight]]:
        """A function that returns the sights since its last call, at first since now, in order."""
        told = self._count

        def take() -> list[Sight]:
            nonlocal told
            with self._lock:
                new = min(self._count - told, len(self._sights))
                told = self._count
                return list(islice(self._sights, len(self._sights) - new, None))

        return take

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        service = service_of(environ)
        if service not in {"sns", "sqs", "s3"}:
            return self._app(environ, start_response)
        call = call_of(service, environ)
        if (service, call.operation) not in (_OF_FUNCTIONS | _OF_ALL if call.by_function else _OF_ALL):
            return self._app(environ, start_response)
        statuses: list[str] = []

        def start(status: str, *rest: Any) -> Any:
            statuses.append(status)
            return start_response(status, *rest)

        answer = self._app(environ, start)
        try:
            body = b"".join(answer)
        finally:
            getattr(answer, "close", lambda: None)()
        if statuses and statuses[-1].startswith("2"):
            request_id = request_id_of(environ) if call.by_function else ""
            seen = [replace(one, request_id=request_id) for one in _sights(call, environ["PATH_INFO"], body)]
            with self._lock:
                self._sights.extend(seen)
                self._count += len(seen)
        return [body]


class Streams(Protocol):
    """The streams of the embedded AWS's tables."""

    def ends(self) -> Mapping[str, int]:
        """The number of records of each stream, by table."""
        ...

    def kinds_since(self, ends: Mapping[str, int]) -> Sequence[str]:
        """The kinds of the changes that came behind these ends."""
        ...


class ChangeWitness:
    """WSGI middleware that remembers how many changes of tables the calls of an invocation led to, by their kind.

    Mutable. Requests come one at a time, so what a stream has after a call and had not before is of this call.
    """

    def __init__(self, app: App, streams: Streams) -> None:
        self._app = app
        self._streams = streams
        self._changes: dict[str, Counter[str]] = {}

    def take(self, request_id: str) -> Mapping[str, int]:
        """The changes that this invocation led to; they are forgotten then."""
        return self._changes.pop(request_id, Counter())

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        request_id = request_id_of(environ)
        if not request_id or service_of(environ) != "dynamodb":
            return self._app(environ, start_response)
        before = self._streams.ends()
        answer = self._app(environ, start_response)
        try:
            body = list(answer)
        finally:
            getattr(answer, "close", lambda: None)()
        if new := self._streams.kinds_since(before):
            self._changes.setdefault(request_id, Counter()).update(new)
            while len(self._changes) > MOST_KEPT:
                del self._changes[next(iter(self._changes))]
        return body


def request_id_of(environ: Environ) -> str:
    """The id of the invocation that makes a call: SDKs send it with each, as the runtime gives it as the trace's root.

    Empty for calls of other programs.
    """
    found = _ROOT.search(environ.get("HTTP_X_AMZN_TRACE_ID", ""))
    return "" if found is None else found["id"]


def _sights(call: Call, path: str, answer: bytes) -> Iterator[Sight]:
    if call.service == "sns":
        yield from _published(dict(parse_qsl(call.body)), answer.decode())
        return
    request = _object(call.body)
    if call.service == "s3":
        yield from _letter(path.lstrip("/"), request)
        return
    queue = str(request.get("QueueUrl", "")).rpartition("/")[2]
    refused = {failed.get("Id") for failed in _object(answer).get("Failed", ())}
    for entry in request.get("Entries", [request]):
        if entry.get("Id") is None or entry["Id"] not in refused:
            yield Sent(queue, str(entry.get("MessageBody", "")))


def _published(form: dict[str, str], answer: str) -> Iterator[Sent]:
    """The messages of a Publish or a PublishBatch that were taken (AWS query protocol)."""
    topic = form.get("TopicArn", "").rpartition(":")[2]
    if form["Action"] == "Publish":
        if topic:  # not to a telephone
            yield Sent(topic, form.get("Message", ""))
        return
    refused = {found for part in _FAILED.findall(answer) for found in _ID.findall(part)}
    entry = "PublishBatchRequestEntries.member.{}.{}"
    number = 1
    while (id_ := form.get(entry.format(number, "Id"))) is not None:
        if id_ not in refused:
            yield Sent(topic, form.get(entry.format(number, "Message"), ""))
        number += 1


def _letter(path: str, stored: dict[str, Any]) -> Iterator[SetAside]:
    """The dead letter, if the object is one, by its fields: the bucket's name and the prefix are the program's own."""
    if not {"record", "reason", "handler", "error_class"} <= stored.keys():
        return
    record = stored["record"]
    change = record.get("dynamodb") if isinstance(record, dict) else None
    keys = change.get("Keys") if isinstance(change, dict) else None
    item = json.dumps(keys, ensure_ascii=False) if keys else ""
    yield SetAside(path, item, stored["handler"], str(stored["reason"]))


def _object(body: str | bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
