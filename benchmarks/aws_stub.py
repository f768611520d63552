"""DynamoDB and SNS as far as the contenders need them, each answer held back for some milliseconds: a program.

`python -m benchmarks.aws_stub` prints its port. `POST /control` sets the delay and the state, and returns what was
counted until then: calls, write units (two for each kilobyte of a transaction's item, also when it is cancelled),
decisions.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from binascii import crc32
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus

Action = Mapping[str, Any]
Answer = tuple[int, bytes]

_ENTRY_ID = re.compile(r"PublishBatchRequestEntries\.member\.\d+\.Id=([^&]*)")
_SMALL = 1


class State:
    """Stock, ledger and orders, and what was counted."""

    def __init__(self) -> None:
        self.reset({})

    def reset(self, settings: Mapping[str, Any]) -> None:
        """Begin with this stock, these decided orders, and these orders that are no longer pending."""
        self.delay = settings.get("delay_ms", 0) / 1000
        self.stock: dict[str, int] = dict(settings.get("stock", {}))
        self.default_stock: int = settings.get("default_stock", 1_000_000)
        self.ledger: set[str] = set(settings.get("decided", ()))
        self.closed: set[str] = {*settings.get("decided", ()), *settings.get("withdrawn", ())}
        self.order_kb: int = settings.get("order_kb", 1)
        self.item: Any = settings.get("item")
        """The item that GetItem gives."""
        self.page: Any = settings.get("page", [])
        """The items that Query gives."""
        self.counts: Counter[str] = Counter()

    # A key tells what an action is about; its expressions are taken to be the usual ones for that.
    def refusal(self, kind: str, body: Action) -> dict[str, Any] | None:
        """Return the reason against an action, None when its condition holds."""
        key = body["Item"] if kind == "Put" else body["Key"]
        pk, order = key["pk"]["S"], key["sk"]["S"]
        if pk.startswith("LEDGER#"):
            return _failed({"state": {"S": "RESERVED"}, "lines": {"M": {}}}, key) if order in self.ledger else None
        if pk.startswith("PRODUCT#"):
            available = self.stock.get(pk, self.default_stock)
            short = available < _units_taken(body)
            return _failed({"available": {"N": str(available)}}, key) if short else None
        return _failed({"status": {"S": "cancelled"}}, key) if order in self.closed else None

    def apply(self, kind: str, body: Action) -> None:
        """Carry out an action."""
        key = body["Item"] if kind == "Put" else body["Key"]
        pk, order = key["pk"]["S"], key["sk"]["S"]
        if pk.startswith("LEDGER#"):
            self.ledger.add(order)
            self.counts[body["Item"]["state"]["S"].lower()] += 1
        elif pk.startswith("PRODUCT#"):
            self.stock[pk] = self.stock.get(pk, self.default_stock) - _units_taken(body)
        else:
            self.closed.add(order)

    def units(self, actions: Sequence[tuple[str, Action]]) -> int:
        """Return the write units of actions outside a transaction."""
        keys = [(body["Item"] if kind == "Put" else body["Key"])["pk"]["S"] for kind, body in actions]
        return sum(self.order_kb if key.startswith("USER#") else _SMALL for key in keys)


def _units_taken(body: Action) -> int:
    """Return what an update takes from a stock item: ours adds a negative amount, the peers subtract."""
    values = body["ExpressionAttributeValues"]
    return -int(values[":a0"]["N"]) if ":a0" in values else int(values[":units"]["N"])


def _failed(item: Mapping[str, Any], key: Mapping[str, Any]) -> dict[str, Any]:
    return {"Code": "ConditionalCheckFailed", "Message": "failed", "Item": {"pk": key["pk"], "sk": key["sk"], **item}}


def transact_write_items(state: State, request: Mapping[str, Any]) -> Answer:
    """All actions, or none and the reasons."""
    actions = [next(iter(action.items())) for action in request["TransactItems"]]
    state.counts["write_units"] += 2 * state.units(actions)
    reasons = [state.refusal(kind, body) for kind, body in actions]
    if not any(reasons):
        for kind, body in actions:
            state.apply(kind, body)
        return 200, b"{}"
    name = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException"
    told = [reason or {"Code": "None"} for reason in reasons]
    return 400, json.dumps({"__type": name, "Message": "cancelled", "CancellationReasons": told}).encode()


def batch_get_item(state: State, request: Mapping[str, Any]) -> Answer:
    """No journal entries; stock items as they are."""
    found = {
        table: [
            {**key, "available": {"N": str(state.stock.get(key["pk"]["S"], state.default_stock))}}
            for key in wanted["Keys"]
            if key["pk"]["S"].startswith("PRODUCT#")
        ]
        for table, wanted in request["RequestItems"].items()
    }
    state.counts["read_units"] += sum(len(wanted["Keys"]) for wanted in request["RequestItems"].values())
    return 200, json.dumps({"Responses": found, "UnprocessedKeys": {}}).encode()


def batch_write_item(state: State, request: Mapping[str, Any]) -> Answer:
    """Write everything."""
    state.counts["write_units"] += sum(map(len, request["RequestItems"].values()))
    return 200, b'{"UnprocessedItems": {}}'


def get_item(state: State, _request: Mapping[str, Any]) -> Answer:
    """The same item for every key."""
    return 200, json.dumps({"Item": state.item}).encode()


def put_item(_state: State, _request: Mapping[str, Any]) -> Answer:
    """Write everything."""
    return 200, b"{}"


def query(state: State, _request: Mapping[str, Any]) -> Answer:
    """The same last page for every partition."""
    return 200, json.dumps({"Items": state.page, "Count": len(state.page), "ScannedCount": len(state.page)}).encode()


_DYNAMODB: dict[str, Callable[[State, Mapping[str, Any]], Answer]] = {
    "TransactWriteItems": transact_write_items,
    "BatchGetItem": batch_get_item,
    "BatchWriteItem": batch_write_item,
    "GetItem": get_item,
    "PutItem": put_item,
    "Query": query,
}


def publish(state: State, form: str) -> Answer:
    """Take every message."""
    action = "PublishBatch" if "Action=PublishBatch" in form else "Publish"
    ids = [unquote_plus(found) for found in _ENTRY_ID.findall(form)]
    state.counts["messages"] += len(ids) or 1
    state.counts["publishes"] += max(1, math.ceil(len(form) / 65_536))
    members = "".join(f"<member><Id>{entry}</Id><MessageId>m</MessageId></member>" for entry in ids)
    result = f"<Successful>{members}</Successful><Failed/>" if ids else "<MessageId>m</MessageId>"
    body = f"<{action}Result>{result}</{action}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
    return 200, f'<{action}Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/">{body}</{action}Response>'.encode()


class Connection(asyncio.Protocol):
    """HTTP/1.1 with connections kept open: as little of it as boto3 needs."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].decode("latin-1")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n"))}
            length = int(headers.get("content-length", 0))
            if headers.get("expect"):
                self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if len(self._buffer) < end + 4 + length:
                return
            body, self._buffer = self._buffer[end + 4 : end + 4 + length], self._buffer[end + 4 + length :]
            self._answer(head.split(" ", 2)[1], headers, body)

    def _answer(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        state = self._state
        if path == "/control":
            counted = dict(state.counts)
            state.reset(json.loads(body))
            self._reply(200, json.dumps(counted).encode())
            return
        target = headers.get("x-amz-target", "").rpartition(".")[2]
        state.counts["calls"] += 1
        if target:
            state.counts[target] += 1
            status, answer = _DYNAMODB[target](state, json.loads(body))
        else:
            status, answer = publish(state, body.decode())
        asyncio.get_running_loop().call_later(state.delay, self._reply, status, answer)

    def _reply(self, status: int, body: bytes) -> None:
        kind = "text/xml" if body.startswith(b"<") else "application/x-amz-json-1.0"
        head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", f"Content-Type: {kind}"]
        head += ["x-amzn-RequestId: r", f"x-amz-crc32: {crc32(body)}"]
        self._write("\r\n".join([*head, "\r\n"]).encode() + body)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


async def main() -> None:
    """Serve until killed."""
    state = State()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(state), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
