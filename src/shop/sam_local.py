"""The shop in `sam local`: with the names of the stack that `make local` runs, or without a stack as a dry run."""

from __future__ import annotations

from collections.abc import MutableMapping

from shop.assembly import NOTIFICATIONS
from shop.effects import Release, Reserve
from shop.handlers import router
from shop.inventory import InventorySink
from tablestream.dry_run import DryRun, DryRunSink, say
from tablestream.sam_local import stack_variables
from tablestream.sinks import Message, Topic


def dry_run_without_stack(environ: MutableMapping[str, str]) -> DryRun | None:
    """Return a dry run; None where the stack of `make local` has answered, and `environ` has its variables."""
    environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")  # nobody reads them here
    address = environ.get("AWS_ENDPOINT_URL")
    if (found := stack_variables(environ)) is not None:
        environ.update(found)
        say(f"Effects are carried out in the stack of `make local`, {address}")
        return None
    why = f"`make local` does not answer at {address}" if address else "AWS_ENDPOINT_URL names no stack of `make local`"
    return DryRun(
        router,
        [
            DryRunSink(InventorySink.name, InventorySink.takes, InventorySink.idempotent, _stock),
            DryRunSink(NOTIFICATIONS, Topic.takes, Topic.idempotent, _message),
        ],
        because=why,
    )


def _stock(effect: Reserve | Release) -> str:
    order = f"{effect.order.pk} {effect.order.sk}"
    if isinstance(effect, Release):
        return f"give back what the ledger holds for {order}"
    lines = ", ".join(f"{line.quantity} {line.product_id}" for line in effect.lines)
    return f"take {lines} for {order} and confirm it, or reject it where that is too much"


def _message(message: Message) -> str:
    return f"publish {message.text}"
