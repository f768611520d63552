"""Mutants are planted while a module is imported: a function, a method or a constant is changed by its name.

Nothing on disk is changed. What a mutant changes is compared as syntax, not as text, so that formatting and comments do
not matter, nor what stands elsewhere in the module.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType


class CannotBePlantedError(ValueError):
    """The code that a mutant changes is no longer what the mutant says."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a function, a method or a constant: `module:name` or `module:Class.name`.

    `old` is an expression, or one statement or more, that stands there exactly once; empty for the whole body of the
    function, or the whole value of the constant. `new` comes in its place.
    """

    where: str
    old: str
    new: str

    @property
    def module(self) -> str:
        return self.where.partition(":")[0]

    @property
    def names(self) -> Sequence[str]:
        return self.where.partition(":")[2].split(".")

    def apply(self, tree: ast.Module) -> None:
        """Change the module's syntax tree; raises `CannotBePlantedError`."""
        symbol = _symbol(tree, self)
        new = ast.parse(self.new).body
        unknown = _read(new) - _bound(symbol) - _bound(tree, deep=False) - {*dir(builtins)}
        if unknown:
            raise CannotBePlantedError(f"wanted names that are known in {self.where}, got {', '.join(sorted(unknown))}")
        if not self.old:
            _replace_all(symbol, new)
            return
        old = ast.parse(self.old).body
        found = list(_places(symbol, old))
        if len(found) != 1:
            raise CannotBePlantedError(f"wanted {self.old!r} once in {self.where}, found it {len(found)} times")
        _replace(found[0], old, new)


@dataclass(frozen=True, slots=True)
class _Place:
    """The field of a syntax node, and for a list of nodes the position in it."""

    node: ast.AST
    field: str
    position: int | None = None


_Symbol = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


def _symbol(tree: ast.Module, edit: Edit) -> _Symbol:
    """Return the definition or the assignment of a name, in a class where one is named."""
    body: Sequence[ast.stmt] = tree.body
    found: ast.stmt | None = None
    for name in edit.names:
        named = [statement for statement in body if name in _defined(statement)]
        if len(named) != 1:
            raise CannotBePlantedError(f"wanted {name} once in {edit.module}, found it {len(named)} times")
        (found,) = named
        body = found.body if isinstance(found, ast.ClassDef) else ()
    if not isinstance(found, _Symbol):
        raise CannotBePlantedError(f"wanted a name in {edit.where}")
    return found


