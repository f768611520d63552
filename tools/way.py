"""`python -m tools.way order | status | poison | plain_table`: the files that a record passes, and its stays in them.

One invocation with one record is traced on the embedded AWS. A stay begins when a file is called from another one: a
record that goes back and forth between two files makes many of them.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tablestream.testing import FakeContext, event, inserted, modified
from tests.support.orders import order_item
from tests.support.shop_app import App, shop_app

ROOT = Path(__file__).parents[1]
FOLDERS = tuple(str(ROOT / folder) + os.sep for folder in ("src", "examples"))

LEFT_OUT = str(ROOT / "src" / "tablestream" / "testing") + os.sep
"""Lambda's context, as a test makes it."""


class Trace:
    """Follows calls through the files of the project."""

    def __init__(self) -> None:
        """Begin with no stay."""
        self.stays: list[str] = []

    def __call__(self, frame: FrameType, kind: str, _argument: Any) -> None:
        """Note the file that is called, when that is done from another one."""
        path = frame.f_code.co_filename
        if kind == "call" and path.startswith(FOLDERS) and not path.startswith(LEFT_OUT):
            back = frame.f_back
            while back is not None and not back.f_code.co_filename.startswith(FOLDERS):
                back = back.f_back
            if back is None or back.f_code.co_filename != path:
                self.stays.append(path)


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
    item = order_item(items=lines)
    app.aws.put("orders", item)
    return _invocation(app, event(inserted(item)))


def status(app: App) -> Trace:
    """Follow a change of an order's status that is only announced."""
    item = order_item()
    return _invocation(app, event(modified({**item, "status": "confirmed"}, {**item, "status": "shipped"})))


def poison(app: App) -> Trace:
    """Follow an order without lines into the bucket."""
    return _invocation(app, event(inserted(order_item(items=[]))))


def plain_table(app: App) -> Trace:
    """Follow a record of a table of one's own to the topic."""
    from examples.plain_table import worker  # it is connected once, here

    names = {"SALES_TOPIC_ARN": app.aws.topic_arn, "JOURNAL_TABLE": "journal", "FAILURES_BUCKET": "order-failures"}
    handler = worker.handler(names)
    whole = event(inserted({"id": "1", "email": "a@example.com"}, keys=("id",), table="leads"))
    return traced(lambda: handler(whole, FakeContext()))


WAYS: Mapping[str, Callable[[App], Trace]] = {
    "order": order,
    "status": status,
    "poison": poison,
    "plain_table": plain_table,
}


def _invocation(app: App, whole: Any) -> Trace:
    app.handler(whole, FakeContext())  # the first invocation makes clients
    return traced(lambda: app.handler(whole, FakeContext()))


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
