"""The operator's end of the tools: sentences, tables, a progress line, JSON lines, Ctrl-C, and the exit status.

Sentences about the work go to standard output, warnings and errors to standard error. With `--json` standard output
has one JSON object a line instead, each with a `type`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from types import FrameType
from typing import Any, TextIO

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))
_GAP = "  "
_NARROWEST = 8
_OFTEN = 0.1
"""Seconds between two states of the progress line."""
_CLEAR = "\r\x1b[K"


class ExitStatus(IntEnum):
    """The status that a tool ends with."""

    DONE = 0
    INCOMPLETE = 1
    """Something failed, was stored as a dead letter again, or is left where it was."""
    USAGE = 2
    """The command or the permissions are wrong."""
    INTERRUPTED = 130
    """Ctrl-C, as shells have it: 128 and the number of the signal."""
    BROKEN_PIPE = 141
    """Nobody reads the output any longer."""
    TERMINATED = 143
    """SIGTERM."""


class CommandError(Exception):
    """The command cannot be carried out as given; the message says what came and what to do."""


class StoppedError(Exception):
    """The tool stopped by itself; what it has not settled is where it was, and the same command goes on there."""


class OutcomeUnknownError(StoppedError):
    """The tool stopped while an invocation may still be running."""


class InterruptedRunError(StoppedError):
    """The operator ended the run, by a signal."""

    def __init__(self, number: int) -> None:
        """Take the number of the signal."""
        super().__init__("as asked")
        self.status = ExitStatus(128 + number)


@dataclass(slots=True)
class Interrupt:
    """Whether the operator wants the run to end. Mutable: a signal's handler sets it."""

    signal: int = 0
    """The number of the first signal; 0 before."""

    def check(self) -> None:
        """Raise `InterruptedRunError` when the run shall end."""
        if self.signal:
            raise InterruptedRunError(self.signal)


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Yield what SIGINT and SIGTERM set; the second SIGINT raises KeyboardInterrupt."""
    interrupt = Interrupt()

    def ask(number: int, _frame: FrameType | None) -> None:
        if interrupt.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        interrupt.signal = interrupt.signal or number
        # Not by the stream: the handler may have come in the middle of a write to it.
        os.write(2, b"\nstopping after the invocation under way; Ctrl-C again stops at once\n")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    least: int = 0
    """The higher, the sooner it is left out where the terminal is narrow; 0 never."""


@dataclass(slots=True)
class Terminal:
    """Writes to the operator. Mutable: it knows whether a progress line stands there."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    as_json: bool = False
    clock: Callable[[], float] = time.monotonic
    _line: str = ""
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def say(self, text: str) -> None:
        """Write a sentence about the work; with `--json` nothing."""
        if not self.as_json:
            self._write(self.out, text)

    def warn(self, text: str) -> None:
        """Write a sentence to standard error."""
        self._write(self.err, text)

    def emit(self, line: str, /, **fields: object) -> None:
        """With `--json`, write a line of this type; otherwise nothing."""
        if self.as_json:
            self._write(self.out, json.dumps({"type": line, **fields}, ensure_ascii=True))

    def agrees(self, question: str) -> bool:
        """Ask, on standard error, and tell whether the answer is yes; no answer is no."""
        self.err.write(printable(question))
        self.err.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
        """Write a table that fits a terminal; numbers to the right. Where there is no terminal nothing is left out."""
        lines, without = laid_out(columns, [list(row) for row in rows], _width_of(self.out))
        for line in lines:
            self.say(line)
        if without:
            self.say(f"(not shown at this width: {', '.join(without)}; --json tells all)")

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Keep a progress line on a terminal's standard error while the with block runs; yields what moves it on.

        What comes too soon after the last state is drawn a moment later, as nothing else may come for minutes.
        """
        width = _width_of(self.err)
        room = None if width is None else width - 1
        began, shown, done = self.clock(), float("-inf"), 0
        later: threading.Timer | None = None
        over = width is None

        def draw() -> None:
            nonlocal shown, later
            with self._lock:
                if not over:
                    shown, later = self.clock(), None
                    self._draw(_state(what, done, total, shown - began)[:room])

        def advanced(count: int) -> None:
            nonlocal done, later
            with self._lock:
                done += count
                if over or later is not None:
                    return
                if self.clock() - shown >= _OFTEN:
                    draw()
                else:
                    later = threading.Timer(_OFTEN, draw)
                    later.daemon = True
                    later.start()

        try:
            advanced(0)
            yield advanced
        finally:
            with self._lock:
                if later is not None:
                    later.cancel()
                if not over:
                    draw()
                    over = True
                    self.err.write("\n")
                    self.err.flush()
                    self._line = ""

    def _draw(self, line: str) -> None:
        self._line = line
        self.err.write(_CLEAR + line)
        self.err.flush()

    def _write(self, stream: TextIO, text: str) -> None:
        with self._lock:
            if self._line:
                self.err.write(_CLEAR)
                self.err.flush()
            stream.write(f"{printable(text)}\n")
            stream.flush()
            if self._line:
                self._draw(self._line)


def counted(number: int, noun: str, several: str = "") -> str:
    """Return a number with its noun: 1 record, 2 records."""
    return f"{number} {noun if number == 1 else several or noun + 's'}"


def printable(text: str) -> str:
    """Return a text whose control characters, which could move a terminal's cursor, are shown as their escapes."""
    return "".join(one if one.isprintable() or one == "\n" else ascii(one)[1:-1] for one in text)


