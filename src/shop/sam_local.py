"""The shop in `sam local`: with the names of the stack that `make local` runs, or without a stack as a dry run."""

from __future__ import annotations

from collections.abc import MutableMapping

from shop.assembly import NOTIFICATIONS
from shop.handlers import router
from shop.stock import Release, Reserve
from shop.stock.sink import InventorySink
from tablestream.dry_run import DryRun, DryRunSink
from tablestream.sam_local import join_stack
from tablestream.sinks import Message, Topic
from tablestream.worker import Worker


def dry_run_without_stack(environ: MutableMapping[str, str]) -> DryRun | None:
    """Return a dry run; None where the stack of `make local` has answered, and `environ` has its variables."""
    environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")  # nobody reads them here
    if (why := join_stack(environ)) is None:
        return None
    stock = DryRunSink(InventorySink.name, InventorySink.takes, InventorySink.idempotent, _stock)
    messages = DryRunSink(NOTIFICATIONS, Topic.takes, Topic.idempotent, _message)
    worker = Worker(sinks=[stock, messages])
    worker.include(router)
    return worker.dry_run(why)


def _stock(effect: Reserve | Release) -> str:
    order = f"{effect.order.pk} {effect.order.sk}"
    if isinstance(effect, Release):
        return f"give back what the ledger holds for {order}"
    lines = ", ".join(f"{line.quantity} {line.product_id}" for line in effect.lines)
    return f"take {lines} for {order} and confirm it, or reject it where that is too much"


def _message(message: Message) -> str:
    return f"publish {message.text}"
