"""Lambda's Invoke API for the functions that run on this machine, on a port of its own.

The embedded AWS takes one request at a time, and a function calls it while it is invoked: so this is another server,
with a thread for each request. Point boto3's Lambda client at it with AWS_ENDPOINT_URL_LAMBDA.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Self

from werkzeug.wrappers import Request, Response

from tablestream.local.delivery.protocol import Throttled
from tablestream.local.http import Serving

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from tablestream.local.runtime.function import Invocation
    from tablestream.local.runtime.runtime import Runtime


# A function is named by its name or by its ARN, either with an alias or a version behind it.
_PATH = re.compile(
    r"/2015-03-31/functions/(?:[^/]*:function:)?(?P<name>[^/:]+)(?::(?P<qualifier>[^/]+))?/(invocations|configuration)"
)


class LambdaApi:
    """Serves `runtimes` (by function name) on `host`:`port` (0: a free port) while the with block runs.

    `ended` gets the logical id of each function that was invoked here, and what came of it.
    """

    def __init__(
        self,
        runtimes: Mapping[str, Runtime],
        host: str = "127.0.0.1",
        port: int = 0,
        ended: Callable[[str, Invocation], None] = lambda _function, _invocation: None,
    ) -> None:
        self._runtimes = runtimes
        self._ended = ended
        self._serving = Serving(Request.application(self._respond), "lambda-api", host=host, port=port)

    @property
    def endpoint(self) -> str:
        """The URL for programs on this machine."""
        return self._serving.endpoint

    def __enter__(self) -> Self:
        self._serving.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._serving.close()

    def _respond(self, request: Request) -> Response:
        match = _PATH.fullmatch(request.path)
        runtime = self._runtimes.get(match["name"]) if match else None
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
        self._ended(runtime.function.logical_id, invocation)
        return _answer(invocation, version)


def _answer(invocation: Invocation, version: str) -> Response:
    if isinstance(invocation.outcome, Throttled):
        return _refused(429, "TooManyRequestsException", "Rate exceeded")
    headers = {"X-Amz-Executed-Version": version}
    if invocation.error is not None:
        return _json(invocation.error, headers={**headers, "X-Amz-Function-Error": "Unhandled"})
    return _json(invocation.payload, headers=headers)


def _refused(status: int, kind: str, message: str) -> Response:
    return _json({"message": message}, status, {"x-amzn-ErrorType": kind})


def _json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(content), status, headers, content_type="application/json")
