"""The servers of the embedded AWS: moto, with a way in for containers of this machine, and Lambda's Invoke API.

moto is not thread safe (parallel writes of one item gave duplicate sequence numbers and lost updates), so requests
queue. Containers, as `sam local` starts them, come by an address of their own. The SAM CLI leaves references of the
template unresolved, so a function in its container knows no name of the stack: it asks here for its environment
variables (`tablestream.dry_run`), before it calls anything.
"""

from __future__ import annotations

import base64
import errno
import json
import re
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodbstreams.models import dynamodbstreams_backends
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.wrappers import Request, Response

from tablestream.local.cloud.clients import REGION
from tablestream.local.cloud.faults import Faults
from tablestream.local.cloud.witness import ChangeWitness, Witness
from tablestream.local.delivery.protocol import NotInvoked
from tablestream.local.errors import UsageError
from tablestream.local.http import App, Environ, Serving, StartResponse, probe
from tablestream.local.trigger.moto_quirks import correct_moto

if TYPE_CHECKING:
    from tablestream.local.runtime.function import Invocation
    from tablestream.local.runtime.runtime import Runtime


MOST_ITERATORS = 1000


class _Tidy:
    """WSGI middleware that drops shard iterators nobody will use: moto keeps all, and the trigger takes 8 a second."""

    def __init__(self, app: App) -> None:
        self._app = app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        for backend in dynamodbstreams_backends[DEFAULT_ACCOUNT_ID].values():
            iterators = backend.shard_iterators
            if len(iterators) > MOST_ITERATORS:
                for oldest in list(islice(iterators, MOST_ITERATORS // 2)):
                    del iterators[oldest]
        return self._app(environ, start_response)


class _Streams:
    """The streams of moto's tables, as the trigger reads them."""

    def ends(self) -> Mapping[str, int]:
        """The number of records of each stream, by table."""
        return {name: len(records) for name, records in self._records()}

    def kinds_since(self, ends: Mapping[str, int]) -> Sequence[str]:
        """The kinds of the changes that came behind these ends."""
        new = [record for name, records in self._records() for record in records[ends.get(name, 0) :]]
        return [str(record.record["eventName"]) for record in new]

    def end(self, stream_arn: str) -> object:
        """A value that is another one as soon as there is another last record; None for a stream that is not there.

        It is not their number, which may be the same again after a transaction was taken back. May be asked while a
        request is answered, so nothing is iterated over.
        """
        try:
            region, account, table = stream_arn.split(":")[3:6]
            shard = dynamodb_backends[account][region].tables[table.split("/")[1]].stream_shard
        except (LookupError, ValueError):  # whatever a template calls a stream
            return None
        return None if shard is None else (shard, *shard.items[-1:])

    def _records(self) -> Iterator[tuple[str, list[Any]]]:
        for name, table in _tables().items():
            if table.stream_shard is not None:
                yield name, table.stream_shard.items


def _tables() -> dict[str, Any]:
    """Moto's tables by name: all are in the one region that is used."""
    return {name: table for one in dynamodb_backends[DEFAULT_ACCOUNT_ID].values() for name, table in one.tables.items()}


class _Handler(MotoRequestHandler):
    # werkzeug takes the handler as a class. Without a time limit one silent client would stop the only thread.
    timeout = 10


class Server:
    """moto on `host`:`port` (0: a free port), empty at the start; its state is the process's, so one at a time.

    All is in `region`. Raises UsageError where it cannot listen there, and for a region that AWS has not.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, region: str = REGION) -> None:
        if region not in dynamodb_backends[DEFAULT_ACCOUNT_ID].regions:
            raise UsageError(f"there is no region {region!r}: wanted one such as {REGION} or eu-central-1")
        try:
            probe(host, port)
        except OSError as error:
            raise UsageError(_taken(host, port, error)) from error
        correct_moto()
        moto_api_backend.reset()
        self.witness = Witness(_Tidy(DomainDispatcherApplication(create_backend_app)))
        self.streams = _Streams()
        self.changes = ChangeWitness(self.witness, self.streams)
        self.faults = Faults(self.changes)
        self.reception = Reception(self.faults, region)
        self._servings = [self._serve(host, port)]

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._servings[0].port

    @property
    def endpoint(self) -> str:
        """The URL for programs on this machine."""
        return self._servings[0].endpoint

    def listen_also(self, host: str) -> None:
        """Serve the same at another address of this machine, on the same port. Raises OSError where that is taken."""
        probe(host, self.port)
        self._servings.append(self._serve(host, self.port))

    def close(self) -> None:
        """Stop serving and free the port."""
        for serving in self._servings:
            serving.close()

    def _serve(self, host: str, port: int) -> Serving:
        serving = Serving(self.reception, "embedded-aws", host=host, port=port, threaded=False, handler=_Handler)
        serving.start()
        return serving


def _taken(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken, perhaps by another stack that runs: end that, or take another port with --port N"
    return f"cannot listen on {host}, port {port}: {error.strerror}"


HOST = "host.docker.internal"
"""The name by which containers reach this machine on every kind of Docker; on Linux Docker must be told (add_host)."""
PREFIX = "/_tablestream/variables/"
"""The path of a function's variables, with the name that its container has in AWS_LAMBDA_FUNCTION_NAME behind it."""

_BRIDGE = b"docker0"
_SIOCGIFADDR = 0x8915  # linux/sockios.h: the address of an interface
_IFREQ_BYTES = 40
_ADDRESS = slice(20, 24)  # in the struct ifreq that comes back: behind the name, the family and the port


def bridge_address() -> str | None:
    """The address of this machine on Docker's bridge, where it can be listened to for containers and nobody else.

    None where there is none: no Docker, or one that runs in a virtual machine and brings containers to 127.0.0.1.
    """
    if sys.platform != "linux":
        return None
    import fcntl  # not on every system

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack(f"{_IFREQ_BYTES}s", _BRIDGE))
        except OSError:
            return None
    return socket.inet_ntoa(answer[_ADDRESS])


_SCOPE = re.compile(r"(Credential=[^/]+/\d{8}/)[a-z0-9-]+/")
"""The region that a request is signed for: there is one here, which answers for any."""


class Reception:
    """WSGI middleware that tells functions their variables, and takes requests to any region for those to its own.

    Mutable: what it tells is known when the stack is there.

    Requests come from two addresses, and the application takes one at a time.
    """

    def __init__(self, app: App, region: str = REGION) -> None:
        self._app = app
        self._region = region
        self._lock = Lock()
        self._variables: Mapping[str, Mapping[str, str]] = {}
        self._prepare: Callable[[], None] | None = None

    def expect(self, variables: Mapping[str, Mapping[str, str]], prepare: Callable[[], None] | None = None) -> None:
        """Tell these variables, by function; do `prepare` before the first is told."""
        with self._lock:
            self._variables, self._prepare = variables, prepare

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        with self._lock:
            path: str = environ["PATH_INFO"]
            if path.startswith(PREFIX):
                return self._tell(path.removeprefix(PREFIX), start_response)
            signed = environ.get("HTTP_AUTHORIZATION", "")
            environ["HTTP_AUTHORIZATION"] = _SCOPE.sub(rf"\g<1>{self._region}/", signed)
            answer = self._app(environ, start_response)
            try:
                return list(answer)
            finally:
                getattr(answer, "close", lambda: None)()

    def _tell(self, function: str, start_response: StartResponse) -> Iterable[bytes]:
        if (variables := self._variables.get(function)) is None:
            start_response("404 Not Found", [("Content-Type", "application/json")])
            known = ", ".join(sorted(self._variables)) or "none"
            return [json.dumps({"message": f"no function {function}: wanted one of {known}"}).encode()]
        prepare, self._prepare = self._prepare, None
        if prepare is not None:
            prepare()
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(dict(variables)).encode()]


