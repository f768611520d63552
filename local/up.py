"""`python -m local up`: the embedded AWS with the stream trigger, until it is told to stop."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local.bystander import SHOP_OUTPUTS, Bystander
from local.cloud import Cloud
from local.containers import Unseen
from local.control import Control
from local.errors import UsageError
from local.exercises import exercises
from local.greeting import greet
from local.lambda_api import LambdaApi
from local.orders import restore
from local.recording import Recording, read
from local.running import Options, Running
from local.samconfig import parameter_overrides
from local.samples import samples
from local.signals import stop_signals
from local.state import State, announced
from local.view import View, changes, console

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from rich.console import Console

    from local.observations import Observation

    Observe = Callable[[Observation], None]


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What the command line says. `parameters` are the template's; `config_env` is samconfig.toml's environment."""

    template: Path
    host: str
    port: int
    dynamodb_endpoint: str | None = None
    config_env: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    reload: bool = False
    verbose: bool = False
    record: Path | None = None
    replay: Path | None = None


def up(options: UpOptions) -> int:
    """Run until SIGINT or SIGTERM. Returns the exit status."""
    output = console()
    with ExitStack() as stack:
        stop = stack.enter_context(stop_signals())
        cloud = stack.enter_context(_cloud(options))
        view, bystander = View(output, verbose=options.verbose), Bystander(cloud, output)
        observe = _all([view, bystander, *_recording(stack, options.record)])
        running = stack.enter_context(Running(cloud, observe, Options(reload=options.reload)))
        runtimes = [running.runtime(name) for name in cloud.functions]
        api = stack.enter_context(LambdaApi({runtime.function.name: runtime for runtime in runtimes}, options.host))
        control = stack.enter_context(Control(exercises(cloud.faults, running, view.say)))
        for_containers = cloud.admit_containers(sample_orders(cloud.outputs))
        greet(output, cloud, running, api, for_containers)
        stack.enter_context(
            announced(State.of_this_process(cloud.endpoint, control.endpoint, options.dynamodb_endpoint, cloud.outputs))
        )
        stack.enter_context(view)
        if options.replay is not None:
            _replay(options.replay, cloud, running, output)
        while not stop.is_set():
            bystander.look_after()
    output.print("stopped")
    return 0


def _cloud(options: UpOptions) -> Cloud:
    return Cloud(
        options.template,
        host=options.host,
        port=options.port,
        parameters=options.parameters,
        overrides=parameter_overrides(options.template, options.config_env),
        dynamodb_endpoint=options.dynamodb_endpoint,
    )


def sample_orders(outputs: Mapping[str, str]) -> Callable[[], None] | None:
    """What puts the orders of the sample events in place, for `sam local invoke -e events/...`, if this is the shop.

    An event tells of a change that was made, so its order has to be there; but no stream may tell of it, or the trigger
    would deliver it first.
    """

    def put() -> None:
        for event in samples().values():
            restore(Unseen(), outputs, event)

    return put if set(outputs) >= SHOP_OUTPUTS else None


def _recording(stack: ExitStack, path: Path | None) -> list[Observe]:
    return [] if path is None else [Recording(stack.enter_context(path.open("a", encoding="utf-8")))]


def _all(observers: list[Observe]) -> Observe:
    def observe(observation: Observation) -> None:
        for observer in observers:
            observer(observation)

    return observe


def _replay(path: Path, cloud: Cloud, running: Running, output: Console) -> None:
    mappings = {mapping.logical_id: mapping for mapping in cloud.mappings}
    for number, recorded in enumerate(read(path), 1):
        if recorded.mapping not in mappings:
            raise UsageError(f"{path} line {number}: the template has no event source mapping {recorded.mapping}")
        mapping = mappings[recorded.mapping]
        invocation = running.runtime(mapping.function).invoke(recorded.event, mapping.qualifier)
        same = (invocation.payload, invocation.error is None) == (recorded.payload, recorded.error is None)
        what = changes(recorded.event["Records"])
        answer = invocation.error["errorType"] if invocation.error else json.dumps(invocation.payload)
        output.print(
            f"replay {number}: {what} -> {answer} ({'as' if same else 'not as'} recorded)", markup=False, soft_wrap=True
        )
