"""`python -m tablestream.local up`: the embedded AWS with the stream trigger, until it is told to stop."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import IO, TYPE_CHECKING, Any, ParamSpec, Protocol

from tablestream.local.application import Options, Running, without_window
from tablestream.local.cli.banner import Hint, about, greet, put_item
from tablestream.local.cli.control import KEYS, Command, control_server, exercises
from tablestream.local.cli.page.contents import Contents
from tablestream.local.cli.page.server import PageServer, Stage, item_form, redriving
from tablestream.local.cli.page.timeline import Timeline
from tablestream.local.cli.session import State, alone_here, announced, command, stop_signals
from tablestream.local.cli.terminal import console, put, shortened
from tablestream.local.cli.view import View
from tablestream.local.cli.words import changes
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.cloud.server import lambda_server
from tablestream.local.cloud.witness import Sent, SetAside
from tablestream.local.errors import UsageError
from tablestream.local.runtime.requirements import with_requirements
from tablestream.local.template.project import stack_name
from tablestream.local.trigger.observations import Ended, RequestServed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from tablestream.local.cli.banner import About
    from tablestream.local.cli.page.server import Form
    from tablestream.local.cloud.translate import Translated
    from tablestream.local.cloud.witness import Sight
    from tablestream.local.gateway.gateway import Address
    from tablestream.local.runtime.function import Invocation
    from tablestream.local.trigger.observations import Observation

    Observe = Callable[[Observation], None]


LOOK_SECONDS = 0.5  # between two looks whether to stop
GATHER_SECONDS = 0.2  # one look for several deliveries: the embedded AWS takes one request at a time
MOST_TOLD = 10  # messages of a topic or queue, or dead letters, one by one; more are counted
BESIDE_THE_KEY = "with the attributes that your handlers read besides the key"


@dataclass(frozen=True, slots=True)
class UpOptions:
    """The options of the command. `config_env` is samconfig.toml's environment.

    Without `api_port` and `page_port` HTTP APIs and the page are at their usual ports, if these are free.
    """

    translated: Translated
    host: str
    port: int
    api_port: int | None = None
    page_port: int | None = None
    dynamodb_endpoint: str | None = None
    config_env: str | None = None
    install: bool = False
    no_window: bool = False
    reload: bool = False
    verbose: bool = False
    record: Path | None = None
    replay: Path | None = None

    @property
    def template(self) -> Path:
        """The file that the stack is made of."""
        return self.translated.source.path


class Watcher(Protocol):
    """Takes observations from any thread, and looks in the main thread what the deliveries led to."""

    @property
    def hints(self) -> Sequence[Hint]:
        """Commands to try in another terminal, in the same folder."""
        ...

    def forms(self, apis: Sequence[Address]) -> Sequence[Form]:
        """Forms for the page, of the application whose HTTP APIs are at these addresses."""
        ...

    def __call__(self, observation: Observation) -> None:
        """Take one observation; must not wait."""
        ...

    def look_after(self, patience: float = ...) -> None:
        """Wait at most `patience` seconds for something to see, and print it."""
        ...

    def place_samples(self) -> None:
        """Put what the sample events tell of in place, for functions that `sam local` invokes; makes no requests."""
        ...


_Told = ParamSpec("_Told")
Watching = Callable[["Cloud", "Console"], AbstractContextManager[Watcher | None]]


def up(options: UpOptions, watching: Watching | None = None) -> int:
    """Run until SIGINT or SIGTERM, with the watcher that `watching` gives for this stack. Returns the exit status."""
    alone_here()
    output = console()
    written = _written(options.template)
    with ExitStack() as stack:
        stop = stack.enter_context(stop_signals())
        cloud = stack.enter_context(_cloud(options))
        view = View(output, verbose=options.verbose)
        known = stack.enter_context(watching(cloud, output)) if watching is not None else None
        watcher = known or EffectWatcher(cloud.witness.reader(), output)
        timeline = Timeline(
            {one.logical_id: one.function for one in cloud.mappings}, cloud.witness.reader(), cloud.changes_of
        )
        invoked = _all([view.invoked, timeline.invoked])
        observe = _all([view, watcher, timeline, *_recording(stack, options.record)])
        running = stack.enter_context(Running(cloud, observe, _options(options, invoked, output)))
        runtimes = [running.runtime(name) for name in cloud.functions]
        by_name = {runtime.function.name: runtime for runtime in runtimes}
        invoke_api = stack.enter_context(lambda_server(by_name, options.host, ended=invoked))
        apis = stack.enter_context(running.apis(options.host, options.api_port))
        for_containers = cloud.admit_containers(watcher.place_samples)
        told = about(cloud, running, apis, invoke_api.endpoint, for_containers)
        commands = exercises(cloud.faults, running, _all([view.say, timeline.say]))
        told = stack.enter_context(_page(options, told, timeline, running, commands, watcher.forms(apis)))
        commands["deliveries"] = Command(lambda asked: timeline.deliveries_of(asked["keys"]), {"keys": KEYS})
        commands["status"] = Command(lambda _asked: told.told() | {"status": view.status()})
        control = stack.enter_context(control_server(commands))
        greet(output, told, _hints(told, watcher), verbose=options.verbose)
        stack.enter_context(announced(State.of_this_process(told, control.endpoint)))
        stack.enter_context(view)
        if options.replay is not None:
            _replay(options.replay, cloud, running, output)
        while not stop.is_set():
            watcher.look_after()
            if options.reload and (now := _written(options.template)) not in {0, written}:
                written = now
                view.say(f"{options.template.name} changed: it is read at the start only, so end this and start again")
    output.print("stopped")
    return 0


@contextmanager
def _page(
    options: UpOptions,
    told: About,
    timeline: Timeline,
    running: Running,
    commands: Mapping[str, Command],
    forms: Sequence[Form],
) -> Iterator[About]:
    """Serve the page while the with block runs; what there is to tell, with its address."""

    def state() -> Mapping[str, Any]:
        return {
            "shards": timeline.shards(time.time()),
            "latency": timeline.latency(),
            "mappings": {name: trigger.enabled for name, trigger in running.triggers.items()},
            "faults": commands["faults"].carry_out({}),
        }

    cloud = running.cloud
    of_streams = sorted({mapping.function for mapping in cloud.mappings})
    examples = {one.table: one.example for one in told.deliveries if one.example}
    own = [item_form(cloud.client("dynamodb"), examples)] if examples else []
    stage = Stage(told.stack, told.endpoint, of_streams, [*forms, *own], state)
    redrive = redriving(told.stack, told.variables, [cloud.functions[name].name for name in of_streams])
    allowed = {**{name: commands[name] for name in ("fault", "clear", "mapping")}, "redrive": redrive}
    page = PageServer(stage, timeline, Contents(cloud.client, timeline.letters), allowed)
    serving, note = page.serving(options.page_port)
    with serving:
        yield replace(told, page=f"{serving.endpoint}/#{page.token}", notes=[*told.notes, *([note] if note else [])])
        timeline.close()


def _options(options: UpOptions, invoked: Callable[[str, Invocation], None], output: Console) -> Options:
    ready = partial(with_requirements, say=partial(put, output)) if options.install else lambda function: function
    settings = without_window if options.no_window else lambda settings: settings
    return Options(reload=options.reload, invoked=invoked, function=ready, settings=settings)


def _written(template: Path) -> int:
    """The time of the last change; 0 while an editor replaces the file."""
    try:
        return template.stat().st_mtime_ns
    except OSError:
        return 0


def _hints(told: About, watcher: Watcher) -> list[Hint]:
    """Commands for another terminal: for a stack that nobody knows, one that writes to its tables."""
    writes = {
        one.table: Hint(put_item(one), f"write to {one.table}, {BESIDE_THE_KEY}")
        for one in told.deliveries
        if one.example
    }
    return [
        *(watcher.hints or writes.values()),
        Hint(command("status"), "see names, addresses, variables for any AWS SDK"),
        Hint(command("fault", "--help"), "practise an outage"),
    ]


class EffectWatcher:
    """Shows messages by their topics and queues, and dead letters: for a stack of which nothing more is known."""

    def __init__(self, seen: Callable[[], Sequence[Sight]], output: Console) -> None:
        self._seen = seen
        self._output = output
        self._news = Event()

    @property
    def hints(self) -> Sequence[Hint]:
        """No command: nothing is known of this stack but its tables."""
        return ()

    def forms(self, _apis: Sequence[Address]) -> Sequence[Form]:
        """No form, likewise."""
        return ()

    def __call__(self, observation: Observation) -> None:
        """Remember that there may be something to see."""
        if isinstance(observation, Ended | RequestServed):
            self._news.set()

    def look_after(self, patience: float = LOOK_SECONDS) -> None:
        """Wait at most `patience` seconds for the end of an invocation, then print what was sent and set aside."""
        if not self._news.wait(patience):
            return
        time.sleep(GATHER_SECONDS)
        self._news.clear()
        sights = self._seen()
        messages: dict[str, list[str]] = {}
        for sight in sights:
            if isinstance(sight, Sent):
                messages.setdefault(sight.to, []).append(sight.text)
        for name, texts in messages.items():
            self._tell(name, texts)
        self._tell_letters([sight for sight in sights if isinstance(sight, SetAside)])

    def place_samples(self) -> None:
        """Put nothing in place: what sample events tell of is not known."""

    def _tell(self, name: str, texts: Sequence[str]) -> None:
        for text in texts[:MOST_TOLD]:
            put(self._output, f"{name}: {shortened(text)}", style="cyan")
        if len(texts) > MOST_TOLD:
            put(self._output, f"{name}: {len(texts) - MOST_TOLD} more", style="cyan")

    def _tell_letters(self, letters: Sequence[SetAside]) -> None:
        for letter in letters[:MOST_TOLD]:
            about = [*([letter.item] if letter.item else []), *([f"in {letter.handler}"] if letter.handler else [])]
            told = ": ".join([*([", ".join(about)] if about else []), shortened(letter.reason)])
            put(self._output, f"dead letter: {told}", style="bold red")
            put(self._output, f"s3://{letter.path}", style="dim")
        if len(letters) > MOST_TOLD:
            put(self._output, f"dead letters: {len(letters) - MOST_TOLD} more", style="bold red")


def _cloud(options: UpOptions) -> Cloud:
    return Cloud(
        options.translated,
        stack_name=stack_name(options.template, options.config_env),
        host=options.host,
        port=options.port,
        dynamodb_endpoint=options.dynamodb_endpoint,
    )


def _recording(stack: ExitStack, path: Path | None) -> list[Observe]:
    return [] if path is None else [Recording(stack.enter_context(path.open("a", encoding="utf-8")))]


def _all(listeners: Sequence[Callable[_Told, None]]) -> Callable[_Told, None]:
    """A function that tells each of the listeners what it is told."""

    def tell(*told: _Told.args, **named: _Told.kwargs) -> None:
        for listener in listeners:
            listener(*told, **named)

    return tell


def _replay(path: Path, cloud: Cloud, running: Running, output: Console) -> None:
    mappings = {mapping.logical_id: mapping for mapping in cloud.mappings}
    for number, recorded in enumerate(read_recording(path), 1):
        if recorded.mapping not in mappings:
            raise UsageError(f"{path} line {number}: the template has no event source mapping {recorded.mapping}")
        mapping = mappings[recorded.mapping]
        # The stream of the new stack: of another one the function takes nothing.
        records = [{**record, "eventSourceARN": mapping.stream_arn} for record in recorded.event["Records"]]
        event = {**recorded.event, "Records": records}
        invocation = running.runtime(mapping.function).invoke(event, mapping.qualifier)
        same = (invocation.payload, invocation.error is None) == (recorded.payload, recorded.error is None)
        what = changes(recorded.event["Records"])
        answer = invocation.error["errorType"] if invocation.error else json.dumps(invocation.payload)
        put(output, f"replay {number}: {what} -> {answer} ({'as' if same else 'not as'} recorded)", indent=0)


@dataclass(frozen=True, slots=True)
class Recorded:
    """One delivery as it was: the event, and the handler's answer or its error."""

    mapping: str
    event: dict[str, Any]
    payload: Any
    error: dict[str, Any] | None


class Recording:
    """Writes each delivery as it ends, a JSON object a line: written with `--record`, played again with `--replay`.

    Records are written whole: the file holds whatever the items held.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def __call__(self, observation: Observation) -> None:
        """Write the observation if it is a delivery."""
        if not isinstance(observation, Ended):
            return
        invoke, invocation = observation.invoke, observation.invocation
        entry = {
            "at": observation.at,
            "mapping": observation.mapping,
            "shard": invoke.shard_id,
            "slot": invoke.slot,
            "attempt": invoke.attempt,
            "event": invoke.event(),
            "payload": invocation.payload,
            "error": invocation.error,
            "seconds": invocation.seconds,
        }
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()


def read_recording(path: Path) -> Iterator[Recorded]:
    """The deliveries of a file, in order. Raises OSError, and UsageError for a line that is none."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                yield Recorded(entry["mapping"], entry["event"], entry["payload"], entry["error"])
            except (ValueError, KeyError, TypeError) as error:
                raise UsageError(f"{path} line {number} is no recorded delivery: {type(error).__name__}") from error
