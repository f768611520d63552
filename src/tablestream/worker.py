"""`Worker`: the one object that a user makes; handlers and sinks are registered on it, and it makes the Lambda handler.

from tablestream import Change, Worker
from tablestream.sinks import Message, Topic

worker = Worker(table="leads", sinks=[Topic("sales")])

@worker.on_insert()
def created(change: Change) -> Message:
    return Message({"lead": change.new["id"]})

handler = worker.handler()
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from tablestream._engine.intake import Consequences, Consumer, consequences_of, is_bad_record
from tablestream._engine.invocation import Invocations, Response
from tablestream.change import Change, RawRecord
from tablestream.dead_letters import DeadLetters
from tablestream.errors import ConfigurationError, InvalidRecord, TablestreamError
from tablestream.journal import Journal
from tablestream.report import Report, show_fields
from tablestream.router import Decorator, Router
from tablestream.run import Backoff, Clock, LambdaContext, Parallel, Run, SystemClock, ThreadParallel
from tablestream.sink import Sink, check_function, each, name_of, sinks_of

if TYPE_CHECKING:
    from tablestream.aws import Aws
    from tablestream.dry_run import DryRun
    from tablestream.testing.tested import TestedWorker

E = TypeVar("E")
F = TypeVar("F", bound=Callable[..., object])

DEFAULT_CONCURRENCY = 8
"""Calls to AWS that an invocation makes at once."""

LambdaHandler = Callable[[object, Any], Response]
"""A function of an event and Lambda's context."""


@dataclass(frozen=True, slots=True)
class WholeRecord:
    """A record that a function of `Worker.per_record` handles by itself, as its `record_class` has made it."""

    record: Any
    key: str = "record"


def _ignore(_report: Report) -> None:
    """Observe nothing."""


