"""The same, and its sinks read what the real ones read before they call AWS: orders, checked, and whole messages."""

from __future__ import annotations

from operator import methodcaller

from benchmarks.contenders.ours import worker
from shop.messages import compose

handler = worker(read_order=methodcaller("request"), read_notification=compose)
