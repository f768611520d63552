"""What a user of the SAM CLI types in a fresh checkout: `sam build`, `sam local invoke -e EVENT`, and nothing else.

The one thing that differs is the port in sam-local.json: somebody may have a `make local` running on this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.warehouse import Shop
from tablestream.local.cloud.clients import CloudClients
from tablestream.local.trigger.destinations import Inbox
from tests.e2e import sam
from tests.support.cloudformation import ROOT
from tests.support.events_table import TABLE

BUILD_IMAGE = os.environ.get("SAM_BUILD_IMAGE", "public.ecr.aws/sam/build-python3.13:latest-x86_64")
START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Checkout:
    """A copy of what git has, or would add, without anything that was built or installed."""

    folder: Path

    def cli(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Type a command of the SAM CLI there, without any AWS setting of this machine."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_"))}
        return subprocess.run(
            [str(sam.SAM), *arguments],
            cwd=self.folder,
            env={**environment, "SAM_CLI_TELEMETRY": "0"},
            input=given,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def invoke(self, name: str) -> sam.Invoked:
        """Type `sam local invoke` with a file of `events/`."""
        done = self.cli("local", "invoke", "-e", f"events/{name}.json")
        assert done.returncode == 0, done.stderr
        return sam.read_answer(done.stdout, done.stderr)

    def look_for_the_stack_at(self, port: int) -> None:
        """Change the port at which functions look for `make local`."""
        file = self.folder / "sam-local.json"
        text = file.read_text(encoding="utf-8")
        host, colon, _ = json.loads(text)["Parameters"]["AWS_ENDPOINT_URL"].rpartition(":")
        file.write_text(json.dumps({"Parameters": {"AWS_ENDPOINT_URL": f"{host}{colon}{port}"}}), encoding="utf-8")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    if reason := sam.missing():
        assert not os.environ.get("REQUIRE_DOCKER"), reason
        pytest.skip(reason)
    made = Checkout(tmp_path_factory.mktemp("checkout"))
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for file in filter(None, listed.stdout.split("\0")):
        if (ROOT / file).is_file():
            (made.folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, made.folder / file)
    made.look_for_the_stack_at(sam.free_port())
    done = made.cli("build")
    assert done.returncode == 0, done.stderr
    return made


@pytest.mark.parametrize("name", TABLE)
def test_with_nothing_running_a_sample_event_is_answered_and_its_effects_are_shown(
    name: str, checkout: Checkout
) -> None:
    expected = TABLE[name]
    done = checkout.invoke(name)

    assert (done.error[0] if done.error else None) == expected.error, done.log
    assert done.answer == expected.answer
    assert done.log.count("Dry run: ") == 1
    assert done.log.count("notifications: {") == len(expected.notifications)
    assert done.log.count("dead letter: ") == len(expected.dead_letters)


def test_an_event_that_the_sam_cli_makes_is_answered(checkout: Checkout) -> None:
    made = checkout.cli("local", "generate-event", "dynamodb", "update")
    assert made.returncode == 0, made.stderr
    done = checkout.cli("local", "invoke", "-e", "-", given=made.stdout)

    assert sam.read_answer(done.stdout, done.stderr).answer == {"batchItemFailures": []}, done.stderr
    assert "nothing to do: 3 of 3 records, which no handler wants" in done.stderr


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ('{"Records": "none"}', "got Records of type str"),
        ('{"Records": [{"eventSource": "aws:sqs"}]}', "record 0 comes from aws:sqs"),
        ("[]", "got a list"),
    ],
)
def test_an_event_that_is_none_is_refused_with_what_was_wanted(event: str, error: str, checkout: Checkout) -> None:
    done = checkout.cli("local", "invoke", "-e", "-", given=event)
    answered = sam.read_answer(done.stdout, done.stderr)

    assert answered.error is not None
    assert answered.error[0] == "InvalidEvent"
    assert error in answered.error[1]


@pytest.mark.parametrize("environment", ["dev", "local", "prod"])
def test_every_environment_builds_validates_and_invokes(environment: str, checkout: Checkout) -> None:
    chosen = ("--config-env", environment)
    region = ("--region", "us-east-1")
    for command in (("validate", *region), ("build", "--build-dir", f".aws-sam/{environment}")):
        done = checkout.cli(*command, *chosen)
        assert done.returncode == 0, done.stderr
    done = checkout.cli("local", "invoke", "-e", "events/insert-order.json", *chosen)

    assert sam.read_answer(done.stdout, done.stderr).answer == {"batchItemFailures": []}, done.stderr


def test_the_package_is_built_in_a_container_that_has_only_the_code_folder(checkout: Checkout) -> None:
    if not sam.succeeds("docker", "image", "inspect", BUILD_IMAGE):
        pytest.skip(f"no image {BUILD_IMAGE} (SAM_BUILD_IMAGE names another)")
    built = ("--build-dir", ".aws-sam/in-a-container")
    done = checkout.cli("build", "--use-container", "--build-image", BUILD_IMAGE, *built)
    assert done.returncode == 0, done.stderr
    template = (".aws-sam", "in-a-container", "template.yaml")
    done = checkout.cli("local", "invoke", "-e", "events/insert-order.json", "-t", str(Path(*template)), *options())

    assert sam.read_answer(done.stdout, done.stderr).answer == {"batchItemFailures": []}, done.stderr


def options() -> tuple[str, ...]:
    """What samconfig.toml says; the SAM CLI looks for it beside the template."""
    return ("--config-file", "../../samconfig.toml")


@dataclass(frozen=True, slots=True)
class Running:
    """A `make local`, as the other terminal has it."""

    state: dict[str, Any]

    @property
    def clients(self) -> CloudClients:
        return CloudClients(self.state["endpoint"])

    def letters(self) -> list[str]:
        """The keys of the dead letters."""
        listed = self.clients.get("s3").list_objects_v2(Bucket=self.state["outputs"]["FailuresBucketName"])
        return [entry["Key"] for entry in listed.get("Contents", [])]

    @property
    def shop(self) -> Shop:
        return Shop(self.clients.get("dynamodb"), self.state["outputs"])


@pytest.fixture
def make_local(checkout: Checkout) -> Iterator[Running]:
    process = subprocess.Popen(
        [sys.executable, "-m", "demo", "up", "--port", "0"], cwd=checkout.folder, stdout=subprocess.DEVNULL
    )
    try:
        file, deadline = checkout.folder / ".local" / "up.json", time.monotonic() + START_SECONDS
        while not file.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        running = Running(json.loads(file.read_text(encoding="utf-8")))
        checkout.look_for_the_stack_at(int(running.state["endpoint"].rpartition(":")[2]))
        yield running
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=START_SECONDS)
        checkout.look_for_the_stack_at(sam.free_port())


def test_with_make_local_running_the_same_command_moves_stock(checkout: Checkout, make_local: Running) -> None:
    shop, topic = make_local.shop, make_local.state["outputs"]["TopicArn"]
    with Inbox(make_local.clients.get, topic) as inbox:
        placed = checkout.invoke("insert-order")
        after_placing = shop.available()
        again = checkout.invoke("insert-order")
        after_placing_again = shop.available()
        cancelled = checkout.invoke("modify-cancelled")
        announced = {f"{message['type']} {message['orderId']}" for message in inbox.take()}

    assert [done.answer for done in (placed, again, cancelled)] == [{"batchItemFailures": []}] * 3
    assert "Effects are carried out in the stack of `make local`" in placed.log
    assert after_placing == after_placing_again == {"cup": 4, "pot": 2, "tea": 18}
    assert shop.available() == {"cup": 4, "pot": 2, "tea": 21}
    # What the worker has changed comes to the trigger of `make local`, which delivers it to a worker of its own.
    assert announced == {"order.received 1001", "order.confirmed 1001", "order.cancelled 1005"}


def test_with_make_local_running_other_sample_events_have_their_answers(
    checkout: Checkout, make_local: Running
) -> None:
    letters = 0
    for name in ("other-entity", "keys-only", "mixed-batch"):
        done = checkout.invoke(name)
        letters += len(TABLE[name].dead_letters)

        assert (done.error[0] if done.error else None) == TABLE[name].error, done.log
        assert done.answer == TABLE[name].answer
        assert "Dry run: " not in done.log
        assert len(make_local.letters()) == letters
