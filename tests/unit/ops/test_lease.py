"""One tool at a time, whoever was killed."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.bucket import FailuresBucket
from ops.errors import OutcomeUnknownError, StoppedError
from ops.lease import KEY, Lease
from tablestream.testing import FakeClock


class FakeS3:
    """Conditional writes of one object, by a clock of its own."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.object: tuple[bytes, str, datetime] | None = None
        self.writes = 0

    def put_object(self, **request: Any) -> Any:
        current = self.object[1] if self.object else None
        if ("IfNoneMatch" in request and current) or ("IfMatch" in request and request["IfMatch"] != current):
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")
        self.writes += 1
        self.object = (request["Body"], f'"{self.writes}"', self._now())
        return {"ETag": self.object[1]}

    def get_object(self, **_request: Any) -> Any:
        if self.object is None:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
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
        if self.object and request["IfMatch"] == self.object[1]:
            self.object = None

    def _now(self) -> datetime:
        return datetime.fromtimestamp(int(self.clock.now()), UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def s3(clock: FakeClock) -> Any:
    return FakeS3(clock)


def lease(s3: Any, clock: FakeClock, owner: str = "ann") -> Lease:
    return Lease(FailuresBucket(s3, "b"), clock, owner, 60.0, lambda _text: None)


def test_it_is_given_back(s3: FakeS3, clock: FakeClock) -> None:
    with lease(s3, clock).held():
        assert s3.object is not None
    assert s3.object is None


def test_whoever_was_killed_is_waited_for_no_longer_than_an_invocation_takes(s3: FakeS3, clock: FakeClock) -> None:
    lease(s3, clock, "killed").take()
    lease(s3, clock).take()
    assert 60 <= sum(clock.slept) <= 67


def test_one_that_is_at_work_keeps_it(s3: FakeS3, clock: FakeClock) -> None:
    mine = lease(s3, clock)
    mine.take()
    for _ in range(10):
        clock.advance(50)
        mine.renew()
    left = lease(s3, clock)._holder()  # noqa: SLF001 -- taking it would wait
    assert left == ("ann", 61.0)


def test_one_that_stood_still_finds_out_before_it_invokes_again(s3: FakeS3, clock: FakeClock) -> None:
    mine = lease(s3, clock)
    mine.take()
    clock.advance(100)
    lease(s3, clock, "bob").take()
    with pytest.raises(StoppedError, match="took over"):
        mine.renew()
    mine.give_back()
    assert s3.object is not None


def test_renewing_many_times_a_second_writes_once(s3: FakeS3, clock: FakeClock) -> None:
    mine = lease(s3, clock)
    mine.take()
    for _ in range(30):
        mine.renew()
        clock.advance(0.1)
    assert s3.writes <= 4


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
