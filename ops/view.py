"""How the tools write to a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

_WIDE = 200
"""Columns where the output is no terminal, so that a line stays a line."""
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


def console(*, error: bool = False) -> Console:
    """Return a console: colours in a terminal, plain text in a file or a pipe."""
    terminal = (sys.stderr if error else sys.stdout).isatty()
    return Console(
        stderr=error, highlight=False, width=None if terminal else _WIDE, no_color=None if terminal else True
    )


def say(text: str, *, error: bool = False) -> None:
    """Print a line, and nothing in it as markup."""
    console(error=error).print(Text(text), soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return a table of text; numbers to the right."""
    filled = [list(row) for row in rows]
    made = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else box.ASCII2)
    for index, column in enumerate(columns):
        numeric = bool(filled) and all(isinstance(row[index], int) for row in filled)
        made.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in filled:
        made.add_row(*[Text("" if cell is None else str(cell)) for cell in row])
    return made


def age(seconds: float) -> str:
    """Return a length of time in its largest unit."""
    for unit, name in _UNITS:
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal's standard error while the with block runs; it yields what moves it on."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    output = console(error=True)
    with Progress(*columns, console=output, disable=not output.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda advance: bar.update(task, advance=advance)
