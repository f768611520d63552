"""Ctrl-C that ends a run between two invocations; a second one ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ops.errors import StoppedError
from ops.view import say


class InterruptedRunError(StoppedError):
    """The operator ended the run."""


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Yield an event that SIGINT and SIGTERM set; the second SIGINT raises KeyboardInterrupt."""
    stop = threading.Event()

    def ask(number: int, _frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()
        say("stopping after the invocation under way; Ctrl-C again stops at once", error=True)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def check(stop: threading.Event) -> None:
    """Raise `InterruptedRunError` when the run shall end."""
    if stop.is_set():
        raise InterruptedRunError("stopped as asked")
