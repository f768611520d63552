"""`python -m tools.house`: numbers of the layout: files, names, first lines of docstrings, and arrows that point up.

Tests are not measured. `tests/test_house.py` holds the bounds.

A module that only one other file imports is a section of that file, and reads better there. Two things are no import of
that kind. A name that a face hands on (`from tablestream.sinks import Topic`; a face is an `__init__.py` or a
`__main__.py`) is imported from the module that defines it, by the file that asks for it. And a face that is a module's
only importer holds nothing that the module could be a section of: there names are handed on, or a program begins.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
MEASURED = ("src/tablestream", "src/shop", "demo")
"""The folders whose files are measured."""
SMALL, LARGE = 60, 400
_LOOK_AWAY = re.compile(r"# (?:ruff: )?noqa\b")
_RIDDLE = re.compile(r"(What|Who|Whose|Where|How|Which|Why|When)\b")

LAYERS: tuple[tuple[str, ...], ...] = (
    ("tablestream.errors", "tablestream._version"),
    ("tablestream.image", "tablestream.run"),
    ("tablestream.dynamodb.items",),
    ("tablestream.change", "tablestream.sink", "tablestream.report", "tablestream.journal"),
    ("tablestream.dead_letters", "tablestream.router"),
    ("tablestream.dynamodb",),
    ("tablestream.aws",),
    ("tablestream.sinks",),
    ("tablestream._engine.waves",),
    ("tablestream._engine.intake",),
    ("tablestream._engine.invocation", "tablestream._engine"),
    ("tablestream.testing", "tablestream.dry_run", "tablestream.metrics"),
    ("tablestream.worker",),
    ("tablestream",),
    ("tablestream.ops", "tablestream.local"),
    ("tablestream.simulation",),
    ("tablestream.__main__", "shop"),
    ("demo",),
)
"""The layers from the ground up: a file imports from its own layer and from those below."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the project."""

    path: Path
    module: str
    lines: int
    tree: ast.Module

    @property
    def is_face(self) -> bool:
        """Whether it only hands names on, or is where a program begins."""
        return self.path.name in {"__init__.py", "__main__.py"}


def sources() -> list[Source]:
    """Return the measured files."""
    found = []
    for folder in MEASURED:
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            parts = path.relative_to(ROOT / "src" if folder.startswith("src") else ROOT).with_suffix("").parts
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found.append(Source(path, module, text.count("\n"), ast.parse(text)))
    return found


def floors(files: Iterable[Source]) -> Counter[str]:
    """Return how many files each folder holds."""
    return Counter(str(file.path.parent.relative_to(ROOT)) for file in files)


def small(files: Iterable[Source]) -> list[Source]:
    """Return the files with fewer lines than one subject takes; those that only hand names on do not count."""
    return [file for file in files if file.lines < SMALL and not file.is_face]


def large(files: Iterable[Source]) -> list[Source]:
    """Return the files with more lines than a reader holds in mind."""
    return [file for file in files if file.lines > LARGE]


def imports(file: Source, modules: frozenset[str]) -> Iterator[str]:
    """Yield the modules of the project that a file imports, also within functions."""
    yield from (module for module, _ in imported(file, modules))


def imported(file: Source, modules: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield the modules of the project that a file imports from, each with the name; without one for the module."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                if (inner := f"{node.module}.{alias.name}") in modules:
                    yield inner, ""
                elif node.module in modules:
                    yield node.module, alias.name
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name in modules)


def single_importers(files: list[Source]) -> list[str]:
    """Return the modules that exactly one other file imports, unless that is a face."""
    modules = frozenset(file.module for file in files)
    faces = {file.module for file in files if file.is_face}
    handed_on = {
        (file.module, name): module for file in files if file.is_face for module, name in imported(file, modules)
    }
    importers: defaultdict[str, set[str]] = defaultdict(set)
    for file in files:
        for module, name in imported(file, modules):
            home = module
            while home in faces and (home, name) in handed_on:
                home = handed_on[home, name]
            importers[home].add(file.module)
    return sorted(
        module for module, users in importers.items() if len(users) == 1 and not users <= faces and module not in faces
    )


def names_with_two_meanings(files: Iterable[Source]) -> dict[str, list[str]]:
    """Return the public classes that are defined in several modules."""
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for file in files:
        for node in file.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(file.module)
    return {name: modules for name, modules in sorted(homes.items()) if len(modules) > 1}


def riddles(files: Iterable[Source]) -> list[str]:
    """Return the first lines of docstrings that begin with a question word."""
    found = []
    for file in files:
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                if text and _RIDDLE.match(text):
                    found.append(f"{file.path.relative_to(ROOT)}: {text.splitlines()[0]}")
    return found


def layer(module: str) -> int:
    """Return the layer of a module, by the longest name that it begins with."""
    found = [
        (len(name), number)
        for number, names in enumerate(LAYERS)
        for name in names
        if module == name or module.startswith(f"{name}.")
    ]
    return max(found)[1]


def upward_arrows(files: list[Source]) -> list[str]:
    """Return the imports that point from a layer to a higher one."""
    modules = frozenset(file.module for file in files)
    return sorted(
        f"{file.module} -> {module}"
        for file in files
        for module in {*imports(file, modules)}
        if module != file.module and layer(module) > layer(file.module)
    )


def unchecked(files: Iterable[Source]) -> int:
    """Return how often the linter is asked to look away, for a line or for a file."""
    return sum(len(_LOOK_AWAY.findall(file.path.read_text(encoding="utf-8"))) for file in files)


def main() -> int:
    """Print the numbers, and with `-v` what is behind them."""
    files = sources()
    fullest, most = floors(files).most_common(1)[0]
    lists = {
        f"files under {SMALL} lines": [str(file.path.relative_to(ROOT)) for file in small(files)],
        f"files over {LARGE} lines": [str(file.path.relative_to(ROOT)) for file in large(files)],
        "files with one importer": single_importers(files),
        "names with two meanings": [f"{name}: {', '.join(on)}" for name, on in names_with_two_meanings(files).items()],
        "riddles among first lines": riddles(files),
        "upward arrows": upward_arrows(files),
    }
    sys.stdout.write(f"{'files':28} {len(files)}\n{'most files on a floor':28} {most} ({fullest})\n")
    for title, entries in lists.items():
        sys.stdout.write(f"{title:28} {len(entries)}\n")
        if "-v" in sys.argv[1:]:
            sys.stdout.writelines(f"    {entry}\n" for entry in entries)
    sys.stdout.write(f"{'noqa':28} {unchecked(files)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
