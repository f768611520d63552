"""The latest lines of what a stack does, and what is behind those of invocations, as JSON objects for the page."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tablestream.local.cli.terminal import is_metrics, readable, shortened
from tablestream.local.cli.words import changes, fate, kept_back, outcome_of
from tablestream.local.cloud.witness import Sent, SetAside, Sight
from tablestream.local.delivery.protocol import NotInvoked
from tablestream.local.runtime.child import words_of
from tablestream.local.trigger.observations import Ended, GivenUp, KeptBack, Logged, RequestServed, Trouble
from tablestream.local.trigger.status import Status, short

if TYPE_CHECKING:
    from tablestream.local.delivery.protocol import LambdaRecord
    from tablestream.local.runtime.function import Invocation
    from tablestream.local.trigger.observations import Observation
    from tablestream.local.trigger.status import Finished

Json = Any

MOST_LINES = 1000
MOST_UNFOLDED = 200  # lines with records, answer and effects behind them
MOST_RECORDS = 20_000  # of all these together: a batch may have 10,000
MOST_LETTERS = 200  # paths of dead letters and on-failure records
MOST_LOGGED = 50  # the last lines that a function wrote, for the next invocation that ends
MOST_AT_ONCE = 300  # the page shows no more of them


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the page: when (unix seconds), who, what, and what came of it.

    `style` is a word for how it went: ok, warning, failed, halved or quiet. `detail` are times and sizes.
    `unfolds` says whether there is more behind it.
    """

    number: int
    at: float
    who: str
    what: str
    outcome: str = ""
    style: str = "quiet"
    detail: str = ""
    unfolds: bool = False

    def told(self) -> dict[str, Json]:
        """A JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Unfolded:
    """The rest of a line. Mutable: what an invocation sent may be seen after it has ended.

    `answer` is what the function returned, `error` what it failed with, `changes` the changes of tables that it made.
    """

    records: Sequence[LambdaRecord] = ()
    answer: Json = None
    error: Mapping[str, Json] | None = None
    changes: Mapping[str, int] = field(default_factory=dict)
    effects: list[Mapping[str, Json]] = field(default_factory=list)
    logged: Sequence[str] = ()

    def told(self) -> dict[str, Json]:
        """A JSON object."""
        names = ("answer", "error", "changes", "effects", "logged")
        return {"records": list(self.records), **{name: getattr(self, name) for name in names}}


_STYLES = {"green": "ok", "yellow": "warning", "red": "failed", "magenta": "halved"}
_BUCKET = "s3://"
_OF_STATUS = {"4": "warning", "5": "failed"}


class Timeline:
    """Keeps the latest lines; call it with observations from any thread. Mutable: the oldest are forgotten.

    `functions` are the functions of event source mappings by their logical ids, `sights` what was sent and set aside
    since it was asked last, `changes_of` the changes of tables by the id of the invocation that made them.
    """

    def __init__(
        self,
        functions: Mapping[str, str],
        sights: Callable[[], Sequence[Sight]] = list,
        changes_of: Callable[[str], Mapping[str, int]] = lambda _request_id: {},
        most: int = MOST_LINES,
    ) -> None:
        self._functions = functions
        self._sights = sights
        self._changes_of = changes_of
        self._lines: deque[Line] = deque(maxlen=most)
        self._unfolded: dict[int, Unfolded] = {}
        self._records = 0
        self._effects: dict[str, list[Mapping[str, Json]]] = {}
        self._letters: deque[str] = deque(maxlen=MOST_LETTERS)
        self._logged: dict[str, deque[str]] = {}
        self._status = Status()
        self._count = 0
        self._closed = False
        self._changed = threading.Condition()

    def __call__(self, observation: Observation) -> None:
        """Take one observation."""
        with self._changed:
            finished = self._status.follow(observation)
            if finished is not None:
                self._finished(finished)
            self._other(observation)
            if isinstance(observation, Ended | RequestServed):  # what a function sends, it has sent by then
                self._look()
            self._changed.notify_all()

    def invoked(self, function: str, invocation: Invocation) -> None:
        """Take an invocation that no stream caused, but a message or a call of the Lambda API."""
        words = words_of(invocation.error)
        outcome = "throttled" if isinstance(invocation.outcome, NotInvoked) else f"failed: {words}" if words else "ok"
        with self._changed:
            behind = self._behind(invocation, function, ())
            style = "ok" if outcome == "ok" else "failed"
            self._add(time.time(), function, "invoked", outcome, style, _milliseconds(invocation.seconds), behind)
            self._look()
            self._changed.notify_all()

    def say(self, told: str) -> None:
        """Take what somebody asked of the stack: a fault, a mapping that is stopped."""
        with self._changed:
            self._add(time.time(), "you", told)
            self._changed.notify_all()

    def since(self, number: int, patience: float = 0.0) -> list[Line]:
        """The lines behind that of this number, at most so many of them as the page shows: the latest.

        Waits at most `patience` seconds for one. A number that is not reached yet is of another stack: then all count.
        """
        with self._changed:
            number = number if number <= self._count else 0
            self._changed.wait_for(lambda: self._closed or self._count > number, patience)
            self._look()
            new = [line for line in self._lines if line.number > number]
        return new[-MOST_AT_ONCE:]

    def unfolded(self, number: int) -> dict[str, Json] | None:
        """The rest of the line of this number; None where there is none, or none any more."""
        with self._changed:
            self._look()
            found = self._unfolded.get(number)
            return None if found is None else found.told()

    def deliveries_of(self, keys: Mapping[str, Json]) -> list[dict[str, Json]]:
        """The lines of this item's deliveries that are still kept, with what each led to: a JSON object each."""
        with self._changed:
            self._look()
            lines = {line.number: line.told() for line in self._lines}
            return [
                lines[number] | {"effects": list(behind.effects), "changes": dict(behind.changes)}
                for number, behind in self._unfolded.items()
                if number in lines and any(record["dynamodb"].get("Keys") == keys for record in behind.records)
            ]

    def letters(self) -> list[str]:
        """The paths (bucket, slash, key) of the dead letters and on-failure records that were stored, latest first."""
        with self._changed:
            self._look()
            return list(reversed(self._letters))

    def shards(self, now: float) -> list[dict[str, Json]]:
        """The state of each shard: a JSON object each."""
        with self._changed:
            return self._status.told(now)

    def latency(self) -> str:
        """The time from a write to the handler, in words."""
        with self._changed:
            return self._status.latency.summary()

    @property
    def closed(self) -> bool:
        """Whether nothing more comes."""
        return self._closed

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _finished(self, finished: Finished) -> None:
        ended = finished.ended
        outcome, colour = outcome_of(finished.event, ended, words_of(ended.invocation.error))
        behind = self._behind(ended.invocation, self._functions.get(finished.mapping, ""), ended.invoke.records)
        what = f"{_place(finished, self._status)}: {changes(ended.invoke.records)}"
        detail = f"{_milliseconds(ended.invocation.seconds)}{_latency(finished)}"
        self._add(ended.at, finished.mapping, what, outcome, _STYLES[colour], detail, behind)

    def _other(self, observation: Observation) -> None:
        if isinstance(observation, Logged):
            self._log(observation)
        elif isinstance(observation, RequestServed):
            self._served(observation)
        elif isinstance(observation, GivenUp):
            behind = Unfolded(observation.discard.records)
            if (observation.destination or "").startswith(_BUCKET):
                self._keep_letter(str(observation.destination).removeprefix(_BUCKET))
            self._add(observation.at, observation.mapping, fate(observation), "given up", "failed", behind=behind)
        elif isinstance(observation, KeptBack):
            self._add(observation.at, observation.mapping, kept_back(observation))
        elif isinstance(observation, Trouble):
            self._add(observation.at, observation.mapping, observation.message, "trouble", "failed")

    def _log(self, logged: Logged) -> None:
        if is_metrics(logged.line):
            return
        self._logged.setdefault(logged.function, deque(maxlen=MOST_LOGGED)).append(logged.line)
        if (shown := readable(logged.line)) is not None:
            self._add(
                time.time(), logged.function, shortened(shown), "", "warning" if shown != logged.line else "quiet"
            )

    def _served(self, request: RequestServed) -> None:
        outcome = f"{request.status} {words_of(request.error)}".rstrip()
        style = _OF_STATUS.get(str(request.status)[0], "ok")
        detail = ", ".join([_milliseconds(request.seconds), *([request.changed] if request.changed else [])])
        self._add(request.at, request.api, f"{request.method} {shortened(request.path)}", outcome, style, detail)

    def _behind(self, invocation: Invocation, function: str, records: Sequence[LambdaRecord]) -> Unfolded:
        logged = self._logged.pop(function, ())
        made = dict(self._changes_of(invocation.request_id))
        effects = self._effects_of(invocation.request_id)
        return Unfolded(records, invocation.payload, invocation.error, made, effects, list(logged))

    def _effects_of(self, request_id: str) -> list[Mapping[str, Json]]:
        """The list of an invocation's effects: what it sends is seen before its outcome is known, or after that."""
        effects = self._effects.setdefault(request_id, [])
        while len(self._effects) > MOST_UNFOLDED:
            del self._effects[next(iter(self._effects))]
        return effects

    def _look(self) -> None:
        """Take what was sent and set aside meanwhile: a line each, and an effect of the invocation that did it."""
        for sight in self._sights():
            effect = _effect(sight)
            who = sight.to if isinstance(sight, Sent) else "dead letter"
            style = "ok" if isinstance(sight, Sent) else "failed"
            self._add(time.time(), who, shortened(effect["what"]), effect["kind"], style)
            if isinstance(sight, SetAside):
                self._keep_letter(sight.path)
            if sight.request_id:
                self._effects_of(sight.request_id).append(effect)

    def _keep_letter(self, path: str) -> None:
        if path in self._letters:  # stored again, as one that a redrive has found to be poison
            self._letters.remove(path)
        self._letters.append(path)

    def _add(
        self,
        at: float,
        who: str,
        what: str,
        outcome: str = "",
        style: str = "quiet",
        detail: str = "",
        behind: Unfolded | None = None,
    ) -> None:
        self._count += 1
        self._lines.append(Line(self._count, at, who, what, outcome, style, detail, behind is not None))
        if behind is not None:
            self._unfolded[self._count] = behind
            self._records += len(behind.records)
            while len(self._unfolded) > 1 and (len(self._unfolded) > MOST_UNFOLDED or self._records > MOST_RECORDS):
                oldest = self._unfolded.pop(next(iter(self._unfolded)))
                self._records -= len(oldest.records)


def _place(finished: Finished, status: Status) -> str:
    """The number of the invocation, the attempt from the second on; shard and slot where there are several."""
    invoked = finished.invoked
    shard = f"{short(finished.shard_id)} " if status.shards(finished.mapping) > 1 else ""
    slot = f"slot {invoked.slot} " if invoked.slot else ""
    return f"{shard}{slot}#{invoked.invoke_id}" + (f" attempt {invoked.attempt + 1}" if invoked.attempt else "")


def _latency(finished: Finished) -> str:
    return "" if finished.latency is None else f", {_milliseconds(finished.latency)} after the write"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _effect(sight: Sight) -> dict[str, Json]:
    if isinstance(sight, Sent):
        return {"kind": "message", "to": sight.to, "what": sight.text}
    about = ", ".join(part for part in (sight.item, f"in {sight.handler}" if sight.handler else "") if part)
    told = f"{about}: {sight.reason}" if about else sight.reason
    return {"kind": "dead letter", "to": sight.path, "what": told}
