"""`Aws`: names and settings that the environment gives, and clients that are made when they are first used.

And two settings of the process that a function makes in init: `quiet_collector`, where it gets large batches, and
`stay_on_one_core`, where Lambda gives it a part of a core.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from botocore.session import Session

from tablestream.dynamodb.client import DEFAULT_CONNECTIONS, LazyClient, dynamodb_client, session, settings
from tablestream.errors import ConfigurationError, describe
from tablestream.run import DEFAULT_MARGIN_SECONDS, LambdaContext, margin_of
from tablestream.sink import Sink

if TYPE_CHECKING:
    from botocore.config import Config
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

N = TypeVar("N", int, float)

TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}|arn:[a-z0-9-]+:dynamodb:[a-z0-9-]+:\d{12}:table/[A-Za-z0-9_.-]{3,255}")
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_LOGICAL_ID = re.compile(r"[A-Za-z0-9]{1,255}")
_KINDS = {int: "a whole number", float: "a number"}


@runtime_checkable
class NeedsAws(Protocol):
    """A sink that has to be connected before it can be used, as those of `tablestream.sinks`."""

    def connect(self, aws: Aws) -> Sink:
        """Return the sink with its client; ask `aws` for what the environment has to name."""
        ...


class Aws:
    """AWS as the environment of a function describes it.

    What is missing or wrong is gathered, so that one error tells it all: read what a worker is made of from the `Aws`
    that `Worker.handler` gets. The calls of clients are fitted to the margin before Lambda's timeout, of which nothing
    is known before the first invocation: so clients are made then, unless the margin is given.
    """

    def __init__(self, environ: Mapping[str, str], *, clients: Mapping[str, object] | None = None) -> None:
        """Take the environment's variables, and clients by boto3's names of services, which are used as they are."""
        self.environ = environ
        self._problems: list[str] = []
        self._left = True
        self.margin_seconds: float | None = None
        """The margin before the timeout; None as long as it is not known."""
        self._connections = DEFAULT_CONNECTIONS
        self._clients: dict[str, Any] = dict(clients or {})
        self._session: Session | None = None
        self._lock = Lock()

    def prepare(self, margin_seconds: float | None, connections: int) -> None:
        """Take the margin, None when it is not set, and how many calls are made at once; no client is made by it."""
        self.margin_seconds = margin_seconds
        self._connections = connections

    def read_again(self, environ: Mapping[str, str]) -> Aws:
        """Return AWS as another environment describes it, or the same one that has changed."""
        return Aws(environ)

    @property
    def function_name(self) -> str | None:
        """The name of the Lambda function, None outside of Lambda."""
        return self.environ.get("AWS_LAMBDA_FUNCTION_NAME") or None

    # --- variables ---------------------------------------------------------------------------------------------------

    def named(self, variable: str, pattern: re.Pattern[str], wanted: str) -> str:
        """Return the value of a variable that has to be there; a missing or wrong one is told by `check`."""
        value = self.environ.get(variable, "")
        if not pattern.fullmatch(value):
            self._problems.append(f"{variable}: wanted {wanted}, got {describe(value) if value else 'nothing'}")
            self._left = self._left and bool(_LOGICAL_ID.fullmatch(value))
        return value

    def optional(self, variable: str) -> str | None:
        """Return the value of a variable, None when it is not set or empty."""
        return self.environ.get(variable) or None

    def number(self, variable: str, default: N, least: N, most: N) -> N:
        """Return the number in a variable, a whole one where the default is; the default when it is not set."""
        value = self.environ.get(variable, "")
        if not value:
            return default
        try:
            number = type(default)(value)
        except ValueError:
            number = most + 1
        # Written so that NaN is refused too: it compares as False with everything.
        if least <= number <= most:
            return number
        self._is_wrong(variable, f"{_KINDS[type(default)]} from {least} to {most}", value)
        return default

    def time(self, variable: str) -> float | None:
        """Return the moment in a variable, in seconds since the epoch; None when it is not set.

        It is written in ISO 8601 with its offset from UTC.
        """
        value = self.environ.get(variable, "")
        if not value:
            return None
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self._is_wrong(variable, "a time like 2025-11-20T12:00:00Z", value)
            return None
        return moment.timestamp()

    def switch(self, variable: str) -> bool:
        """Return whether a variable is `true`; it is `true`, `false` or not set."""
        value = self.environ.get(variable, "")
        if value not in {"", "true", "false"}:
            self._is_wrong(variable, "true or false", value)
        return value == "true"

    def distinct(self, *variables: str) -> None:
        """Expect each of these variables to name a table of its own."""
        values = [self.environ.get(variable, "") for variable in variables]
        for value in dict.fromkeys(values):
            same = [variable for variable, other in zip(variables, values, strict=True) if other == value]
            if value and len(same) > 1:
                wanted = f"{', '.join(same)}: wanted different tables, got {describe(value)} for all of them"
                self._problems.append(wanted)
                self._left = False

    def _is_wrong(self, variable: str, wanted: str, value: str) -> None:
        self._problems.append(f"{variable}: wanted {wanted}, got {describe(value)}")
        self._left = False

    def check(self) -> None:
        """Raise `ConfigurationError` with everything that is missing or wrong."""
        if self._problems:
            raise ConfigurationError("; ".join(self._problems))

    @property
    def is_sam_local(self) -> bool:
        """Whether the SAM CLI runs the function, in a container of this machine."""
        return bool(self.environ.get("AWS_SAM_LOCAL"))

    @property
    def is_unresolved(self) -> bool:
        """Whether all that is wrong is what the SAM CLI leaves: the template's own names of resources for theirs."""
        return self.is_sam_local and bool(self._problems) and self._left

    # --- clients -----------------------------------------------------------------------------------------------------

    def fit(self, context: LambdaContext | None) -> None:
        """Learn the margin from the timeout at the first invocation, before any client is made."""
        if context is not None:
            self.margin_seconds = margin_of(context, None)

    def start(self) -> None:
        """Make the clients of every invocation now, where the margin is known: Lambda gives a start a whole core."""
        if self.margin_seconds is not None:
            for service, client in self._clients.items():
                if service != "s3" and isinstance(client, LazyClient):
                    client.start()

    @property
    def dynamodb(self) -> DynamoDBClient:
        """A client of DynamoDB, one for all who ask."""
        made: DynamoDBClient = self.client("dynamodb", dynamodb_client)
        return made

    @property
    def s3(self) -> S3Client:
        """A client of S3, one for all who ask; made only when a dead letter has to be stored."""
        made: S3Client = self.client("s3", lambda _, config: Session().create_client("s3", config=config))
        return made

    def client(self, service: str, make: Callable[[Session, Config], object]) -> Any:
        """Return the client of a service, one for all who ask.

        `make` gets a session and botocore's settings at the first use. The session is one for all clients, so that
        credentials are looked up once; it has no handlers for single services (`tablestream.dynamodb.client.session`).
        """
        if service not in self._clients:
            self._clients[service] = LazyClient(lambda: self._made_by(make))
        return self._clients[service]

    def _made_by(self, make: Callable[[Session, Config], object]) -> object:
        margin = DEFAULT_MARGIN_SECONDS if self.margin_seconds is None else self.margin_seconds
        with self._lock:  # several clients may be used for the first time side by side
            if self._session is None:
                self._session = session()
            return make(self._session, settings(margin, self._connections))


