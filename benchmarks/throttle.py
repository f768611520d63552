"""A part of a core, as Lambda gives it with less than 1769 MB: a process is stopped when its share is used up."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PERIOD_SECONDS = 0.02
_LOOK_SECONDS = 0.0005


@contextmanager
def share_of_a_core(pid: int, share: float) -> Iterator[None]:
    """Let a process use this share of one core, counted in periods of 20 ms as the kernel's own limit counts it.

    Waiting costs nothing. What a process uses too much, as it is looked at only every half millisecond, is taken off
    its next period. A share of one or more is no limit.
    """
    if share >= 1:
        yield
        return
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(pid, share * PERIOD_SECONDS, ended), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        os.kill(pid, signal.SIGCONT)


def _watch(pid: int, quota: float, ended: threading.Event) -> None:
    clock = _cpu_clock(pid)
    used, allowance, period_ends, running = time.clock_gettime(clock), quota, time.monotonic() + PERIOD_SECONDS, True
    while not ended.is_set():
        now, used_now = time.monotonic(), time.clock_gettime(clock)
        allowance, used = allowance - (used_now - used), used_now
        if now >= period_ends:
            allowance, period_ends = min(quota, allowance + quota), now + PERIOD_SECONDS
        if running != (allowance > 0):
            running = not running
            os.kill(pid, signal.SIGCONT if running else signal.SIGSTOP)
        time.sleep(_LOOK_SECONDS if running else max(0.0, period_ends - now))


def _cpu_clock(pid: int) -> int:
    """Return the clock that counts what all threads of a process use (Linux: clock_getcpuclockid)."""
    return (~pid << 3) | 2
