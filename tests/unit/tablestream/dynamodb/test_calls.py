"""Calls of a table that fail: what is tried again, what is not, and the error that is raised in the end."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, ReadTimeoutError

from tablestream import Backoff, Deadline, Run, TablestreamError
from tablestream.dynamodb import (
    AccessRefused,
    AlreadyExists,
    Append,
    Conflict,
    Delete,
    InvalidRequest,
    ItemTooLarge,
    Misconfigured,
    OutcomeUnknown,
    Put,
    Table,
    TableAction,
    TableError,
    Throttled,
    TransactionCancelled,
    Unavailable,
    Update,
    connect,
)
from tablestream.testing import FakeClock
from tablestream.testing.doubles import cancelled, client_error

KEY = {"pk": "a", "sk": "1"}
TAGGED = {"pk": {"S": "a"}, "sk": {"S": "1"}}
FOUND = {"Item": TAGGED}
THROTTLED = client_error("ProvisionedThroughputExceededException")
CONFLICT = client_error("TransactionConflictException")
LOST = ReadTimeoutError(endpoint_url="https://dynamodb")
DOWN = client_error("InternalServerError", status=500)
TRIES = 1 + Backoff().tries
"""The tries of a call that meets nothing but transactions of others."""


class Script:
    """A client that answers, or raises, what is written for it; it keeps what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name == "meta":
            raise AttributeError(name)

        def call(**request: Any) -> Any:
            self.asked.append((name, request))
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def lent(seconds: float = float("inf")) -> Run:
    clock = FakeClock()
    end = clock.now() + seconds
    return Run(Deadline(lambda: end - clock.now()), clock, backoff=Backoff(base=1, uniform=lambda _least, most: most))


def table_of(script: Script, run: Run | None = None, **settings: Any) -> Table:
    return Table("orders", script, run=run or lent(), **settings)


READS: Mapping[str, tuple[Callable[[Table], object], Any]] = {
    "get": (lambda table: table.get(KEY), FOUND),
    "query": (lambda table: table.query(Key("pk").eq("a")), {"Items": [TAGGED]}),
    "items": (lambda table: list(table.items(Key("pk").eq("a"))), {"Items": [TAGGED]}),
    "scan": (lambda table: table.scan(), {"Items": [TAGGED]}),
    "batch_get": (lambda table: table.batch_get([KEY]), {"Responses": {"orders": [TAGGED]}, "UnprocessedKeys": {}}),
    "transact_get": (lambda table: table.transact_get([KEY]), {"Responses": [FOUND]}),
}
SAFE: Mapping[str, Callable[[Table], object]] = {
    "put": lambda table: table.put(KEY),
    "update that sets": lambda table: table.update(KEY, set={"a": 1}, remove=["b"], delete={"c": {1}}),
    "update that begins": lambda table: table.update(KEY, set={"a": 1}, create=True),
    "delete": lambda table: table.delete(KEY),
    "transaction": lambda table: table.transact_write([Update(KEY, add={"a": 1})]),
}
UNSAFE: Mapping[str, Callable[[Table], object]] = {
    "put where there must be none": lambda table: table.put(KEY, if_absent=True),
    "put under a condition": lambda table: table.put(KEY, condition=Attr("a").eq(1)),
    "update that adds": lambda table: table.update(KEY, add={"a": 1}),
    "update that appends": lambda table: table.update(KEY, set={"a": Append([1])}),
    "update of a version": lambda table: table.update(KEY, set={"a": 1}, version=1),
    "update under a condition": lambda table: table.update(KEY, set={"a": 1}, condition=Attr("a").eq(1)),
    "delete of what must be there": lambda table: table.delete(KEY, must_exist=True),
    "delete under a condition": lambda table: table.delete(KEY, condition=Attr("a").eq(1)),
    "delete of a version": lambda table: table.delete(KEY, version=1),
}


# --- what is tried again ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("passing", [THROTTLED, LOST, DOWN, KeyError("an odd answer")], ids=repr)
def test_a_read_is_tried_three_times(name: str, passing: Exception) -> None:
    read, answer = READS[name]
    script = Script(passing, passing, answer)
    assert read(table_of(script))
    script = Script(passing, passing, passing, answer)
    with pytest.raises(Unavailable) as told:
        read(table_of(script))
    assert not isinstance(told.value, OutcomeUnknown)
    assert len(script.answers) == 1


