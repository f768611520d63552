"""One tool at a time, whoever was killed, however long Lambda is busy, whatever lies in the lease's place."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast

import pytest

from tablestream.ops.bucket import KEY, FailuresBucket, Lease
from tablestream.ops.invoking import Invoke, Invoker, RateLimit, Ready, Reported, WatchfulClock, rate_limited
from tablestream.ops.terminal import CommandError, Interrupt, OutcomeUnknownError, StoppedError
from tablestream.run import Backoff
from tablestream.testing import FakeClock, client_error, inserted

INVOCATION = 60.0
"""Seconds that an invocation may take."""


class FakeS3:
    """Conditional writes of one object, by a clock of its own."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.object: tuple[bytes, str, datetime] | None = None
        self.writes = 0
        self.delays: list[float] = []
        """Seconds that the next writes take before they are answered."""
        self.repeat = False
        """Whether each write is carried out, not answered, and repeated."""
        self.conflicts = 0
        """How many of the next writes are refused because another request is under way."""

    def put_object(self, **request: Any) -> Any:
        current = self.object[1] if self.object else None
        if self.conflicts:
            self.conflicts -= 1
            raise client_error("ConditionalRequestConflict", "PutObject")
        if ("IfNoneMatch" in request and current) or ("IfMatch" in request and request["IfMatch"] != current):
            raise client_error("PreconditionFailed", "PutObject")
        self.writes += 1
        self.object = (request["Body"], f'"{self.writes}"', self._now())
        self.clock.advance(self.delays.pop(0) if self.delays else 0)
        if self.repeat and {"IfNoneMatch", "IfMatch"} & request.keys():
            raise client_error("PreconditionFailed", "PutObject")
        return {"ETag": self.object[1]}

    def get_object(self, **_request: Any) -> Any:
        if self.object is None:
            raise client_error("NoSuchKey", "GetObject")
        body, etag, at = self.object
        date = format_datetime(self._now(), usegmt=True)
        return {
            "Body": io.BytesIO(body),
            "ETag": etag,
            "LastModified": at,
            "ResponseMetadata": {"HTTPHeaders": {"date": date}},
        }

    def delete_object(self, **request: Any) -> None:
        assert request["Key"] == KEY
        if self.object and request.get("IfMatch") in {None, self.object[1]}:
            self.object = None

    def owner(self) -> str:
        assert self.object
        return str(json.loads(self.object[0])["owner"])

    def seconds_left(self) -> float:
        """How long the lease lasts yet."""
        assert self.object
        return float(json.loads(self.object[0])["seconds"]) - (self.clock.now() - self.object[2].timestamp())

    def _now(self) -> datetime:
        return datetime.fromtimestamp(int(self.clock.now()), UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def s3(clock: FakeClock) -> Any:
    return FakeS3(clock)


def lease(s3: Any, clock: FakeClock, owner: str = "ann") -> Lease:
    return Lease(FailuresBucket(s3, "b"), clock, owner, INVOCATION, lambda _text: None)


def test_it_is_given_back(s3: FakeS3, clock: FakeClock) -> None:
    with lease(s3, clock).held():
        assert s3.object is not None
    assert s3.object is None


def test_whoever_was_killed_is_waited_for_no_longer_than_an_invocation_takes(s3: FakeS3, clock: FakeClock) -> None:
    lease(s3, clock, "killed").take()
    lease(s3, clock).take()
    assert INVOCATION <= sum(clock.slept) <= INVOCATION + 8


def test_one_that_is_at_work_keeps_it(s3: FakeS3, clock: FakeClock) -> None:
    mine = lease(s3, clock)
    mine.take()
    for _ in range(10):
        clock.advance(50)
        mine.confirm()
        assert s3.seconds_left() > INVOCATION


def test_one_that_stood_still_finds_out_before_it_invokes_again(s3: FakeS3, clock: FakeClock) -> None:
    mine = lease(s3, clock)
    mine.take()
    clock.advance(100)
    lease(s3, clock, "bob").take()
    for _ in range(2):
        with pytest.raises(StoppedError, match=r"s3://b/redrive/lease\.json is no longer held by this tool"):
            mine.confirm()
    mine.give_back()
    assert s3.owner() == "bob"


def test_it_is_looked_at_before_each_send_also_within_a_second(s3: FakeS3, clock: FakeClock) -> None:
    mine = lease(s3, clock)
    mine.take()
    mine.confirm()
    s3.object = None
    with pytest.raises(StoppedError, match="somebody removed it"):
        mine.confirm()


def test_confirming_many_times_a_second_writes_once(s3: FakeS3, clock: FakeClock) -> None:
    mine = lease(s3, clock)
    mine.take()
    for _ in range(30):
        mine.confirm()
        clock.advance(0.1)
    assert s3.writes <= 4


def test_a_renewal_that_took_long_is_not_taken_for_a_fresh_one(s3: FakeS3, clock: FakeClock) -> None:
    mine = lease(s3, clock)
    mine.take()
    s3.delays = [30.0]
    clock.advance(10)
    mine.confirm()
    assert s3.seconds_left() > INVOCATION
    s3.delays = [30.0] * 10
    clock.advance(10)
    with pytest.raises(StoppedError, match="took longer than 2 s to be renewed"):
        mine.confirm()


def test_a_write_that_boto3_repeated_is_no_loss(s3: FakeS3, clock: FakeClock) -> None:
    s3.repeat = True  # the first answer got lost, and the condition no longer holds for the second request
    mine = lease(s3, clock)
    mine.take()
    clock.advance(10)
    mine.confirm()
    assert clock.slept == []
    mine.give_back()
    assert s3.object is None


def test_a_write_that_was_refused_for_another_request_is_no_renewal(s3: FakeS3, clock: FakeClock) -> None:
    mine = lease(s3, clock)
    mine.take()
    clock.advance(30)
    s3.conflicts = 1
    mine.confirm()
    assert s3.seconds_left() > INVOCATION
    clock.advance(30)
    s3.conflicts = 10
    with pytest.raises(StoppedError, match="took longer than 2 s to be renewed"):
        mine.confirm()


class Contended(FakeClock):
    """Lets somebody try for the lease whenever time passes, as a second operator's tool does."""

    rival: Callable[[], None] = staticmethod(lambda: None)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.rival()


class BusyApi:
    """Answers that the function is throttled, and looks how long the lease lasts yet at each try."""

    def __init__(self, s3: FakeS3, clock: FakeClock, until: float) -> None:
        self.s3, self.clock, self.until = s3, clock, until
        self.left: list[float] = []

    def invoke(self, **_request: Any) -> Any:
        self.left.append(self.s3.seconds_left() if self.s3.owner() == "ann" else -1)
        if self.clock.now() < self.until:
            raise client_error("TooManyRequestsException", "Invoke")
        return {"Payload": io.BytesIO(b'{"batchItemFailures": [], "deadLetters": []}')}


def operator(s3: Any, clock: FakeClock, api: BusyApi, rate: float = 0.0) -> tuple[Lease, Invoke]:
    """Return the lease of an operator, and what sends under it, as the commands put it together."""
    held = lease(s3, clock)
    held.take()
    ready = Ready(held, Interrupt())
    watchful = WatchfulClock(clock, ready)
    backoff = Backoff(base=0.5, cap=20.0, tries=8, uniform=lambda _low, high: high)
    return held, rate_limited(Invoker(api, "worker", ready, watchful, backoff), RateLimit(rate, watchful))


def test_a_function_that_is_throttled_longer_than_the_lease_does_not_cost_it() -> None:
    clock = Contended()
    s3 = FakeS3(clock)
    api = BusyApi(s3, clock, until=clock.now() + INVOCATION + 10)
    _, send = operator(s3, clock, api)
    took_over: list[str] = []

    def rival() -> None:
        if s3.seconds_left() <= 0:
            took_over.append("bob")

    clock.rival = rival
    assert send([]) == Reported()
    assert sum(clock.slept) > INVOCATION
    assert took_over == []
    assert min(api.left) > INVOCATION, "an invocation that begins at any of the tries ends under the lease"


def test_a_lease_that_is_lost_while_the_function_is_throttled_ends_the_run_before_another_try() -> None:
    clock = Contended()
    s3 = FakeS3(clock)
    api = BusyApi(s3, clock, until=clock.now() + 30)
    held, send = operator(s3, clock, api)

    def rival() -> None:
        if sum(clock.slept) > 5 and s3.owner() == "ann":
            other = lease(s3, clock, "bob")
            other.remove()
            other.take()

    clock.rival = rival
    with pytest.raises(StoppedError, match="nothing more is sent"):
        send([])
    assert -1 not in api.left
    held.give_back()
    assert s3.owner() == "bob"


def test_a_lease_that_is_lost_between_two_sends_ends_the_run_before_the_second(s3: FakeS3, clock: FakeClock) -> None:
    api = BusyApi(s3, clock, until=0)
    _, send = operator(s3, clock, api)
    assert send([]) == Reported()
    s3.object = None
    with pytest.raises(StoppedError, match="nothing more is sent"):
        send([])
    assert len(api.left) == 1


def test_a_slow_rate_does_not_cost_the_lease() -> None:
    clock = Contended()
    s3 = FakeS3(clock)
    api = BusyApi(s3, clock, until=0)
    _, send = operator(s3, clock, api, rate=0.01)
    lows: list[float] = []
    clock.rival = lambda: lows.append(s3.seconds_left())
    for _ in range(2):
        send([inserted({"pk": "a", "sk": "b"})])
    assert sum(clock.slept) == pytest.approx(100)
    assert min(lows) > INVOCATION - 2


NO_LEASES = {
    b"{": "wanted a JSON object",
    b"": "wanted a JSON object",
    b"[]": "wanted a JSON object",
    b"[" * 4096: "wanted a JSON object",
    b"\xff\x00": "wanted a JSON object",
    b"{}": "wanted its owner as text",
    b'{"owner": "ann"}': "wanted seconds above 0 and at most 908, got none",
    b'{"owner": ["ann"], "seconds": 5}': "wanted its owner as text",
    b'{"owner": "ann", "seconds": NaN}': "got nan",
    b'{"owner": "ann", "seconds": Infinity}': "got inf",
    b'{"owner": "ann", "seconds": 1e9}': "got 1000000000.0",
    b'{"owner": "ann", "seconds": 1' + b"0" * 400 + b"}": "got 1000",
    b'{"owner": "ann", "seconds": 0}': "got 0",
    b'{"owner": "ann", "seconds": -5}': "got -5",
    b'{"owner": "ann", "seconds": "60"}': "got '60'",
    b'{"owner": "ann", "seconds": true}': "got True",
    b'{"owner": "ann", "seconds": null}': "got None",
    b'{"owner": "' + b"x" * 5000 + b'", "seconds": 60}': "wanted a JSON object",
}


@pytest.mark.parametrize("body", NO_LEASES)
def test_what_is_no_lease_is_refused_and_can_be_removed(s3: FakeS3, clock: FakeClock, body: bytes) -> None:
    s3.put_object(Body=body)
    with pytest.raises(CommandError) as refused:
        lease(s3, clock).take()
    told = str(refused.value)
    assert "s3://b/redrive/lease.json" in told
    assert NO_LEASES[body] in told
    assert "--break-lease" in told
    assert len(told) < 500
    assert clock.slept == []
    with lease(s3, clock).held(break_first=True):
        assert s3.owner() == "ann"


def test_a_lease_can_be_broken_and_whose_it_was_is_told(s3: FakeS3, clock: FakeClock) -> None:
    lease(s3, clock, "bob").take()
    told: list[str] = []
    with Lease(FailuresBucket(cast("Any", s3), "b"), clock, "ann", INVOCATION, told.append).held(break_first=True):
        assert s3.owner() == "ann"
    assert told == ["removed the lease of bob"]
    assert clock.slept == []


def test_a_lease_overwritten_with_something_else_is_lost(s3: FakeS3, clock: FakeClock) -> None:
    mine = lease(s3, clock)
    mine.take()
    s3.put_object(Body=b"{")
    with pytest.raises(StoppedError, match="no longer held"):
        mine.confirm()


@pytest.mark.parametrize("skew", [-86_400.0, 86_400.0])
def test_a_server_that_tells_times_of_its_own_keeps_nobody_waiting_longer(
    s3: FakeS3, clock: FakeClock, skew: float
) -> None:
    lease(s3, clock, "killed").take()
    assert s3.object
    s3.object = (*s3.object[:2], s3.object[2] + timedelta(seconds=skew))
    lease(s3, clock).take()
    assert sum(clock.slept) <= INVOCATION + 8


@pytest.mark.parametrize(
    ("error", "kept"), [(StoppedError("x"), False), (OutcomeUnknownError("x"), True), (KeyboardInterrupt(), True)]
)
def test_an_invocation_whose_end_was_not_seen_leaves_it_to_run_out(
    s3: FakeS3, clock: FakeClock, error: BaseException, kept: bool
) -> None:
    def fail() -> None:
        with lease(s3, clock).held():
            raise error

    with pytest.raises(type(error)):
        fail()
    assert (s3.object is not None) is kept
