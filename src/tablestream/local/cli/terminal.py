"""Printing for people: lines that break between words, tables that fit, plain text in files and pipes."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from typing import TYPE_CHECKING, Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


PLAIN_WIDTH = 160  # columns where the output is no terminal, for tables
LONGEST_TOLD = 200  # letters of a message, a reason or a filter
INDENT = 9  # columns: the time of day and a blank


def console() -> Console:
    """A console for standard output: colours in a terminal, plain text in a file or a pipe."""
    plain = not sys.stdout.isatty()
    return Console(highlight=False, width=PLAIN_WIDTH if plain else None, no_color=plain or None)


def put(
    output: Console,
    text: Text | str,
    *,
    at: float | None = None,
    indent: int = INDENT,
    hang: int = 0,
    style: str = "",
) -> None:
    """Print a line behind the time of day (`at`, unix seconds) or as many blanks.

    What is too long goes on below, `hang` columns further in; elsewhere than in a terminal a line stays a line. `style`
    is for text that has none.
    """
    body = _harmless(Text(text, style) if isinstance(text, str) else text)
    first = clock(at).ljust(indent) if at is not None else " " * indent
    lines = wrapped(output, body, indent, hang) if output.is_terminal else [body]
    # In one call, so that no other thread's line comes between.
    output.print(Text(first) + Text(f"\n{' ' * (indent + hang)}").join(lines), soft_wrap=True)


_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _harmless(text: Text) -> Text:
    """The text with escapes for what would move the cursor, clear the screen or turn a line round: data may hold it."""
    if _CONTROL.search(text.plain) is None:
        return text
    return Text(_CONTROL.sub(lambda found: ascii(found[0])[1:-1], text.plain), text.style)


def wrapped(output: Console, text: Text, indent: int = 0, hang: int = 0) -> list[Text]:
    """The text in lines that fit beside `indent` columns, broken between words; a word that is longer stays whole.

    All but the first lines leave `hang` more columns free.
    """
    widths = (output.width - indent, output.width - indent - hang)
    lines = [part for line in text.split("\n") for part in line.divide(_breaks(line.plain, *widths))]
    for line in lines:
        line.rstrip()
    return lines


def _breaks(plain: str, first: int, later: int) -> list[int]:
    """The beginnings of lines after the first: that takes at most `first` columns, others `later`, as words allow."""
    breaks: list[int] = []
    column = 0
    for word in re.finditer(r"\S+\s*|\s+", plain):
        if column and column + cell_len(word[0].rstrip()) > (later if breaks else first):
            breaks.append(word.start())
            column = 0
        column += cell_len(word[0])
    return breaks


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table of text; numbers to the right. Headers stay whole, cells break between words."""
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD if sys.stdout.isatty() else box.ASCII2)
    made_rows = [list(row) for row in rows]
    for index, column in enumerate(columns):
        numeric = bool(made_rows) and all(isinstance(row[index], int) for row in made_rows)
        made.add_column(column, justify="right" if numeric else "left", overflow="fold", min_width=len(column))
    for row in made_rows:
        made.add_row(*[Text(str(cell)) for cell in row])
    return made


def clock(at: float) -> str:
    """The time of day of unix seconds, in this machine's zone."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def counted(number: int, noun: str) -> str:
    """The number and its noun, in the plural where it has to be."""
    return f"{number} {noun}{'s' if number != 1 else ''}"


def shortened(text: str) -> str:
    """The text in one line, its end left out where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TOLD else f"{line[:LONGEST_TOLD]} …"


QUIET = logging.WARNING
# Said elsewhere in the line, or of no use on this machine.
_LEFT_OUT = {
    "level",
    "message",
    "location",
    "timestamp",
    "service",
    "name",
    "correlation_id",
    "function_request_id",
    "xray_trace_id",
    "exception",
    "stack_trace",
    "function_name",
    "function_arn",
    "function_memory_size",
    "cold_start",
}


def readable(line: str) -> str | None:
    """The line as it is to be shown, or None for what need not be: metrics, and entries below a warning."""
    entry = _entry(line)
    if entry is None:
        return line if line.strip() else None
    if "_aws" in entry or _rank(entry) < QUIET:
        return None
    message = entry.get("message")
    text = message if isinstance(message, str) else json.dumps(message)
    details = ", ".join(f"{name} {_short(value)}" for name, value in entry.items() if name not in _LEFT_OUT)
    return f"{entry['level']}: {text}" + (f" ({details})" if details else "")


def is_metrics(line: str) -> bool:
    """Whether a line holds metrics for CloudWatch, which nobody reads in a log."""
    return line.startswith("{") and '"_aws"' in line


def _entry(line: str) -> dict[str, Any] | None:
    """The structured entry of a line; None for plain text, and for JSON that is no entry of a log or of metrics."""
    if not line.startswith("{"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if "_aws" in entry or "level" in entry else None


def _rank(entry: dict[str, Any]) -> int:
    return logging.getLevelNamesMapping().get(str(entry["level"]).upper(), QUIET)


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
