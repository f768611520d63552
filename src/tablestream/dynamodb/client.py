"""Clients of AWS as a worker needs them: fitted to a deadline, with little work for each call and each cold start.

Everything about a call stays botocore's: endpoint, signature, connections, reading the answer. The hooks are its
extension points (`provide-client-params`, `before-call`, `before-parse`; botocore's topic guide "Extensibility").
"""

from __future__ import annotations

import json
from binascii import b2a_base64, crc32
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from botocore.config import Config as ClientConfig
from botocore.exceptions import NoRegionError
from botocore.handlers import BUILTIN_HANDLERS
from botocore.session import Session

from tablestream._version import __version__
from tablestream.dynamodb.errors import HOPELESS, Failed, Misconfigured, UnreadableAnswerError, kind_of
from tablestream.errors import without_frames
from tablestream.run import CALL_SHARE, Run

if TYPE_CHECKING:
    from botocore.model import OperationModel
    from mypy_boto3_dynamodb import DynamoDBClient

T = TypeVar("T")

DEFAULT_CONNECTIONS = 8
"""Calls that can be under way at once; as many as the worker has threads."""
_CONNECT_SECONDS = 0.5


def settings(margin_seconds: float, connections: int = DEFAULT_CONNECTIONS) -> ClientConfig:
    """Return the settings of a client whose calls end in time, with an answer or without.

    A call that is sent just before the deadline ends when 0.45 of the margin is used up. The journal's call takes no
    longer, and leaves a tenth of the margin for the answer. boto3 tries nothing twice: who calls does. Its defaults, a
    minute for an answer and retries inside the call, would run into Lambda's timeout.
    """
    connect_seconds = min(_CONNECT_SECONDS, margin_seconds * CALL_SHARE / 2)
    return ClientConfig(
        max_pool_connections=connections,
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=connect_seconds,
        read_timeout=margin_seconds * CALL_SHARE - connect_seconds,
        # What is sent is built here, from checked values; checking it again takes longer than sending it.
        parameter_validation=False,
        # botocore's own is put together anew for each call, twice.
        user_agent=f"tablestream/{__version__}",
    )


def session() -> Session:
    """Return a session for the clients that every start makes: of services that botocore has no handlers for.

    Of botocore's handlers it has those for all services. The others, some hundred, are for services by name (S3 among
    them) and for writing documentation; to register them takes a thirtieth of a cold start.
    """
    made = Session(include_builtin_handlers=False)
    for event, handler in (entry for entry in BUILTIN_HANDLERS if "." not in entry[0]):
        made.register(event, handler)
    return made


def dynamodb_client(general: Session, config: ClientConfig) -> DynamoDBClient:
    """Return a client of DynamoDB that sends parameters as they are, and takes no other server's answers for its."""
    made: Any = general.create_client("dynamodb", config=config)
    return check_answers(write_json(made))


def connect(*, region: str | None = None, endpoint: str | None = None, seconds: float = 5.0) -> DynamoDBClient:
    """Return a client of DynamoDB for the tables of a program: it tries nothing twice itself.

    Args:
        region: the region; where it is None, that of the environment or of the profile, as boto3 finds it.
        endpoint: another address than AWS's own, as that of an emulator.
        seconds: the time that a call may take; a table tries a call three times.
    """
    config = settings(seconds / CALL_SHARE)
    try:
        made: Any = session().create_client("dynamodb", region_name=region, endpoint_url=endpoint, config=config)
    except NoRegionError:
        raise Misconfigured("region: wanted region=… or AWS_DEFAULT_REGION, got neither") from None
    return check_answers(write_json(made))


class LazyClient:
    """Stands for a client until it is used: most environments never use all, and each takes a part of a cold start."""

    def __init__(self, make: Callable[[], object]) -> None:
        """Take what makes the client."""
        self._make = make
        self._lock = Lock()
        self._made: object = None

    def start(self) -> object:
        """Make the client if that has not happened yet, and return it; several threads may be the first to ask."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return self._made

    def __getattr__(self, name: str) -> object:
        """Return what the client has under this name, and keep it: asked again, nothing of this class is run."""
        found = getattr(self.start(), name)
        setattr(self, name, found)
        return found


# --- request bodies --------------------------------------------------------------------------------------------------
#
# What is sent is built by this package, in the shape of the wire already, and checking and copying it value by value
# says nothing new: botocore's serializers take most of the CPU of a large call.

_PAYLOAD = "tablestream_payload"


def _base64(value: object) -> str:
    if not isinstance(value, bytes | bytearray):
        raise TypeError(f"wanted JSON with bytes, got {type(value).__name__}")
    return b2a_base64(value, newline=False).decode("ascii")


# What is sent was built here and holds no cycles: looking for some takes a third of the time.
encode = json.JSONEncoder(separators=(",", ":"), check_circular=False, default=_base64).encode
"""Return values with type tags as they go over the wire: binary ones as base64 text."""

DYNAMODB_OPERATIONS = ("BatchGetItem", "BatchWriteItem", "TransactWriteItems")
"""The calls of the worker."""


def write_json(client: DynamoDBClient) -> DynamoDBClient:
    """Let a client send the parameters of the worker's calls as they are; return the client."""
    return _write_json(client, DYNAMODB_OPERATIONS, set_aside)


