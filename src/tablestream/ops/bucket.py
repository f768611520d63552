"""The failures bucket: reading, and moving such that nothing is gone before its copy is there."""

from __future__ import annotations

import getpass
import json
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Never

from botocore.exceptions import ClientError

from tablestream.ops.terminal import CommandError, OutcomeUnknownError, StoppedError
from tablestream.run import Clock, Parallel, Sequential

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


_AHEAD = 32
"""Objects that are read side by side; each may hold some megabytes."""
MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_CHANGED = frozenset({"412", "PreconditionFailed", "ConditionalRequestConflict"})


@dataclass(frozen=True, slots=True)
class Stored:
    """An object of the bucket as it was read."""

    key: str
    etag: str
    body: bytes


class FailuresBucket:
    """One bucket. Every write is conditional on what was read: who comes second finds out."""

    def __init__(self, client: S3Client, name: str, parallel: Parallel | None = None) -> None:
        """Take a boto3 S3 client and the bucket's name."""
        self.client = client
        self.name = name
        self.parallel = parallel or Sequential()

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with a prefix, in order."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        for page in pages:
            yield from [entry["Key"] for entry in page.get("Contents", ()) if not entry["Key"].endswith("/")]

    def read_all(self, keys: Iterable[str]) -> Iterator[Stored]:
        """Yield the objects with these keys, less those that are gone meanwhile; some are read ahead."""
        rest = iter(keys)
        while part := list(islice(rest, _AHEAD)):
            found = self.parallel.run([partial(self.read, key) for key in part])
            yield from [stored for stored in found if stored is not None]

    def read(self, key: str, etag: str | None = None) -> Stored | None:
        """Return an object; None when it is gone, or no longer the one with this ETag."""
        wanted: Any = {} if etag is None else {"IfMatch": etag}
        try:
            found = self.client.get_object(Bucket=self.name, Key=key, **wanted)
        except ClientError as error:
            if code_of(error) in MISSING | _CHANGED:
                return None
            raise
        return Stored(key, found["ETag"], found["Body"].read())

    def write(self, key: str, body: bytes, *, etag: str | None = None, new: bool = False) -> str | None:
        """Write an object and return its ETag; None, and nothing is written, when the condition does not hold.

        `etag` is that of the object to be replaced; `new` means that there must be none.
        """
        condition: Any = {"IfMatch": etag} if etag is not None else {"IfNoneMatch": "*"} if new else {}
        try:
            made = self.client.put_object(
                Bucket=self.name, Key=key, Body=body, ContentType="application/json", **condition
            )
        except ClientError as error:
            if code_of(error) in MISSING | _CHANGED:
                return None
            raise
        return made["ETag"]

    def move(self, key: str, etag: str, to: str) -> bool:
        """Move an object under a prefix; False, and it stays, when it is no longer the one with this ETag.

        Copy first, then delete: whoever is interrupted in between does both again.
        """
        try:
            self.client.copy_object(
                Bucket=self.name, Key=to + key, CopySource={"Bucket": self.name, "Key": key}, CopySourceIfMatch=etag
            )
            self.client.delete_object(Bucket=self.name, Key=key, IfMatch=etag)
        except ClientError as error:
            if code_of(error) in MISSING | _CHANGED:
                return False
            raise
        return True

    def delete(self, key: str, etag: str) -> None:
        """Delete an object, unless it has changed."""
        try:
            self.client.delete_object(Bucket=self.name, Key=key, IfMatch=etag)
        except ClientError as error:
            if code_of(error) not in MISSING | _CHANGED:
                raise


def code_of(error: ClientError) -> str:
    """Return the error code that S3 gave."""
    return str(error.response.get("Error", {}).get("Code", ""))


KEY = "redrive/lease.json"
LONGEST_SECONDS = 905.0
"""Of an invocation: Lambda's longest timeout (Lambda quotas) and 5."""

_FRESH = 2.0
"""Seconds that may pass between a renewal and the send that it is for."""
_SPARE = _FRESH + 1.0
"""What a lease lasts longer than an invocation: that, and the whole seconds in which S3 tells the time of an object."""
_OFTEN = 1.0
_TRIES = 3
_NAP = 5.0
_MAX_BYTES = 4096
_SHOWN = 60


class NoLeaseError(CommandError):
    """Something else lies where the lease has its place."""


@dataclass(frozen=True, slots=True)
class _Found:
    """The lease that lies in the bucket."""

    owner: str
    token: str
    """Of whoever wrote it; empty in that of an older version."""
    seconds: float
    age: float
    etag: str