@pytest.mark.parametrize("name", [*SAFE, *UNSAFE])
@pytest.mark.parametrize(
    ("passing", "error", "tries"),
    [(THROTTLED, Throttled, 3), (CONFLICT, Conflict, TRIES)],
    ids=["throttle", "conflict"],
)
def test_a_write_that_was_not_done_is_tried_again(
    name: str, passing: Exception, error: type[Exception], tries: int
) -> None:
    write = {**SAFE, **UNSAFE}[name]
    script = Script(*[passing] * (tries - 1), {})
    write(table_of(script))
    assert len({repr(request) for _, request in script.asked}) == 1
    with pytest.raises(error):
        write(table_of(Script(*[passing] * tries)))


def test_conflicts_take_no_try_from_what_else_passes() -> None:
    script = Script(CONFLICT, THROTTLED, CONFLICT, CONFLICT, THROTTLED, CONFLICT, {})
    table_of(script).put(KEY)
    assert not script.answers
    with pytest.raises(Throttled):
        table_of(Script(THROTTLED, CONFLICT, THROTTLED, THROTTLED)).put(KEY)


@pytest.mark.parametrize("name", SAFE)
@pytest.mark.parametrize("lost", [LOST, DOWN])
def test_a_write_whose_answer_is_lost_is_sent_again_where_that_does_the_same(name: str, lost: Exception) -> None:
    script = Script(lost, lost, {})
    SAFE[name](table_of(script))
    assert len({repr(request) for _, request in script.asked}) == 1  # a transaction keeps its token
    with pytest.raises(OutcomeUnknown, match="the answer was lost, it may have taken effect"):
        SAFE[name](table_of(Script(lost, lost, lost)))


@pytest.mark.parametrize("name", UNSAFE)
@pytest.mark.parametrize("lost", [LOST, DOWN, EndpointConnectionError(endpoint_url="https://dynamodb")])
def test_a_write_whose_answer_is_lost_is_not_sent_again_where_that_could_do_it_twice(
    name: str, lost: Exception
) -> None:
    script = Script(lost, {})
    with pytest.raises(OutcomeUnknown):
        UNSAFE[name](table_of(script))
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    "after", [THROTTLED, client_error("AccessDeniedException"), client_error("ValidationException")]
)
def test_an_answer_that_was_lost_stays_lost_whatever_comes_after_it(after: Exception) -> None:
    with pytest.raises(OutcomeUnknown):
        table_of(Script(LOST, after, after)).put(KEY)


def test_who_tries_again_what_was_not_done_leaves_a_lost_answer_alone() -> None:
    assert not issubclass(OutcomeUnknown, Unavailable)


def test_a_throttled_write_whose_answer_is_lost_then_is_unknown() -> None:
    with pytest.raises(OutcomeUnknown):
        table_of(Script(THROTTLED, LOST)).update(KEY, add={"a": 1})


def test_what_can_never_succeed_is_tried_once() -> None:
    for code, error in [
        ("ValidationException", InvalidRequest),
        ("ResourceNotFoundException", Misconfigured),
        ("AccessDeniedException", AccessRefused),
        ("ExpiredTokenException", AccessRefused),
        ("UnrecognizedClientException", AccessRefused),
    ]:
        for call in [*[read for read, _ in READS.values()], *SAFE.values(), *UNSAFE.values()]:
            script = Script(client_error(code), {})
            with pytest.raises(error) as told:
                call(table_of(script))
            assert len(script.asked) == 1
            assert isinstance(told.value, TableError)
            assert isinstance(told.value, TablestreamError)
    with pytest.raises(AccessRefused):
        table_of(Script(NoCredentialsError())).get(KEY)


def test_the_waits_are_drawn_and_double() -> None:
    run = lent()
    table_of(Script(THROTTLED, THROTTLED, FOUND), run).get(KEY)
    assert run.clock.slept == [1, 2]  # type: ignore[attr-defined]


