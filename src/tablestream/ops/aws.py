"""Which resources a command works on: from a stack's outputs, or named one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from tablestream.ops.invoking import Invoker
from tablestream.ops.terminal import UsageError
from tablestream.run import Clock

_LONGEST = 900.0
_SLACK = 30.0
_SPARE = 5.0


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line names; None for what the stack shall tell."""

    stack: str | None = None
    bucket: str | None = None
    function: str | None = None
    table: str | None = None


class Aws:
    """Resources, looked up when they are asked for. Clients are those of boto3's default session.

    Raises `UsageError` for a resource that neither the command line nor the stack names.
    """

    def __init__(self, given: Given) -> None:
        """Take what the command line names."""
        self._given = given
        self._outputs: Mapping[str, str] | None = None

    @property
    def bucket(self) -> str:
        """The failures bucket."""
        return self._given.bucket or self._output("FailuresBucketName", "--bucket")

    @property
    def function(self) -> str:
        """The worker's function."""
        return self._given.function or self._output("WorkerName", "--function")

    @property
    def table(self) -> str:
        """The table whose stream the worker reads."""
        return self._given.table or self._output("TableName", "--table")

    def _output(self, name: str, option: str) -> str:
        if self._given.stack is None:
            raise UsageError(f"name the stack with --stack, or the resource with {option}")
        if self._outputs is None:
            self._outputs = _outputs(self._given.stack)
        if name not in self._outputs:
            raise UsageError(f"the stack {self._given.stack} has no output {name}: name the resource with {option}")
        return self._outputs[name]

    def client(self, service: str, **settings: Any) -> Any:
        """Return a client of a service."""
        session: Any = boto3.Session()  # Any: the stubs know only services that are named literally
        return session.client(service, config=Config(**settings))

    def s3(self, threads: int) -> Any:
        """Return an S3 client for some threads."""
        return self.client("s3", max_pool_connections=threads, retries={"mode": "standard", "total_max_attempts": 5})

    def timeout(self) -> float:
        """Return how many seconds an invocation may take at most, with some to spare."""
        configuration = self.client("lambda").get_function_configuration(FunctionName=self.function)
        return float(configuration["Timeout"]) + _SPARE

    def invoker(self, ready: Callable[[], None], clock: Clock, connections: int = 1) -> Invoker:
        """Return what invokes the worker: it waits longer than any function may run, and never repeats a call."""
        client = self.client(
            "lambda",
            read_timeout=_LONGEST + _SLACK,
            retries={"total_max_attempts": 1},
            tcp_keepalive=True,
            max_pool_connections=connections,
        )
        return Invoker(client, self.function, ready, clock)


def _outputs(stack: str) -> dict[str, str]:
    client: Any = boto3.client("cloudformation")
    try:
        described = client.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ValidationError":
            raise UsageError(f"there is no stack {stack} in {client.meta.region_name}") from None
        raise
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", ())}
