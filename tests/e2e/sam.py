"""The SAM CLI as a user runs it: build once, invoke in a container, against the embedded AWS on this machine.

`python -m tests.e2e.sam EVENT` builds the package, runs it on one event and prints answer and effects; the log is on
stderr.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.watch import effects_shown, prepare_for_event
from tablestream.local.cli.invoke import print_answer, read_event
from tablestream.local.cli.terminal import console
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.cloud.server import HOST
from tablestream.local.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
SAM = ROOT / ".venv-sam" / "bin" / "sam"
IMAGE = "public.ecr.aws/lambda/python:3.13-x86_64"
START_SECONDS = 60


class NoAnswerError(Exception):
    """The SAM CLI failed, or the function ended without an answer; the message is what was written."""


@dataclass(frozen=True, slots=True)
class Invoked:
    """What came of an invocation: the function's `answer`, or its `error` (class and message), and the log."""

    answer: Any
    error: tuple[str, str] | None
    log: str


def missing() -> str | None:
    """Say what stands in the way of running functions in containers, or None."""
    if not SAM.is_file():
        return "no SAM CLI in .venv-sam (make e2e installs it)"
    if shutil.which("docker") is None:
        return "no docker command"
    if not succeeds("docker", "version"):
        return "no Docker daemon answers"
    if not succeeds("docker", "image", "inspect", IMAGE):
        return f"no image {IMAGE}"
    return None


def succeeds(*command: str) -> bool:
    """Tell whether a command ends well."""
    try:
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def build(into: Path) -> Path:
    """Run `sam build`; return the built template's path. Raises NoAnswerError."""
    python = SAM.with_name("python")
    done = command("build", "--build-dir", str(into), environment={"PYTHON": str(python)})
    if done.returncode != 0:
        raise NoAnswerError(done.stderr)
    return into / "template.yaml"


def run(template: Path, sample: Mapping[str, Any]) -> Invoked:
    """Run the worker on an event, in an embedded AWS that is as the event has left it."""
    with world(sample) as cloud:
        return invoke(template, "Worker", sample, cloud)


@contextmanager
def world(sample: object) -> Iterator[Cloud]:
    """An embedded AWS that containers reach, in which the event has just happened."""
    with prepare_for_event(sample) as cloud:
        cloud.admit_containers()
        yield cloud


def invoke(
    template: Path, function: str, event: Mapping[str, Any], cloud: Cloud, changed: Mapping[str, str] | None = None
) -> Invoked:
    """Run `sam local invoke`; the function's AWS calls go to `cloud`, which has admitted containers.

    `changed` are variables that the function has in place of its own. Raises NoAnswerError.
    """
    event_file = template.with_name("event.json")
    event_file.write_text(json.dumps(event), encoding="utf-8")
    done = command(
        *("local", "invoke", function, "--event", str(event_file), *_local_options(template, function, cloud, changed)),
        # SAM asks AWS for the account; with no answer it waits for seconds.
        environment=cloud.aws_environment(),
    )
    if done.returncode != 0:
        raise NoAnswerError(done.stderr)
    return read_answer(done.stdout, done.stderr)


def start_lambda(template: Path, function: str, cloud: Cloud) -> AbstractContextManager[str]:
    """Run `sam local start-lambda`; yield its address, which boto3's `lambda` client takes as `endpoint_url`."""
    return _started("start-lambda", template, function, cloud)


def start_api(template: Path, function: str, cloud: Cloud) -> AbstractContextManager[str]:
    """Run `sam local start-api` for the API of a function; yield its address."""
    return _started("start-api", template, function, cloud, "--disable-authorizer")


@contextmanager
def _started(what: str, template: Path, function: str, cloud: Cloud, *more: str) -> Iterator[str]:
    port, log = free_port(), template.with_name(f"{what}.log")
    with log.open("wb") as output:
        options = ("--port", str(port), *_local_options(template, function, cloud), *more)
        process = subprocess.Popen(
            [str(SAM), "local", what, *options],
            cwd=ROOT,
            env=_environment(cloud.aws_environment()),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(process, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)  # as Ctrl-C does: it takes its containers along
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:  # a shell's background job: SIGINT is ignored there, and by what it starts
            process.terminate()
            process.wait(timeout=60)


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"the SAM CLI did not start:\n{log.read_text(encoding='utf-8')}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _local_options(template: Path, function: str, cloud: Cloud, changed: Mapping[str, str] | None = None) -> list[str]:
    variables = template.with_name("variables.json")
    reached = cloud.aws_environment(f"http://{HOST}:{cloud.port}")
    inside = {**cloud.functions[function].environment, **reached, **(changed or {})}
    variables.write_text(json.dumps({function: inside}), encoding="utf-8")
    return [
        *("--template", str(template), "--env-vars", str(variables)),
        *("--skip-pull-image", "--add-host", f"{HOST}:host-gateway"),
    ]


def read_answer(output: str, log: str) -> Invoked:
    """Read what the SAM CLI has printed. Its exit status is 0 also when the handler raised, or was never imported.

    Raises NoAnswerError.
    """
    try:
        answer = json.loads(output.strip().splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise NoAnswerError(f"the function did not answer:\n{log}{output}") from error
    if isinstance(answer, dict) and "errorType" in answer:
        return Invoked(None, (answer["errorType"], answer.get("errorMessage", "")), log)
    return Invoked(answer, None, log)


def command(*arguments: str, environment: Mapping[str, str], folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the SAM CLI in a folder."""
    return subprocess.run(
        [str(SAM), *arguments],
        cwd=folder,
        env=_environment(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1", **extra}


def main() -> int:
    """Run the event file the command line names; return 1 if the function failed or did not answer."""
    if reason := missing():
        sys.stderr.write(f"Cannot run a container: {reason}.\n")
        return 2
    output = console()
    try:
        sample = read_event(Path(sys.argv[1]))
        template = build(ROOT / ".aws-sam" / "build")
        with world(sample) as cloud, effects_shown(output, cloud):
            done = invoke(template, "Worker", sample, cloud)
            sys.stderr.write(done.log)
            failed = None if done.error is None else dict(zip(("errorType", "errorMessage"), done.error, strict=True))
            print_answer(output, failed or done.answer)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except NoAnswerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
