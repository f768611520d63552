"""The SAM CLI as a user runs it: build once, invoke in a container, against the embedded AWS on this machine.

`python -m tests.e2e.sam EVENT` builds the package, runs it on one event and prints the answer, and the log to stderr.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.cloud import Cloud, prepare_for_event

ROOT = Path(__file__).resolve().parents[2]
SAM = ROOT / ".venv-sam" / "bin" / "sam"
IMAGE = "public.ecr.aws/lambda/python:3.13-x86_64"
# The one name that reaches the host from a container on every kind of Docker, given the --add-host below.
HOST = "host.docker.internal"
LISTEN = "0.0.0.0"  # noqa: S104 -- the bridge has another address in every Docker; open for one invocation only


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
    if not _succeeds("docker", "version"):
        return "no Docker daemon answers"
    if not _succeeds("docker", "image", "inspect", IMAGE):
        return f"no image {IMAGE}"
    return None


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def build(into: Path) -> Path:
    """Run `sam build`; return the built template's path."""
    python = SAM.with_name("python")
    done = command("build", "--build-dir", str(into), environment={"PYTHON": str(python)})
    assert done.returncode == 0, done.stderr
    return into / "template.yaml"


def run(template: Path, sample: Mapping[str, Any]) -> Invoked:
    """Run the worker on an event, in an embedded AWS that is as the event has left it."""
    with prepare_for_event(sample, host=LISTEN) as cloud:
        return invoke(template, "Worker", cloud.addressed(sample), cloud)


def invoke(template: Path, function: str, event: Mapping[str, Any], cloud: Cloud) -> Invoked:
    """Run `sam local invoke` ; the function's AWS calls go to `cloud`, which must listen where containers reach it."""
    event_file, variables = template.with_name("event.json"), template.with_name("variables.json")
    event_file.write_text(json.dumps(event), encoding="utf-8")
    inside = {**cloud.functions[function].environment, **cloud.aws_environment(f"http://{HOST}:{cloud.port}")}
    variables.write_text(json.dumps({function: inside}), encoding="utf-8")
    options = ["--template", template, "--event", event_file, "--env-vars", variables, "--skip-pull-image"]
    done = command(
        *("local", "invoke", function, *map(str, options), "--add-host", f"{HOST}:host-gateway"),
        # SAM asks AWS for the account; with no answer it waits for seconds.
        environment=cloud.aws_environment(),
    )
    assert done.returncode == 0, done.stderr
    return _read(done.stdout, done.stderr)


def _read(output: str, log: str) -> Invoked:
    # The exit status says nothing: it is 0 also when the handler raised.
    assert output.strip(), f"the function did not answer:\n{log}"
    answer = json.loads(output.strip().splitlines()[-1])
    if isinstance(answer, dict) and "errorType" in answer:
        return Invoked(None, (answer["errorType"], answer["errorMessage"]), log)
    return Invoked(answer, None, log)


def command(*arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the SAM CLI."""
    return subprocess.run(
        [str(SAM), *arguments],
        cwd=ROOT,
        env={**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def main() -> int:
    """Run the event file the command line names; return 1 if the handler raised."""
    if reason := missing():
        sys.stderr.write(f"Cannot run a container: {reason}.\n")
        return 2
    sample = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    done = run(build(ROOT / ".aws-sam" / "build"), sample)
    sys.stderr.write(done.log)
    sys.stdout.write(f"{': '.join(done.error) if done.error else json.dumps(done.answer)}\n")
    return 1 if done.error else 0


if __name__ == "__main__":
    sys.exit(main())