# --- the deadline ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*READS, *SAFE, *UNSAFE])
def test_nothing_is_begun_after_the_deadline(name: str) -> None:
    script = Script()
    call = READS[name][0] if name in READS else {**SAFE, **UNSAFE}[name]
    with pytest.raises(Unavailable, match="the deadline came before the call"):
        call(table_of(script, lent(0)))
    assert script.asked == []


def test_a_wait_that_would_pass_the_deadline_is_none() -> None:
    script = Script(THROTTLED, THROTTLED, FOUND)
    with pytest.raises(Throttled):
        table_of(script, lent(2)).get(KEY)
    assert len(script.asked) == 2


def test_the_same_table_for_another_deadline() -> None:
    script = Script(FOUND, FOUND)
    table = table_of(script, lent(0))
    assert table.within(lent()).get(KEY) == KEY
    with pytest.raises(Unavailable):
        table.get(KEY)


# --- batches ---------------------------------------------------------------------------------------------------------


def left_of(*keys: str) -> dict[str, Any]:
    return {"UnprocessedItems": {"orders": [{"PutRequest": {"Item": tagged(key)}} for key in keys]}}


def tagged(sk: str) -> dict[str, Any]:
    return {"pk": {"S": "a"}, "sk": {"S": sk}}


PUTS = [{"pk": "a", "sk": f"{number}"} for number in range(4)]


def test_keys_that_are_left_are_asked_for_again() -> None:
    left = {"UnprocessedKeys": {"orders": {"Keys": [tagged("1"), tagged("2")]}}}
    script = Script(
        {"Responses": {"orders": [tagged("0")]}, **left},
        {"Responses": {"orders": [tagged("2")]}, "UnprocessedKeys": {"orders": {"Keys": [tagged("1")]}}},
        {"Responses": {"orders": []}, "UnprocessedKeys": {}},
    )
    assert table_of(script).batch_get(PUTS[:3]) == ([PUTS[0], PUTS[2]], [PUTS[1]])
    assert [len(request["RequestItems"]["orders"]["Keys"]) for _, request in script.asked] == [3, 2, 1]


def test_keys_that_are_left_in_the_end_are_not_missing_but_an_error() -> None:
    left = {"Responses": {}, "UnprocessedKeys": {"orders": {"Keys": [tagged("0")]}}}
    with pytest.raises(Throttled):
        table_of(Script(left, left, left)).batch_get(PUTS[:1])


def test_writes_that_are_left_are_sent_again_with_waits() -> None:
    script, run = Script(left_of("1", "3"), left_of("3"), {"UnprocessedItems": {}}), lent()
    assert not table_of(script, run).batch_write(PUTS)
    sent = [
        [entry["PutRequest"]["Item"]["sk"]["S"] for entry in asked["RequestItems"]["orders"]]
        for _, asked in script.asked
    ]
    assert sent == [["0", "1", "2", "3"], ["1", "3"], ["3"]]
    assert run.clock.slept == [1, 2]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("answers", "puts", "error"),
    [
        ([left_of("1", "3")] * 3, [PUTS[1], PUTS[3]], Throttled),
        ([THROTTLED] * 3, PUTS, Throttled),
        ([left_of("2"), LOST, LOST], [PUTS[2]], Unavailable),
    ],
)
def test_writes_that_are_left_in_the_end_are_told(answers: list[Any], puts: list[Any], error: type[Exception]) -> None:
    left = table_of(Script(*answers)).batch_write(PUTS)
    assert left
    assert (left.puts, left.deletes) == (puts, [])
    assert isinstance(left.error, error)


def test_deletes_that_are_left_are_told_as_they_were_given() -> None:
    answer = {"UnprocessedItems": {"orders": [{"DeleteRequest": {"Key": tagged("1")}}]}}
    left = table_of(Script(*[answer] * 3)).batch_write(PUTS[:1], PUTS[1:3])
    assert (left.puts, left.deletes) == ([], [PUTS[1]])


def test_after_the_deadline_all_writes_are_left() -> None:
    left = table_of(Script(), lent(0)).batch_write(PUTS)
    assert left.puts == PUTS


@pytest.mark.parametrize("code", ["ValidationException", "AccessDeniedException"])
def test_writes_that_can_never_succeed_are_an_error(code: str) -> None:
    script = Script(client_error(code))
    with pytest.raises(TableError):
        table_of(script).batch_write(PUTS)
    assert len(script.asked) == 1