class Unseen:
    """Writes items of the embedded AWS that no stream tells of: what is to be there as if it had always been.

    It stands in for a boto3 client that puts and deletes items; to be used where no request is being answered.
    """

    def put_item(self, **request: Any) -> None:
        """Put an item. Raises what moto raises for an item that no table could hold."""
        table = _tables()[request["TableName"]]
        # As it would have come by HTTP: binary values as text.
        item = json.loads(json.dumps(request["Item"], default=lambda binary: base64.b64encode(binary).decode("ascii")))
        stream, table.stream_shard = table.stream_shard, None
        try:
            table.put_item(item)
        finally:
            table.stream_shard = stream

    def delete_item(self, **_request: Any) -> None:
        """Leave away what was never put."""


# A function is named by its name or by its ARN, either with an alias or a version behind it.
_PATH = re.compile(
    r"/2015-03-31/functions/(?:[^/]*:function:)?(?P<name>[^/:]+)(?::(?P<qualifier>[^/]+))?/(invocations|configuration)"
)


def lambda_server(
    runtimes: Mapping[str, Runtime],
    host: str = "127.0.0.1",
    port: int = 0,
    ended: Callable[[str, Invocation], None] = lambda _function, _invocation: None,
) -> Serving:
    """Return a server of Lambda's Invoke API for `runtimes` (by function name); it serves while its with block runs.

    Port 0 takes a free one. moto takes one request at a time, and a function calls it while it is invoked: so this is
    another server, with a thread for each request. Point boto3's Lambda client at it with AWS_ENDPOINT_URL_LAMBDA.

    `ended` gets the logical id of each function that was invoked here, and what came of it.
    """
    app = Request.application(partial(_respond, runtimes, ended))
    return Serving(app, "lambda-api", host=host, port=port)


def _respond(runtimes: Mapping[str, Runtime], ended: Callable[[str, Invocation], None], request: Request) -> Response:
    match = _PATH.fullmatch(request.path)
    runtime = runtimes.get(match["name"]) if match else None
    qualifier = (match["qualifier"] or request.args.get("Qualifier")) if match else None
    if match is None or runtime is None or (qualifier is not None and qualifier not in runtime.function.qualifiers):
        return _refused(404, "ResourceNotFoundException", "Function not found")
    version = runtime.function.version(qualifier)
    if request.path.endswith("/configuration"):
        about = {"FunctionName": runtime.function.name, "FunctionArn": runtime.function.qualified(qualifier)}
        return _json({**about, "Version": version, "Timeout": int(runtime.function.timeout)})
    try:
        event = json.loads(request.get_data() or b"null")
    except ValueError:
        return _refused(400, "InvalidRequestContentException", "Could not parse request body into json")
    invocation = runtime.invoke(event, qualifier)
    ended(runtime.function.logical_id, invocation)
    return _answer(invocation, version)


def _answer(invocation: Invocation, version: str) -> Response:
    if isinstance(invocation.outcome, NotInvoked):
        return _refused(429, "TooManyRequestsException", "Rate exceeded")
    headers = {"X-Amz-Executed-Version": version}
    if invocation.error is not None:
        return _json(invocation.error, headers={**headers, "X-Amz-Function-Error": "Unhandled"})
    return _json(invocation.payload, headers=headers)


def _refused(status: int, kind: str, message: str) -> Response:
    return _json({"message": message}, status, {"x-amzn-ErrorType": kind})


def _json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(content), status, headers, content_type="application/json")
