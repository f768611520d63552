"""Shows a person what the trigger does: a line for each invocation, and below them where each shard stands."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from rich.console import Group
from rich.live import Live
from rich.text import Text

from tablestream.local.cli.terminal import put, readable, shortened, wrapped
from tablestream.local.cli.words import changes, fate, kept_back, outcome_of
from tablestream.local.delivery.protocol import NotInvoked
from tablestream.local.runtime.child import words_of
from tablestream.local.runtime.runtime import NOT_IMPORTED
from tablestream.local.trigger.observations import GivenUp, KeptBack, Logged, RequestServed, Trouble
from tablestream.local.trigger.status import Status, short

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from rich.console import Console

    from tablestream.local.runtime.function import Invocation
    from tablestream.local.trigger.observations import Observation
    from tablestream.local.trigger.status import Finished


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
            lines = list(self._lines(observation))
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

    def _lines(self, observation: Observation) -> Iterator[Line]:
        finished = self._status.follow(observation)
        if finished is not None:
            yield finished.ended.at, self._finished(finished)
        if isinstance(observation, RequestServed):
            yield observation.at, _served(observation)
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
            yield observation.at, Text(f"{observation.mapping}: {fate(observation)}", "bold red")

    def _finished(self, finished: Finished) -> Text:
        """One line for an invocation: which records, what came of it, how long it took."""
        invocation = finished.ended.invocation
        what, style = outcome_of(finished.event, finished.ended, self._words(invocation))
        text = Text(f"{self._place(finished)}: {changes(finished.ended.invoke.records)} -> ")
        text.append(what, style)
        return text.append(f" ({invocation.seconds * 1000:.0f} ms{_waited(finished)})", "dim")

    def _words(self, invocation: Invocation) -> str:
        """The function's words about its error; few of them where a line above has said that it cannot be imported."""
        words = words_of(invocation.error)
        said = any(words in line for line in self._not_imported)
        return "the handler cannot be imported, as said above" if words and said else words

    def _place(self, finished: Finished) -> str:
        """The mapping and the number of the invocation; shard and slot where there are several."""
        invoked, several = finished.invoked, self._status.shards(finished.mapping) > 1
        shard = f" {short(finished.shard_id)}" if self._verbose or several else ""
        slot = f" slot {invoked.slot}" if invoked.slot else ""
        attempt = f" attempt {invoked.attempt + 1}" if invoked.attempt else ""
        return f"{finished.mapping}{shard}{slot} #{invoked.invoke_id}{attempt}"


_OF_STATUS = {"4": "yellow", "5": "red"}


def _served(request: RequestServed) -> Text:
    text = Text(f"{request.api}: {request.method} {shortened(request.path)} -> ")
    text.append(f"{request.status} {words_of(request.error)}".rstrip(), _OF_STATUS.get(str(request.status)[0], "green"))
    return text.append(f" ({request.seconds * 1000:.0f} ms)", "dim").append(f": {request.changed}".removesuffix(": "))


def _style(line: str, shown: str) -> str:
    if line.startswith("[ERROR]"):
        return "red"
    return "yellow" if shown != line else "dim"


def _waited(finished: Finished) -> str:
    """The age of the records: to the millisecond when they came for the first time."""
    if finished.latency is not None:
        return f", {finished.latency * 1000:.0f} ms after the write"
    oldest = finished.invoked.oldest
    return "" if oldest is None else f", age {max(0.0, finished.invoked.at - oldest):.1f} s"
