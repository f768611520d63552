"""The page under a thousand records a second: it shows the latest, and its memory does not grow."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tablestream.local.cli.page.contents import Contents
from tablestream.local.cli.page.server import PageServer, Stage
from tests.support.fed_timeline import FedTimeline

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

SECONDS = float(os.environ.get("PAGE_LOAD_SECONDS", "60"))
A_SECOND = 1000  # invocations, each with a record and a line of its own: more work for the page than in batches
PIECES = 20  # a second
LOOKS = 6  # at the memory, in equal steps


class NoTables:
    """Contents of a stack that stores nothing."""

    def tables(self) -> list[Any]:
        return []

    def letters(self) -> list[Any]:
        return []


@contextmanager
def feeding(fed: FedTimeline) -> Iterator[list[int]]:
    """Records come at their pace within the with block; the list has how many did."""
    stop, count = threading.Event(), [0]

    def feed() -> None:
        began = time.monotonic()
        while not stop.is_set():
            due = int((time.monotonic() - began) * A_SECOND)
            while count[0] < due and not stop.is_set():
                fed.deliver()
                count[0] += 1
            stop.wait(1 / PIECES)

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield count
    finally:
        stop.set()
        thread.join()


def heap(session: CDPSession) -> float:
    """Return the megabytes of the page's objects that are in use, once all others are collected."""
    session.send("HeapProfiler.collectGarbage")
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return float(metrics["JSHeapUsedSize"]) / 1e6


@pytest.fixture
def fed() -> FedTimeline:
    return FedTimeline()


@pytest.fixture
def page(chromium: Browser, fed: FedTimeline) -> Iterator[Page]:
    state = {"latency": "none", "mappings": {}, "faults": []}
    stage = Stage("busy", "http://127.0.0.1:1", [], [], lambda: {**state, "shards": fed.timeline.shards(time.time())})
    contents: Any = NoTables()
    served: Contents = contents
    server = PageServer(stage, fed.timeline, served, {})
    serving, _ = server.serving(0)
    with serving:
        opened = chromium.new_page()
        opened.goto(serving.endpoint)
        opened.get_by_text("connected", exact=True).wait_for()
        yield opened
        opened.close()
        fed.timeline.close()


def test_under_a_thousand_records_a_second_it_keeps_up_and_its_memory_does_not_grow(
    page: Page, fed: FedTimeline
) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    used: list[float] = []
    with feeding(fed) as count:
        for _ in range(LOOKS):
            time.sleep(SECONDS / LOOKS)
            used.append(heap(session))
        nodes = page.evaluate("document.querySelectorAll('*').length")
    told = f"{count[0]} records in {SECONDS:g} s; MB of heap: {', '.join(f'{one:.1f}' for one in used)}; {nodes} nodes"
    sys.stdout.write(f"{told}\n")  # shown with -s
    assert page.locator("#line-list > li").count() == 300
    # The latest line is shown in the end.
    page.locator("#line-list > li").first.filter(has_text=f"#{count[0]}:").wait_for(timeout=60_000)
    # Once the list is full nothing is added: what is measured first is full already.
    assert max(used[1:]) < used[0] * 1.25 + 1, told