# --- transactions ----------------------------------------------------------------------------------------------------

BUSY = cancelled([{"Code": "None"}, {"Code": "TransactionConflict"}])
ACTIONS: list[TableAction] = [Put(KEY), Delete({"pk": "b", "sk": "1"})]


def test_a_transaction_that_met_another_is_tried_for_as_long_as_there_are_delays() -> None:
    script = Script(BUSY, cancelled([{"Code": "ThrottlingError"}, {"Code": "None"}]), BUSY, BUSY, {})
    table_of(script).transact_write(ACTIONS)
    with pytest.raises(Conflict):
        table_of(Script(*[BUSY] * TRIES)).transact_write(ACTIONS)
    throttled = cancelled([{"Code": "ThrottlingError"}, {"Code": "None"}])
    with pytest.raises(Throttled):
        table_of(Script(throttled, throttled, throttled)).transact_write(ACTIONS)
    with pytest.raises(OutcomeUnknown):
        table_of(Script(LOST, *[BUSY] * (TRIES - 1))).transact_write(ACTIONS)


def test_a_transaction_that_a_condition_refuses_is_tried_once() -> None:
    reasons: list[Any] = [{"Code": "ConditionalCheckFailed", "Item": TAGGED}, {"Code": "TransactionConflict"}]
    script = Script(cancelled(reasons), {})
    with pytest.raises(TransactionCancelled, match="2 of 2 actions were refused, none took effect") as told:
        table_of(script).transact_write([Put(KEY, if_absent=True), *ACTIONS[1:]])
    assert [type(reason) for reason in told.value.reasons] == [AlreadyExists, Conflict]
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ({"Code": "ValidationError", "Message": "An operand has an incorrect data type"}, InvalidRequest),
        ({"Code": "ValidationError", "Message": "Item size to update has exceeded the maximum"}, ItemTooLarge),
        ({"Code": "ItemCollectionSizeLimitExceeded", "Message": "Too much"}, InvalidRequest),
        ({"Code": "AccessDenied"}, AccessRefused),
        ({"Code": "Unheard of"}, Misconfigured),
    ],
)
def test_each_reason_is_an_error(reason: dict[str, Any], error: type[Exception]) -> None:
    answers = [cancelled([reason, {"Code": "None"}])] * 3
    with pytest.raises(TransactionCancelled) as told:
        table_of(Script(*answers)).transact_write(ACTIONS)
    assert type(told.value.reasons[0]) is error
    assert told.value.failed == (0,)


@pytest.mark.parametrize("reasons", [[], [{"Code": "TransactionConflict"}]])
def test_reasons_of_another_number_tell_of_no_action(reasons: Sequence[Any]) -> None:
    with pytest.raises(Conflict):
        table_of(Script(*[cancelled(reasons)] * TRIES)).transact_write(ACTIONS)
    with pytest.raises(TransactionCancelled) as told:
        table_of(Script(cancelled([{"Code": "ConditionalCheckFailed"}]))).transact_write(ACTIONS)
    assert told.value.failed == ()


def test_the_token_is_the_callers_or_a_new_one_each_time() -> None:
    script = Script({}, {}, {})
    table = table_of(script)
    for token in (None, None, "mine"):
        table.transact_write(ACTIONS, token=token)
    tokens = [request["ClientRequestToken"] for _, request in script.asked]
    assert tokens[2] == "mine"
    assert len(set(tokens)) == 3


@pytest.mark.parametrize(
    ("reasons", "error"),
    [
        ([{"Code": "TransactionConflict"}], Conflict),
        ([{"Code": "ValidationError"}], InvalidRequest),
    ],
)
def test_reads_at_one_moment_that_are_cancelled(reasons: list[Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        table_of(Script(*[cancelled(reasons)] * TRIES)).transact_get([KEY])


# --- answers that are none -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (lambda table: table.get(KEY), {"Item": {"pk": "a"}}),
        (lambda table: table.get(KEY), {"Item": [1]}),
        (lambda table: table.query(Key("pk").eq("a")), {}),
        (lambda table: table.query(Key("pk").eq("a")), {"Items": [{"pk": {"X": "a"}}]}),
        (lambda table: table.query(Key("pk").eq("a"), limit=1), {"Items": [{"pk": {"S": "a"}}] * 2}),
        (lambda table: table.query(Key("pk").eq("a")), {"Items": [], "LastEvaluatedKey": {"sk": {"N": "x"}}}),
        (lambda table: table.transact_get([KEY]), {"Responses": []}),
        (lambda table: table.delete(KEY), {"Attributes": {"pk": {"S": 5}}}),
    ],
)
def test_an_answer_that_cannot_be_read_is_none(call: Callable[[Table], object], answer: Any) -> None:
    with pytest.raises(Unavailable, match="wanted"):
        call(table_of(Script(*[answer] * 10)))


