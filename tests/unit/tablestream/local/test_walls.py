"""The delivery is pure, and the trigger knows no wing but the delivery: read off all import lines."""

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