def _defined(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    several = [getattr(target, "elts", [target]) for target in targets]
    return {target.id for parts in several for target in parts if isinstance(target, ast.Name)}


def _replace_all(symbol: _Symbol, new: list[ast.stmt]) -> None:
    if isinstance(symbol, ast.FunctionDef):
        symbol.body = new
    elif isinstance(symbol, ast.Assign | ast.AnnAssign):
        symbol.value = _expression(new)
    else:
        raise CannotBePlantedError(f"wanted a function or a constant, got {type(symbol).__name__}")


def _replace(place: _Place, old: Sequence[ast.stmt], new: list[ast.stmt]) -> None:
    if place.position is None:
        setattr(place.node, place.field, _expression(new))
        return
    siblings = getattr(place.node, place.field)
    if isinstance(siblings[place.position], ast.stmt):
        siblings[place.position : place.position + len(old)] = new
    else:
        siblings[place.position] = _expression(new)


def _expression(statements: Sequence[ast.stmt]) -> ast.expr:
    if len(statements) != 1 or not isinstance(statements[0], ast.Expr):
        raise CannotBePlantedError("wanted an expression in the place of an expression, got statements")
    return statements[0].value


def _places(symbol: _Symbol, old: Sequence[ast.stmt]) -> Iterator[_Place]:
    """Yield where an expression, or a run of statements, stands."""
    wanted: Sequence[ast.AST] = old
    if len(old) == 1 and isinstance(old[0], ast.Expr):
        wanted = [old[0].value]
    dumped = [ast.dump(node) for node in wanted]
    # A function's annotations are not what it does.
    parts = symbol.body if isinstance(symbol, ast.FunctionDef | ast.ClassDef) else [symbol.value or ast.Pass()]
    nodes = [symbol, *[node for part in parts for node in ast.walk(part)]]
    for node in nodes:
        for field, value in ast.iter_fields(node):
            if node is symbol and field not in {"body", "value"}:
                continue
            if isinstance(value, list):
                size = len(dumped)
                for at in range(len(value) - size + 1):
                    if [ast.dump(part) for part in value[at : at + size] if isinstance(part, ast.AST)] == dumped:
                        yield _Place(node, field, at)
            elif isinstance(value, ast.AST) and [ast.dump(value)] == dumped:
                yield _Place(node, field)


def _read(statements: Sequence[ast.stmt]) -> set[str]:
    """Return the names that code reads and does not bind itself."""
    nodes = [node for statement in statements for node in ast.walk(statement)]
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return read - {name for statement in statements for name in _bound(statement)}


def _bound(node: ast.AST, *, deep: bool = True) -> set[str]:
    """Return the names that code binds; at the top level of a module only, unless `deep`."""
    nodes = list(ast.walk(node)) if deep else [*getattr(node, "body", ())]
    names = {each.id for each in nodes if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    names |= {each.arg for each in nodes if isinstance(each, ast.arg)}
    names |= {each.name for each in nodes if isinstance(each, ast.ExceptHandler) and each.name}
    for each in nodes:
        if isinstance(each, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in each.names}
        elif isinstance(each, ast.stmt):
            names |= _defined(each)
    return names


def edited(source: str | bytes, edits: Sequence[Edit]) -> ast.Module:
    """Return the syntax tree of a module with edits; raises `CannotBePlantedError`."""
    tree = ast.parse(source)
    before = ast.dump(tree)
    for edit in edits:
        edit.apply(tree)
    if ast.dump(tree) == before:
        raise CannotBePlantedError(f"wanted a change of {edits[0].module}, got the same code")
    return ast.fix_missing_locations(tree)


def check(edits: Sequence[Edit]) -> None:
    """Raise `CannotBePlantedError` when a mutant cannot be planted, as what it changes is gone or has another name."""
    for name, own in by_module(edits).items():
        try:
            spec = find_spec(name)
        except ModuleNotFoundError:
            spec = None
        if spec is None or spec.origin is None:
            raise CannotBePlantedError(f"wanted a module {name}, found none")
        compile(edited(Path(spec.origin).read_text(encoding="utf-8"), own), spec.origin, "exec")


def by_module(edits: Sequence[Edit]) -> Mapping[str, Sequence[Edit]]:
    """Return the edits of each module."""
    return {name: [edit for edit in edits if edit.module == name] for name in {edit.module for edit in edits}}


class _Loader(SourceFileLoader):
    """Compiles a module anew, with the edits of a mutant, instead of taking its byte code."""

    def __init__(self, name: str, path: str, edits: Sequence[Edit]) -> None:
        super().__init__(name, path)
        self._edits = edits

    def get_code(self, fullname: str) -> CodeType:
        tree = edited(self.get_data(self.path), self._edits)
        code: CodeType = compile(tree, self.get_filename(fullname), "exec")
        return code


class _Finder:
    """Finds the modules that a mutant changes."""

    def __init__(self, edits: Mapping[str, Sequence[Edit]]) -> None:
        self._edits = edits

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in self._edits else None
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(name, spec.origin, self._edits[name])
        return spec


def plant(edits: Sequence[Edit]) -> None:
    """Have the modules that are imported from now on be the mutant's; raises when one of them is imported already."""
    known = by_module(edits)
    early = sorted(name for name in known if name in sys.modules)
    if early:
        raise CannotBePlantedError(f"wanted to plant before the import of {', '.join(early)}")
    sys.meta_path.insert(0, _Finder(known))