def _width_of(stream: TextIO) -> int | None:
    """Return how many columns a terminal has; None where the stream goes to none."""
    if not stream.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80


def _state(what: str, done: int, total: int | None, seconds: float) -> str:
    """Return what a progress line says."""
    of = "" if total is None else f" of {total}"
    left = ""
    if total is not None and 0 < done < total:
        left = f", {age(seconds / done * (total - done))} left"
    return f"{what} {done}{of}, {age(seconds)}{left}"


def laid_out(
    columns: Sequence[Column], rows: Sequence[Sequence[object]], width: int | None
) -> tuple[list[str], list[str]]:
    """Return a table's lines, and the names of the columns that are left out for them to fit."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    kept = list(range(len(columns)))
    while width is not None and _total(_widths(columns, cells, kept)) > width:
        worst = max(kept, key=lambda index: columns[index].least)
        if not columns[worst].least:
            break
        kept.remove(worst)
    widths = _widths(columns, cells, kept)
    while width is not None and _total(widths) > width and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    right = [bool(rows) and all(isinstance(row[index], int) for row in rows) for index in kept]
    head = [columns[index].name for index in kept]
    lines = [line for row in [head] for line in _folded(row, widths, right)]
    lines.append(_GAP.join("-" * one for one in widths))
    lines += [line for row in cells for line in _folded([row[index] for index in kept], widths, right)]
    return lines, [column.name for index, column in enumerate(columns) if index not in kept]


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]], kept: Sequence[int]) -> list[int]:
    return [max(len(columns[index].name), *[len(row[index]) for row in cells]) for index in kept]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _folded(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> Iterator[str]:
    """Yield the lines of a row: a cell that is too long goes on below itself."""
    parts = [textwrap.wrap(cell, width, break_on_hyphens=False) for cell, width in zip(row, widths, strict=True)]
    for number in range(max(1, *map(len, parts))):
        line = [
            f"{part[number] if number < len(part) else '':{'>' if to_the_right else '<'}{width}}"
            for part, width, to_the_right in zip(parts, widths, right, strict=True)
        ]
        yield _GAP.join(line).rstrip()


def age(seconds: float) -> str:
    """Return a length of time in its largest unit."""
    for unit, name in _UNITS:
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_PLAIN = {
    "awsRegion",
    "eventID",
    "eventName",
    "eventSource",
    "eventSourceARN",
    "eventVersion",
    "firstTime",
    "notify",
    "redriven",
    "replayed",
    "userIdentity",
}
_PLAIN_STREAM = {"ApproximateCreationDateTime", "SequenceNumber", "SizeBytes", "StreamViewType"}
_MAX_PLAIN = 200


def masked(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record without the values of its item.

    Names of attributes and of the entries of maps stay where they look like names; a map that has personal data for
    names would show them.
    """
    return {
        name: _stream(value) if name == "dynamodb" else (_plain(value) if name in _PLAIN else hidden(value))
        for name, value in record.items()
    }


def _stream(stream: object) -> Any:
    if not isinstance(stream, dict):
        return hidden(stream)
    return {name: _plain(value) if name in _PLAIN_STREAM else _image(value) for name, value in stream.items()}


def _plain(value: object) -> Any:
    if isinstance(value, dict):
        return {_name(name): _plain(entry) for name, entry in value.items()}
    return value if not isinstance(value, str | list) or len(value) <= _MAX_PLAIN else hidden(value)


def _image(image: object) -> Any:
    if not isinstance(image, dict):
        return hidden(image)
    return {_name(name): _tagged(value) for name, value in image.items()}


def _tagged(value: object) -> Any:
    """Hide a value that should have a type tag; what has none shows as what it is."""
    if not isinstance(value, dict) or len(value) != 1:
        return hidden(value)
    ((tag, content),) = value.items()
    if tag == "M":
        return {"M": _image(content)}
    if tag == "L" and isinstance(content, list):
        return {"L": [_tagged(entry) for entry in content]}
    if tag == "N" and isinstance(content, str):
        return {"N": "<a number>" if _NUMBER.fullmatch(content) else "<text that is no number>"}
    return {_name(tag): hidden(content)}


def _name(name: str) -> str:
    return name if _NAME.fullmatch(name) else "<a name>"


def hidden(value: object) -> str:
    """Say what a value is, without it."""
    if isinstance(value, str):
        return f"<text, {len(value)} characters>"
    if isinstance(value, bool):
        return "<true or false>"
    if isinstance(value, int | float):
        return "<a number>"
    if isinstance(value, list):
        return f"<a list of {len(value)}>"
    if isinstance(value, dict):
        return f"<an object of {len(value)}>"
    return "<null>"
