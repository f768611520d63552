"""Schedules: their decisions come from a seed, are the same again, and are made shorter."""

from __future__ import annotations

import random

from tablestream.simulation.schedule import (
    OF_CALL,
    OF_READ,
    USUAL,
    Action,
    Mapped,
    Mishap,
    MishapPlan,
    Point,
    Schedule,
    Step,
    drawn,
    shortest,
)

STEPS = [Step(number, Action.INSERT, {"id": str(number)}) for number in range(1, 9)]


def test_a_seed_gives_the_same_schedule_again_and_another_seed_another_one() -> None:
    assert [drawn(seed, STEPS)[0] for seed in range(20)] == [drawn(seed, STEPS)[0] for seed in range(20)]
    assert len({repr(drawn(seed, STEPS)[0]) for seed in range(20)}) > 15


def test_with_seed_0_nothing_goes_wrong() -> None:
    schedule, plan = drawn(0, STEPS)
    assert schedule == Schedule(tuple(STEPS), {}, USUAL)
    assert [plan.draw("sink", 1, OF_CALL) for _ in range(100)] == [None] * 100


def test_the_seeds_reshard_restart_and_vary_the_mapping() -> None:
    schedules = [drawn(seed, STEPS)[0] for seed in range(100)]
    actions = {step.action for schedule in schedules for step in schedule.steps}
    assert actions == {Action.INSERT, Action.RESHARD, Action.RESTART}
    assert {schedule.mapped.slots for schedule in schedules} == {schedule.mapped.shards for schedule in schedules}
    assert {schedule.mapped.batch_size for schedule in schedules} == {1, 2, 3, 10, 100}


def test_what_a_plan_has_drawn_can_be_given_again() -> None:
    drawing = MishapPlan(random.Random(1), 0.5, 3)
    first = [drawing.draw("sink", 1, OF_CALL) for _ in range(20)]
    assert sum(mishap is not None for mishap in first) == 3
    given = MishapPlan.of(drawing.fired)
    assert [given.draw("sink", 1, OF_CALL) for _ in range(20)] == first


def test_a_mishap_that_a_point_cannot_have_does_not_strike() -> None:
    plan = MishapPlan.of({Point("sink", 1, 1): Mishap.CRASH_AFTER})
    assert plan.draw("sink", 1, OF_READ) is None


def test_the_shortest_has_what_is_needed_and_the_usual_settings() -> None:
    faults = {Point("sink", change, 3): Mishap.REFUSED for change in range(1, 9)}
    late = [Step(step.number, step.action, step.item, after=2.0) for step in STEPS]

    def fails(schedule: Schedule) -> bool:
        there = {step.number for step in schedule.steps}
        return {2, 7} <= there and any(point.change == 7 for point in schedule.faults)

    short = shortest(Schedule(tuple(late), faults, Mapped(3, 2, 2)), fails)
    assert short == Schedule((STEPS[1], STEPS[6]), {Point("sink", 7, 1): Mishap.REFUSED}, USUAL)
    assert short.lines() == [
        "  1. change 2: insert {'id': '2'}",
        "  2. change 7: insert {'id': '7'}",
        "  3. sink of change 7: it is refused, as by a throttle, and does not take place",
    ]


def test_a_setting_that_is_needed_is_told() -> None:
    lines = Schedule(tuple(STEPS[:1]), {Point("sink", 1, 2): Mishap.PAUSE}, Mapped(batch_size=3)).lines()
    assert lines[1:] == [
        "  2. sink of change 1, time 2: it comes after two seconds, in which others go on",
        "     with batch size 3",
    ]
