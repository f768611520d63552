"""Shows a person what the trigger does: a line for each invocation, and below them where each shard stands."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import TYPE_CHECKING, Self

from rich.console import Group
from rich.live import Live
from rich.text import Text

from tablestream.local.cli.terminal import put, readable, shortened, wrapped
from tablestream.local.cli.words import changes, fate, kept_back, outcome_of
from tablestream.local.delivery.protocol import (
    Advanced,
    Checkpointed,
    Delivered,
    DeliveryEvent,
    Discarded,
    Filtered,
    Invoked,
    NotInvoked,
    Retried,
    Split,
)
from tablestream.local.runtime.child import words_of
from tablestream.local.runtime.runtime import NOT_IMPORTED
from tablestream.local.trigger.observations import (
    DeliveryStep,
    Ended,
    GivenUp,
    KeptBack,
    Logged,
    Observation,
    Read,
    RequestServed,
    Trouble,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from rich.console import Console

    from tablestream.local.runtime.function import Invocation


Line = tuple[float | None, Text]  # when, in unix seconds; None for what belongs to the line above


class View:
    """Prints observations as they come; safe to call from any thread.

    `verbose` shows every line of the functions, shards and checkpoints. In a terminal, within the with block, a status
    below the deliveries shows where each shard stands.
    """

    def __init__(self, output: Console, *, verbose: bool = False) -> None:
        self._output = output
        self._verbose = verbose
        self._lock = threading.Lock()
        self._invoked: dict[tuple[str, str, int], Invoked] = {}
        self._ended: dict[tuple[str, str, int], tuple[Ended, float | None]] = {}
        self._not_imported: set[str] = set()
        self._status = Status()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        """Show the status, in a terminal."""
        if self._output.is_terminal:
            self._live = Live(get_renderable=self._shown, console=self._output, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the status as it is in the end."""
        if self._live is not None:
            self._live.stop()
        for line in self.status():
            put(self._output, line, indent=0)

    def status(self) -> list[str]:
        """The state of each shard, and the time from a write to the handler; a line each."""
        with self._lock:
            lines = self._status.lines(time.time(), verbose=self._verbose)
            return [*lines, f"write to handler: {self._status.latency.summary()}"]

    def _shown(self) -> Group:
        return Group("", *(line for text in self.status() for line in wrapped(self._output, Text(text, "cyan"))))

    def __call__(self, observation: Observation) -> None:
        """Show one observation."""
        with self._lock:
            lines = list(self._lines(observation, self._status.follow(observation)))
        for at, text in lines:
            put(self._output, text, at=at)

    def say(self, told: str) -> None:
        """Print what another terminal has asked for."""
        put(self._output, Text(told, "magenta"), at=time.time())

    def invoked(self, function: str, invocation: Invocation) -> None:
        """Print what came of an invocation that no stream caused, but a message or a call of the Lambda API."""
        words = words_of(invocation.error)
        told = "throttled" if isinstance(invocation.outcome, NotInvoked) else f"failed: {words}" if words else "ok"
        text = Text(f"{function} invoked -> ").append(told, "green" if told == "ok" else "red")
        put(self._output, text.append(f" ({invocation.seconds * 1000:.0f} ms)", "dim"), at=time.time())

    def _lines(self, observation: Observation, latency: float | None) -> Iterator[Line]:
        if isinstance(observation, DeliveryStep):
            yield from self._step(observation)
        elif isinstance(observation, RequestServed):
            yield observation.at, _served(observation)
        elif isinstance(observation, Ended):
            invoke = observation.invoke
            self._ended[observation.mapping, invoke.shard_id, invoke.id] = observation, latency
        elif isinstance(observation, Logged):
            if observation.line.startswith(NOT_IMPORTED):
                self._not_imported.add(observation.line)
            shown = observation.line if self._verbose else readable(observation.line)
            if shown is not None:
                yield None, Text(f"{observation.function} | {shown}", _style(observation.line, shown))
        elif isinstance(observation, KeptBack):
            yield observation.at, Text(f"{observation.mapping}: {kept_back(observation)}", "yellow")
        elif isinstance(observation, Trouble):
            yield observation.at, Text(f"{observation.mapping}: {observation.message}", "bold red")
        elif isinstance(observation, GivenUp):
            yield from self._given_up(observation)

    def _step(self, step: DeliveryStep) -> Iterator[Line]:
        event = step.event
        if isinstance(event, Invoked):
            self._invoked[step.mapping, step.shard_id, event.invoke_id] = event
        elif isinstance(event, Delivered | Advanced | Retried | Split):
            yield from self._delivery((step.mapping, step.shard_id, event.invoke_id), event)

    def _given_up(self, news: GivenUp) -> Iterator[Line]:
        """The last attempt, which nothing else tells of, and what became of its records."""
        if news.discard.invoke_id is not None:
            yield from self._delivery((news.mapping, news.discard.shard_id, news.discard.invoke_id), news)
        yield news.at, Text(f"{news.mapping}: {fate(news)}", "bold red")

    def _delivery(self, key: tuple[str, str, int], event: object) -> Iterator[Line]:
        """One line for an invocation: which records, what came of it, how long it took."""
        invoked, (ended, latency) = self._invoked.pop(key, None), self._ended.pop(key, (None, None))
        if invoked is None or ended is None:
            return
        what, style = outcome_of(event, ended, self._words(ended.invocation))
        text = Text(f"{self._place(key, invoked)}: {changes(ended.invoke.records)} -> ")
        text.append(what, style)
        text.append(f" ({ended.invocation.seconds * 1000:.0f} ms{_waited(invoked, latency)})", "dim")
        yield ended.at, text

    def _words(self, invocation: Invocation) -> str:
        """The function's words about its error; few of them where a line above has said that it cannot be imported."""
        words = words_of(invocation.error)
        said = any(words in line for line in self._not_imported)
        return "the handler cannot be imported, as said above" if words and said else words

    def _place(self, key: tuple[str, str, int], invoked: Invoked) -> str:
        """The mapping and the number of the invocation; shard and slot where there are several."""
        mapping, shard_id, number = key
        shard = f" {short(shard_id)}" if self._verbose or self._status.shards(mapping) > 1 else ""
        slot = f" slot {invoked.slot}" if invoked.slot else ""
        attempt = f" attempt {invoked.attempt + 1}" if invoked.attempt else ""
        return f"{mapping}{shard}{slot} #{number}{attempt}"