@dataclass(slots=True)
class Lease:
    """Held from `take` to `give_back`. Mutable: it knows the ETag of what it wrote last. Safe to share by threads."""

    bucket: FailuresBucket
    clock: Clock
    owner: str
    seconds: float
    """How long an invocation may take at most."""
    tell: Callable[[str], None]
    _token: str = field(default_factory=lambda: uuid.uuid4().hex)
    _etag: str | None = None
    _renewed: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def held(self, *, break_first: bool = False) -> Iterator[None]:
        """Hold the lease while the with block runs; an invocation whose end was not seen leaves it to run out.

        With `break_first` what lies in its place is removed, whosever it is.
        """
        if break_first:
            self.remove()
        self.take()
        try:
            yield
        except (OutcomeUnknownError, KeyboardInterrupt):
            raise
        except BaseException:
            self.give_back()
            raise
        self.give_back()

    def take(self) -> None:
        """Take the lease, once whoever holds it gives it back or has let it run out.

        Raises `NoLeaseError` when something else lies in its place.
        """
        seen: tuple[str, float] | None = None
        while not self._write(new=True):
            found = self._look()
            if found is None:
                continue  # given back meanwhile
            told = seen is not None
            if seen is None or seen[0] != found.etag:
                seen = found.etag, self.clock.now()
            # A lease that is not renewed ends by this machine's clock as well, whatever S3 tells of times.
            left = found.seconds - max(found.age, self.clock.now() - seen[1])
            if left > 0 and not told:
                self.tell(
                    f"{found.owner} is at work here; if it was interrupted, its lease ends in {left:.0f} s: waiting"
                )
            if left <= 0:
                self.bucket.delete(KEY, found.etag)
            else:
                self.clock.sleep(min(left, _NAP))

    def confirm(self) -> None:
        """Make sure that the lease is held, and lasts for an invocation that begins now; from any thread.

        It is begun anew, at most once a second, else looked at. Raises `StoppedError` when somebody else has it.
        """
        with self._lock:
            for _ in range(_TRIES):
                if self._etag is None or not self._still_held():
                    self._lost()
                if self.clock.now() - self._renewed <= _FRESH:
                    return
        raise StoppedError(f"{self._place} took longer than {_FRESH:.0f} s to be renewed, so nothing more is sent")

    def _still_held(self) -> bool:
        if self.clock.now() - self._renewed >= _OFTEN:
            return self._write(new=False)
        return self._mine() is not None

    def _write(self, *, new: bool) -> bool:
        """Write the lease, and tell whether it is held."""
        began = self.clock.now()
        # The time makes each ETag another one.
        content = {"owner": self.owner, "token": self._token, "seconds": self.seconds + _SPARE, "at": began}
        condition: dict[str, Any] = {"new": True} if new else {"etag": self._etag}
        etag = self.bucket.write(KEY, json.dumps(content).encode(), **condition)
        if etag is not None:
            self._etag, self._renewed = etag, began
            return True
        # Refused, it may still be the same request's doing, which boto3 has repeated because its answer was lost; or
        # nothing was written because of another request (409), and the lease is as old as it is.
        mine = self._mine()
        if mine is not None:
            self._renewed = min(began, self.clock.now() - mine.age)
        return mine is not None

    def _mine(self) -> _Found | None:
        """Return the lease that lies in the bucket if this tool wrote it."""
        try:
            found = self._look()
        except NoLeaseError:
            return None
        if found is None or found.token != self._token:
            return None
        self._etag = found.etag
        return found

    def _lost(self) -> Never:
        self._etag = None
        raise StoppedError(
            f"{self._place} is no longer held by this tool: another one took over, or somebody removed it. So nothing "
            "more is sent from here"
        )

    def give_back(self) -> None:
        """End the lease."""
        if self._etag is not None:
            self.bucket.delete(KEY, self._etag)
            self._etag = None

    def remove(self) -> None:
        """Remove what lies in the lease's place, whosever it is."""
        try:
            found = self._look()
            what = "" if found is None else f"the lease of {found.owner}"
        except NoLeaseError:
            what = "something that is no lease"
        if what:
            self.bucket.client.delete_object(Bucket=self.bucket.name, Key=KEY)
            self.tell(f"removed {what}")

    def _look(self) -> _Found | None:
        """Return the lease that lies in the bucket, if any. Raises `NoLeaseError`."""
        try:
            found: Any = self.bucket.client.get_object(Bucket=self.bucket.name, Key=KEY)
        except ClientError as error:
            if code_of(error) in MISSING:
                return None
            raise
        body = found["Body"].read(_MAX_BYTES)
        content = _content(body)
        problem = _problem(content)
        if problem:
            shown = f"{body[:_SHOWN].decode(errors='replace')!r}{' …' if len(body) > _SHOWN else ''}"
            raise NoLeaseError(
                f"{self._place} holds something that is no lease: {problem}. It begins with {shown}. If no redrive or "
                "replay is at work on this bucket, remove it by --break-lease"
            )
        told = found["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
        now: datetime = parsedate_to_datetime(told) if told else datetime.fromtimestamp(self.clock.now()).astimezone()
        age = (now - found["LastModified"]).total_seconds()
        token = str(content.get("token", ""))
        return _Found(content["owner"], token, float(content["seconds"]), age, found["ETag"])

    @property
    def _place(self) -> str:
        return f"the lease s3://{self.bucket.name}/{KEY}"


def _content(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _problem(content: Any) -> str:
    """Say why something is no lease; nothing when it is one."""
    longest = LONGEST_SECONDS + _SPARE
    if not isinstance(content, dict):
        return "wanted a JSON object"
    if not isinstance(content.get("owner"), str):
        return "wanted its owner as text"
    seconds = content.get("seconds")
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 < seconds <= longest:
        got = f"got {seconds!r:.40}" if "seconds" in content else "got none"
        return f"wanted seconds above 0 and at most {longest:.0f}, {got}"
    return ""


def owner() -> str:
    """Return the user, the machine and the process."""
    return f"{getpass.getuser()}@{socket.gethostname()}, process {os.getpid()}"
