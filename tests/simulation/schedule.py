"""One schedule, from its seed to its figures."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tablestream.local.delivery.protocol import Answered, InvocationOutcome
from tests.simulation.aws import Aws
from tests.simulation.boto import MARGIN_SECONDS
from tests.simulation.candidates import Candidate, Log
from tests.simulation.door.clients import Clients
from tests.simulation.door.function import ApiFunction, open_accounts
from tests.simulation.door.judge import DoorJudge
from tests.simulation.faults import Fault, Plan, Regime
from tests.simulation.figures import Figures
from tests.simulation.invocation import Environments, Invocation
from tests.simulation.judge import Judge
from tests.simulation.network import Network, Outage
from tests.simulation.owed import broken_services
from tests.simulation.scheduler import Scheduler
from tests.simulation.script import Script, Shop, draw, with_door
from tests.simulation.seams import SimulatedClock
from tests.simulation.stream import Stream
from tests.simulation.trigger import Trigger

BEGINS = 1_767_225_600.0
_HOUR = 3600.0
_ROUNDS = 8
_TRIES = 40
# Where sequence numbers get one digit longer: as text, the later ones come before the earlier ones.
_LONGER = 10**23


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a schedule came to, and what it takes to run it again."""

    figures: Figures
    script: Script
    faults: Mapping[int, Fault]
    explained: Mapping[str, Mapping[str, float]]
    world: World


def run(
    candidate: Candidate,
    regime: Regime,
    seed: int,
    *,
    script: Script | None = None,
    faults: Mapping[int, Fault] | None = None,
) -> Outcomes:
    """Run a schedule: what its seed says, or with a part of its script and faults."""
    world = World(candidate, regime, seed, script, faults)
    return world.run()


