"""What a person watching the trigger sees: one line per delivery, and what it led to."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from local.events import Advanced, Delivered, Invoked, Retried, Split
from local.observations import Ended, GivenUp, Logged, Observation, Step, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from local.actions import Record

PLAIN_WIDTH = 160  # columns where the output is no terminal, so that a line stays a line
QUIET_LEVELS = {"DEBUG", "INFO"}


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
    """Prints observations as they come; safe to call from any thread. `logs` shows every line of the functions."""

    def __init__(self, output: Console, *, logs: bool = False) -> None:
        self._output = output
        self._logs = logs
        self._lock = threading.Lock()
        self._invoked: dict[tuple[str, str, int], Invoked] = {}
        self._ended: dict[tuple[str, str, int], Ended] = {}

    def __call__(self, observation: Observation) -> None:
        """Show one observation."""
        with self._lock:
            if isinstance(observation, Step):
                self._step(observation)
            elif isinstance(observation, Ended):
                invoke = observation.invoke
                self._ended[observation.mapping, invoke.shard_id, invoke.id] = observation
            elif isinstance(observation, Logged):
                self._log(observation)
            else:
                self._bad_news(observation)

    def _step(self, step: Step) -> None:
        event = step.event
        if isinstance(event, Invoked):
            self._invoked[step.mapping, step.shard_id, event.invoke_id] = event
        elif isinstance(event, Delivered | Advanced | Retried | Split):
            key = (step.mapping, step.shard_id, event.invoke_id)
            invoked, ended = self._invoked.pop(key, None), self._ended.pop(key, None)
            if invoked is not None and ended is not None:
                self._output.print(delivery_line(step, invoked, ended), soft_wrap=True)

    def _log(self, logged: Logged) -> None:
        if self._logs or not is_routine(logged.line):
            self._output.print(Text(f"         {logged.function} | {logged.line}", "dim"), soft_wrap=True)

    def _bad_news(self, news: GivenUp | Trouble) -> None:
        if isinstance(news, Trouble):
            text = f"{_clock(news.at)} {news.mapping}: {news.message}"
        else:
            where = news.destination or "nowhere: the mapping has no on-failure destination"
            lost = f"{len(news.discard.records)} records given up ({news.discard.condition})"
            text = f"{_clock(news.at)} {news.mapping}: {lost}, sent to {where}"
        self._output.print(Text(text, "bold red"), soft_wrap=True)


def delivery_line(step: Step, invoked: Invoked, ended: Ended) -> Text:
    """One line for one invocation: when, shard and lane, which records, what came of it, how long it took."""
    age = "" if invoked.oldest is None else f", age {max(0.0, invoked.at - invoked.oldest):.1f} s"
    what, style = outcome_of(step.event, ended)
    text = Text(f"{_clock(ended.at)} {step.mapping} {step.shard_id[-8:]}/{invoked.lane} #{invoked.invoke_id}")
    text.append(f" attempt {invoked.attempt + 1}: {changes(ended.invoke.records)}{age} -> ")
    text.append(what, style)
    text.append(f" ({ended.invocation.seconds * 1000:.0f} ms)")
    return text


def outcome_of(event: object, ended: Ended) -> tuple[str, str]:
    """What a delivery came to, in words, and the style to print it in."""
    if isinstance(event, Advanced):
        return f"partial: {event.done} done, {event.left} come again", "yellow"
    error = ended.invocation.error
    why = f" after {error['errorType']}" if error else ""
    if isinstance(event, Split):
        return f"halved into {event.first_half} + {event.second_half}{why}", "magenta"
    if isinstance(event, Retried):
        return f"failed{why}, again in {event.wait:.1f} s", "red"
    return "ok", "green"


def changes(records: Sequence[Record]) -> str:
    """How many records of each kind."""
    kinds = Counter(str(record.get("eventName")) for record in records)
    counted = " ".join(f"{kind} x{count}" for kind, count in kinds.items())
    return f"{len(records)} record{'s' if len(records) != 1 else ''} ({counted})"


def is_routine(line: str) -> bool:
    """Whether a log line need not be shown: metrics, and structured log entries below a warning."""
    try:
        entry = json.loads(line)
    except ValueError:
        return not line.strip()
    return isinstance(entry, dict) and ("_aws" in entry or entry.get("level") in QUIET_LEVELS)


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