_OF_STATUS = {"4": "yellow", "5": "red"}


def _served(request: RequestServed) -> Text:
    text = Text(f"{request.api}: {request.method} {shortened(request.path)} -> ")
    text.append(f"{request.status} {words_of(request.error)}".rstrip(), _OF_STATUS.get(str(request.status)[0], "green"))
    return text.append(f" ({request.seconds * 1000:.0f} ms)", "dim").append(f": {request.changed}".removesuffix(": "))


def _style(line: str, shown: str) -> str:
    if line.startswith("[ERROR]"):
        return "red"
    return "yellow" if shown != line else "dim"


def _waited(invoked: Invoked, latency: float | None) -> str:
    """The age of the records: to the millisecond when they came for the first time."""
    if latency is not None:
        return f", {latency * 1000:.0f} ms after the write"
    return "" if invoked.oldest is None else f", age {max(0.0, invoked.at - invoked.oldest):.1f} s"


LAST_DIGITS = 8  # of an id or a sequence number: enough to tell them apart on a screen


@dataclass(slots=True)
class ShardStatus:
    """One shard. `slots` holds what each busy one does. Mutable: it follows the events."""

    slots: dict[int, str] = field(default_factory=dict)
    waiting_since: dict[int, float] = field(default_factory=dict)
    checkpoint: str = ""
    delivered: int = 0
    filtered: int = 0
    attempts_again: int = 0
    halves: int = 0
    given_up: int = 0

    def follow(self, event: DeliveryEvent) -> None:
        """Take one event."""
        match event:
            case Invoked():
                self.slots[event.slot] = f"{event.count} in flight, attempt {event.attempt + 1}"
                if event.oldest is not None:
                    self.waiting_since[event.slot] = event.oldest
            case Delivered():
                self.delivered += event.count
                self._rest(event.slot)
            case Advanced():
                self.delivered += event.done
                self.slots[event.slot] = f"{event.left} come again"
            case Retried():
                self.attempts_again += 1
                self.slots[event.slot] = f"{event.count} again in {event.wait:.1f} s"
            case Split():
                self.halves += 1
                self.slots[event.slot] = f"halved into {event.first_half} + {event.second_half}"
            case Discarded():
                self.given_up += event.count
                self._rest(event.slot)
            case Filtered():
                self.filtered += event.count
            case Checkpointed():
                self.checkpoint = event.sequence_number
            case _:
                return

    def line(self, now: float) -> str:
        """The work under way, the age of the oldest record that is not done, and the counts."""
        slots = sorted(self.slots.items())
        busy = [f"slot {slot}: {what}" if slot else what for slot, what in slots]
        age = max((now - since for since in self.waiting_since.values()), default=0.0)
        oldest = [f"the oldest {age:.1f} s old"] if self.waiting_since else []
        counts = {
            "filtered": self.filtered,
            "retried": self.attempts_again,
            "halved": self.halves,
            "given up": self.given_up,
        }
        counted = [f"{self.delivered} done", *(f"{count} {what}" for what, count in counts.items() if count)]
        return f"{', '.join([*(busy or ['idle']), *oldest])}; {', '.join(counted)}"

    def _rest(self, slot: int) -> None:
        self.slots.pop(slot, None)
        self.waiting_since.pop(slot, None)


