"""Is it DynamoDB that answers? Whatever else does leaves the outcome of a call unknown, also with a status of 200.

botocore reads any JSON, or none, as an answer; it checks the checksum only to decide on retries of its own, which are
switched off here.
"""

from __future__ import annotations

import json
from binascii import crc32
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tablestream.batches import UnreadableAnswerError

if TYPE_CHECKING:
    from botocore.model import OperationModel
    from mypy_boto3_dynamodb import DynamoDBClient

_CONTENT_TYPE = "application/x-amz-json-1.0"
_CONTENT_TYPES_OF_ERRORS = frozenset({_CONTENT_TYPE, "application/json"})  # moto's errors have the second


def check_answers(client: DynamoDBClient) -> DynamoDBClient:
    """Let the calls of a client raise `UnreadableAnswerError` for answers that are not DynamoDB's; return the client.

    DynamoDB names the request (`x-amzn-RequestId`), answers `application/x-amz-json-1.0` and gives the CRC-32 of the
    body (`x-amz-crc32`; DynamoDB developer guide, "HTTP API"). A transaction's answer is a JSON object; that of a batch
    is checked by `tablestream.batches`, as botocore reads broken JSON as an object without members.
    """
    events: Any = client.meta.events
    events.register("before-parse.dynamodb", _check)
    return client


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
