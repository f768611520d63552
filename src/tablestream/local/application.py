"""A template running on this machine: its stack, a runtime per function, a trigger per mapping, its HTTP APIs."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from tablestream.local.cloud.functions import mention_of_failures
from tablestream.local.cloud.pipes import through_pipe
from tablestream.local.delivery.filters import InvalidFilterPattern
from tablestream.local.delivery.mapping import InvalidSettings, MappingSettings, read_mapping
from tablestream.local.errors import reading
from tablestream.local.gateway.gateway import Address, served, within
from tablestream.local.runtime.runtime import Runtime
from tablestream.local.trigger.destinations import OnFailureDestination
from tablestream.local.trigger.moto_quirks import Corrections
from tablestream.local.trigger.observations import Logged, Observation
from tablestream.local.trigger.poller import POLL_INTERVAL, Trigger, Wiring, ignored_failures
from tablestream.local.trigger.queue import QueueTrigger
from tablestream.local.trigger.stream import BotoStream, StreamGone, StreamSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from tablestream.local.cloud.cloud import Cloud
    from tablestream.local.cloud.functions import StreamMapping
    from tablestream.local.gateway.routes import HttpRoute
    from tablestream.local.runtime.function import FunctionSpec, Invocation
    from tablestream.local.trigger.queue import QueueMapping

    Observe = Callable[[Observation], None]


LONG_WINDOW = 5  # seconds: shorter ones are over before anybody wonders


@dataclass(frozen=True, slots=True)
class Options:
    """The way to run. `settings` and `function` may change what the template says, such as the waits of retries.

    `invoked` gets the logical id of each function that a queue or a topic invoked, and what came of it.
    """

    poll_interval: float = POLL_INTERVAL
    reload: bool = False
    settings: Callable[[MappingSettings], MappingSettings] = lambda settings: settings
    function: Callable[[FunctionSpec], FunctionSpec] = lambda function: function
    invoked: Callable[[str, Invocation], None] = lambda _function, _invocation: None


@dataclass(slots=True)
class Running:
    """Starts on entry, ends all threads and processes on exit. Mutable: it owns them. Raises InvalidSettings."""

    cloud: Cloud
    observe: Observe
    options: Options = field(default_factory=Options)
    corrections: Corrections = field(default_factory=Corrections)
    functions: dict[str, FunctionSpec] = field(default_factory=dict)
    runtimes: dict[str, Runtime] = field(default_factory=dict)
    triggers: dict[str, Trigger] = field(default_factory=dict)
    settings: dict[str, MappingSettings] = field(default_factory=dict)
    queues: dict[str, QueueTrigger] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Start the runtimes' and the triggers' threads."""
        for mapping in self.cloud.mappings:
            self.settings[mapping.logical_id] = self._settings(mapping)
        for mapping in self.cloud.mappings:
            self.triggers[mapping.logical_id] = Trigger(self._wiring(mapping))
        for queue in self.cloud.queues:
            self.queues[queue.logical_id] = self._queue(queue)
        for trigger in self._triggers():
            trigger.start()
        for function, qualifier in {(mapping.function, mapping.qualifier) for mapping in self.cloud.mappings}:
            self.runtime(function).warm(qualifier)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything, handlers in flight included."""
        for trigger in self._triggers():
            trigger.stop()
        for runtime in self.runtimes.values():
            runtime.close()
        for queue in self.queues.values():
            queue.join()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is read from any stream within the with block."""
        with ExitStack() as stack:
            for trigger in self.triggers.values():
                stack.enter_context(trigger.held())
            yield

    def settle(self, timeout: float) -> bool:
        """Wait until all that was written is delivered, with what follows from it; False after `timeout` seconds."""
        return all(trigger.settle(timeout) for trigger in self._triggers())

    def _triggers(self) -> list[Trigger | QueueTrigger]:
        return [*self.triggers.values(), *self.queues.values()]

    def runtime(self, function: str) -> Runtime:
        """The runtime of the function with this logical id."""
        if function not in self.runtimes:
            spec = self._function(function)
            self.runtimes[function] = Runtime(spec, self._log(function), reload=self.options.reload)
        return self.runtimes[function]

    def _function(self, name: str) -> FunctionSpec:
        """The function as it runs; `Options.function` is asked once for each, because it may install packages."""
        if name not in self.functions:
            self.functions[name] = self.options.function(self.cloud.functions[name])
        return self.functions[name]

    @contextmanager
    def apis(self, host: str = "127.0.0.1", port: int | None = None) -> Iterator[list[Address]]:
        """Serve the HTTP APIs within the with block, at the ports that `gateway.served` says. Raises UsageError."""
        routes = [route for api in self.cloud.apis for route in api.routes]
        for function, qualifier in {(route.function, route.qualifier) for route in routes}:
            self.runtime(function).warm(qualifier)

        def invoke(route: HttpRoute, event: Any) -> Invocation:
            runtime = self.runtimes[route.function]
            return within(route.seconds, runtime.function.timeout, partial(runtime.invoke, event, route.qualifier))

        with served(self.cloud.apis, invoke, self.observe, self.cloud.changes_of, host=host, port=port) as addresses:
            yield addresses

    def _settings(self, mapping: StreamMapping) -> MappingSettings:
        function = self._function(mapping.function)
        at = f"{mapping.place}: {mapping.logical_id}" if mapping.place else mapping.logical_id
        try:
            self._source(mapping).shards()
            with reading(f"the event source mapping {mapping.logical_id}"):
                settings = read_mapping(mapping.properties, function_timeout=function.timeout)
        except StreamGone as error:
            raise InvalidSettings(
                f"{at}: Stream not found: {mapping.stream_arn}. Its table is not in this template: "
                "wanted one with a StreamSpecification here, the template that has it (--template), "
                f"or --table {mapping.table or 'NAME'}=KEY"
            ) from error
        except (InvalidSettings, InvalidFilterPattern) as error:
            raise InvalidSettings(f"{at}: {error}") from error
        mention = None if settings.report_failures else mention_of_failures(function.code, function.handler)
        if mention is not None:
            note = ignored_failures(mapping.place, f"of which {mention} speaks")
            settings = replace(settings, notes=(*settings.notes, note))
        return _with_window_told(self.options.settings(settings))

    def _wiring(self, mapping: StreamMapping) -> Wiring:
        runtime = self.runtime(mapping.function)
        settings = self.settings[mapping.logical_id]
        destination = settings.destination
        return Wiring(
            name=mapping.logical_id,
            function_arn=runtime.function.qualified(mapping.qualifier),
            executed_version=runtime.function.version(mapping.qualifier),
            settings=settings,
            source=self._source(mapping),
            invoke=self._invoke(mapping),
            destination=OnFailureDestination(destination, mapping.uuid, self.cloud.client) if destination else None,
            place=mapping.place,
            observe=self.observe,
            correct=self.corrections,
            poll_interval=self.options.poll_interval,
        )

    def _queue(self, mapping: QueueMapping) -> QueueTrigger:
        invoke = partial(self.runtime(mapping.function).invoke, qualifier=mapping.qualifier)
        return QueueTrigger(mapping, self.cloud.client("sqs"), invoke, partial(self.options.invoked, mapping.function))

    def _invoke(self, mapping: StreamMapping) -> Callable[[Any], Invocation]:
        target = partial(self.runtime(mapping.function).invoke, qualifier=mapping.qualifier)
        if not mapping.is_pipe:
            return target
        enrichment = None if mapping.enrichment is None else self.runtime(mapping.enrichment).invoke
        return partial(through_pipe, target=target, enrich=enrichment)

    def _source(self, mapping: StreamMapping) -> StreamSource:
        client, elsewhere = self.cloud.client("dynamodbstreams"), self.cloud.dynamodb_endpoint is not None
        return BotoStream(client, mapping.stream_arn, follow=elsewhere, end=self.cloud.end_of_stream)

    def _log(self, function: str) -> Callable[[str], None]:
        return lambda line: self.observe(Logged(function, line))


def without_window(settings: MappingSettings) -> MappingSettings:
    """The same settings, with which records are handed over as they come."""
    return replace(settings, batching_window=0)


def _with_window_told(settings: MappingSettings) -> MappingSettings:
    """The settings with a note on a window so long that one who has written an item takes it for lost."""
    if settings.batching_window < LONG_WINDOW:
        return settings
    told = (
        f"records wait up to {settings.batching_window:g} s for others to come (MaximumBatchingWindowInSeconds), as in "
        "AWS: --no-window hands them over at once"
    )
    return replace(settings, notes=(*settings.notes, told))


def hurried(settings: MappingSettings) -> MappingSettings:
    """The same settings, with a batching window and waits between attempts too short to be waited for."""
    return replace(without_window(settings), backoff=lambda failures: min(0.1 * failures, 0.5))
