"""The stream trigger: a loop per event source mapping that reads the stream, invokes and retries as Lambda does.

What happens next is decided by `delivery.shard`; this module does the I/O. The loop sleeps until something is due or an
invocation has ended: it never spins.
"""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from tablestream.local.delivery.on_failure import OnFailureContext
from tablestream.local.delivery.protocol import Condition, Filtered, Invoke
from tablestream.local.trigger.observations import (
    DeliveryStep,
    Ended,
    GivenUp,
    KeptBack,
    Observation,
    Read,
    Trouble,
    Waiting,
)
from tablestream.local.trigger.stream import ERROR_SECONDS, StreamReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tablestream.local.delivery.mapping import MappingSettings
    from tablestream.local.delivery.protocol import DiscardRecords, Gathered, LambdaRecord
    from tablestream.local.delivery.shard import Progress
    from tablestream.local.runtime.function import Invocation
    from tablestream.local.trigger.destinations import OnFailureDestination
    from tablestream.local.trigger.stream import StreamSource

POLL_INTERVAL = 0.25  # seconds: Lambda's base rate is 4 polls per second and shard (rule 6)
LONGEST_WAIT = 5.0  # seconds between two looks at the stream, whatever else is (not) due
REQUEST_IDS_KEPT = 1000  # for the on-failure records of batches that were given up
MOST_INVOCATIONS = 32  # threads that wait for a handler's answer


@dataclass(frozen=True, slots=True)
class Wiring:
    """Everything that one trigger works with. `correct` sees every page of records before they are delivered.

    `place` is the mapping's line in the template, `function_arn` carries the alias or version that the mapping names,
    and `executed_version` is what that stands for.
    """

    name: str
    function_arn: str
    executed_version: str
    settings: MappingSettings
    source: StreamSource
    invoke: Callable[[object], Invocation]
    place: str = ""
    destination: OnFailureDestination | None = None
    observe: Callable[[Observation], None] = lambda _observation: None
    correct: Callable[[Sequence[LambdaRecord]], Sequence[LambdaRecord]] = list
    poll_interval: float = POLL_INTERVAL
    now: Callable[[], float] = time.time


def ignored_failures(place: str, which: str) -> str:
    """A warning about a mapping without the setting (rule 12); `place` is its line in the template."""
    where = f" ({place})" if place else ""
    return (
        f"the mapping{where} has no FunctionResponseTypes: [ReportBatchItemFailures], so the batchItemFailures {which} "
        "are ignored: all records of the batch count as done, as in AWS"
    )


