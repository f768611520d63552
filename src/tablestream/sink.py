"""Sinks carry out the effects that handlers return, many at a time, and answer for each of them.

An effect can be a value of any class: the class decides which sink takes it.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from tablestream.errors import ConfigurationError, InvalidRecord
from tablestream.run import Run, Sequential

E = TypeVar("E")


class Identifies(Protocol):
    """Works out the ids of effects."""

    @property
    def item(self) -> str:
        """A hash of the identity of the item that the record is of."""
        ...

    def id_of(self, place: int) -> str:
        """Return the id of the effect at a place among those of the record."""
        ...


@dataclass(slots=True, eq=False, repr=False)
class Effect(Generic[E]):
    """A value that a handler returned, with an id that no other effect has.

    The id stays the same when the record is delivered again, also after a new deployment and whatever its neighbours
    are: consumer / event id and sequence number / sink / key. The key is the value's attribute `key` where that is
    text; otherwise a fingerprint of what the value holds. Among equal keys of one record it ends in a number.
    """

    value: E
    _record: str | Identifies
    """The id, or what works it out when somebody asks."""
    _place: int = 0
    """The place of the effect among those of the record."""

    @property
    def id(self) -> str:
        """The id; it can be longer than what a service takes: hash it for that."""
        return self._record if isinstance(self._record, str) else self._record.id_of(self._place)

    @property
    def item(self) -> str:
        """A short hash of the item's table and key: the same for all changes of an item."""
        return self._record if isinstance(self._record, str) else self._record.item

    def __repr__(self) -> str:
        """Leave out the value: it may hold personal data."""
        return f"Effect({type(self.value).__name__}, {self.id!r})"


@dataclass(frozen=True, slots=True)
class Done:
    """The effect has taken place, or had taken place before."""


@dataclass(frozen=True, slots=True)
class Transient:
    """The effect did not take place, but may at a later try: the record is reported and Lambda redelivers it."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Permanent:
    """The effect can never take place: the record goes to the dead letters with this reason."""

    reason: str
    error_class: str = "Permanent"
    """The name by which the dead letter, the log and the operator's tools group it."""

    @classmethod
    def of(cls, error: InvalidRecord) -> Permanent:
        """Say that the record is malformed, as a sink found out."""
        return cls(str(error), type(error).__name__)


Answer = Done | Transient | Permanent
DONE = Done()


class PermanentFailure(Exception):
    """Raised, as by a function behind `each`, to say that an effect can never take place."""


def answer_to(error: BaseException) -> Transient | Permanent:
    """Return the answer for the one effect that an exception has kept from taking place.

    `InvalidRecord` and `PermanentFailure` are permanent. Everything else is transient, a bug too: nothing is set aside
    because of it, and its record waits until it is mended.
    """
    if isinstance(error, InvalidRecord):
        return Permanent.of(error)
    return Permanent(str(error)) if isinstance(error, PermanentFailure) else Transient(error)


class Sink(Protocol):
    """Carries effects out.

    An attribute does for each of the properties.
    """

    @property
    def name(self) -> str:
        """The name of the sink in effect ids and in the journal; it must not change between deployments."""
        ...

    @property
    def takes(self) -> tuple[type, ...]:
        """The classes of the effects it carries out."""
        ...

    @property
    def idempotent(self) -> bool:
        """Whether doing an effect again changes nothing; the effects of other sinks are journalled."""
        ...

    def apply(self, effects: Sequence[Effect[Any]], run: Run) -> Sequence[Answer]:
        """Carry out effects; return one answer for each, in the same order.

        The effects come in stream order, and no two of them concern the same item: they may be carried out side by
        side. A sink stops when `run.deadline` has expired and answers `Transient` for what is left. An exception counts
        as `Transient` for every effect of the call.
        """
        ...


class _FunctionSink:
    """A sink that calls a plain function for each effect."""

    def __init__(
        self,
        name: str,
        takes: tuple[type, ...],
        function: Callable[[Any], object],
        *,
        idempotent: bool,
        parallel: bool,
    ) -> None:
        self.name = name
        self.takes = takes
        self.idempotent = idempotent
        self._function = function
        self._parallel = parallel

    def apply(self, effects: Sequence[Effect[Any]], run: Run) -> Sequence[Answer]:
        side_by_side = run.parallel if self._parallel else Sequential()
        return side_by_side.run([partial(self._apply_one, effect, run) for effect in effects])

    def _apply_one(self, effect: Effect[Any], run: Run) -> Answer:
        if run.deadline.expired:
            return Transient(TimeoutError("the deadline came before this effect"))
        try:
            returned = self._function(effect.value)
        except (KeyboardInterrupt, ConfigurationError):
            raise
        except BaseException as error:  # noqa: BLE001 -- the function is the user's: whatever it raises concerns its record only
            return answer_to(error)
        if never_ran(returned):
            raise ConfigurationError(f"sink {self.name}: {not_plain(self._function, returned)}")
        return DONE


