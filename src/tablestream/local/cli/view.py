"""Shows a person what the trigger does: a line for each invocation, and below them where each shard stands."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Self

from rich.console import Group
from rich.live import Live
from rich.text import Text

from tablestream.local.cli.status import Status, short
from tablestream.local.cli.terminal import counted, put, readable, wrapped
from tablestream.local.delivery.protocol import Advanced, Condition, Delivered, Invoked, Retried, Split, Throttled
from tablestream.local.runtime.child import words_of
from tablestream.local.trigger.observations import DeliveryStep, Ended, GivenUp, Logged, Observation, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from rich.console import Console

    from tablestream.local.delivery.protocol import LambdaRecord
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
        """Print what came of an invocation that no stream caused."""
        words = words_of(invocation.error)
        told = "throttled" if isinstance(invocation.outcome, Throttled) else f"failed: {words}" if words else "ok"
        text = Text(f"{function} invoked from outside -> ").append(told, "green" if told == "ok" else "red")
        put(self._output, text.append(f" ({invocation.seconds * 1000:.0f} ms)", "dim"), at=time.time())

    def _lines(self, observation: Observation, latency: float | None) -> Iterator[Line]:
        if isinstance(observation, DeliveryStep):
            yield from self._step(observation)
        elif isinstance(observation, Ended):
            invoke = observation.invoke
            self._ended[observation.mapping, invoke.shard_id, invoke.id] = observation, latency
        elif isinstance(observation, Logged):
            shown = observation.line if self._verbose else readable(observation.line)
            if shown is not None:
                yield None, Text(f"{observation.function} | {shown}", _style(observation.line, shown))
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
        yield news.at, Text(f"{news.mapping}: {_fate(news)}", "bold red")

    def _delivery(self, key: tuple[str, str, int], event: object) -> Iterator[Line]:
        """One line for an invocation: which records, what came of it, how long it took."""
        invoked, (ended, latency) = self._invoked.pop(key, None), self._ended.pop(key, (None, None))
        if invoked is None or ended is None:
            return
        what, style = outcome_of(event, ended, words_of(ended.invocation.error))
        text = Text(f"{self._place(key, invoked)}: {changes(ended.invoke.records)} -> ")
        text.append(what, style)
        text.append(f" ({ended.invocation.seconds * 1000:.0f} ms{_waited(invoked, latency)})", "dim")
        yield ended.at, text

    def _place(self, key: tuple[str, str, int], invoked: Invoked) -> str:
        """The mapping and the number of the invocation; shard and slot where there are several."""
        mapping, shard_id, number = key
        shard = f" {short(shard_id)}" if self._verbose or self._status.shards(mapping) > 1 else ""
        slot = f" slot {invoked.slot}" if invoked.slot else ""
        attempt = f" attempt {invoked.attempt + 1}" if invoked.attempt else ""
        return f"{mapping}{shard}{slot} #{number}{attempt}"


def outcome_of(event: object, ended: Ended, words: str = "") -> tuple[str, str]:
    """The outcome of a delivery in words, and their style; `words` are the function's own about its error."""
    if isinstance(event, Delivered):
        return "ok", "green"
    if isinstance(event, Advanced):
        return f"partial: {event.done} done, {event.left} come again", "yellow"
    if isinstance(event, Retried) and isinstance(ended.invocation.outcome, Throttled):
        return f"throttled, again in {event.wait:.1f} s", "yellow"
    reason = getattr(event, "reason", "")
    why = f": {words or reason}" if words or reason else ""
    if isinstance(event, Split):
        return f"failed, halved into {event.first_half} + {event.second_half}{why}", "magenta"
    if isinstance(event, Retried):
        return f"failed, again in {event.wait:.1f} s{why}", "red"
    return f"failed{why}", "red"


def changes(records: Sequence[LambdaRecord]) -> str:
    """The number of records of each kind."""
    kinds = Counter(str(record.get("eventName")) for record in records)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "no records"


def _style(line: str, shown: str) -> str:
    if line.startswith("[ERROR]"):
        return "red"
    return "yellow" if shown != line else "dim"


def _fate(news: GivenUp) -> str:
    lost = f"{counted(len(news.discard.records), 'record')} given up"
    after = f"after {counted(news.discard.invoke_count, 'attempt')} ({news.discard.condition})"
    where = f"told to {news.destination}" if news.destination else "lost: the mapping has no on-failure destination"
    if news.discard.condition is Condition.RECORDS_TRIMMED:
        where = "lost: the stream keeps them no longer"
    return f"{lost} {after}, {where}"


def _waited(invoked: Invoked, latency: float | None) -> str:
    """The age of the records: to the millisecond when they came for the first time."""
    if latency is not None:
        return f", {latency * 1000:.0f} ms after the write"
    return "" if invoked.oldest is None else f", age {max(0.0, invoked.at - invoked.oldest):.1f} s"
