"""A function with less than a core stays on one of the cores that it sees."""

from __future__ import annotations

import os
from collections.abc import Collection

import pytest

from tablestream.aws import WHOLE_CORE_MB, stay_on_one_core


class System:
    """Cores as a process sees them, and those that it was bound to."""

    def __init__(self, *cores: int, forbids: bool = False) -> None:
        self._cores = {*cores}
        self._forbids = forbids
        self.bound: list[set[int]] = []

    def seen(self, _pid: int) -> set[int]:
        return self._cores

    def bind(self, _pid: int, cores: Collection[int]) -> None:
        if self._forbids:
            raise PermissionError("not here")
        self.bound.append({*cores})

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", self.seen, raising=False)
        monkeypatch.setattr(os, "sched_setaffinity", self.bind, raising=False)


def bound(monkeypatch: pytest.MonkeyPatch, memory: object, system: System) -> list[set[int]]:
    system.install(monkeypatch)
    stay_on_one_core({} if memory is None else {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory)})
    return system.bound


@pytest.mark.parametrize("memory", [128, 512, WHOLE_CORE_MB - 1])
def test_with_less_than_a_core_it_stays_on_one_that_it_sees(monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    (cores,) = bound(monkeypatch, memory, System(2, 5))
    assert len(cores) == 1
    assert cores < {2, 5}


@pytest.mark.parametrize("memory", [WHOLE_CORE_MB, 10_240, None, "", "512 MB"])
def test_with_a_whole_core_or_outside_of_lambda_it_may_use_all(monkeypatch: pytest.MonkeyPatch, memory: object) -> None:
    assert bound(monkeypatch, memory, System(0, 1)) == []


def test_two_functions_on_one_machine_need_not_share_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    system = System(0, 1)
    for pid in (100, 101):
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        bound(monkeypatch, 512, system)
    assert system.bound == [{0}, {1}]


def test_where_the_system_forbids_it_the_function_starts_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bound(monkeypatch, 512, System(0, 1, forbids=True)) == []


def test_where_the_system_has_no_such_call_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_setaffinity")
    stay_on_one_core({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"})
