"""What a person watching the trigger sees: one line per delivery, and what it led to."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Self

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from local.actions import Condition, Throttled
from local.events import Advanced, Delivered, Invoked, Retried, Split
from local.log_lines import readable
from local.observations import Ended, GivenUp, Logged, Observation, Step, Trouble
from local.status import Status, short

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from local.actions import Record

PLAIN_WIDTH = 160  # columns where the output is no terminal, so that a line stays a line


def console() -> Console:
    """A console for standard output: colours in a terminal, plain text in a file or a pipe."""
    plain = not sys.stdout.isatty()
    return Console(highlight=False, width=PLAIN_WIDTH if plain else None, no_color=plain or None)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table of text; numbers to the right."""
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD if sys.stdout.isatty() else box.ASCII2)
    made_rows = [list(row) for row in rows]
    for index, column in enumerate(columns):
        numeric = bool(made_rows) and all(isinstance(row[index], int) for row in made_rows)
        made.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in made_rows:
        made.add_row(*[Text(str(cell)) for cell in row])
    return made


class View:
    """Prints observations as they come; safe to call from any thread.

    `verbose` shows every line of the functions. In a terminal, within the with block, a table below the deliveries
    shows where each shard stands.
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
        """Show the table, in a terminal."""
        if self._output.is_terminal:
            self._live = Live(get_renderable=self.status, console=self._output, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the table as it is in the end."""
        if self._live is not None:
            self._live.stop()
        self._output.print(self.status())

    def status(self) -> Group:
        """Where each shard stands, and the latency."""
        with self._lock:
            rows = self._status.rows(time.time())
            latency = Text(f"write to handler: {self._status.latency.summary()}", "cyan")
        return Group(table("", Status.columns, rows), latency) if rows else Group(latency)

    def __call__(self, observation: Observation) -> None:
        """Show one observation."""
        with self._lock:
            lines = list(self._lines(observation, self._status.follow(observation)))
        for line in lines:
            self._output.print(line, soft_wrap=True)

    def say(self, told: str) -> None:
        """Print what another terminal has asked for."""
        self._output.print(Text(told, "magenta"), soft_wrap=True)

    def _lines(self, observation: Observation, latency: float | None) -> Iterator[Text]:
        if isinstance(observation, Step):
            yield from self._step(observation)
        elif isinstance(observation, Ended):
            invoke = observation.invoke
            self._ended[observation.mapping, invoke.shard_id, invoke.id] = observation, latency
        elif isinstance(observation, Logged):
            shown = observation.line if self._verbose else readable(observation.line)
            if shown is not None:
                yield Text(
                    f"         {observation.function} | {shown}", "yellow" if shown != observation.line else "dim"
                )
        elif isinstance(observation, GivenUp | Trouble):
            yield bad_news(observation)

    def _step(self, step: Step) -> Iterator[Text]:
        event = step.event
        if isinstance(event, Invoked):
            self._invoked[step.mapping, step.shard_id, event.invoke_id] = event
        elif isinstance(event, Delivered | Advanced | Retried | Split):
            key = (step.mapping, step.shard_id, event.invoke_id)
            invoked, (ended, latency) = self._invoked.pop(key, None), self._ended.pop(key, (None, None))
            if invoked is not None and ended is not None:
                yield delivery_line(step, invoked, ended, latency)


def bad_news(news: GivenUp | Trouble) -> Text:
    """One line about records that were given up, or about what the trigger could not do."""
    if isinstance(news, Trouble):
        return Text(f"{_clock(news.at)} {news.mapping}: {news.message}", "bold red")
    lost = (
        f"{counted(len(news.discard.records), 'record')} given up after {counted(news.discard.invoke_count, 'attempt')}"
    )
    where = f"told to {news.destination}" if news.destination else "lost: the mapping has no on-failure destination"
    if news.discard.condition is Condition.RECORDS_TRIMMED:
        where = "lost: the stream keeps them no longer"
    return Text(f"{_clock(news.at)} {news.mapping}: {lost} ({news.discard.condition}), {where}", "bold red")


def delivery_line(step: Step, invoked: Invoked, ended: Ended, latency: float | None) -> Text:
    """One line for one invocation: when, shard and lane, which records, what came of it, how long it took."""
    what, style = outcome_of(step.event, ended)
    attempt = f" attempt {invoked.attempt + 1}" if invoked.attempt else ""
    text = Text(f"{_clock(ended.at)} {step.mapping} {short(step.shard_id)}/{invoked.lane} #{invoked.invoke_id}")
    text.append(f"{attempt}: {changes(ended.invoke.records)} -> ")
    text.append(what, style)
    text.append(f" ({ended.invocation.seconds * 1000:.0f} ms{_waited(invoked, latency)})", "dim")
    return text


def _waited(invoked: Invoked, latency: float | None) -> str:
    """How old the records were: to the millisecond when they came for the first time."""
    if latency is not None:
        return f", {latency * 1000:.0f} ms after the write"
    return "" if invoked.oldest is None else f", age {max(0.0, invoked.at - invoked.oldest):.1f} s"


def outcome_of(event: object, ended: Ended) -> tuple[str, str]:
    """What a delivery came to, in words, and the style to print it in."""
    if isinstance(event, Advanced):
        return f"partial: {event.done} done, {event.left} come again", "yellow"
    error = ended.invocation.error
    why = f" after {error['errorType']}" if error else ""
    if isinstance(event, Split):
        return f"halved into {event.first_half} + {event.second_half}{why}", "magenta"
    if isinstance(event, Retried) and isinstance(ended.invocation.outcome, Throttled):
        return f"throttled, again in {event.wait:.1f} s", "yellow"
    if isinstance(event, Retried):
        why = why or f": {event.reason}"
        return f"failed{why}, again in {event.wait:.1f} s", "red"
    return "ok", "green"


def changes(records: Sequence[Record]) -> str:
    """How many records of each kind."""
    kinds = Counter(str(record.get("eventName")) for record in records)
    each = " ".join(f"{kind} x{count}" for kind, count in kinds.items())
    return f"{counted(len(records), 'record')} ({each})"


def counted(number: int, noun: str) -> str:
    """The number and its noun, in the plural where it has to be."""
    return f"{number} {noun}{'s' if number != 1 else ''}"


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