class Status:
    """All shards of all mappings, and the latency. Mutable: it follows the observations."""

    def __init__(self) -> None:
        self._shards: dict[tuple[str, str], ShardStatus] = {}
        self.latency = Latency()

    def follow(self, observation: Observation) -> float | None:
        """Take one observation; returns the latency that an invocation showed, in seconds."""
        if isinstance(observation, DeliveryStep):
            self._shards.setdefault((observation.mapping, observation.shard_id), ShardStatus()).follow(
                observation.event
            )
        elif isinstance(observation, Read):
            self.latency.read(observation)
        elif isinstance(observation, Ended):
            return self.latency.add(observation)
        return None

    def shards(self, mapping: str) -> int:
        """The number of shards that were seen of a mapping's stream."""
        return sum(name == mapping for name, _ in self._shards)

    def lines(self, now: float, *, verbose: bool = False) -> list[str]:
        """A line a shard. Which shard is said where there are several; `verbose` adds that and the checkpoint."""
        return [
            f"{mapping}{self._named(mapping, shard_id, verbose=verbose)}: {shard.line(now)}"
            + (f"; checkpoint {short(shard.checkpoint) or 'none'}" if verbose else "")
            for (mapping, shard_id), shard in self._shards.items()
        ]

    def _named(self, mapping: str, shard_id: str, *, verbose: bool) -> str:
        return f" {short(shard_id)}" if verbose or self.shards(mapping) > 1 else ""


def short(identifier: str) -> str:
    """The end of a shard id or a sequence number."""
    return identifier[-LAST_DIGITS:]


REMEMBERED = 10_000  # records
FEWEST_FOR_TAIL = 20


class Latency:
    """Collects one sample per record, of its first delivery. Mutable: it is a measurement.

    Of records whose time of writing was not told to a fraction of a second (DynamoDB Local tells the minute) nothing is
    measured.
    """

    def __init__(self) -> None:
        self._written: dict[tuple[str, str, str], float] = {}
        self._seconds: deque[float] = deque(maxlen=REMEMBERED)
        self._delivered: dict[tuple[str, str, int], int] = {}
        self._coarse = False

    def read(self, read: Read) -> None:
        """Take the times at which records were written."""
        self._written |= {(read.mapping, read.shard_id, number): at for number, at in read.written.items()}
        while len(self._written) > REMEMBERED:
            del self._written[next(iter(self._written))]

    def add(self, ended: Ended) -> float | None:
        """Take an invocation; returns the longest of its new samples in seconds, if it has any."""
        began = ended.invocation.began
        if began is None:
            return None
        shard = (ended.mapping, ended.invoke.shard_id)
        slot = (*shard, ended.invoke.slot)
        numbers = [record["dynamodb"]["SequenceNumber"] for record in ended.invoke.records]
        fresh = [number for number in numbers if int(number) > self._delivered.get(slot, -1)]
        written = [at for number in fresh if (at := self._written.pop((*shard, number), None)) is not None]
        if fresh:
            self._delivered[slot] = int(fresh[-1])
            self._coarse |= len(written) < len(fresh)
        self._seconds += [began - time for time in written]
        return began - min(written) if written else None

    @property
    def count(self) -> int:
        """Samples so far, as far as they are remembered."""
        return len(self._seconds)

    @property
    def median(self) -> float | None:
        """Seconds."""
        return median(self._seconds) if self._seconds else None

    def summary(self) -> str:
        """In words, for a person."""
        if not self._seconds:
            return "not measured, as the stream tells no fractions of a second" if self._coarse else "no record yet"
        tail = ""
        if len(self._seconds) >= FEWEST_FOR_TAIL:
            tail = f", 95 % within {quantiles(self._seconds, n=20)[-1] * 1000:.0f} ms"
        return f"median {median(self._seconds) * 1000:.0f} ms{tail} ({len(self._seconds)} records)"
