"""What is put through the schedules: our worker, and how a mapping for it is set up."""

from __future__ import annotations

import random
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from samtranslator.yaml_helper import yaml_parse

from shop.worker import make_worker
from tablestream.aws import Aws
from tablestream.local.delivery.mapping import Destination, DestinationKind, MappingSettings
from tests.simulation.aws import BUCKET
from tests.simulation.boto import CONCURRENCY, VARIABLES, Boto, ours
from tests.simulation.invocation import Handler
from tests.simulation.network import Client, Network
from tests.simulation.seams import SimulatedClock, SimulatedParallel

S3 = Destination(DestinationKind.S3, f"arn:aws:s3:::{BUCKET}")


@dataclass(frozen=True, slots=True)
class Log:
    """What a candidate without a ledger has carried out: event id and effect, noted when the effect was complete."""

    applied: set[tuple[str, str]] = field(default_factory=set)


class Candidate(Protocol):
    """Something that processes the stream."""

    @property
    def name(self) -> str: ...

    @property
    def has_ledger(self) -> bool:
        """Whether the state of AWS tells what was applied; else the log does."""
        ...

    def settings(self, rng: random.Random, *, retries: bool) -> MappingSettings:
        """Set up the event source mapping."""
        ...

    def handler(self, network: Network, log: Log) -> Handler:
        """Return the function."""
        ...

    def around(self, clock: SimulatedClock) -> AbstractContextManager[object]:
        """Return what must surround a schedule, to bring libraries that read the time themselves under its clock."""
        ...


@cache
def stream_properties() -> dict[str, Any]:
    """The properties of the worker's stream event in template.yaml, with the defaults of its parameters."""
    path = Path(__file__).parents[2] / "template.yaml"
    template = yaml_parse(path.read_text())  # type: ignore[no-untyped-call]  # it has no annotations
    properties = template["Resources"]["Worker"]["Properties"]["Events"]["Stream"]["Properties"]
    parameters = template["Parameters"]
    return {
        name: parameters[value["Ref"]]["Default"] if isinstance(value, dict) and "Ref" in value else value
        for name, value in properties.items()
    }


@cache
def _filters() -> tuple[str, ...]:
    return tuple(entry["Pattern"] for entry in stream_properties()["FilterCriteria"]["Filters"])


class Ours:
    """The worker as it is deployed, with the mapping of template.yaml; batch size, lanes and timeout vary."""

    name = "tablestream"
    has_ledger = True

    def settings(self, rng: random.Random, *, retries: bool) -> MappingSettings:
        properties = stream_properties()
        return MappingSettings(
            batch_size=rng.choice((2, 3, 5, 10, 100)),
            batching_window=rng.choice((0.0, 0.5, 1.0)),
            parallelization=rng.choice((1, 1, 2, 4)),
            max_retries=int(properties["MaximumRetryAttempts"]) if retries else 0,
            max_age=int(properties["MaximumRecordAgeInSeconds"]),
            bisect=bool(properties["BisectBatchOnFunctionError"]),
            report_failures="ReportBatchItemFailures" in properties["FunctionResponseTypes"],
            filters=_filters(),
            function_timeout=rng.choice((8.0, 20.0, 60.0)),
            destination=S3,
        )

    def handler(self, network: Network, log: Log) -> Handler:
        del log
        made = {name: client(network, name, boto) for name, boto in ours().items()}
        aws = Aws(VARIABLES, clients={"dynamodb": made["dynamodb"], "sns": made["topic"], "s3": made["bucket"]})
        clock, parallel = SimulatedClock(network.scheduler), SimulatedParallel(network.scheduler, CONCURRENCY)
        return make_worker(aws, clock=clock, parallel=parallel).handler(aws)

    def around(self, clock: SimulatedClock) -> AbstractContextManager[object]:
        del clock
        return nullcontext()


def client(network: Network, service: str, boto: Boto) -> Any:
    """Return a client of one of the services; Any, as it stands in for boto3's generated ones."""
    return Client(network, getattr(network.aws, service), boto)