def _write_json(
    client: DynamoDBClient, operations: Iterable[str], leave: Callable[..., dict[str, Any]]
) -> DynamoDBClient:
    events: Any = client.meta.events  # its type says that no handler returns anything; this one's answer is used
    for operation in operations:
        # What is registered under a name that is known already is left out.
        events.register(f"provide-client-params.dynamodb.{operation}", leave, f"tablestream-params-{operation}")
        events.register(f"before-call.dynamodb.{operation}", _send_what_was_set_aside, f"tablestream-call-{operation}")
    return client


def set_aside(params: Mapping[str, Any], context: dict[str, Any], **_: object) -> dict[str, Any]:
    """Leave botocore parameters of the same kind with nothing in them: it would look through all for table ARNs."""
    context[_PAYLOAD] = params
    return {name: type(value)() for name, value in params.items()}


def _leave_stand_ins(
    params: Mapping[str, Any], model: OperationModel, context: dict[str, Any], **_: object
) -> dict[str, Any]:
    """Leave botocore as little as passes its checks, which a client of somebody else may have."""
    context[_PAYLOAD] = params
    if "RequestItems" in params:
        return {"RequestItems": dict.fromkeys(params["RequestItems"], _STAND_INS[model.name])}
    if "TransactItems" in params:
        return {"TransactItems": _STAND_INS[model.name]}
    return {"TableName": params["TableName"], **_STAND_INS.get(model.name, {})}


_STAND_INS: Mapping[str, Any] = {
    "GetItem": {"Key": {}},
    "PutItem": {"Item": {}},
    "UpdateItem": {"Key": {}},
    "DeleteItem": {"Key": {}},
    "BatchGetItem": {"Keys": [{}]},
    "BatchWriteItem": [{}],
    "TransactGetItems": [{"Get": {"TableName": "stand-in", "Key": {}}}],
    "TransactWriteItems": [{}],
}
TABLE_OPERATIONS = (*_STAND_INS, "Query", "Scan")
"""The calls of a `Table`."""


