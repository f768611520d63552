"""A share of the seeded schedules, and that the simulation itself can be trusted. `make simulate` runs thousands."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import pytest

from tablestream.dynamodb.journal import DynamoDBJournal
from tablestream.simulation.schedule import smaller
from tests.simulation.__main__ import part
from tests.simulation.baselines import Powertools, ThrowOnError
from tests.simulation.candidates import Ours
from tests.simulation.faults import REGIMES, Fault, Regime
from tests.simulation.figures import Figures
from tests.simulation.invocation import Environments, Invocation
from tests.simulation.mutant import Mutant
from tests.simulation.mutants import ROOT
from tests.simulation.network import Outage
from tests.simulation.planting import check
from tests.simulation.schedule import World, run
from tests.simulation.scheduler import Scheduler
from tests.simulation.script import Script, Write
from tests.simulation.seams import SimulatedClock
from tests.simulation.shrink import describe, shrink
from tests.simulation.slips import MUTANTS

SHARE = 30
CALM = Regime("calm", 0.0)


@pytest.mark.parametrize("regime", REGIMES.values(), ids=list(REGIMES))
def test_nothing_is_lost_doubled_or_out_of_order(regime: Regime) -> None:
    figures, wrong = part(Ours(), regime, range(SHARE))

    assert not wrong, f"make simulate SEED={wrong[0]} REGIME={regime.name}"
    assert figures.schedules == SHARE
    assert figures.records > SHARE


def test_the_harsh_regimes_do_go_wrong() -> None:
    fired = {fault for seed in range(SHARE) for fault in run(Ours(), REGIMES["chaos"], seed).faults.values()}

    assert fired == set(Fault)


def test_a_seed_gives_the_same_schedule_again() -> None:
    first, second = run(Ours(), REGIMES["chaos"], 5), run(Ours(), REGIMES["chaos"], 5)

    assert first.figures == second.figures
    assert first.faults == second.faults
    assert first.world.aws.topic.published == second.world.aws.topic.published
    assert first.world.aws.inventory.items == second.world.aws.inventory.items


def test_given_its_own_faults_a_schedule_is_the_same_again() -> None:
    first = run(Ours(), REGIMES["harsh"], 3)

    assert first.faults
    assert run(Ours(), REGIMES["harsh"], 3, faults=first.faults).figures == first.figures


def test_invocations_of_one_batch_interleave() -> None:
    script = Script((Write(0.0, "place", 0, ((0, 1),)),), (10,), (Outage("twice", 0.0, 5.0),))
    overlapping = [world for seed in range(60) if _runs_at_once(world := _watched(seed, script))]

    assert overlapping


def _watched(seed: int, script: Script) -> World:
    world = World(Ours(), CALM, seed, script, None)
    world.run()
    return world


def _runs_at_once(world: World) -> bool:
    """Two invocations that take turns need more calls before the first of them ends than one makes alone."""
    return world.aws.dynamodb.conflicts > 0


def test_a_repeated_transaction_carries_its_first_token() -> None:
    script = Script((Write(0.0, "place", 0, ((0, 1),)),), (10,))
    repeated = 0
    for draw in range(1, 8):
        for seed in range(6):
            world = World(Ours(), CALM, seed, script, {draw: Fault.NO_ANSWER})
            sent = _requests(world)
            tokens: dict[str, set[str]] = {}
            for request in sent:
                # The time is in it, so requests of two invocations differ.
                tokens.setdefault(repr(request["TransactItems"]), set()).add(request["ClientRequestToken"])
            repeated += len(sent) - len(tokens)
            assert all(len(same) == 1 for same in tokens.values())

    assert repeated > 0


def _requests(world: World) -> list[dict[str, Any]]:
    """Run a schedule and return its transactions, as they were sent."""
    sent: list[dict[str, Any]] = []
    serve = world.aws.dynamodb.transact_write_items

    def noted(**request: Any) -> dict[str, Any]:
        sent.append(request)
        return serve(**request)

    world.aws.dynamodb.transact_write_items = noted  # type: ignore[method-assign]  # watches it
    world.run()
    return sent


def test_a_baseline_that_throws_loses_what_stands_behind_a_bad_record() -> None:
    figures = _together(ThrowOnError(bisect=False), "poison")

    assert figures.lost > 0
    assert figures.blocked > 80_000


def test_a_baseline_that_goes_on_after_a_failure_repeats_notifications() -> None:
    assert _together(Powertools(idempotency=False), "poison").unexplained > 0


def test_a_baseline_with_idempotency_repeats_fewer() -> None:
    with_it = _together(Powertools(idempotency=True), "poison").repeated
    assert 0 < with_it < _together(Powertools(idempotency=False), "poison").repeated


def test_nothing_goes_wrong_in_a_baseline_when_nothing_fails() -> None:
    for baseline in (ThrowOnError(bisect=True), Powertools(idempotency=True)):
        assert _together(baseline, "none").broken(retries=True) == {}


def _together(candidate: ThrowOnError | Powertools, regime: str) -> Figures:
    figures, _ = part(candidate, REGIMES[regime], range(12))
    return figures


class WithoutJournal(Ours):
    """Our worker, with a journal that forgets: what the judge has to notice."""

    def around(self, clock: SimulatedClock) -> AbstractContextManager[object]:
        del clock
        return patch.object(DynamoDBJournal, "record", lambda _self, _done, _run: None)


def test_a_failing_schedule_is_made_shorter_and_still_fails() -> None:
    regime = REGIMES["harsh"]
    seed = next(s for s in range(300) if run(WithoutJournal(), regime, s).figures.unexplained)
    whole, short = run(WithoutJournal(), regime, seed), shrink(WithoutJournal(), regime, seed)

    assert short.figures.unexplained
    assert len(short.script.writes) <= len(whole.script.writes)
    assert len(short.faults) <= len(whole.faults)
    assert "unexplained" in describe(short, regime)


def test_what_is_needed_to_fail_is_found() -> None:
    assert smaller(range(40), lambda parts: {3, 21} <= set(parts)) == [3, 21]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.slip)
def test_every_mutant_can_still_be_planted_and_what_notices_it_is_there(mutant: Mutant) -> None:
    check(mutant.edits)
    assert not mutant.test or _is_there(mutant.test)


def _is_there(test: str) -> bool:
    file, _, name = test.partition("::")
    return f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


def test_environments_restored_from_one_snapshot_send_different_tokens() -> None:
    script = Script((Write(0.0, "place", 0, ((0, 1),)),), (10,))
    # A schedule seeds `random`, as a snapshot keeps its state.
    first, second = (_requests(World(Ours(), CALM, 1, script, None)) for _ in range(2))

    assert [request["ClientRequestToken"] for request in first] != [request["ClientRequestToken"] for request in second]


def test_an_environment_does_one_thing_at_a_time_keeps_its_memory_and_dies_of_a_crash() -> None:
    scheduler, begun = Scheduler(0.0), list[int]()

    def start() -> Any:
        number, seen = len(begun), list[float]()
        begun.append(number)

        def handle(_event: object, _context: object) -> Any:
            seen.append(scheduler.now)
            scheduler.sleep(1.0)
            return number, len(seen)

        return handle

    environments, ended = Environments(start), list[Any]()
    invocations = [Invocation(scheduler, environments, {}, timeout=60.0, margin=3.0) for _ in range(5)]
    for invocation, after in zip(invocations, (0.0, 0.5, 2.0, 3.5, 5.0), strict=True):
        invocation.start(after, ended.append)
    scheduler.at(4.0, invocations[3].crash)
    scheduler.run()
    scheduler.close()

    assert [getattr(outcome, "payload", None) for outcome in ended] == [(0, 1), (1, 1), (1, 2), None, (0, 2)]
