"""CPU of an item between plain values and type tags: ours beside boto3's TypeDeserializer and TypeSerializer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from benchmarks.children import Child
from benchmarks.records import Shop
from benchmarks.sampling import Sample, in_turn
from benchmarks.toolchain import FOLDER, Toolchain
from tablestream.dynamodb.items import item_bytes
from tablestream.testing import image

OURS = "tablestream"
BOTO3 = "boto3"
CONTENDERS = {OURS: "values.ours", BOTO3: "values.boto3_types"}
DIRECTIONS = {"read": "to plain values", "write": "to type tags"}

_ITEMS_A_ROUND = 2000

Figures = Mapping[str, Mapping[str, Mapping[str, Sample]]]
"""Direction → contender → `cpu` in microseconds an item."""


def measure(tools: Toolchain, rounds: int) -> Figures:
    """Measure both in turn."""
    with ExitStack() as stack:
        children = {name: stack.enter_context(_start(tools, name)) for name in CONTENDERS}
        return {
            title: in_turn({name: _question(child, _written(do)) for name, child in children.items()}, rounds)
            for do, title in DIRECTIONS.items()
        }


def size() -> int:
    """Return the bytes of the item, as DynamoDB counts them."""
    return item_bytes(image(Shop().order()))


def _start(tools: Toolchain, name: str) -> Child:
    folder = tools.api_package if name == OURS else tools.api_peers
    command = [tools.python, "-m", "benchmarks.contenders.serve", CONTENDERS[name]]
    return Child(command, tools.path(folder))


def _question(child: Child, path: Path) -> Callable[[], Mapping[str, float]]:
    def ask() -> Mapping[str, float]:
        answer = child.ask(body=str(path), copies=100, groups=_ITEMS_A_ROUND // 100)
        return {"cpu": answer["process"] / 1000}

    return ask


def _written(do: str) -> Path:
    """Write what is converted; return the file."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"values-{do}.json"
    path.write_text(json.dumps({"do": do, "item": image(Shop().order())}), encoding="utf-8")
    return path
