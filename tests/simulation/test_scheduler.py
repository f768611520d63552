from __future__ import annotations

from functools import partial

import pytest

from tests.simulation.scheduler import Deadlock, Killed, Scheduler
from tests.simulation.seams import SimulatedClock, SimulatedParallel


class Process:
    dead = False


def test_tasks_take_turns_in_the_order_of_their_times() -> None:
    scheduler, seen = Scheduler(0.0), list[tuple[str, float]]()

    def walk(name: str, step: float) -> None:
        for _ in range(3):
            scheduler.sleep(step)
            seen.append((name, scheduler.now))

    scheduler.spawn(lambda: walk("slow", 2.0))
    scheduler.spawn(lambda: walk("quick", 1.5))
    scheduler.run()
    scheduler.close()

    assert seen == [("quick", 1.5), ("slow", 2.0), ("quick", 3.0), ("slow", 4.0), ("quick", 4.5), ("slow", 6.0)]


def test_calls_run_side_by_side_up_to_the_limit() -> None:
    scheduler, ended = Scheduler(0.0), list[float]()

    def wait(number: int) -> int:
        scheduler.sleep(1.0)
        return number

    def parent() -> None:
        assert SimulatedParallel(scheduler, 2).run([partial(wait, n) for n in range(4)]) == [0, 1, 2, 3]
        ended.append(scheduler.now)

    scheduler.spawn(parent)
    scheduler.run()
    scheduler.close()

    assert ended == [2.0]


def test_the_first_error_of_calls_side_by_side_is_raised_once_all_have_ended() -> None:
    scheduler, ended = Scheduler(0.0), list[float]()

    def fail(after: float) -> None:
        scheduler.sleep(after)
        raise ValueError(after)

    def parent() -> None:
        with pytest.raises(ValueError, match=r"3\.0"):
            scheduler.together([lambda: fail(3.0), lambda: fail(1.0)], 8)
        ended.append(scheduler.now)

    scheduler.spawn(parent)
    scheduler.run()
    scheduler.close()

    assert ended == [3.0]


def test_the_tasks_of_a_dead_process_go_no_further() -> None:
    scheduler, process, seen = Scheduler(0.0), Process(), list[str]()

    def child() -> None:
        scheduler.sleep(2.0)
        seen.append("child")

    def parent() -> None:
        try:
            scheduler.together([child, child, child], 2)
        except Exception:  # noqa: BLE001 -- the end of a process is none that a program could handle
            seen.append("handled")
        seen.append("parent")

    scheduler.spawn(parent, process)
    scheduler.at(1.0, lambda: setattr(process, "dead", True))
    scheduler.run()
    scheduler.close()

    assert seen == []
    assert not issubclass(Killed, Exception)


def test_what_a_task_raises_ends_the_run() -> None:
    scheduler = Scheduler(0.0)
    nothing: dict[str, None] = {}
    scheduler.spawn(lambda: nothing["nothing"])

    with pytest.raises(KeyError, match="nothing"):
        scheduler.run()


def test_a_task_that_waits_for_nothing_is_noticed() -> None:
    scheduler = Scheduler(0.0)
    scheduler.spawn(lambda: scheduler._wait(scheduler._running()))  # noqa: SLF001 -- nothing public waits for ever

    with pytest.raises(Deadlock):
        scheduler.run()


def test_the_clock_is_the_schedulers() -> None:
    scheduler = Scheduler(5.0)
    clock = SimulatedClock(scheduler)
    scheduler.spawn(lambda: clock.sleep(2.5))
    scheduler.run()
    scheduler.close()

    assert clock.now() == 7.5
