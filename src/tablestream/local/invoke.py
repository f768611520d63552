"""`python -m tablestream.local invoke` and `serve`: a function on a sample event, against a fresh embedded AWS."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tablestream.local.cli.session import stop_signals
from tablestream.local.cli.terminal import console, put, readable, table
from tablestream.local.cloud.clients import Clients
from tablestream.local.cloud.cloud import prepare_for_event
from tablestream.local.errors import UsageError
from tablestream.local.letters import Bucket, print_letters
from tablestream.local.orders import Shop, id_in
from tablestream.local.runtime.runtime import Runtime
from tablestream.local.trigger.destinations import Inbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rich.console import Console

    from tablestream.local.cloud.cloud import Cloud
    from tablestream.local.runtime.function import Invocation


def invoke(event_path: Path, template: Path, function: str | None, *, verbose: bool = False) -> int:
    """Run the function on the event and print its answer and what it did. Returns 1 after a function error.

    Of what the function writes only what matters is shown, all of it if `verbose`.
    """
    output, event = console(), read_event(event_path)

    def on_log(line: str) -> None:
        if (shown := line if verbose else readable(line)) is not None:
            put(output, shown, indent=0, hang=2, style="dim")

    with prepare_for_event(event, template) as cloud, effects_shown(output, cloud):
        invocation = _run(cloud, cloud.addressed(event), function or _only_function(cloud), on_log)
        answer = invocation.error if invocation.error is not None else invocation.payload
        print_answer(output, answer, f" after {invocation.seconds * 1000:.0f} ms")
    return 0 if invocation.error is None else 1


@contextmanager
def effects_shown(output: Console, cloud: Cloud) -> Iterator[None]:
    """Print what the shop's function has done within the with block: stock, orders, messages, dead letters."""
    shop = Shop(cloud.client("dynamodb"), cloud.outputs)
    with Inbox(Clients(cloud.endpoint).get, cloud.outputs["TopicArn"]) as inbox:
        before = shop.available()
        yield
        stock = [(name, before.get(name, 0), units) for name, units in shop.available().items()]
        output.print(table("Stock", ["product", "before", "after"], stock))
        _print_effects(output, cloud, shop, inbox)


def print_answer(output: Console, answer: object, when: str = "") -> None:
    """Print what a function has answered, or the error it has ended with."""
    output.print(f"Answer{when}:", style="bold")
    output.print(json.dumps(answer, indent=2), markup=False, soft_wrap=True)
    output.print()


def serve(event_path: Path | None, template: Path, host: str, port: int) -> int:
    """Serve the embedded AWS without trigger, seeded for an event if there is one, until SIGTERM or Ctrl-C.

    The first line printed is a JSON object: endpoint, port, outputs, and each function's environment variables.
    """
    event = read_event(event_path) if event_path else {}
    with stop_signals() as stop, prepare_for_event(event, template, host=host, port=port) as cloud:
        environments = {name: dict(spec.environment) for name, spec in cloud.functions.items()}
        about = {"endpoint": cloud.endpoint, "port": cloud.port, "outputs": dict(cloud.outputs)}
        print(json.dumps({**about, "functions": environments, "event": cloud.addressed(event)}), flush=True)
        stop.wait()
    return 0


def read_event(path: Path) -> Any:
    """The JSON document at `path`. Raises UsageError when there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the event {path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"the event {path} is not JSON: {error}") from error


def _only_function(cloud: Cloud) -> str:
    functions = {mapping.function for mapping in cloud.mappings}
    if len(functions) != 1:
        raise UsageError(f"say which function with --function: the template's streams invoke {sorted(functions)}")
    return functions.pop()


def _run(cloud: Cloud, event: Any, function: str, on_log: Callable[[str], None]) -> Invocation:
    if function not in cloud.functions:
        raise UsageError(f"the template has no function {function}, but {sorted(cloud.functions)}")
    runtime = Runtime(cloud.functions[function], on_log)
    try:
        return runtime.invoke(event)
    finally:
        runtime.close()


def _print_effects(output: Console, cloud: Cloud, shop: Shop, inbox: Inbox) -> None:
    found = [order for order in shop.orders() if "orderId" in order]  # the table may hold other items too
    states = {(entry["pk"].removeprefix("LEDGER#"), entry["sk"]): entry["state"] for entry in shop.ledger()}
    orders = [
        (o["orderId"], o.get("status"), states.get((o["pk"], o["sk"]), ""), o.get("statusReason", "")) for o in found
    ]
    output.print(table("Orders", ["order", "status", "ledger", "reason"], orders))
    messages = [(message["type"], id_in(message), message.get("reason") or "") for message in inbox.take()]
    output.print(table("Messages", ["type", "about", "reason"], messages))
    print_letters(output, Bucket(cloud.client("s3"), cloud.outputs["FailuresBucketName"]).letters())