class Worker:
    """Delivers the changes of a table: in order for each item, each effect once, past bad records.

    The event source mapping must have `ReportBatchItemFailures`.
    """

    def __init__(
        self,
        *,
        table: str | None = None,
        sinks: Sequence[Sink] = (),
        name: str | None = None,
        entity_attribute: str = "entityType",
        key_prefixes: Mapping[str, tuple[str, str]] | None = None,
        bad_record: Sequence[type[Exception]] = (),
        ignore_before: float | None = None,
        local_changes_only: bool = False,
        margin_seconds: float | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        journal: Journal | None = None,
        dead_letters: DeadLetters | None = None,
        clock: Clock | None = None,
        parallel: Parallel | None = None,
        backoff: Backoff | None = None,
        observe: Callable[[Report], None] = _ignore,
    ) -> None:
        """Put a worker together; `handler()` connects it with AWS.

        Args:
            table: the only table whose records are taken, by its name or its ARN; None for any. Where the environment
                has a variable for it, `LEADS_TABLE` for "leads", that has the name.
            sinks: carry out the effects of the handlers, in this order.
            name: the name of this consumer of the stream; by default that of the Lambda function. Two functions on one
                stream need different ones: it is part of the ids of effects and of the journal's keys. It must not
                change between deployments.
            entity_attribute: the attribute that tells an item's entity type, in a table of several entities.
            key_prefixes: how the keys of an entity begin, `{"Order": ("sk", "ORDER#")}`: an item with such a key that
                has no entity type is a bad record.
            bad_record: exceptions of handlers which mean that a record can never be processed, besides `InvalidRecord`
                and pydantic's `ValidationError`.
            ignore_before: changes made before this time, in seconds since the epoch, are skipped: a new event source
                mapping that begins at TRIM_HORIZON delivers those of the last 24 hours.
            local_changes_only: whether changes that were made in another region of a global table are skipped.
            margin_seconds: so long before Lambda's timeout the worker stops and answers. By default five seconds, or
                three tenths of a timeout below 17 seconds.
            concurrency: how many calls to AWS an invocation makes at once.
            journal: remembers what is done of records that come again; by default the table `JOURNAL_TABLE`.
            dead_letters: stores records that can never be processed; by default the bucket `FAILURES_BUCKET`.
            clock: gives the time, by default the system's.
            parallel: runs calls side by side, by default on as many threads as `concurrency` says.
            backoff: the delays between tries.
            observe: gets the report of each invocation, also of one that raises; it must not raise itself.

        Raises `ConfigurationError`.
        """
        self._named = self._table = table
        self._unset = ""
        self._sinks = sinks_of(sinks)
        self._name = name
        self._router = Router(entity_attribute, key_prefixes)
        self._bad_record = tuple(bad_record)
        self._ignore_before = ignore_before
        self._local_changes_only = local_changes_only
        self._margin_seconds = margin_seconds
        self._journal = journal
        self._dead_letters = dead_letters
        self._concurrency = concurrency
        self._run = Run(
            clock=clock or SystemClock(),
            parallel=parallel or ThreadParallel(concurrency),
            backoff=backoff or Backoff(),
        )
        self._observe = observe
        self._connected = False
        self._started: Invocations | None = None
        _sink_of(self._sinks)

    # --- handlers ----------------------------------------------------------------------------------------------------

    def on_insert(self, entity: str | None = None) -> Decorator:
        """Register the decorated handler for new items of an entity type; without one, for all new items."""
        return self._router.on_insert(entity)

    def on_modify(self, entity: str | None = None, *, changed: Sequence[str] = ()) -> Decorator:
        """Register the decorated handler for modified items of an entity type; without one, for all modified items.

        `changed` names attributes: the handler gets the change when at least one of them differs.
        """
        return self._router.on_modify(entity, changed=changed)

    def on_remove(self, entity: str | None = None) -> Decorator:
        """Register the decorated handler for removed items of an entity type; without one, for all removed items."""
        return self._router.on_remove(entity)

    def include(self, router: Router) -> None:
        """Add the handlers of a router, as one that another file has made."""
        self._router.include(router)

    def per_record(
        self,
        function: Callable[[Any], object] | None = None,
        *,
        record_class: Callable[[Any], Any] | None = None,
        parallel: bool = False,
    ) -> Any:
        """Register a function that handles a whole record itself, with its own calls, as Powertools' batch utility has.

        Order, journal and dead letters are kept: changes of one item come one after the other, and a record that is
        done is not handed over again because of a neighbour. What says that a record is bad, from `record_class` or
        from the function, sends it to the dead letters: `InvalidRecord`, `PermanentFailure`, pydantic's
        `ValidationError` and the worker's `bad_record`. Any other exception of the function leaves it to redelivery.

        `record_class` makes of the raw record what the function wants, such as Powertools' `DynamoDBRecord`; by default
        it gets the raw record. Records are handled one after the other; with `parallel`, those of different items side
        by side, for a function that several threads may call. Works with and without parentheses, as a decorator.
        """

        def register(wanted: Callable[[Any], object]) -> Callable[[Any], object]:
            made = record_class or (lambda record: record)
            name = getattr(wanted, "__name__", "per_record")
            check_function("per_record", wanted, "the record")

            def whole(change: Change) -> WholeRecord:
                return WholeRecord(made(change.record))

            @wraps(wanted)
            def carry_out(effect: WholeRecord) -> object:
                try:
                    return wanted(effect.record)
                except Exception as error:
                    if is_bad_record(error, self._bad_record) and not isinstance(error, InvalidRecord):
                        raise InvalidRecord(f"{type(error).__name__}: {error}") from error
                    raise

            self.sink(WholeRecord, name=name, parallel=parallel)(carry_out)
            for decorate in (self.on_insert(), self.on_modify(), self.on_remove()):
                decorate(whole)
            return wanted

        return register if function is None else register(function)

    # --- sinks -------------------------------------------------------------------------------------------------------

    def add_sink(self, sink: Sink) -> None:
        """Add a sink behind those that the worker has. Raises `ConfigurationError`."""
        sinks = sinks_of([*self._sinks, sink])
        if self._connected or self._started is not None:
            raise ConfigurationError(f"sink {sink.name} comes too late: register it before worker.handler()")
        _sink_of(sinks)
        self._sinks = sinks

    def sink(
        self, effect: type[E], *, name: str | None = None, idempotent: bool = False, parallel: bool = True
    ) -> Callable[[Callable[[E], object]], Callable[[E], object]]:
        """Register the decorated function as the sink of a class of effects; see `each`.

        `name` is in the journal and must not change between deployments; by default it is the function's.
        """
        given: Any = effect  # as a decorator gets it that stands without parentheses
        if callable(given) and not isinstance(given, type):
            raise ConfigurationError(
                f"sink wanted the class of its effects, got {name_of(given)}: write @worker.sink(Mail), with the class"
            )

        def decorate(function: Callable[[E], object]) -> Callable[[E], object]:
            called = name or getattr(function, "__name__", None)
            if called is None:
                raise ConfigurationError(f"sink(…, name=…): {type(function).__name__} has no name of its own")
            self.add_sink(each(effect, function, name=called, idempotent=idempotent, parallel=parallel))
            return function

        return decorate

    # --- running -----------------------------------------------------------------------------------------------------

    def handler(self, environ: Mapping[str, str] | Aws | None = None) -> LambdaHandler:
        """Return the Lambda handler; names come from the environment, clients are made when they are first used.

        The environment has `JOURNAL_TABLE`, `FAILURES_BUCKET` and what the sinks need; it can have `JOURNAL_TTL_DAYS`.
        With `margin_seconds` set the clients are made at once. Register all sinks before. Raises `ConfigurationError`
        that names all variables that are missing or wrong; a given `Aws` also those that it was asked for before.
        Outside of Lambda it is the handler that raises it, when it is called: a test can import the program as it is.

        In `sam local` references of the template are not resolved. There the names come from the stack that `make
        local` runs; where none answers, what is returned shows the effects instead of carrying them out, see `dry_run`.
        """
        from tablestream.aws import Aws  # boto comes with it, which a test of handlers need not have

        aws = environ if isinstance(environ, Aws) else Aws(os.environ if environ is None else environ)
        try:
            return self._connect(aws, ask=True)
        except ConfigurationError as error:
            if environ is not None or aws.function_name is not None:
                raise
            return _refusing(str(error))

    def _connect(self, aws: Aws, *, ask: bool) -> LambdaHandler:
        """Make the handler; with `ask` names that the SAM CLI has left are asked of the local stack."""
        from tablestream.aws import BUCKET, TABLE, NeedsAws, variable_of  # likewise
        from tablestream.dynamodb.journal import DEFAULT_TTL_DAYS, MAX_TTL_DAYS, DynamoDBJournal
        from tablestream.sinks import S3DeadLetters

        aws.prepare(self._margin_seconds, self._concurrency)
        sinks = [sink.connect(aws) if isinstance(sink, NeedsAws) else sink for sink in self._sinks]
        journal, dead_letters = self._journal, self._dead_letters
        if journal is None:
            name = aws.named("JOURNAL_TABLE", TABLE, "a table's name")
            days = aws.number("JOURNAL_TTL_DAYS", DEFAULT_TTL_DAYS, 1, MAX_TTL_DAYS)
            journal = DynamoDBJournal(aws.dynamodb, name, ttl_days=days)
        if dead_letters is None:
            dead_letters = S3DeadLetters(aws.s3, aws.named("FAILURES_BUCKET", BUCKET, "a bucket's name"))
        if ask and aws.is_unresolved:
            return self._in_sam_local(aws)
        aws.check()
        aws.start()
        if aws.is_sam_local:
            self._table = None  # the event in a file names a table of its own
        elif self._named is not None:
            variable = variable_of(self._named, "TABLE")
            found = aws.optional(variable)
            self._unset = "" if found or ":" in self._named else variable
            self._table = found or self._named
        self._journal, self._dead_letters = journal, dead_letters
        self._name = self._name or aws.function_name
        self._sinks = sinks
        self._connected = True

        show_fields(logging.getLogger("tablestream"), aws.environ)

        def handle(event: object, context: LambdaContext | None = None) -> Response:
            if aws.margin_seconds is None:
                aws.fit(context)
            return self(event, context)

        return handle

    def _in_sam_local(self, aws: Aws) -> LambdaHandler:
        """Return the handler with the names of the local stack, or where none answers a dry run."""
        from tablestream.dry_run import join_stack  # nothing of it is imported in AWS

        # The environment itself: boto reads regions and credentials there.
        joined = aws.environ if isinstance(aws.environ, MutableMapping) else dict(aws.environ)
        why = join_stack(joined)
        return self._connect(aws.read_again(joined), ask=False) if why is None else self.dry_run(why)

    def dry_run(self, because: str) -> DryRun:
        """Return a handler that says in a line each what it would carry out, and calls nobody; `because` says why.

        Records of any table are taken. The lines hold what the records hold.
        """
        from tablestream.dry_run import DryRun, DryRunSink  # nothing of it is imported in AWS

        sinks = [DryRunSink.of(sink) for sink in self._sinks]
        return DryRun(self._consumer(sinks)._replace(table=None), because=because)

    def __call__(self, event: object, context: LambdaContext | None = None) -> Response:
        """Process an event and return the partial batch response.

        Raises `InvalidEvent` and `SystemicFailure` before any effect, `ConfigurationError` for a mistake in the wiring,
        and `NoProgress` when the first record of a batch of several failed.
        """
        return self._invocations().answer(event, context)

    def process(self, event: object, context: LambdaContext | None = None) -> tuple[Report, TablestreamError | None]:
        """Process an event and return what became of it, with the error that the invocation ends with, if any."""
        return self._invocations().process(event, context)

    def tested(self) -> TestedWorker:
        """Return the worker for a test: the same handlers on sinks, journal and dead letters in memory.

        An exception of a handler is raised as it is, but for those that mean a bad record.
        """
        from tablestream.testing.tested import TestedWorker  # not part of what is deployed

        return TestedWorker(self._consumer([]), self._sinks)

    def consequences(self, record: RawRecord, consumer: str) -> Consequences:
        """Return what the handlers say of a record, of which nothing is carried out.

        `consumer` is the function's name, by which the journal knows a worker that has no name of its own.
        """
        return consequences_of(self._consumer(self._sinks)._replace(name=self._name or consumer), record)

    def _consumer(self, sinks: Sequence[Sink]) -> Consumer:
        return Consumer(
            name=self._name or "worker",
            router=self._router,
            sinks=tuple(sinks),
            sink_of=_sink_of(sinks),
            table=self._table,
            unset=self._unset,
            bad_record=self._bad_record,
            ignore_before=self._ignore_before,
            local_changes_only=self._local_changes_only,
        )

    def _invocations(self) -> Invocations:
        if self._started is None:
            if self._router.is_empty:
                raise ConfigurationError("the worker has no handlers: register some, as with @worker.on_insert()")
            if self._journal is None or self._dead_letters is None:
                raise ConfigurationError("the worker has no journal and dead letters: call what worker.handler() gives")
            self._started = Invocations(
                self._consumer(self._sinks),
                journal=self._journal,
                dead_letters=self._dead_letters,
                run=self._run,
                margin_seconds=self._margin_seconds,
                observe=self._observe,
            )
        return self._started


def _refusing(problem: str) -> LambdaHandler:
    """Return a handler that says why it cannot work."""

    def handle(_event: object, _context: LambdaContext | None = None) -> Response:
        raise ConfigurationError(problem)

    return handle


def _sink_of(sinks: Sequence[Sink]) -> Mapping[type, int]:
    """Map each class of effects to the position of its sink."""
    names = Counter(sink.name for sink in sinks)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ConfigurationError(f"wanted sinks with different names, got {', '.join(twice)} more than once")
    found: dict[type, int] = {}
    for index, sink in enumerate(sinks):
        for effect in sink.takes:
            if effect in found:
                raise ConfigurationError(
                    f"wanted one sink for {effect.__name__}, got {sinks[found[effect]].name} and {sink.name}"
                )
            found[effect] = index
    return found