def each(
    effect: type[E],
    function: Callable[[E], object],
    *,
    name: str,
    idempotent: bool = False,
    parallel: bool = True,
) -> Sink:
    """Make a sink of a plain function that carries out one effect at a time.

    The calls of a wave run side by side on the worker's threads, so the function must be safe to call from several at
    once; with `parallel=False` they run one after the other. The function's return value is ignored.
    `PermanentFailure` sends the record to the dead letters, any other exception to redelivery. Leave `idempotent` False
    unless calling the function twice does no harm.

    Raises `ConfigurationError` for an async function or a generator function, as calling one runs nothing, and for one
    that wants more than an effect.
    """
    check_function(f"sink {name}:", function, "the effect")
    if not isinstance(effect, type):
        raise ConfigurationError(f"sink {name}: wanted the class of its effects, got {type(effect).__name__}")
    return _FunctionSink(name, (effect,), function, idempotent=idempotent, parallel=parallel)


def check_function(what: str, function: Callable[..., object], value: str) -> None:
    """Raise `ConfigurationError` for a function that does not run when it is called, or not with one value."""
    if is_lazy(function):
        raise ConfigurationError(f"{what} {not_plain(function)}")
    check_parameters(what, function, value)


def check_parameters(what: str, function: Callable[..., object], value: str) -> None:
    """Raise `ConfigurationError` for a function that cannot be called with one value, as far as its signature tells."""
    try:
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        return  # some of Python's own do not tell
    try:
        signature.bind(None)
    except TypeError:
        names = ", ".join(signature.parameters)
        raise ConfigurationError(
            f"{what} wanted a function of one parameter, {value}, got {name_of(function)}({names})"
        ) from None


def sinks_of(given: object) -> list[Sink]:
    """Return sinks as a list; raises `ConfigurationError` for what is none, or not several."""
    if not isinstance(given, Iterable):
        raise ConfigurationError(f"sinks wanted a list, got a {type(given).__name__}: write sinks=[…]")
    sinks: list[Any] = list(given)
    for sink in sinks:
        if isinstance(sink, type):
            raise ConfigurationError(f"wanted a sink, got the class {sink.__name__}: make one, {sink.__name__}(…)")
        runs = hasattr(sink, "apply") or hasattr(sink, "connect")  # those of AWS are connected first
        if not (runs and hasattr(sink, "name") and hasattr(sink, "takes")):
            told = f"{name_of(sink)}: a function is one with @worker.sink(…)" if inspect.isroutine(sink) else ""
            raise ConfigurationError(f'wanted a sink, such as Topic("sales"), got {told or f"a {type(sink).__name__}"}')
    return sinks


def is_lazy(function: Callable[..., object]) -> bool:
    """Tell whether calling a function does not run it: async functions and generator functions."""
    called: Any = function
    while isinstance(called, partial):
        called = called.func
    if not (inspect.isroutine(called) or isinstance(called, type)):
        called = called.__call__  # an object with a method that makes it a function
    return (
        inspect.iscoroutinefunction(called) or inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called)
    )


def never_ran(returned: object) -> bool:
    """Tell whether a call returned something that has yet to run: a coroutine, a generator, an awaitable."""
    if returned is None:
        return False
    lazy = inspect.isgenerator(returned) or inspect.isasyncgen(returned) or inspect.isawaitable(returned)
    if lazy and inspect.iscoroutine(returned):
        returned.close()  # or Python warns that it was never awaited
    return lazy


def not_plain(function: Callable[..., object], returned: object = None) -> str:
    """Say that a plain function was wanted."""
    came = "an async or generator function" if returned is None else f"one that returns a {type(returned).__name__}"
    return f"wanted a plain function, got {came}: {name_of(function)} would never run"


def name_of(function: Callable[..., object]) -> str:
    """Return the module and the name of a function, for logs and errors."""
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', type(function).__qualname__)}"


def key_of(value: object) -> str:
    """Return what tells an effect of a record from the others of its sink: its own `key`, or a fingerprint."""
    key = getattr(value, "key", None)
    return key if isinstance(key, str) else fingerprint(value)


_FINGERPRINT_DIGITS = 16


def fingerprint(value: object) -> str:
    """Return a short text that is the same for equal content, in every process and on every machine."""
    digest = hashlib.sha256(_content(value).encode(errors="backslashreplace"))
    return digest.hexdigest()[:_FINGERPRINT_DIGITS]


def _content(value: object) -> str:  # noqa: PLR0911 -- one return a kind of value
    """Write a value so that equal content gives equal text; an object of which nothing is known gives its class."""
    if value is None or isinstance(value, str | bytes | bool | int | float):
        return repr(value)
    name = type(value).__name__
    if isinstance(value, Enum):
        return f"{name}.{value.name}"
    if is_dataclass(value):
        return _named(name, {field.name: getattr(value, field.name) for field in fields(value)})
    if isinstance(value, Mapping):
        return _sorted("map", (f"{_content(key)}:{_content(entry)}" for key, entry in value.items()))
    if isinstance(value, AbstractSet):
        return _sorted("set", map(_content, value))
    if isinstance(value, tuple | list):
        return f"{name if isinstance(value, tuple) else 'list'}({','.join(map(_content, value))})"
    if type(value).__repr__ is not object.__repr__:
        return f"{name} {value!r}"
    return _named(name, vars(value) if hasattr(value, "__dict__") else {})


def _named(name: str, attributes: Mapping[str, object]) -> str:
    return f"{name}({','.join(f'{attribute}={_content(value)}' for attribute, value in attributes.items())})"


def _sorted(name: str, entries: Iterable[str]) -> str:
    return f"{name}({','.join(sorted(entries))})"