# --- what may be logged ----------------------------------------------------------------------------------------------

SECRET = "4711-secret"


@pytest.mark.parametrize(
    "error",
    [
        client_error("ValidationException", message=f"The value {SECRET} is not taken"),
        client_error("ConditionalCheckFailedException", message=SECRET, Item={"pk": {"S": SECRET}, "sk": {"S": "1"}}),
        client_error("AccessDeniedException", message=f"not authorized on {SECRET}"),
        client_error("ThrottlingException", message=SECRET),
        cancelled([{"Code": "ValidationError", "Message": SECRET}, {"Code": "None"}]),
        KeyError(SECRET),
    ],
)
def test_an_error_says_nothing_of_keys_and_values(error: Exception) -> None:
    calls: list[Callable[[Table], object]] = [
        lambda table: table.put({"pk": SECRET, "sk": "1"}, if_absent=True),
        lambda table: table.get({"pk": SECRET, "sk": "1"}),
        lambda table: table.transact_write([Put({"pk": SECRET, "sk": "1"}), Delete(KEY)]),
    ]
    for call in calls:
        with pytest.raises(TableError) as told:
            call(table_of(Script(*[error] * 3)))
        assert SECRET not in "".join(traceback.format_exception(told.value))
        reasons = getattr(told.value, "reasons", ())
        assert SECRET not in str([str(reason) for reason in reasons])


@pytest.mark.parametrize(
    "item",
    [
        {"pk": SECRET * 300, "sk": "1"},
        {"pk": 5, "sk": SECRET},
        {"pk": SECRET, "sk": "1", "a": [1.5]},
        {"pk": SECRET, "sk": "1", "a": {SECRET, 5}},
        {"pk": SECRET, "sk": "1", "a": SECRET * 40_000},
    ],
)
def test_what_is_refused_before_it_is_sent_says_nothing_of_values_either(item: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as told:
        table_of(Script()).put(item)
    assert SECRET not in str(told.value)


# --- capacity --------------------------------------------------------------------------------------------------------


def test_what_calls_take_is_told_where_somebody_wants_to_know() -> None:
    one = {"ConsumedCapacity": {"TableName": "orders", "CapacityUnits": 1.5}}
    some = {"ConsumedCapacity": [{"CapacityUnits": 2.0}, {"CapacityUnits": 1.0}]}
    script = Script(
        {**FOUND, **one},
        {"Items": [], **one},
        {"Responses": {"orders": []}, "UnprocessedKeys": {}, **some},
        {"UnprocessedItems": {}, **some},
        some,
        {},
    )
    told: list[tuple[str, float]] = []
    table = table_of(script, observe=lambda *call: told.append(call))
    table.get(KEY)
    table.query(Key("pk").eq("a"))
    table.batch_get([KEY])
    table.batch_write([KEY])
    table.transact_write(ACTIONS)
    table.put(KEY)
    assert told == [
        ("GetItem", 1.5),
        ("Query", 1.5),
        ("BatchGetItem", 3.0),
        ("BatchWriteItem", 3.0),
        ("TransactWriteItems", 3.0),
        ("PutItem", 0.0),
    ]
    assert {request["ReturnConsumedCapacity"] for _, request in script.asked} == {"TOTAL"}


def test_otherwise_nobody_asks_for_it() -> None:
    script = Script(FOUND)
    table_of(script).get(KEY)
    assert script.asked == [("get_item", {"TableName": "orders", "Key": TAGGED})]


def test_a_client_without_a_region_is_a_mistake_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(Misconfigured, match="wanted region="):
        connect()
