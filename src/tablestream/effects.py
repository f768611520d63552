"""Effects are values that handlers return; sinks carry them out, many at a time, and answer for each.

An effect can be an object of any class: the class decides which sink takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from tablestream.clock import Deadline
from tablestream.errors import InvalidRecord

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Done:
    """The effect has taken place, or had taken place before."""


@dataclass(frozen=True, slots=True)
class Transient:
    """The effect did not take place, but may at a later try: the record is reported and Lambda redelivers it."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Permanent:
    """The effect can never take place: the record goes to the dead letters with this reason."""

    reason: str
    error_class: str = "Permanent"
    """What the dead letter, the log and the operator's tools group it by."""

    @classmethod
    def of(cls, error: InvalidRecord) -> Permanent:
        """Say that the record is malformed, which a sink found out that reads more of it than the handlers."""
        return cls(str(error), type(error).__name__)


Answer = Done | Transient | Permanent
DONE = Done()


class PermanentFailure(Exception):
    """Raised, as by a function behind `each`, to say that an effect can never take place."""


def answer_to(error: Exception) -> Transient | Permanent:
    """Return the answer for the one effect that an exception has kept from taking place.

    A bug counts as transient: nothing is set aside because of it, and its record waits until it is mended.
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
        """What identifies the sink in the journal; it must not change between deployments."""
        ...

    @property
    def takes(self) -> tuple[type, ...]:
        """The classes of the effects it carries out."""
        ...

    @property
    def idempotent(self) -> bool:
        """Whether doing an effect again changes nothing; the effects of other sinks are journalled."""
        ...

    def apply(self, effects: Sequence[Any], deadline: Deadline) -> Sequence[Answer]:
        """Carry out the effects of one wave; return one answer for each, in the same order.

        The effects come in stream order; those of one record come together. No two records of one wave concern the same
        item. A sink stops when the deadline has expired and answers `Transient` for what is left. An exception counts
        as `Transient` for every effect of the call.
        """
        ...


class _FunctionSink:
    def __init__(
        self, name: str, takes: tuple[type, ...], function: Callable[[Any], object], *, idempotent: bool
    ) -> None:
        self.name = name
        self.takes = takes
        self.idempotent = idempotent
        self._function = function

    def apply(self, effects: Sequence[Any], deadline: Deadline) -> Sequence[Answer]:
        return [self._apply_one(effect, deadline) for effect in effects]

    def _apply_one(self, effect: object, deadline: Deadline) -> Answer:
        if deadline.expired:
            return Transient(TimeoutError("the deadline came before this effect"))
        try:
            self._function(effect)
        except Exception as error:  # noqa: BLE001 -- the function is the user's: whatever it raises, its record is redelivered
            return answer_to(error)
        return DONE


def each(effect: type[E], function: Callable[[E], object], *, name: str, idempotent: bool = False) -> Sink:
    """Make a sink of a plain function that carries out one effect at a time.

    The function's return value is ignored. `PermanentFailure` sends the record to the dead letters, any other exception
    to redelivery. Leave `idempotent` False unless calling the function twice does no harm.
    """
    return _FunctionSink(name, (effect,), function, idempotent=idempotent)
