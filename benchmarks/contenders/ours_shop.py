"""The worker of this project with the shop's own handlers: orders read and checked whole, and messages composed."""

from __future__ import annotations

from benchmarks.contenders.stubs import worker
from shop.handlers import router
from shop.stock import Release, Reserve
from tablestream.aws import quiet_collector
from tablestream.sinks import Message

handler = worker(router, (Reserve, Release), (Message,))
quiet_collector()
