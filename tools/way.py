"""`python -m tools.way order | status | poison | plain_table`: the files that a record passes, and its stays in them.

One invocation with one record is traced on the embedded AWS, as a deployed function has it: warm, so that clients are
made and the event's table is known from a record before it. A stay begins when a file is called from another one: a
record that goes back and forth between two files makes many of them. A generator is entered once, however often it goes
on. Neither the embedded AWS (`tablestream.local`) nor Lambda's context as a test makes it is on a record's way.
"""

from __future__ import annotations

import logging
import os
import runpy
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from inspect import CO_GENERATOR
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tablestream.testing import FakeContext, event, inserted, modified
from tablestream.testing.records import Record
from tests.support.orders import order_item
from tests.support.shop_app import App, shop_app

ROOT = Path(__file__).parents[1]
FOLDERS = tuple(str(ROOT / folder) + os.sep for folder in ("src", "examples"))

LEFT_OUT = tuple(str(ROOT / "src" / "tablestream" / folder) + os.sep for folder in ("testing", "local"))
"""Files that stand for Lambda and for AWS."""


class Trace:
    """Follows calls through the files of the project."""

    def __init__(self) -> None:
        """Begin with no stay."""
        self.stays: list[str] = []
        self._generators: set[FrameType] = set()

    def __call__(self, frame: FrameType, kind: str, _argument: Any) -> None:
        """Note the file that is called, when that is done from another one."""
        path = frame.f_code.co_filename
        if kind != "call" or not _counts(path) or frame in self._generators:
            return
        if frame.f_code.co_flags & CO_GENERATOR:
            self._generators.add(frame)
        back = frame.f_back
        while back is not None and not _counts(back.f_code.co_filename):
            back = back.f_back
        if back is None or back.f_code.co_filename != path:
            self.stays.append(path)


def _counts(path: str) -> bool:
    return path.startswith(FOLDERS) and not path.startswith(LEFT_OUT)


def traced(call: Callable[[], object]) -> Trace:
    """Make a call; return the way that it took."""
    trace = Trace()
    threading.setprofile(trace)
    sys.setprofile(trace)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return trace


def order(app: App) -> Trace:
    """Follow a new order of three lines."""
    app.aws.stock(tea=10, cup=10, pot=10)
    lines = [{"productId": name, "quantity": 1, "price": 5} for name in ("tea", "cup", "pot")]
    items = [order_item(sk=sort_key, items=lines) for sort_key in SORT_KEYS]
    for item in items:
        app.aws.put("orders", item)
    return _second(app.handler, *[inserted(item) for item in items])


def status(app: App) -> Trace:
    """Follow a change of an order's status that is only announced."""
    items = [order_item(sk=sort_key) for sort_key in SORT_KEYS]
    changes = [modified({**item, "status": "confirmed"}, {**item, "status": "shipped"}) for item in items]
    return _second(app.handler, *changes)


def poison(app: App) -> Trace:
    """Follow an order without lines into the bucket."""
    return _second(app.handler, *[inserted(order_item(sk=sort_key, items=[])) for sort_key in SORT_KEYS])


def plain_table(app: App) -> Trace:
    """Follow a record of a table of one's own to the topic."""
    worker = runpy.run_path(str(ROOT / "examples" / "plain_table.py"))["worker"]  # a new one: it is connected once
    names = {"SALES_TOPIC_ARN": app.aws.topic_arn, "JOURNAL_TABLE": "journal", "FAILURES_BUCKET": "order-failures"}
    leads = [{"id": number, "email": "a@example.com"} for number in ("1", "2")]
    return _second(worker.handler(names), *[inserted(lead, keys=("id",), table="leads") for lead in leads])


SORT_KEYS = ("ORDER#o-1", "ORDER#o-2")
"""Of the order that goes first, and of the one that is followed."""

WAYS: Mapping[str, Callable[[App], Trace]] = {
    "order": order,
    "status": status,
    "poison": poison,
    "plain_table": plain_table,
}


def _second(handler: Callable[[Any, Any], object], first: Record, second: Record) -> Trace:
    """Follow the second of two records, each in an event of its own: the first one makes the clients."""
    before, followed = [{"Records": [record]} for record in event(first, second)["Records"]]
    handler(before, FakeContext())
    return traced(lambda: handler(followed, FakeContext()))


def measure(name: str) -> Counter[str]:
    """Return how many stays a record makes in each file."""
    with pytest.MonkeyPatch.context() as patch, shop_app(patch) as app:
        logging.getLogger("tablestream").handlers = []
        return Counter(WAYS[name](app).stays)


def main(names: list[str]) -> int:
    """Print files and stays of the ways that are named, or of all."""
    for name in names or list(WAYS):
        if name not in WAYS:
            sys.stderr.write(f"wanted one of {', '.join(WAYS)}, got {name}\n")
            return 2
        stays = measure(name)
        sys.stdout.write(f"{name}: {len(stays)} files, {stays.total()} stays\n")
        for path, count in stays.most_common():
            sys.stdout.write(f"    {count:4} {Path(path).relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