class Trigger:
    """Delivers one stream to one function. `start` runs the loop in a thread; `step` is one turn of it, for tests."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._reader = self._new_reader(None)
        self._wanted = self._on = wiring.settings.enabled
        self._in_flight = 0
        self._answers: list[tuple[Invoke, Invocation]] = []
        self._gathered: dict[str, tuple[Gathered, ...]] = {}
        self._request_ids: dict[tuple[str, int], str] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._held = False
        self._warned = False
        self._kept_back = False
        self._pool = ThreadPoolExecutor(MOST_INVOCATIONS, thread_name_prefix=f"{wiring.name}-invoke")
        self._thread = threading.Thread(target=self._run, name=f"{wiring.name}-trigger", daemon=True)

    def start(self) -> None:
        """Begin delivering."""
        self._thread.start()

    def stop(self) -> None:
        """End the loop. Invocations in flight are not waited for: end them by closing their runtime."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is read from the stream within the with block, so that what is written there arrives together."""
        with self._changed:
            self._held = True
        try:
            yield
        finally:
            with self._changed:
                self._held = False
                self._changed.notify_all()

    def enable(self, *, wanted: bool = True) -> None:
        """Deliver, or with `wanted` false stop: what is in flight ends. Enabled again it resumes (rule 4).

        That the attempts at an unfinished batch begin anew then is inferred (I).
        """
        with self._changed:
            self._wanted = wanted
            self._changed.notify_all()

    @property
    def enabled(self) -> bool:
        """Whether it delivers, or will when what was in flight has ended."""
        return self._wanted

    @property
    def in_flight(self) -> int:
        """Invocations whose answer is awaited."""
        return self._in_flight

    def settle(self, timeout: float) -> bool:
        """Wait until all that was written is delivered, with what follows from it; False after `timeout` seconds."""
        since = self._wiring.now()
        with self._changed:
            return self._changed.wait_for(lambda: self._settled(since), timeout)

    def step(self) -> float:
        """Take the answers that came, read what is due, carry out what is due. Returns when the next step is due."""
        with self._changed:
            answers, self._answers = self._answers, []
            for invoke, invocation in answers:
                self._take(invoke, invocation)
            self._tell()  # before polling, which forgets shards that are finished
            self._switch()
            if self._on and not self._held:
                self._poll()
            due = self._carry_out() if self._on else float("inf")
            self._tell()
            self._changed.notify_all()
        return due

    def _new_reader(self, resume: Progress | None) -> StreamReader:
        wiring = self._wiring
        return StreamReader(
            wiring.source,
            wiring.settings,
            wiring.poll_interval,
            wiring.correct,
            self._trouble,
            lambda shard_id, times: wiring.observe(Read(wiring.name, shard_id, times)),
            resume,
        )

    def _switch(self) -> None:
        """Go on or off; on again only when nothing is in flight, or two batches of a shard would be."""
        if self._on and not self._wanted:
            self._on = False
        elif self._wanted and not self._on and self._in_flight == 0:
            self._reader = self._new_reader(self._reader.progress)
            self._on = True

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._wait(self.step())
        except Exception as error:
            self._trouble(f"the trigger stopped: {type(error).__name__}: {error}")
            raise

    def _wait(self, due: float) -> None:
        with self._changed:
            if not self._answers and not self._stopping and (self._on == self._wanted or self._in_flight > 0):
                self._changed.wait(max(0.0, min(due - self._wiring.now(), LONGEST_WAIT)))

    def _poll(self) -> None:
        try:
            self._reader.poll(self._wiring.now())
        except (ClientError, BotoCoreError) as error:
            self._trouble(f"cannot read the stream: {error}")
            self._reader.pause(self._wiring.now() + ERROR_SECONDS)

    def _carry_out(self) -> float:
        now = self._wiring.now()
        due = float("inf") if self._held else self._reader.next_poll()
        for reading in self._reader.readings.values():
            for action in reading.delivery.due(now):
                if isinstance(action, Invoke):
                    self._in_flight += 1
                    self._pool.submit(self._invoke, action)
                else:
                    self._discard(action, now)
            if (next_due := reading.delivery.next_due(now)) is not None:
                due = min(due, next_due)
        return due

    def _tell(self) -> None:
        for shard_id, reading in self._reader.readings.items():
            for event in reading.delivery.events():
                if isinstance(event, Filtered) and not self._kept_back:
                    self._kept_back = True
                    filters = self._wiring.settings.filters
                    self._wiring.observe(KeptBack(self._wiring.name, event.count, filters, event.at))
                self._wiring.observe(DeliveryStep(self._wiring.name, shard_id, event))
            self._tell_waiting(shard_id, reading.delivery.gathered if self._on else ())

    def _tell_waiting(self, shard_id: str, gathered: tuple[Gathered, ...]) -> None:
        """Tell which records of a shard wait, if that has changed. A mapping that is off reads its records again."""
        if gathered != self._gathered.get(shard_id, ()):
            self._gathered[shard_id] = gathered
            window = self._wiring.settings.batching_window
            self._wiring.observe(Waiting(self._wiring.name, shard_id, gathered, window))

    def _invoke(self, invoke: Invoke) -> None:
        invocation = self._wiring.invoke(invoke.event())
        with self._changed:
            self._answers.append((invoke, invocation))
            self._changed.notify_all()

    def _take(self, invoke: Invoke, invocation: Invocation) -> None:
        now = self._wiring.now()
        self._in_flight -= 1
        self._remember(invoke, invocation.request_id)
        self._wiring.observe(Ended(self._wiring.name, invoke, invocation, now))
        self._warn_of_ignored(invocation.payload)
        if (reading := self._reader.readings.get(invoke.shard_id)) is not None:
            reading.delivery.answered(invoke.id, invocation.outcome, now)

    def _warn_of_ignored(self, payload: object) -> None:
        """Say once that the list is ignored, which the author of the handler hardly wants."""
        reported = isinstance(payload, dict) and payload.get("batchItemFailures")
        if reported and not self._warned and not self._wiring.settings.report_failures:
            self._warned = True
            self._trouble(ignored_failures(self._wiring.place, "in this answer"))

    def _discard(self, discard: DiscardRecords, now: float) -> None:
        sent = None
        if self._wiring.destination is not None and discard.condition is not Condition.RECORDS_TRIMMED:
            try:
                sent = self._wiring.destination.send(discard, self._context(discard), now)
            except (ClientError, BotoCoreError) as error:
                self._trouble(f"cannot reach the on-failure destination, the records are lost: {error}")
        self._wiring.observe(GivenUp(self._wiring.name, discard, sent, now))

    def _remember(self, invoke: Invoke, request_id: str) -> None:
        self._request_ids[invoke.shard_id, invoke.id] = request_id
        while len(self._request_ids) > REQUEST_IDS_KEPT:
            del self._request_ids[next(iter(self._request_ids))]

    def _context(self, discard: DiscardRecords) -> OnFailureContext:
        known = self._request_ids.get((discard.shard_id, discard.invoke_id or 0))
        return OnFailureContext(known or str(uuid.uuid4()), self._wiring.function_arn, self._wiring.executed_version)

    def _settled(self, since: float) -> bool:
        if not self._on:
            return self._in_flight == 0 and not self._wanted
        readings = self._reader.readings.values()
        return bool(readings) and all(r.settled is not None and r.settled > since for r in readings)

    def _trouble(self, message: str) -> None:
        self._wiring.observe(Trouble(self._wiring.name, message, self._wiring.now()))