def variable_of(name: str, ending: str) -> str:
    """Return the variable that a name is looked up by: `LEAD_COUNTS_TABLE` for lead-counts."""
    return f"{re.sub(r'[^A-Za-z0-9]+', '_', name).strip('_').upper()}_{ending}"


YOUNG_CONTAINERS = 700_000
"""More than 10,000 orders are parsed into, at 59 dictionaries and lists each; a trigger delivers no more at once."""


def quiet_collector(containers: int = YOUNG_CONTAINERS) -> None:
    """Keep the collector from looking through each batch while it is parsed and processed; call it in init.

    `containers` is how many more must be made than freed before it looks. Python's own 2000 make it look some hundred
    times during a large batch and find nothing: a parsed event and its changes have no cycles and are freed by their
    reference counts. Cycles are still collected, only later: boto3 leaves 80 objects with each batch of 100 orders, 5
    to 9 kB, so what waits for the collector comes to some 75 MB. A function with little memory takes a smaller number.
    """
    gc.set_threshold(containers, 20, 100)


WHOLE_CORE_MB = 1769
"""Lambda gives a function with so much memory one core, and less in proportion ("Configure Lambda function memory")."""


def stay_on_one_core(environ: Mapping[str, str]) -> None:
    """Keep a function that has less than a core on one of the cores that it sees; call it in init.

    Lambda shows two cores and gives a part of one. Python runs one thread at a time, and where the next one waits on
    the other core, handing on takes as long as much of the work: a batch of AWS calls takes a fourth more CPU. Below
    1,769 MB nothing is lost by it. With more, or where `AWS_LAMBDA_FUNCTION_MEMORY_SIZE` is not set, or where the
    system forbids it or has no such call, nothing is done. Threads that run already are not moved; processes that the
    function starts stay on the same core.
    """
    memory = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    if not memory.isdigit() or int(memory) >= WHOLE_CORE_MB or not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {cores[os.getpid() % len(cores)]})


def trace_calls(environ: Mapping[str, str]) -> None:
    """Let X-Ray see the calls of AWS where `POWERTOOLS_TRACE_DISABLED` is false; call it in init.

    Powertools' tracer is imported only there: it takes a tenth of a second of every cold start.
    """
    if environ.get("POWERTOOLS_TRACE_DISABLED", "true").lower() not in {"true", "1"}:
        from aws_lambda_powertools import Tracer

        Tracer(patch_modules=("botocore",))
