"""The template's stack in an embedded AWS, as a context manager; its name and parameters in samconfig.toml."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from moto.cloudformation.parsing import get_model_map

from tablestream.local.cloud import stack as stacks
from tablestream.local.cloud.clients import REGION, Client, CloudClients, mirror
from tablestream.local.cloud.elsewhere import Elsewhere
from tablestream.local.cloud.faults import FUNCTION_TOKEN
from tablestream.local.cloud.server import HOST, Server, bridge_address
from tablestream.local.cloud.translate import Translated, translate
from tablestream.local.errors import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from tablestream.local.cloud.faults import Faults
    from tablestream.local.cloud.functions import StreamMapping
    from tablestream.local.cloud.witness import Witness
    from tablestream.local.gateway.routes import HttpApi
    from tablestream.local.runtime.function import FunctionSpec
    from tablestream.local.trigger.queue import QueueMapping


_NOTHING = Elsewhere()


class Cloud:
    """Create the stack of `template`, under `stack_name`, in an embedded AWS on `host`:`port` (port 0: a free one).

    `parameters` replace the template's defaults, and so do `overrides` (of samconfig.toml), where there is a parameter
    of that name; `elsewhere` has what other stacks export, and the like; all is in `region`. A template that is
    translated already has them all. With `dynamodb_endpoint` the tables live on that DynamoDB instead. Only one Cloud
    may be open in a process. Raises TemplateError.
    """

    def __init__(
        self,
        template: Path | Translated = Path("template.yaml"),
        *,
        stack_name: str = "tablestream",
        host: str = "127.0.0.1",
        port: int = 0,
        parameters: Mapping[str, str] | None = None,
        overrides: Mapping[str, str] | None = None,
        elsewhere: Elsewhere = _NOTHING,
        region: str = REGION,
        dynamodb_endpoint: str | None = None,
    ) -> None:
        self._template = template
        self._name = stack_name
        self._address = (host, port)
        self._parameters = dict(parameters or {})
        self._overrides = dict(overrides or {})
        self._elsewhere = elsewhere
        self._region = region
        self.dynamodb_endpoint = dynamodb_endpoint

    def __enter__(self) -> Self:
        given = self._template
        if not isinstance(given, Translated):
            given = translate(given, self._parameters, self._overrides, self._elsewhere, self._region)
        self._region = given.region
        translated = given.fitted(get_model_map())
        with ExitStack() as owned:
            scratch = owned.enter_context(TemporaryDirectory(prefix="tablestream-"))
            self._server = owned.enter_context(closing(Server(*self._address, self._region)))
            self._clients = CloudClients(self.endpoint, self.dynamodb_endpoint, self._region)
            with given.source.placing(), reading(f"the template {given.source.path}"):
                self._stack = stacks.create(translated, self._name, Path(scratch), self._clients.embedded)
            self._streams = self._mirrored()
            self._source = given.source
            self._owned = owned.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._owned.close()

    @property
    def endpoint(self) -> str:
        """The embedded AWS's URL for programs on this machine."""
        return self._server.endpoint

    @property
    def port(self) -> int:
        """The embedded AWS's port."""
        return self._server.port

    @property
    def faults(self) -> Faults:
        """Errors to inject into the embedded AWS."""
        return self._server.faults

    @property
    def witness(self) -> Witness:
        """The witness of what functions send to queues and set aside."""
        return self._server.witness

    def end_of_stream(self, stream_arn: str) -> object:
        """A value that changes with every record of a stream; None where that cannot be told without a request."""
        return None if self.dynamodb_endpoint else self._server.streams.end(stream_arn)

    @property
    def apis(self) -> tuple[HttpApi, ...]:
        """The template's HTTP APIs with their routes to functions."""
        return self._stack.apis

    def changes_of(self, request_id: str) -> Mapping[str, int]:
        """The number of changes of each kind that an invocation led to; told once, and unknown for tables elsewhere."""
        return self._server.changes.take(request_id)

    @property
    def stack_name(self) -> str:
        """The name by which `describe-stacks` finds it."""
        return self._stack.name

    @property
    def outputs(self) -> Mapping[str, str]:
        """The stack's outputs."""
        return self._stack.outputs

    @property
    def functions(self) -> Mapping[str, FunctionSpec]:
        """The template's functions by logical id, their environment resolved."""
        return {name: self._at_home(function) for name, function in self._stack.functions.items()}

    @property
    def mappings(self) -> tuple[StreamMapping, ...]:
        """The event source mappings of DynamoDB streams, their properties resolved."""
        return tuple(replace(m, stream_arn=self._streams.get(m.stream_arn, m.stream_arn)) for m in self._stack.mappings)

    @property
    def queues(self) -> tuple[QueueMapping, ...]:
        """The queues and topics that invoke functions."""
        return self._stack.queues

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on what the template asks for and is not done here."""
        return self._stack.notes

    def placed(self, note: str) -> str:
        """Return a note behind the line of the template that has what it is about."""
        return self._source.placed(note, short=True)

    @property
    def differences(self) -> tuple[str, ...]:
        """Lines on what else is not as in AWS: resources that have a stand-in."""
        return self._stack.differences

    def client(self, service: str) -> Client:
        """A boto3 client (one per service, safe to share between threads) of the embedded AWS."""
        return self._clients.get(service)

    def aws_environment(self, endpoint: str | None = None) -> dict[str, str]:
        """The variables that point any AWS SDK at this cloud; `endpoint` replaces its URL (for containers)."""
        variables = {
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            # Calls that carry an ARN would else go to a host name made of the account id.
            "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
        }
        if self.dynamodb_endpoint:
            variables |= {
                f"AWS_ENDPOINT_URL_{name}": self.dynamodb_endpoint for name in ("DYNAMODB", "DYNAMODB_STREAMS")
            }
        return variables

    def admit_containers(self, prepare: Callable[[], None] | None = None) -> str | None:
        """Let containers of this machine in, and tell functions in them their variables; return the URL for them.

        Listens on Docker's bridge as well, where no other machine comes; with a Docker in a virtual machine containers
        come to 127.0.0.1. None where they cannot come: no Docker, the port is taken there, or the tables are elsewhere.
        `prepare` is done before the first function is told; it must make no requests.
        """
        if self.dynamodb_endpoint:
            return None
        if (bridge := bridge_address()) is not None and self._address[0] == "127.0.0.1":
            try:
                self._server.listen_also(bridge)
            except OSError:
                return None
        told = {name: _for_containers(function) for name, function in self.functions.items()}
        named = {function.name: told[name] for name, function in self.functions.items()}
        self._server.reception.expect({**named, **told}, prepare)
        return f"http://{HOST}:{self.port}" if bridge or sys.platform != "linux" else None

    def addressed(self, event: Any) -> Any:
        """`event` as if it came from the stream of the stack's first mapping, whose name is made when the stack is.

        Only records of the table the first record names are changed; what is no stream event stays as it is.
        """
        records = event.get("Records") if isinstance(event, dict) else None
        if not isinstance(records, list) or not records or not isinstance(records[0], dict):
            return event
        home = records[0].get("eventSourceARN")
        arn = {"eventSourceARN": next((mapping.stream_arn for mapping in self.mappings), home)}
        ours = [isinstance(record, dict) and record.get("eventSourceARN") == home for record in records]
        if not isinstance(home, str) or ":dynamodb:" not in home:
            return event
        changed = [{**record, **arn} if mine else record for record, mine in zip(records, ours, strict=True)]
        return {**event, "Records": changed}

    def _mirrored(self) -> dict[str, str]:
        if not self.dynamodb_endpoint:
            return {}
        return mirror(self._clients.embedded("dynamodb"), self.client("dynamodb"))

    def _at_home(self, function: FunctionSpec) -> FunctionSpec:
        signed = {"AWS_SESSION_TOKEN": FUNCTION_TOKEN}
        return replace(function, environment={**function.environment, **self.aws_environment(), **signed})


def _for_containers(function: FunctionSpec) -> Mapping[str, str]:
    """The variables but for the addresses of this machine, which a container reaches under another name."""
    return {name: value for name, value in function.environment.items() if not name.startswith("AWS_ENDPOINT_URL")}