def payload_of(context: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters that were set aside for a call."""
    payload: Mapping[str, Any] = context[_PAYLOAD]
    return payload


def _send_what_was_set_aside(params: dict[str, Any], context: Mapping[str, Any], **_: object) -> None:
    params["body"] = encode(payload_of(context)).encode()


# --- answers ---------------------------------------------------------------------------------------------------------

_CONTENT_TYPE = "application/x-amz-json-1.0"
_CONTENT_TYPES_OF_ERRORS = frozenset({_CONTENT_TYPE, "application/json"})  # moto's errors have the second


def check_answers(client: DynamoDBClient) -> DynamoDBClient:
    """Let the calls of a client raise `UnreadableAnswerError` for answers that are not DynamoDB's; return the client.

    DynamoDB names the request (`x-amzn-RequestId`), answers `application/x-amz-json-1.0` and gives the CRC-32 of the
    body (`x-amz-crc32`; DynamoDB developer guide, "HTTP API"). A transaction's answer is a JSON object; that of a batch
    is checked by `get_batch` and `write_batch`, as botocore reads broken JSON as an object without members.
    """
    events: Any = client.meta.events
    events.register("before-parse.dynamodb", _check, "tablestream-check")
    return client


def fit_for_tables(client: DynamoDBClient) -> DynamoDBClient:
    """Let any client send what a `Table` writes and take answers as they come; return the client.

    Whoever else uses the client sees what it always sees: an answer with a binary value is left to botocore.
    """
    _write_json(check_answers(client), TABLE_OPERATIONS, _leave_stand_ins)
    events: Any = client.meta.events
    events.register_last("before-parse.dynamodb", _read, "tablestream-read")  # after the check
    return client


def _read(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    body = response_dict["body"]
    if response_dict["status_code"] != HTTPStatus.OK:
        return
    answer = json.loads(body)
    if not isinstance(answer, dict):
        raise UnreadableAnswerError(f"wanted a JSON object, got {type(answer).__name__}")
    if b'"B"' in body or b'"BS"' in body:
        return  # botocore makes bytes of base64
    customized_response_dict.update(answer)
    response_dict["body"] = b"{}"


def _check(response_dict: Mapping[str, Any], operation_model: OperationModel, **_: object) -> None:
    headers, body, status = response_dict["headers"], response_dict["body"], response_dict["status_code"]
    if not headers.get("x-amzn-RequestId"):
        raise UnreadableAnswerError(f"wanted the answer of DynamoDB with its request id, got {status} without one")
    kind = headers.get("Content-Type", "").partition(";")[0].strip()
    if kind != _CONTENT_TYPE and (status < HTTPStatus.BAD_REQUEST or kind not in _CONTENT_TYPES_OF_ERRORS):
        raise UnreadableAnswerError(f"wanted an answer of type {_CONTENT_TYPE}, got {status} with {kind or 'none'}")
    told = headers.get("x-amz-crc32")
    if told is not None and told != str(crc32(body)):
        raise UnreadableAnswerError(f"wanted a body with the CRC-32 {told}, got {crc32(body)}")
    if operation_model.name == "TransactWriteItems" and not _is_object(body):
        raise UnreadableAnswerError(f"wanted a JSON object, got {len(body)} bytes that are none")


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


def attempt(call: Callable[[], T]) -> T | Failed:
    """Make a call and read its answer; whatever that raises concerns this call alone, and is what it returns then."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 -- botocore raises more than its own errors, and odd answers anything
        return Failed(without_frames(error), kind_of(error))


# --- batches ---------------------------------------------------------------------------------------------------------
#
# A proxy, a captive portal or a broken emulator can answer in DynamoDB's place. Such an answer says nothing about what
# became of the call, and must not be read as "there are no such items" or "all is written".

READ_LIMIT = 100
"""Keys that BatchGetItem takes."""
WRITE_LIMIT = 25
"""Items that BatchWriteItem takes."""
_NO_KEYS: Mapping[str, Any] = {"Keys": []}
_CONSISTENT: Mapping[str, Any] = {"ConsistentRead": True}


class BatchRead(NamedTuple):
    """The items that were found, the keys that could not be read, and the last call that failed, if one did."""

    items: list[Any]
    left: list[Any]
    failure: Failed | None


def read_batch(
    client: DynamoDBClient,
    table: str,
    keys: Sequence[Any],
    run: Run,
    *,
    tries: int | None = None,
    options: Mapping[str, Any] = _CONSISTENT,
) -> BatchRead:
    """Read the items of distinct keys, with type tags, strongly consistent unless `options` say otherwise.

    The keys that the service leaves unprocessed, and those of a call that failed, are asked for again. What is neither
    found nor left does not exist.
    """
    found: list[Any] = []
    left = list(keys)
    failure: Failed | None = None
    for _ in run.attempts(tries):
        answer = attempt(partial(_get_batch, client, table, left, options))
        if isinstance(answer, Failed):
            failure = answer
            if answer.kind in HOPELESS:
                break
        else:
            items, left = answer
            found += items
            if not left:
                break
    return BatchRead(found, left, failure)


def _get_batch(
    client: DynamoDBClient, table: str, keys: Sequence[Any], options: Mapping[str, Any]
) -> tuple[list[Any], list[Any]]:
    request: Any = {table: {"Keys": list(keys), **options}}
    answer = client.batch_get_item(RequestItems=request)
    unprocessed = _told(answer, "UnprocessedKeys").get(table, _NO_KEYS)
    left = _listed(unprocessed.get("Keys"), "unprocessed keys") if isinstance(unprocessed, Mapping) else None
    if left is None or any(key not in keys for key in left):
        raise UnreadableAnswerError("wanted unprocessed keys among those that were asked for, got something else")
    # Where nothing was processed, nothing need be said of the table.
    items = _told(answer, "Responses").get(table, [] if len(left) == len(keys) else None)
    return _listed(items, "the table's items"), left


class BatchWrite(NamedTuple):
    """The places of the entries that could not be written, and the last call that failed, if one did."""

    left: list[int]
    failure: Failed | None


def write_batch(
    client: DynamoDBClient,
    table: str,
    entries: Sequence[Any],
    run: Run,
    *,
    key: Sequence[str],
    tries: int | None = None,
) -> BatchWrite:
    """Put and delete items of distinct keys, given as entries of a batch with type tags.

    What the service leaves unprocessed is sent again, and so is a call whose outcome is unknown: a put or a delete does
    the same once more. `key` names the key attributes, by which an entry is known again.
    """
    left = list(range(len(entries)))
    failure: Failed | None = None
    for _ in run.attempts(tries):
        answer = attempt(partial(_write_batch, client, table, [entries[place] for place in left], key))
        if isinstance(answer, Failed):
            failure = answer
            if answer.kind in HOPELESS:
                break
        else:
            left = [left[place] for place in answer]
            if not left:
                break
    return BatchWrite(left, failure)


def _write_batch(client: DynamoDBClient, table: str, entries: list[Any], key: Sequence[str]) -> list[int]:
    """Return the places of the entries that were left unprocessed."""
    answer = client.batch_write_item(RequestItems={table: entries})
    unprocessed = _listed(_told(answer, "UnprocessedItems").get(table, []), "unprocessed items")
    sent = [_key_in(entry, key) for entry in entries]
    return [sent.index(_key_in(entry, key)) for entry in unprocessed]


def _key_in(entry: Any, key: Sequence[str]) -> list[Any]:
    item = entry["PutRequest"]["Item"] if "PutRequest" in entry else entry["DeleteRequest"]["Key"]
    return [item[name] for name in key]


def _told(answer: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """Return a part of an answer, which has to be there, if only to say that there is nothing."""
    told = answer.get(part)
    if not isinstance(told, Mapping):
        raise UnreadableAnswerError(f"wanted {part} by table, got {type(told).__name__}")
    return told


def _listed(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise UnreadableAnswerError(f"wanted a list of {what}, got {type(value).__name__}")
    return value