class World:
    """The parts of a schedule put together. Mutable: it is what happens."""

    def __init__(
        self,
        candidate: Candidate,
        regime: Regime,
        seed: int,
        script: Script | None,
        faults: Mapping[int, Fault] | None,
    ) -> None:
        rng = random.Random(f"{seed} {regime.name}")
        # The worker's backoff and tokens come from here.
        random.seed(rng.random())
        self.candidate = candidate
        drawn = draw(rng, poison=regime.poison, rate=regime.rate)
        of_door = random.Random(f"{seed} door")
        drawn = with_door(drawn, of_door) if regime.door else drawn
        self.script = script or (drawn if candidate.has_ledger else _spared(drawn))
        settings = candidate.settings(rng, retries=regime.retries)
        shards = rng.choice((1, 1, 2))
        first = _LONGER - rng.choice((3, 8, 20, 10**6))
        self.random = rng
        self.explained: dict[str, dict[str, float]] = {}
        """By event id, what may have its notification repeated, and since when."""
        self.log = Log()
        self.scheduler = Scheduler(BEGINS)
        self.plan = Plan(regime.rate, random.Random(rng.random()), faults)
        self.stream = Stream(shards, first, self._now, self._arrived)
        self.aws = Aws(self._now, self.stream, lambda: rng.uniform(0, 0.01))
        self.network = Network(self.scheduler, self.aws, self.plan, rng, self._explain)
        self.network.outages = [_shifted(outage) for outage in self.script.outages]
        self.trigger = Trigger(
            self.scheduler,
            self.aws,
            self.plan,
            rng,
            settings,
            shards=shards,
            environments=Environments(partial(candidate.handler, self.network, self.log)),
            margin=MARGIN_SECONDS,
            doubled=partial(self.network.is_on, "twice"),
            explain=self._explain,
            ended=self._ended,
        )
        self.judge = Judge(self.aws, self.stream.records, self.script.stock, self.log, has_ledger=candidate.has_ledger)
        self.clients = Clients(
            self.scheduler,
            Environments(partial(ApiFunction, self.network, of_door)),
            self.plan,
            MARGIN_SECONDS,
        )
        self.delayed = 0

    def run(self) -> Outcomes:
        """Let the script happen, then redrive what was set aside, and judge."""
        figures = Figures(schedules=1)
        shop = Shop(self.aws, self.stream)
        for number, units in enumerate(self.script.stock):
            self.aws.stock(f"p{number}", units)
        open_accounts(self.aws, self.script.door)
        self.clients.begin(BEGINS, self.script.door.errands)
        for write in self.script.writes:
            self.scheduler.at(BEGINS + write.at, partial(shop.write, write))
        with _quiet_logs(), self.candidate.around(SimulatedClock(self.scheduler)):
            try:
                self.scheduler.run()
                self.judge.before_redrive(figures)
                self._redrive()
            finally:
                self.scheduler.close()
        self.judge.after_redrive(figures, self.explained)
        DoorJudge(self.aws, self.stream.records, BEGINS, self.script.door, self.clients.told, self.script.stock).judge(
            figures
        )
        figures.delayed = self.delayed
        figures.overruns = self.trigger.overruns + self.clients.overruns
        figures.blocked = self.trigger.blocked
        figures.stood.append(self.trigger.blocked)
        return Outcomes(figures, self.script, self.plan.fired, self.explained, self)

    def _redrive(self) -> None:
        """Send everything in the bucket and the queue through the function again, shuffled, hours later.

        Where the on-failure destination has no payload, records are read from the stream, which keeps them 24 hours.
        """
        redriven: set[str] = set()
        for round_ in range(_ROUNDS):
            # What the worker parked again after a redrive is bad for good.
            records = [record for record, parked in self._set_aside() if not (parked and record["eventID"] in redriven)]
            if not records:
                return
            # In the last rounds nothing goes wrong, so that there is an end.
            self.plan.quiet = round_ >= _ROUNDS // 2
            self.random.shuffle(records)
            redriven.update(record["eventID"] for record in records)
            self._discard_stored(records)
            begins = self.scheduler.now + self.random.uniform(1, 5) * _HOUR
            self.scheduler.at(begins, partial(self._send, records, _TRIES))
            self.scheduler.run()

    def _send(self, records: Sequence[Mapping[str, Any]], tries: int) -> None:
        """Invoke the function with the next records, until they succeed."""
        if not records:
            return
        # Where a bad record fails a batch, the operator sends the records one by one.
        size = self.random.randint(1, 5) if self.candidate.has_ledger else 1
        batch = [{**record, "redriven": True} for record in records[:size]]
        self.plan.quiet = self.plan.quiet or tries < _TRIES - 5

        def ended(outcome: InvocationOutcome) -> None:
            done = isinstance(outcome, Answered) and not (outcome.payload or {}).get("batchItemFailures")
            following = (records[size:], _TRIES) if done or tries == 1 else (records, tries - 1)
            self.scheduler.at(self.scheduler.now + self.random.uniform(0.1, 60), partial(self._send, *following))

        self.trigger.start(batch, ended)

    def _set_aside(self) -> list[tuple[Mapping[str, Any], bool]]:
        """Return the records of the bucket and the queue, each once, and whether the worker itself parked them."""
        found: dict[str, tuple[Mapping[str, Any], bool]] = {}
        for key, body in self.aws.bucket.objects.items():
            content = json.loads(body)
            records = content["payload"]["Records"] if "payload" in content else [content["record"]]
            found |= {record["eventID"]: (record, key.startswith("dead-letters/")) for record in records}
        queued = {event_id for message in self.aws.queue for event_id in message["eventIds"]}
        found |= {record["eventID"]: (record, False) for record in self.stream.records if record["eventID"] in queued}
        return list(found.values())

    def _discard_stored(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Remove what is redriven, as the operator's tool does."""
        gone = {record["eventID"] for record in records}
        for key, body in list(self.aws.bucket.objects.items()):
            content = json.loads(body)
            held = content["payload"]["Records"] if "payload" in content else [content["record"]]
            if {record["eventID"] for record in held} <= gone:
                del self.aws.bucket.objects[key]
        self.aws.queue.clear()

    def _now(self) -> float:
        return self.scheduler.now

    def _arrived(self, shard: int, record: dict[str, Any]) -> None:
        self.trigger.arrived(shard, record)

    def _ended(self, invocation: Invocation) -> None:
        """Look at what an invocation has done that met nothing but outages of services."""
        broken = broken_services(self.network.outages_between(invocation.began, self.scheduler.now))
        if self.candidate.has_ledger and broken is not None and not invocation.dead and not invocation.faults:
            self.delayed += self.judge.overdue(invocation.records, broken)

    def _explain(self, event_ids: Iterable[str], reason: str) -> None:
        for event_id in event_ids:
            self.explained.setdefault(event_id, {}).setdefault(reason, self.scheduler.now)


def _shifted(outage: Outage) -> Outage:
    return replace(outage, begins=BEGINS + outage.begins, ends=BEGINS + outage.ends)


def _spared(script: Script) -> Script:
    """Spare the candidates that give back what the image says: only a ledger knows what an edited order holds.

    Likewise it knows that for an order which was written as confirmed nothing was taken by the worker, and what one
    holds that became a draft, or pending again.
    """
    plain = {
        "edit items": "edit",
        "place confirmed": "place",
        "place draft": "place",
        "draft": "edit",
        "reopen": "edit",
    }
    return replace(script, writes=tuple(replace(w, kind=plain.get(w.kind, w.kind)) for w in script.writes))


@contextmanager
def _quiet_logs() -> Iterator[None]:
    """Log lines of thousands of schedules help nobody."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
