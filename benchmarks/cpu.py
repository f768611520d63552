"""CPU per record of the whole worker, beside the peers: validate, route, handlers, lanes, waves, response."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from benchmarks.children import Child
from benchmarks.records import mixed_event
from benchmarks.sampling import Sample, in_turn
from benchmarks.toolchain import FOLDER, Toolchain

BATCHES = (1, 10, 100, 1000, 10_000)
OURS = "tablestream"
SHOP = "tablestream, the shop's handlers"
NODE = "Node, util-dynamodb"
LOOP = "bare loop"
BATCH_PROCESSOR = "Powertools BatchProcessor"
PEERS = {
    LOOP: "loop",
    "boto3 TypeDeserializer": "deserializer",
    "Powertools event class": "powertools_event",
    BATCH_PROCESSOR: "powertools_batch",
}

_RECORDS_A_ROUND = 10_000
"""In a row: what another contender has left in the processor's caches is not to be measured."""
_EVENTS_A_ROUND = 3
"""Also of the largest, for the same reason."""
_COPIES_TO = 100
"""Events that are smaller are timed several at once."""

Figures = Mapping[int, Mapping[str, Mapping[str, Sample]]]
"""Batch size → contender → `parse`, `process` and `both`, in microseconds a record."""


def measure(tools: Toolchain, rounds: int, batches: tuple[int, ...] = BATCHES, only: tuple[str, ...] = ()) -> Figures:
    """Measure all contenders in turn, or only some of them."""
    with ExitStack() as stack:
        children = {name: stack.enter_context(child) for name, child in start(tools, only).items()}
        return {
            size: in_turn({name: _question(child, size) for name, child in children.items()}, _rounds(rounds, size))
            for size in batches
        }


def start(tools: Toolchain, only: tuple[str, ...] = ()) -> dict[str, Child]:
    """Start the contenders."""
    serve = [tools.python, "-m", "benchmarks.contenders.serve"]
    children = {OURS: Child([*serve, "ours"], tools.path(tools.package))}
    if not only:
        children[SHOP] = Child([*serve, "ours_shop"], tools.path(tools.package))
    for name, module in PEERS.items():
        if not only or name in only:
            children[name] = Child([*serve, module], tools.path(tools.peers))
    if tools.node is not None and (not only or NODE in only):
        children[NODE] = Child(["node", str(tools.node / "serve.mjs")])
    return children


def body_of(size: int) -> Path:
    """Return the file with the event of so many records; it is made on first use."""
    text = mixed_event(size)
    path = FOLDER / f"mixed-{size}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def question(child: Child, body: Path, size: int) -> dict[str, float]:
    """Have a child process an event some times; return microseconds a record."""
    copies = max(1, _COPIES_TO // size)
    groups = max(_EVENTS_A_ROUND, _RECORDS_A_ROUND // (copies * size))
    answer = child.ask(body=str(body), copies=copies, groups=groups)
    parse, process = answer["parse"] / size / 1000, answer["process"] / size / 1000
    return {"parse": parse, "process": process, "both": parse + process}


def _question(child: Child, size: int) -> Callable[[], Mapping[str, float]]:
    body = body_of(size)
    return lambda: question(child, body, size)


def _rounds(rounds: int, size: int) -> int:
    return rounds // 2 + 1 if size > 1000 else rounds
