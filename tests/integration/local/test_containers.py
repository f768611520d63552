"""The embedded AWS lets containers in: at which address, what it tells them, and what is there before they ask."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterable, Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from demo.samples import samples
from demo.warehouse import Shop, restore
from tablestream.local.cloud import cloud as clouds
from tablestream.local.cloud.cloud import Cloud
from tablestream.local.cloud.server import PREFIX, Reception, Unseen, bridge_address
from tablestream.local.trigger.stream import BotoStream, TrimHorizon
from tests.support.cloudformation import TEMPLATE

BRIDGE = "127.0.0.2"  # an address of this machine, as Docker's bridge is, that needs no Docker


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud(TEMPLATE) as made:
        yield made


def get(host: str, port: int, path: str) -> tuple[int, Any]:
    connection = HTTPConnection(host, port, timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def test_a_function_is_told_its_variables_but_no_address_of_this_machine(cloud: Cloud) -> None:
    function = cloud.functions["Worker"]
    assert get("127.0.0.1", cloud.port, PREFIX + "Worker")[0] == 404

    cloud.admit_containers()
    status, told = get("127.0.0.1", cloud.port, PREFIX + "Worker")

    assert status == 200
    assert told["TABLE_NAME"] == cloud.outputs["TableName"]
    assert told["AWS_REGION"] == "us-east-1"
    assert function.environment.items() - told.items() == {("AWS_ENDPOINT_URL", cloud.endpoint)}
    assert get("127.0.0.1", cloud.port, PREFIX + function.name) == (200, told)
    assert (
        "no function Nobody: wanted one of Api, Worker" in get("127.0.0.1", cloud.port, PREFIX + "Nobody")[1]["message"]
    )


def test_what_a_container_needs_is_in_place_when_it_is_told_and_no_stream_tells_of_it(cloud: Cloud) -> None:
    shop = Shop(cloud.client("dynamodb"), cloud.outputs)
    shop.stock()
    times: list[int] = []

    def prepare() -> None:
        times.append(len(times))
        for event in samples().values():
            restore(Unseen(), cloud.outputs, event)

    cloud.admit_containers(prepare)
    assert times == []
    for _ in range(2):
        get("127.0.0.1", cloud.port, PREFIX + "Worker")

    assert times == [0]
    assert {order["orderId"]: order["status"] for order in shop.orders() if "orderId" in order}["1001"] == "pending"
    assert {entry["sk"]: entry["state"] for entry in shop.ledger()}["ORDER#1005"] == "RESERVED"
    source = BotoStream(cloud.client("dynamodbstreams"), cloud.outputs["TableStreamArn"])
    assert [source.read(shard.shard_id, TrimHorizon()).records for shard in source.shards()] == [[]]

    shop.set_status({"pk": {"S": "USER#ada"}, "sk": {"S": "ORDER#1001"}}, "shipped")
    assert [len(source.read(shard.shard_id, TrimHorizon()).records) for shard in source.shards()] == [1]


def test_binary_values_are_kept_as_they_would_have_come_by_http(cloud: Cloud) -> None:
    restore(Unseen(), cloud.outputs, samples()["binary-and-sets"])

    (item,) = Shop(cloud.client("dynamodb"), cloud.outputs).orders()
    assert bytes(item["signature"]) == b"\x00\xff\x10"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere containers come to 127.0.0.1")
def test_it_listens_on_the_bridge_as_well_and_nowhere_else(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clouds, "bridge_address", lambda: BRIDGE)

    assert cloud.admit_containers() == f"http://host.docker.internal:{cloud.port}"
    assert get(BRIDGE, cloud.port, PREFIX + "Worker") == get("127.0.0.1", cloud.port, PREFIX + "Worker")
    with pytest.raises(ConnectionRefusedError):
        get("127.0.0.3", cloud.port, PREFIX + "Worker")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere containers come to 127.0.0.1")
def test_without_a_bridge_or_with_its_port_taken_there_is_no_address_for_containers(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clouds, "bridge_address", lambda: None)
    assert cloud.admit_containers() is None

    monkeypatch.setattr(clouds, "bridge_address", lambda: "127.0.0.1")

    assert cloud.admit_containers() is None
    assert cloud.client("dynamodb").list_tables()["TableNames"]


def test_the_bridge_has_an_address_or_there_is_none() -> None:
    address = bridge_address()

    assert address is None or address.count(".") == 3


def test_requests_of_both_addresses_come_to_the_application_one_at_a_time() -> None:
    inside, both = threading.Event(), threading.Barrier(2)
    overlaps: list[bool] = []

    def app(_environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
        overlaps.append(inside.is_set())
        inside.set()
        for _ in range(1000):
            yield b""
        inside.clear()

    reception = Reception(app)

    def ask() -> None:
        both.wait()
        for _ in range(50):
            reception({"PATH_INFO": "/"}, lambda *_: None)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert overlaps == [False] * 100
