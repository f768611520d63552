"""The API in processes that are killed: a short run against DynamoDB Local, and that a slip in the API is noticed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.kill_api.__main__ import ENDPOINT, ROOT, run, served
from tests.kill_api.clients import another, drawn, event_of
from tests.kill_api.process import ApiProcess
from tests.kill_api.shop import KillableShop
from tests.simulation.door.errands import Errand, Want
from tests.support.http_requests import request

LOCAL = os.environ.get(ENDPOINT, "")
needs_dynamodb = pytest.mark.skipif(not LOCAL, reason=f"{ENDPOINT} names no DynamoDB Local")
NOWHERE = request("GET", "/nowhere")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with served(KillableShop("http://127.0.0.1:9"), None) as path:
        yield path


@needs_dynamodb
def test_nothing_is_done_twice_under_kills() -> None:
    result = run(LOCAL, kills=20, clients=3, seed=7)
    assert not result.wrong
    assert result.counts["processes killed"] >= 20
    assert result.counts["of them without an answer"] == result.counts["of them with a request under way"] > 0


@needs_dynamodb
@pytest.mark.parametrize(
    "slip", ["write the record of a key after its effect", "give the amount in a transaction of its own"]
)
def test_a_slip_in_the_api_is_noticed(slip: str) -> None:
    assert run(LOCAL, kills=150, clients=4, seed=7, slip=slip).wrong


def test_without_a_dynamodb_local_it_says_what_is_missing() -> None:
    variables = {name: value for name, value in os.environ.items() if name != ENDPOINT}
    command = [sys.executable, "-m", "tests.kill_api"]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert (
        done.stdout == f"{ENDPOINT} names no DynamoDB Local, as http://127.0.0.1:8000: start one, and say where it is\n"
    )


def test_each_process_answers_until_it_is_killed(server: str) -> None:
    one, other = ApiProcess(server), ApiProcess(server)
    for process in (one, other):
        process.send(NOWHERE)
        assert process.answer()[0] == 404
    one.send(NOWHERE)
    one.kill()
    other.send(NOWHERE)
    assert other.answers_within(60)
    assert other.answer()[1]["code"] == "NOT_FOUND"
    other.kill()
    with pytest.raises(OSError, match="Bad file descriptor"):
        one.send(NOWHERE)


def test_the_same_seed_draws_the_same_errands_of_all_kinds() -> None:
    first = [drawn(random.Random(f"{seed}"), seed) for seed in range(300)]
    assert first == [drawn(random.Random(f"{seed}"), seed) for seed in range(300)]
    assert {errand.want for errand in first} == {Want.ORDER, Want.ORDER_NOW, Want.TRANSFER, Want.SETTINGS}
    assert all(errand.who != errand.to for errand in first)


@pytest.mark.parametrize("want", [Want.ORDER, Want.ORDER_NOW, Want.TRANSFER])
def test_another_body_has_the_same_key_and_is_another(want: Want) -> None:
    found = [drawn(random.Random(number), number) for number in range(100)]
    errand = next(errand for errand in found if errand.want is want)
    first, second = event_of(errand, ""), event_of(another(errand, 999), "")
    assert first["headers"]["idempotency-key"] == second["headers"]["idempotency-key"] == errand.key
    assert first["rawPath"] == second["rawPath"]
    assert json.loads(first["body"]) != json.loads(second["body"])


def test_an_order_is_changed_in_the_version_in_which_it_was_placed() -> None:
    event = event_of(Errand(1, 0.0, Want.CANCEL, "u1", 1), "01A")
    assert (event["requestContext"]["http"]["method"], event["rawPath"]) == ("PATCH", "/users/u1/orders/01A")
    assert json.loads(event["body"]) == {"status": "cancelled", "expectedVersion": 1}
