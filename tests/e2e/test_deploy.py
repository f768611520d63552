"""`sam deploy` of the built package into an emulator: the stack comes up, works by itself, and goes away again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from demo.warehouse import NewOrder, Shop
from tablestream.local.cloud.clients import CloudClients
from tablestream.local.trigger.destinations import Inbox
from tablestream.testing import event, inserted
from tests.e2e import sam
from tests.e2e.emulator import MINISTACK, Emulator, deployable, emulator
from tests.support.cloudformation import ROOT

ENVIRONMENT = "dev"
STACK = "tablestream-dev"  # as samconfig.toml says of it
PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Deployed:
    """The stack in the emulator."""

    emulator: Emulator
    clients: CloudClients
    outputs: Mapping[str, str]
    stand_ins: list[str]
    template: Path

    def sam(self, *arguments: str) -> str:
        """Run the SAM CLI against the emulator; return what it printed."""
        done = sam.command(*arguments, environment=self.emulator.environment)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def deployed(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    if not MINISTACK.is_file():
        assert not os.environ.get("REQUIRE_MINISTACK"), f"no {MINISTACK}"
        pytest.skip("no ministack in .venv-ministack (make e2e installs it where there is a python3.13)")
    document, stand_ins = deployable(package)
    template = package.with_name("deployable.json")
    template.write_text(json.dumps(document), encoding="utf-8")
    with emulator(tmp_path_factory.mktemp("ministack")) as running:
        done = sam.command(
            *("deploy", "--config-file", str(ROOT / "samconfig.toml"), "--config-env", ENVIRONMENT),
            *("--template-file", str(template)),
            *("--parameter-overrides", "BatchWindow=0", f"EndpointUrl={running.endpoint}"),
            environment=running.environment,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        clients = CloudClients(running.endpoint)
        stack = clients.get("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
        yield Deployed(running, clients, outputs, stand_ins, template)


def test_every_resource_is_created(deployed: Deployed) -> None:
    resources = deployed.clients.get("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    states = {each["LogicalResourceId"]: each["ResourceStatus"] for each in resources}

    assert set(states.values()) == {"CREATE_COMPLETE"}
    assert {"Table", "InventoryTable", "JournalTable", "Worker", "WorkerStream", "WorkerRole"} <= set(states)
    assert {"HttpApi", "HttpApiRoute", "LeadsRoute", "HttpApiStage", "Api", "ApiRole"} <= set(states)
    assert {"Topic", "FailuresBucket", "WorkerLogs", "Dashboard", "DeadLettersAlarm", "GivenUpAlarm"} <= set(states)
    assert deployed.stand_ins == ["DurationAlarm", "DeliveryAlarm"]
    assert set(deployed.outputs) >= {"TableName", "TableStreamArn", "TopicArn", "FailuresBucketName", "WorkerName"}


def test_items_written_to_the_table_fire_the_function_by_themselves(deployed: Deployed) -> None:
    shop = Shop(deployed.clients.get("dynamodb"), deployed.outputs)
    shop.stock({"tea": 20, "pot": 2})
    placed = [NewOrder(f"order-{number}", [("tea", 2)]) for number in range(3)]
    short = NewOrder("too-many", [("pot", 3)])

    with Inbox(deployed.clients.get, deployed.outputs["TopicArn"]) as inbox:
        for order in [*placed, short]:
            shop.place(order)
        wait_until(lambda: statuses(shop) == {**{o.order_id: "confirmed" for o in placed}, "too-many": "rejected"})
        announced: list[tuple[str, str]] = []
        wait_until(lambda: len(take(inbox, announced)) >= 8)

    assert shop.available().items() >= {"tea": 14, "pot": 2}.items()
    expected = [(order.order_id, kind) for order in placed for kind in ("order.received", "order.confirmed")]
    expected += [("too-many", "order.received"), ("too-many", "order.rejected")]
    assert sorted(announced) == sorted(expected)


def ask(deployed: Deployed, method: str, path: str, body: object = None, *, signed: bool = True) -> tuple[int, Any]:
    """Ask the API, which the emulator knows by the name in the Host header."""
    host = urlsplit(deployed.outputs["ApiUrl"]).netloc
    kind = {"Content-Type": "application/json"}
    request = AWSRequest(method, f"http://{host}{path}", kind, None if body is None else json.dumps(body))
    if signed:
        SigV4Auth(Credentials("local", "local"), "execute-api", "us-east-1").add_auth(request)
    connection = HTTPConnection(urlsplit(deployed.emulator.endpoint).netloc, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path, request.data, {**dict(request.headers.items()), "Host": host})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_an_order_placed_by_http_is_decided_by_the_worker(deployed: Deployed) -> None:
    shop = Shop(deployed.clients.get("dynamodb"), deployed.outputs)
    shop.stock({"cup": 5})
    line = {"productId": "cup", "quantity": 1, "price": 12}
    status, placed = ask(deployed, "POST", "/users/ada/orders", {"items": [line]})
    assert (status, placed["status"]) == (202, "pending")
    wait_until(lambda: statuses(shop)[placed["orderId"]] != "pending")
    found = ask(deployed, "GET", f"/users/ada/orders/{placed['orderId']}")[1]
    assert (found["status"], found["version"]) == ("confirmed", 2)
    assert shop.available()["cup"] == 4


def test_leads_are_open_and_everything_else_wants_a_signature(deployed: Deployed) -> None:
    lead = {"name": "Grace", "email": "grace@example.com", "subject": "Tea", "message": "Please call."}
    assert ask(deployed, "POST", "/leads", lead, signed=False)[0] == 201
    pages = "/leads?email=grace%40example.com"
    status, page = ask(deployed, "GET", pages)
    assert (status, page["count"], page["items"][0]["status"]) == (200, 1, "new")
    for method, path in (("GET", pages), ("PUT", "/leads"), ("GET", "/docs"), ("GET", "/users/ada")):
        assert ask(deployed, method, path, signed=False)[0] == 403


def test_what_is_no_route_and_the_documentation_are_not_found(deployed: Deployed) -> None:
    for path in ("/nothing", "/docs", "/openapi.json"):
        status, answer = ask(deployed, "GET", path)
        assert (status, answer["code"]) == (404, "NOT_FOUND")
    assert ask(deployed, "PUT", "/leads")[0] == 405


def test_a_record_no_handler_can_take_is_parked_in_the_bucket(deployed: Deployed) -> None:
    shop = Shop(deployed.clients.get("dynamodb"), deployed.outputs)
    shop.place(NewOrder("poison", [("tea", -1)]))
    s3, bucket = deployed.clients.get("s3"), deployed.outputs["FailuresBucketName"]

    def letters() -> list[Any]:
        found: list[Any] = s3.list_objects_v2(Bucket=bucket, Prefix="dead-letters/").get("Contents", [])
        return found

    wait_until(lambda: len(letters()) == 1)
    letter = json.loads(s3.get_object(Bucket=bucket, Key=letters()[0]["Key"])["Body"].read())
    assert letter["record"]["dynamodb"]["NewImage"]["orderId"] == {"S": "poison"}


def test_sam_remote_invoke_runs_the_function(deployed: Deployed, tmp_path: Path) -> None:
    sample = tmp_path / "event.json"
    (record,) = event(inserted({"pk": "USER#1", "sk": "PROFILE"}))["Records"]
    of_the_table = {**record, "eventSourceARN": deployed.outputs["TableStreamArn"]}
    sample.write_text(json.dumps({"Records": [of_the_table]}), encoding="utf-8")

    output = deployed.sam(
        *("remote", "invoke", "Worker", "--stack-name", STACK, "--event-file", str(sample), "--region", "us-east-1")
    )

    assert json.loads(output.strip().splitlines()[-1]) == {"batchItemFailures": []}


@pytest.mark.parametrize("environment", ["default", "local", "prod"])
def test_every_other_environment_has_what_a_changeset_needs(environment: str, deployed: Deployed) -> None:
    output = deployed.sam(
        *("deploy", "--config-file", str(ROOT / "samconfig.toml"), "--config-env", environment),
        *("--template-file", str(deployed.template), "--no-execute-changeset", "--no-confirm-changeset"),
    )

    stage = "dev" if environment == "default" else environment
    assert f"tablestream-{stage}" in output
    assert "Changeset created successfully" in output


def test_sam_delete_takes_the_stack_away(deployed: Deployed) -> None:
    deployed.sam("delete", "--stack-name", STACK, "--region", "us-east-1", "--no-prompts")

    with pytest.raises(ClientError, match="does not exist"):
        deployed.clients.get("cloudformation").describe_stacks(StackName=STACK)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        deployed.clients.get("lambda").get_function(FunctionName=deployed.outputs["WorkerName"])


def statuses(shop: Shop) -> dict[str, str]:
    return {order["orderId"]: order["status"] for order in shop.orders()}


def take(inbox: Inbox, taken: list[tuple[str, str]]) -> list[tuple[str, str]]:
    taken += [(str(message["orderId"]), str(message["type"])) for message in inbox.take()]
    return taken


def wait_until(holds: Callable[[], bool]) -> None:
    """Another process does the work, by its own clock; give it time, and fail when it takes too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s"
        time.sleep(0.2)
