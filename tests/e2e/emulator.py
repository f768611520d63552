"""ministack: an emulator that `sam deploy` deploys into, started for a test and ended after it.

It proves the wiring: what the stack is made of, that a change of the table invokes the function, and that the function
reaches what it is given. How a failed delivery is repeated it does not imitate; `local` and the simulation do.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

from samtranslator.yaml_helper import yaml_parse

from tablestream.local.cloud.clients import REGION
from tests.e2e.sam import free_port
from tests.support.cloudformation import ROOT

MINISTACK = ROOT / ".venv-ministack" / "bin" / "ministack"
START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running ministack."""

    endpoint: str
    log: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point the SAM CLI at it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
        }


@contextmanager
def emulator(folder: Path) -> Iterator[Emulator]:
    """Start ministack with its files in `folder`; end it and what it started."""
    port, log = free_port(), folder / "ministack.log"
    with log.open("wb") as output:
        # Its own AWS calls, and those of the functions, must not go where an endpoint of ours points.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DOCKER_"))}
        environment |= {"GATEWAY_PORT": str(port), "HOME": str(folder)}
        process = subprocess.Popen(
            [str(MINISTACK)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        endpoint = f"http://127.0.0.1:{port}"
        _wait_for(process, endpoint, log)
        yield Emulator(endpoint, log)
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # it takes long to end by itself, and keeps nothing of worth
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], endpoint: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=5):  # noqa: S310 - our own address
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"ministack did not start:\n{log.read_text(encoding='utf-8')[-2000:]}")


def deployable(template: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the template with stand-ins for what ministack 1.5.33 cannot create, and their names.

    It knows neither composite alarms nor alarms with a formula; another alarm stands in their place.
    """
    document: dict[str, Any] = yaml_parse(template.read_text(encoding="utf-8"))  # type: ignore[no-untyped-call]
    resources = document["Resources"]
    names = [name for name, resource in resources.items() if _is_unknown(resource)]
    for name in names:
        resources[name] = resources["ErrorsAlarm"]
    return document, names


def _is_unknown(resource: Mapping[str, Any]) -> bool:
    formula = resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]
    return formula or resource["Type"] == "AWS::CloudWatch::CompositeAlarm"
