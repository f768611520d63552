"""One redrive or replay at a time: an object in the bucket that says who is at it.

Two invocations with the same records side by side could send a notification twice. That is so for two operators, and
for one whose tool was killed: the invocation that it had begun runs on. So a lease is renewed before each invocation
and lasts longer than one may take; whoever finds one waits for its end. Ages are told by the clock of S3 alone.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import ClientError

from ops.bucket import MISSING, FailuresBucket, code_of
from ops.errors import OutcomeUnknownError, StoppedError
from tablestream.run import Clock

KEY = "redrive/lease.json"
_LONGEST_NAP = 5.0
_OFTEN = 1.0


@dataclass(slots=True)
class Lease:
    """Held from `take` to `give_back`. Mutable: it knows the ETag of what it wrote last."""

    bucket: FailuresBucket
    clock: Clock
    owner: str
    seconds: float
    """How long an invocation may take at most."""
    tell: Callable[[str], None]
    _etag: str | None = None
    _renewed: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lease while the with block runs; an invocation whose end was not seen leaves it to run out."""
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
        """Take the lease, once whoever holds it gives it back or has let it run out."""
        told = False
        while not self._taken():
            holder, left = self._holder()
            if left > 0:
                if not told:
                    self.tell(f"{holder} is at work here, or was interrupted: waiting {left:.0f} s at most")
                    told = True
                self.clock.sleep(min(left, _LONGEST_NAP))

    def _taken(self) -> bool:
        self._etag, self._renewed = self.bucket.write(KEY, self._body(), new=True), self.clock.now()
        return self._etag is not None

    def _holder(self) -> tuple[str, float]:
        """Return who holds the lease, and for how many seconds yet; a lease that has run out is removed."""
        try:
            found: Any = self.bucket.client.get_object(Bucket=self.bucket.name, Key=KEY)
        except ClientError as error:
            if code_of(error) in MISSING:
                return "", 0.0  # given back meanwhile
            raise
        content = json.loads(found["Body"].read())
        told = found["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
        now: datetime = parsedate_to_datetime(told) if told else datetime.fromtimestamp(self.clock.now()).astimezone()
        left = float(content["seconds"]) - (now - found["LastModified"]).total_seconds()
        if left <= 0:
            self.bucket.delete(KEY, found["ETag"])
        return str(content["owner"]), left

    def renew(self) -> None:
        """Begin the lease anew, at most once a second; safe to call from any thread.

        Raises `StoppedError` when somebody else has it, who found it run out.
        """
        with self._lock:
            if self.clock.now() - self._renewed < _OFTEN:
                return
            self._etag = self.bucket.write(KEY, self._body(), etag=self._etag)
            if self._etag is None:
                raise StoppedError("another redrive or replay took over while this one stood still")
            self._renewed = self.clock.now()

    def give_back(self) -> None:
        """End the lease."""
        if self._etag is not None:
            self.bucket.delete(KEY, self._etag)
            self._etag = None

    def _body(self) -> bytes:
        # The time makes each ETag another one.
        return json.dumps({"owner": self.owner, "seconds": self.seconds + _OFTEN, "at": self.clock.now()}).encode()
