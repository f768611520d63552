"""The delivery is pure, wings know those below them, and none the rest of the project: read off all imports."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

LOCAL = Path(__file__).parents[4] / "src" / "tablestream" / "local"

DELIVERY = "tablestream.local.delivery"
TRIGGER = "tablestream.local.trigger"
# Of the standard library only what computes: no threads, no files, no sockets, no environment.
PURE = frozenset(
    ["__future__", "collections", "dataclasses", "datetime", "enum", "itertools", "json", "operator", "typing", "zlib"],
)
EMULATOR = frozenset({"botocore", "moto"})
# What came of an invocation is told by whoever carries it out.
FOR_TYPES = frozenset({"tablestream.local.runtime.function"})
SIZES = "tablestream.dynamodb.items"


def modules(tree: ast.AST) -> Iterator[str]:
    """Yield the modules that are imported; a relative import is one of the package that it stands in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def strays(source: str, allowed: Iterable[str]) -> list[str]:
    """Return the imported modules that are neither allowed nor within an allowed package."""
    permitted = tuple(allowed)
    return [
        name
        for name in modules(ast.parse(source))
        if not any(name == one or name.startswith(f"{one}.") for one in permitted)
    ]


def files(wing: str) -> list[Path]:
    found = sorted((LOCAL / wing).glob("*.py"))
    assert found, f"there is no {LOCAL / wing}"
    return found


@pytest.mark.parametrize("file", files("delivery"), ids=lambda file: file.name)
def test_the_delivery_imports_itself_and_what_does_nothing_but_compute(file: Path) -> None:
    assert strays(file.read_text(), [*PURE, DELIVERY]) == []


@pytest.mark.parametrize("file", files("trigger"), ids=lambda file: file.name)
def test_the_trigger_imports_the_delivery_and_no_other_wing(file: Path) -> None:
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = [line for line in node.body if not set(modules(line)) & FOR_TYPES] or [ast.Pass()]
    allowed = [*sys.stdlib_module_names, *EMULATOR, DELIVERY, TRIGGER, SIZES]
    assert strays(ast.unparse(tree), allowed) == []


OWN = "tablestream.local"
FLOORS = (
    {"errors", "http", "delivery"},
    {"template"},
    {"runtime"},
    {"trigger"},
    {"gateway"},
    {"cloud"},
    {"application"},
    {"cli"},
    {"__main__"},
)
"""The wings and the files at the root, from the ground up: each imports itself and what is below it."""


def part_of(module: str) -> str:
    return module.removeprefix(f"{OWN}.").partition(".")[0]


def everywhere() -> list[Path]:
    return [path for path in sorted(LOCAL.rglob("*.py")) if path != LOCAL / "__init__.py"]


@pytest.mark.parametrize("file", everywhere(), ids=lambda file: str(file.relative_to(LOCAL)))
def test_local_imports_nothing_else_of_the_project_and_arrows_point_down(file: Path) -> None:
    own = file.relative_to(LOCAL).with_suffix("").parts[0]
    below = {part for floor in FLOORS[: next(n for n, floor in enumerate(FLOORS) if own in floor)] for part in floor}
    imported = list(modules(ast.parse(file.read_text())))
    ours = [name for name in imported if name.partition(".")[0] in {"tablestream", "shop", "demo", "tests", "tools"}]
    assert [name for name in ours if not name.startswith(f"{OWN}.") and name != SIZES] == []
    assert {part_of(name) for name in ours if name != SIZES} - {own} - below == set()


@pytest.mark.parametrize(
    "line",
    [
        "import shop",
        "from shop.orders import OrderKey",
        "from tablestream import Worker",
        "from tablestream.local.deliveryman import Parcel",
        "from tablestream.local import trigger",
        "from ..trigger import stream",
        "def later():\n    import time",
        "import json, threading",
    ],
)
def test_a_stray_import_is_seen(line: str) -> None:
    assert len(strays(line, [*PURE, DELIVERY])) == 1
