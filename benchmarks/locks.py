"""Increments a second of a count under a lock that eight writers change at once, on a DynamoDB Local."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import boto3

from benchmarks.children import clean_environment
from benchmarks.contenders.locks import ours, published
from benchmarks.sampling import Sample, in_turn
from tablestream import Backoff, Run
from tablestream.dynamodb import connect

OURS = "tablestream"
PUBLISHED = "the published design, tried again at once"
WAITING = "the published design, with our waits"
ENDPOINT = "DYNAMODB_LOCAL_ENDPOINT"
WRITERS = 8
_REGION = "eu-central-1"
_KEYS = ("pk", "sk")
_BACKOFF = Backoff(tries=1000)
"""The waits after a race: drawn between zero and a bound that doubles, from 50 ms to 2 s."""

Figures = Mapping[str, Mapping[str, Sample]]
"""Contender → `rate` in increments a second, and `lost`, those that were told to be written and are not there."""
Write = Callable[[], bool]


def measure(endpoint: str, rounds: int, seconds: float) -> Figures:
    """Let eight writers count for some seconds by turns, in a table that is new each time."""
    owner = uuid.uuid4().hex[:16]
    keys = {"AWS_ACCESS_KEY_ID": owner, "AWS_SECRET_ACCESS_KEY": "bench"}
    before = dict(os.environ)
    os.environ.update({**clean_environment(), **keys})
    try:
        contenders = {OURS: _of_ours, PUBLISHED: _of_the_published, WAITING: _of_the_waiting}
        return in_turn(
            {name: partial(_counted, endpoint, writer, seconds) for name, writer in contenders.items()}, rounds
        )
    finally:
        os.environ.clear()
        os.environ.update(before)


def _counted(endpoint: str, writer: Callable[[str, str], Write], seconds: float) -> Mapping[str, float]:
    with _table(endpoint) as (client, table):
        writers = [writer(endpoint, table) for _ in range(WRITERS)]
        ends = time.monotonic() + seconds
        with ThreadPoolExecutor(WRITERS) as threads:
            done = sum(threads.map(partial(_writing, ends), writers))
        return {"rate": done / seconds, "lost": done - published.count(client, table)}


def _writing(ends: float, write: Write) -> int:
    done = 0
    while time.monotonic() < ends:
        done += write()
    return done


def _of_ours(endpoint: str, table: str) -> Write:
    client = connect(region=_REGION, endpoint=endpoint)
    return ours.Counter(client, table, Run(backoff=_BACKOFF)).increment


def _of_the_published(endpoint: str, table: str) -> Write:
    client = _client(endpoint)
    return lambda: published.increment(client, table, lambda _: None)


def _of_the_waiting(endpoint: str, table: str) -> Write:
    client = _client(endpoint)

    def write() -> bool:
        delays = _BACKOFF.delays()
        return published.increment(client, table, lambda _: time.sleep(next(delays)))

    return write


def _client(endpoint: str) -> Any:
    return boto3.session.Session().client("dynamodb", endpoint_url=endpoint, region_name=_REGION)


@contextmanager
def _table(endpoint: str) -> Iterator[tuple[Any, str]]:
    client, name = _client(endpoint), f"locks-{uuid.uuid4().hex[:8]}"
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(_KEYS, ("HASH", "RANGE"), strict=True)],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in _KEYS],
        BillingMode="PAY_PER_REQUEST",
    )
    try:
        yield client, name
    finally:
        client.delete_table(TableName=name)
