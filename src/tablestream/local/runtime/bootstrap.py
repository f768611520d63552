"""The side of `child.py` that runs the handler: imports the handler and answers invocations until its pipe closes.

Runs as a script with the handler's own import path, so it uses nothing but the standard library. Requests and answers
are JSON lines on two pipes of their own: whatever the handler prints stays apart from its answers.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import IO, Any

Json = Any  # what an event or an answer holds
Handler = Callable[[Json, Any], Json]


class Context:
    """The context object of one invocation, as the Lambda documentation lists it for Python."""

    def __init__(self, request: dict[str, Json]) -> None:
        self._ends = time.monotonic() + request["timeout"]
        self.aws_request_id: str = request["request_id"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = int(os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"])
        self.invoked_function_arn: str = request["function_arn"]
        self.log_group_name = f"/aws/lambda/{self.function_name}"
        self.log_stream_name = f"local/{os.getpid()}"
        self.identity = None
        self.client_context = None

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function's timeout."""
        return max(0, int((self._ends - time.monotonic()) * 1000))


def main(requests_fd: int, answers_fd: int, handler_path: str, *folders: str) -> None:
    """Serve `handler_path` (module.function) from these folders until the parent closes the request pipe.

    The first folder has the function's own code, the others its layers, as Lambda puts them on the import path.
    """
    sys.path[:0] = folders
    with os.fdopen(requests_fd, encoding="utf-8") as requests, os.fdopen(answers_fd, "w", encoding="utf-8") as answers:
        try:
            handler = _load(handler_path)
        except Exception as error:  # noqa: BLE001 - whatever the module raises on import is the answer
            _say(answers, {"init_error": describe(error)})
            return
        _say(answers, {"ready": True})
        for line in requests:
            _say(answers, _invoke(handler, json.loads(line)))


def describe(error: BaseException) -> dict[str, Json]:
    """The function error Lambda answers for an exception."""
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "stackTrace": traceback.format_exception(error),
    }


def _load(handler_path: str) -> Handler:
    module, _, name = handler_path.rpartition(".")
    handler: Handler = getattr(importlib.import_module(module.replace("/", ".")), name)
    return handler


def _invoke(handler: Handler, request: dict[str, Json]) -> dict[str, Json]:
    os.environ["_X_AMZN_TRACE_ID"] = f"Root={request['request_id']};Sampled=0"
    began = time.time()
    try:
        # Serialised here, because an answer that JSON cannot hold is an error of the function.
        return {"began": began, "payload": json.dumps(handler(request["event"], Context(request)))}
    except Exception as error:  # noqa: BLE001 - as Lambda does: any exception is the invocation's error
        return {"began": began, "error": describe(error)}
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _say(answers: IO[str], message: dict[str, Json]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], *sys.argv[4:])
