"""The shortest schedule that still fails: fewer faults, fewer outages, fewer writes, as long as something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tablestream.simulation.schedule import smaller
from tests.simulation.candidates import Candidate
from tests.simulation.door.errands import Errand
from tests.simulation.faults import Fault, Regime
from tests.simulation.schedule import Outcomes, run
from tests.simulation.script import Script


def shrink(candidate: Candidate, regime: Regime, seed: int) -> Outcomes:
    """Return the shortest variant of a failing schedule; the schedule itself when it cannot be made to fail again."""
    first = run(candidate, regime, seed)
    script, faults = first.script, dict(first.faults)

    def fails(script: Script, faults: Mapping[int, Fault]) -> bool:
        return bool(broken(run(candidate, regime, seed, script=script, faults=faults), regime))

    if not fails(script, faults):
        return first
    # Twice: with fewer writes, some of the faults may have become superfluous.
    for _ in range(2):
        script, faults = _smaller(script, faults, fails)
    return run(candidate, regime, seed, script=script, faults=faults)


def _smaller(
    script: Script, faults: Mapping[int, Fault], fails: Callable[[Script, Mapping[int, Fault]], bool]
) -> tuple[Script, dict[int, Fault]]:
    fewer = dict(smaller(list(faults.items()), lambda part: fails(script, dict(part))))
    outages = smaller(script.outages, lambda part: fails(replace(script, outages=tuple(part)), fewer))
    shorter = replace(script, outages=tuple(outages))
    writes = smaller(script.writes, lambda part: fails(replace(shorter, writes=tuple(part)), fewer))
    shorter = replace(shorter, writes=tuple(writes))
    errands = smaller(script.door.errands, lambda part: fails(_with_errands(shorter, part), fewer))
    return _with_errands(shorter, errands), fewer


def _with_errands(script: Script, errands: Sequence[Errand]) -> Script:
    return replace(script, door=replace(script.door, errands=tuple(errands)))


def broken(outcomes: Outcomes, regime: Regime) -> dict[str, int]:
    """Return what is wrong in a schedule of our worker."""
    return outcomes.figures.broken(retries=regime.retries)


def describe(outcomes: Outcomes, regime: Regime) -> str:
    """Say what a schedule is made of and what is wrong in it."""
    writes = [
        f"  {write.at:8.3f} s  {write.kind} {write.order} {write.flaw}".rstrip() for write in outcomes.script.writes
    ]
    errands = [f"  {errand.at:8.3f} s  {errand}" for errand in outcomes.script.door.errands]
    outages = [f"  {o.service} {o.begins:.1f}..{o.ends:.1f} s" for o in outcomes.script.outages]
    faults = [f"  draw {number}: {fault}" for number, fault in outcomes.faults.items()]
    wrong = [f"  {name}: {count}" for name, count in broken(outcomes, regime).items()]
    stock = f"stock: {', '.join(map(str, outcomes.script.stock))}"
    return "\n".join(
        [stock, "writes:", *writes, "errands:", *errands, "outages:", *outages, "faults:", *faults, "wrong:", *wrong]
    )
