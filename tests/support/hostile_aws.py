"""DynamoDB, SNS and S3 in little, on a port of this machine, that answer what they are told, AWS-like or not.

It keeps what it has carried out, whatever it answers, and takes each transaction once, by its token.
"""

from __future__ import annotations

import json
import threading
from binascii import crc32
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


@dataclass(frozen=True, slots=True)
class Call:
    """A request."""

    operation: str
    body: str

    def on(self, operation: str, mentioning: str = "") -> bool:
        return self.operation == operation and mentioning in self.body


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; without one the connection is closed."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


CLOSED = Reply(0, b"")


def of_dynamodb(body: bytes, status: int = 200, **changes: str) -> Reply:
    """An answer that looks like DynamoDB's; `changes` are headers with underscores for hyphens."""
    headers = {"content-type": "application/x-amz-json-1.0", "x-amzn-requestid": "r-1", "x-amz-crc32": str(crc32(body))}
    return Reply(status, body, headers | {name.replace("_", "-"): value for name, value in changes.items()})


NOBODYS: dict[str, Reply] = {
    "a 503 of plain text": Reply(503, b"no healthy upstream", {"content-type": "text/plain"}),
    "a page": Reply(200, b"<!DOCTYPE html><html><body>Sign in</body></html>", {"content-type": "text/html"}),
    "a page that is XML": Reply(200, b"<html><body>Sign in</body></html>", {"content-type": "text/html"}),
    "a page for an error": Reply(403, b"<html><body>Blocked", {"content-type": "text/html"}),
    "nothing with 200": Reply(200, b""),
    "{} of nobody": Reply(200, b"{}", {"content-type": "application/json"}),
    "bytes that are no text": Reply(200, b"\xff\xfe\x00{", {"content-type": "application/x-amz-json-1.0"}),
    "no answer": CLOSED,
}
"""What nobody would take for an answer of AWS."""
DYNAMODBS: dict[str, Reply] = {
    "no text": of_dynamodb(b'{"\xff\xfe": 1}'),
    "half of an object": of_dynamodb(b'{"Responses": {"jour'),
    "a list": of_dynamodb(b"[]"),
    "a wrong checksum": of_dynamodb(b"{}", x_amz_crc32="1"),
    "another type": of_dynamodb(b"{}", content_type="text/html; charset=utf-8"),
    "an error that is cut off": of_dynamodb(
        b'{"__type": "com.amazonaws.dynamodb.v20120810#Valida', 400, x_amz_crc32="1"
    ),
    "an error without a code": of_dynamodb(b"{}", 500),
}
"""What looks like DynamoDB's answer, and is none."""


class HostileAws:
    """What is behind the port: `answers` is asked first, and may leave a call to the services."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.answers: Callable[[Call], Reply | None] = lambda _: None
        self.calls: list[Call] = []
        self.transactions: dict[str, Any] = {}
        """What was committed, by token."""
        self.published: Counter[str] = Counter()
        """How often each event id was published."""
        self.tables: dict[str, dict[str, Any]] = {}
        self.objects: list[str] = []

    def answer(self, call: Call) -> Reply:
        with self._lock:
            self.calls.append(call)
            return self.answers(call) or self._served(call)

    def tokens(self) -> list[str]:
        return [json.loads(call.body)["ClientRequestToken"] for call in self.calls if call.on("TransactWriteItems")]

    def _served(self, call: Call) -> Reply:
        if call.operation == "PublishBatch":
            return self._publish(parse_qs(call.body))
        if call.operation == "PutObject":
            self.objects.append(call.body)
            return Reply(200, b"", {"ETag": '"1"'})
        return of_dynamodb(json.dumps(self._dynamodb(call.operation, json.loads(call.body))).encode())

    def _publish(self, form: Mapping[str, list[str]]) -> Reply:
        ids: list[str] = []
        while (place := f"PublishBatchRequestEntries.member.{len(ids) + 1}.") + "Id" in form:
            ids.append(form[place + "Id"][0])
            self.published[json.loads(form[place + "Message"][0])["eventId"]] += 1
        members = "".join(f"<member><Id>{each}</Id><MessageId>m</MessageId></member>" for each in ids)
        result = f"<PublishBatchResult><Successful>{members}</Successful><Failed/></PublishBatchResult>"
        return Reply(
            200, f"<PublishBatchResponse>{result}</PublishBatchResponse>".encode(), {"content-type": "text/xml"}
        )

    def _dynamodb(self, operation: str, request: Any) -> Any:
        if operation == "TransactWriteItems":
            self.transactions[request["ClientRequestToken"]] = request["TransactItems"]
            return {}
        ((table, wanted),) = request["RequestItems"].items()
        items = self.tables.setdefault(table, {})
        if operation == "BatchWriteItem":
            items.update({put["PutRequest"]["Item"]["pk"]["S"]: put["PutRequest"]["Item"] for put in wanted})
            return {"UnprocessedItems": {}}
        found = [items[key["pk"]["S"]] for key in wanted["Keys"] if key["pk"]["S"] in items]
        return {"Responses": {table: found}, "UnprocessedKeys": {}}


@contextmanager
def hostile_aws() -> Iterator[tuple[HostileAws, str]]:
    """Serve while the block runs; hand out the services and their address."""
    aws = HostileAws()

    class Handler(BaseHTTPRequestHandler):
        """One request."""

        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer in one piece: the second of two would wait for the first's receipt

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            target = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            self._reply(aws.answer(Call(target or parse_qs(body)["Action"][0], body)))

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._reply(aws.answer(Call("PutObject", body)))

        def _reply(self, reply: Reply) -> None:
            if reply is CLOSED:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def handle_expect_100(self) -> bool:
            handled = super().handle_expect_100()
            self.wfile.flush()
            return handled

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield aws, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
