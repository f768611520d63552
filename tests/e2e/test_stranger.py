"""A stranger's way with the wheel: an empty folder, the example of 20 lines, its test, its stack.

`examples/counter_exactly_once` is copied to a folder outside the checkout and used as it is told in docs/start.md.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tablestream.local.cloud.clients import CloudClients
from tablestream.local.trigger.destinations import Inbox
from tests.e2e import sam
from tests.e2e.emulator import MINISTACK, Emulator, emulator
from tests.support.wheel import ROOT, build_wheel

EXAMPLE = ROOT / "examples" / "counter_exactly_once"
STACK = "leads"
PIP = (".venv/bin/python", "-m", "pip", "install", "-q")
NAMED = ("--stack-name", STACK, "--region", "us-east-1")
LOCAL = (".venv/bin/python", "-m", "tablestream", "local")
PATIENCE_SECONDS = 120
ANN = {"id": "1", "email": "ann@example.com", "status": "new"}
BOB = {"id": "2", "email": "bob@example.com", "status": "new"}
EVE = {"id": "3", "email": "eve@example.com", "status": "lost"}
# The two commands of the AWS CLI that docs/start.md has: it need not be here.
AWS_CLI = """
import argparse, json, boto3
parser = argparse.ArgumentParser()
parser.add_argument("operation")
parser.add_argument("--table-name")
parser.add_argument("--item", type=json.loads)
given = parser.parse_args()
arguments = {"TableName": given.table_name} | ({"Item": given.item} if given.item else {})
print(json.dumps(getattr(boto3.client("dynamodb"), given.operation.replace("-", "_"))(**arguments)))
"""
AWS = (".venv/bin/python", "-c", AWS_CLI)


@dataclass(slots=True)
class Folder:
    """The stranger's folder, with a virtual environment that holds the wheel, and what else a shell has there."""

    path: Path
    variables: Mapping[str, str]

    def run(self, *command: str) -> str:
        """Run a command in the folder; return what it printed."""
        done = subprocess.run(
            command, cwd=self.path, env=self.variables, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def up(self) -> Iterator[Path]:
        """Run the stack on this machine; yield the file that has what it shows."""
        shown, state = self.path / "up.log", self.path / ".local" / "up.json"
        with shown.open("wb") as output:
            process = subprocess.Popen(
                [*LOCAL, "up", "--port", "0"],
                cwd=self.path,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until(lambda: state.exists() or process.poll() is not None)
            assert process.poll() is None, shown.read_text()
            yield shown
            process.terminate()
            assert process.wait(timeout=PATIENCE_SECONDS) == 0, shown.read_text()
        finally:
            process.kill()
            process.wait()

    def sam(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Run the SAM CLI in the folder; return what it printed."""
        variables = {**self.variables, **(environment or {})}
        done = sam.command(*arguments, environment=variables, folder=self.path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    dist = tmp_path_factory.mktemp("dist")
    wheel = build_wheel(dist)
    home = tmp_path_factory.mktemp("home") / "leads"
    home.mkdir()
    # Nothing of the checkout is in reach: not its import path, not the environment of these tests.
    variables = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    made = Folder(home, variables)
    made.run(sys.executable, "-m", "venv", ".venv")
    made.run(*PIP, str(wheel), "pytest")
    for name in ("leads.py", "test_leads.py", "template.yaml", "requirements.txt"):
        shutil.copy(EXAMPLE / name, home)
    # The name in requirements.txt is looked up where pip looks, and beside the wheel.
    found = " ".join([*os.environ.get("PIP_FIND_LINKS", "").split(), str(dist)])
    return Folder(home, {**variables, "PIP_FIND_LINKS": found})


@dataclass(slots=True)
class Deployed:
    """The stack in the emulator: the names of its resources by logical id, and what was told on its topic."""

    emulator: Emulator
    clients: CloudClients
    names: Mapping[str, str]
    inbox: Inbox
    told: list[dict[str, Any]] = field(default_factory=list)

    def write(self, *leads: Mapping[str, str]) -> None:
        for lead in leads:
            item = {name: {"S": value} for name, value in lead.items()}
            self.clients.get("dynamodb").put_item(TableName=self.names["Leads"], Item=item)

    def counts(self) -> dict[str, int]:
        items = self.clients.get("dynamodb").scan(TableName=self.names["Counts"])["Items"]
        return {item["pk"]["S"]: int(item["leads"]["N"]) for item in items if "leads" in item}

    def messages(self) -> list[dict[str, Any]]:
        self.told += self.inbox.take()
        return self.told

    def delivered(self) -> list[dict[str, Any]]:
        """The records that the stream holds, as Lambda hands them to the function."""
        stream = self.clients.get("dynamodb").describe_table(TableName=self.names["Leads"])["Table"]["LatestStreamArn"]
        streams = self.clients.get("dynamodbstreams")
        records = []
        for shard in streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]:
            iterator = streams.get_shard_iterator(
                StreamArn=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            records += streams.get_records(ShardIterator=iterator)["Records"]
        return [{**record, "eventSourceARN": stream} for record in records]

    def invoke(self, record: Mapping[str, Any]) -> Any:
        """Deliver a record to the function; return its answer."""
        payload = json.dumps({"Records": [record]}, default=lambda moment: moment.timestamp())
        done = self.clients.get("lambda").invoke(FunctionName=self.names["Worker"], Payload=payload.encode())
        answer = json.loads(done["Payload"].read())
        assert "FunctionError" not in done, answer
        return answer


@pytest.fixture(scope="module")
def deployed(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    for needed in (MINISTACK, sam.SAM):
        if not needed.is_file():
            assert not os.environ.get("REQUIRE_MINISTACK"), f"no {needed}"
            pytest.skip(f"no {needed.name} in {needed.parents[1].name} (make e2e installs it where it can)")
    # `sam build` wants the Python of the function's runtime on the path: the emulator's is of that version.
    folder.sam("build", environment={"PATH": f"{MINISTACK.parent}{os.pathsep}{os.environ['PATH']}"})
    with emulator(tmp_path_factory.mktemp("ministack")) as running:
        folder.sam(
            *("deploy", *NAMED, "--resolve-s3", "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"),
            environment=running.environment,
        )
        clients = CloudClients(running.endpoint)
        resources = clients.get("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
        names = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources}
        with Inbox(clients.get, names["Sales"]) as inbox:
            yield Deployed(running, clients, names, inbox)


def test_the_program_passes_its_test_where_only_the_wheel_is_installed(folder: Folder) -> None:
    assert " passed" in folder.run(".venv/bin/python", "-m", "pytest", "-q")
    where = folder.run(".venv/bin/python", "-c", "import tablestream; print(tablestream.__file__)")
    assert Path(where.strip()).is_relative_to(folder.path)


def test_on_the_laptop_it_counts_and_tells(folder: Folder) -> None:
    folder.run(*PIP, "tablestream[local]")
    with folder.up() as shown:
        item = json.dumps({name: {"S": value} for name, value in ANN.items()})
        folder.run(*LOCAL, "exec", *AWS, "put-item", "--table-name", "{Leads}", "--item", item)
        scan = (*LOCAL, "exec", *AWS, "scan", "--table-name", "{Counts}")
        wait_until(lambda: {"pk": {"S": "new"}, "leads": {"N": "1"}} in json.loads(folder.run(*scan))["Items"])
        wait_until(lambda: '{"lead":"1","email":"ann@example.com"}' in shown.read_text())


def test_its_outputs_are_listed(deployed: Deployed, folder: Folder) -> None:
    listed = folder.sam("list", "stack-outputs", *NAMED, "--output", "json", environment=deployed.emulator.environment)
    outputs = {each["OutputKey"]: each["OutputValue"] for each in json.loads(listed)}
    for_redrive_and_replay = {"TableName": "Leads", "WorkerName": "Worker", "FailuresBucketName": "Failures"}
    wanted = {"Leads": "Leads", "Counts": "Counts", "Sales": "Sales"} | for_redrive_and_replay
    assert outputs == {name: deployed.names[resource] for name, resource in wanted.items()}


def test_deployed_it_counts_and_tells(deployed: Deployed) -> None:
    deployed.write(ANN, BOB)
    wait_until(lambda: deployed.counts() == {"new": 2})
    deployed.write({**ANN, "status": "won"})
    wait_until(lambda: deployed.counts() == {"new": 1, "won": 1})
    wait_until(lambda: len(deployed.messages()) >= 2)
    told = sorted(deployed.messages(), key=lambda message: str(message["lead"]))
    assert told == [{"lead": one["id"], "email": one["email"]} for one in (ANN, BOB)]


def test_what_is_delivered_again_counts_no_second_time(deployed: Deployed) -> None:
    deployed.write(EVE)
    wait_until(lambda: deployed.counts().get("lost") == 1)
    (record,) = [one for one in deployed.delivered() if one["dynamodb"]["Keys"]["id"]["S"] == EVE["id"]]
    before = deployed.counts()
    for _ in range(2):
        assert deployed.invoke(record) == {"batchItemFailures": []}
    assert deployed.counts() == before

    assert deployed.invoke({**record, "eventID": "of another change"}) == {"batchItemFailures": []}
    assert deployed.counts() == {**before, "lost": 2}


def test_sam_delete_takes_the_stack_away(deployed: Deployed, folder: Folder) -> None:
    folder.sam("delete", *NAMED, "--no-prompts", environment=deployed.emulator.environment)
    with pytest.raises(ClientError, match="does not exist"):
        deployed.clients.get("cloudformation").describe_stacks(StackName=STACK)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        deployed.clients.get("dynamodb").describe_table(TableName=deployed.names["Counts"])


def wait_until(holds: Callable[[], bool]) -> None:
    """Another process does the work, by its own clock; give it time, and fail when it takes too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s"
        time.sleep(0.2)
