"""Why DynamoDB cancelled a transaction, and what an error means."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from tablestream.dynamodb.errors import ErrorKind, kind_of
from tablestream.dynamodb.items import Key
from tablestream.dynamodb.transactions import (
    Cancelled,
    Decision,
    Move,
    OwnAction,
    Refusal,
    Target,
    build,
    parse_cancellation,
)
from tablestream.testing.doubles import cancelled, client_error

TEA = Key.of("inventory", {"sk": "STOCK", "pk": "PRODUCT#tea"})
TARGETS: list[Target] = [OwnAction("o-1", 0), OwnAction("o-1", 1), TEA]
STOCK = {"pk": {"S": "PRODUCT#tea"}, "sk": {"S": "STOCK"}, "available": {"N": "3"}}


def parse(*reasons: dict[str, Any] | None) -> Cancelled:
    told = [{"Code": "None"} if reason is None else reason for reason in reasons]
    return parse_cancellation(cancelled(told), TARGETS)


def test_a_condition_that_did_not_hold_is_a_refusal_of_its_target_with_the_item_as_it_was() -> None:
    cancelled = parse(None, None, {"Code": "ConditionalCheckFailed", "Item": STOCK, "Message": "…"})
    assert cancelled.refusals == (Refusal(TEA, STOCK),)
    assert (cancelled.busy, cancelled.invalid, cancelled.conflicts) == (False, None, 0)


def test_an_item_that_is_not_shown_is_none() -> None:
    cancelled = parse({"Code": "ConditionalCheckFailed"}, {"Code": "ConditionalCheckFailed", "Item": {}}, None)
    assert cancelled.refusals == (Refusal(TARGETS[0], None), Refusal(TARGETS[1], None))


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded", "New"])
def test_what_may_pass_is_busy(code: str) -> None:
    cancelled = parse(None, {"Code": code, "Message": "…"}, None)
    assert cancelled.busy
    assert cancelled.conflicts == (1 if code == "TransactionConflict" else 0)


@pytest.mark.parametrize("code", ["ValidationError", "ItemCollectionSizeLimitExceeded"])
def test_what_never_passes_is_invalid(code: str) -> None:
    cancelled = parse(None, {"Code": code, "Message": "too large"}, None)
    assert (cancelled.busy, cancelled.invalid) == (False, f"{code}: too large")


def test_refusals_and_conflicts_of_one_cancellation_are_both_told() -> None:
    cancelled = parse(None, {"Code": "ConditionalCheckFailed"}, {"Code": "TransactionConflict"})
    assert (len(cancelled.refusals), cancelled.conflicts, cancelled.busy) == (1, 1, True)


def test_a_cancellation_without_reasons_is_busy_as_it_blames_nobody() -> None:
    assert parse_cancellation(client_error("TransactionCanceledException"), TARGETS).busy
    assert parse(None, None, None).busy


def test_reasons_that_are_not_one_for_each_action_blame_nobody() -> None:
    cancelled = parse({"Code": "ConditionalCheckFailed"}, {"Code": "ValidationError"})
    assert (cancelled.refusals, cancelled.invalid, cancelled.busy) == ((), None, True)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (client_error("TransactionConflictException"), ErrorKind.CONFLICT),
        (client_error("ProvisionedThroughputExceededException"), ErrorKind.THROTTLE),
        (client_error("RequestLimitExceeded"), ErrorKind.THROTTLE),
        (client_error("InternalServerError", status=500), ErrorKind.AMBIGUOUS),
        (client_error("TransactionInProgressException"), ErrorKind.AMBIGUOUS),
        (client_error("", status=500), ErrorKind.AMBIGUOUS),
        (client_error("", status=503), ErrorKind.AMBIGUOUS),
        (client_error("ValidationException"), ErrorKind.INVALID),
        (client_error("AccessDeniedException"), ErrorKind.CONFIGURATION),
        (client_error("ResourceNotFoundException"), ErrorKind.CONFIGURATION),
        (client_error("NeverHeardOf", status=400), ErrorKind.CONFIGURATION),
        (ReadTimeoutError(endpoint_url="https://x"), ErrorKind.AMBIGUOUS),
        (ConnectTimeoutError(endpoint_url="https://x"), ErrorKind.AMBIGUOUS),
        (EndpointConnectionError(endpoint_url="https://x"), ErrorKind.AMBIGUOUS),
        (ParamValidationError(report="wrong"), ErrorKind.INVALID),
        (NoCredentialsError(), ErrorKind.CONFIGURATION),
        (IncompleteReadError(actual_bytes=1, expected_bytes=2), ErrorKind.AMBIGUOUS),
        (ResponseParserError("<!DOCTYPE html>"), ErrorKind.AMBIGUOUS),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), ErrorKind.AMBIGUOUS),
        (KeyError("Responses"), ErrorKind.AMBIGUOUS),
    ],
)
def test_what_an_error_means(error: Exception, kind: ErrorKind) -> None:
    assert kind_of(error) is kind


# --- actions ---------------------------------------------------------------------------------------------------------

ENTRY, OTHER = {"Put": {"Item": {"pk": {"S": "a"}}}}, {"Put": {"Item": {"pk": {"S": "b"}}}}


def test_moves_of_one_item_are_one_action_and_each_action_has_its_target() -> None:
    one = Decision("o-1", (ENTRY, OTHER), (Move(TEA, "available", -3, guarded=True),))
    two = Decision("o-2", (OTHER,), (Move(TEA, "available", -1, guarded=True), Move(TEA, "sold", Decimal("0.5"))))
    actions, targets = build([one, two])
    assert targets == [OwnAction("o-1", 0), OwnAction("o-1", 1), OwnAction("o-2", 0), TEA]
    assert actions[:3] == [ENTRY, OTHER, OTHER]
    assert actions[3] == {
        "Update": {
            "TableName": "inventory",
            "Key": {"pk": {"S": "PRODUCT#tea"}, "sk": {"S": "STOCK"}},
            "UpdateExpression": "ADD #a0 :a0, #a1 :a1",
            "ExpressionAttributeNames": {"#a0": "available", "#a1": "sold"},
            "ExpressionAttributeValues": {":a0": {"N": "-4"}, ":a1": {"N": "0.5"}, ":least0": {"N": "4"}},
            "ConditionExpression": "#a0 >= :least0",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def test_what_is_given_in_sum_has_no_condition() -> None:
    moves = (Move(TEA, "available", -3, guarded=True), Move(TEA, "available", 5))
    (_, action), _ = build([Decision("o-1", (ENTRY,), moves)])
    assert action["Update"]["ExpressionAttributeValues"] == {":a0": {"N": "2"}}
    assert "ConditionExpression" not in action["Update"]


def test_amounts_are_added_exactly() -> None:
    large, small = Decimal("1" + "0" * 37), Decimal("0.5")
    (_, action), _ = build([Decision("o-1", (ENTRY,), (Move(TEA, "sum", large), Move(TEA, "sum", small)))])
    assert action["Update"]["ExpressionAttributeValues"] == {":a0": {"N": "1" + "0" * 37 + ".5"}}
