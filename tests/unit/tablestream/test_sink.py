"""Effects and sinks: a plain function as a sink, and what each of its endings means."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any, NamedTuple

import pytest

from tablestream import (
    DONE,
    Answer,
    ConfigurationError,
    Deadline,
    Done,
    Effect,
    InvalidRecord,
    Permanent,
    PermanentFailure,
    Run,
    Sink,
    ThreadParallel,
    Transient,
    each,
)
from tablestream.sink import fingerprint, key_of
from tablestream.testing import RecordingSink

FOREVER = Run()


def apply(sink: Sink, *values: object, run: Run = FOREVER) -> list[Answer]:
    return list(sink.apply([Effect(value, str(place)) for place, value in enumerate(values)], run))


def test_each_carries_out_one_effect_at_a_time_in_order() -> None:
    calls: list[str] = []
    sink = each(str, calls.append, name="list")
    assert apply(sink, "a", "b") == [DONE, DONE]
    assert calls == ["a", "b"]


def test_a_function_is_not_idempotent_unless_it_says_so() -> None:
    sink = each(str, print, name="print")
    assert (sink.name, sink.takes, sink.idempotent) == ("print", (str,), False)
    assert each(str, print, name="print", idempotent=True).idempotent


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (PermanentFailure("too long"), Permanent("too long")),
        (InvalidRecord("too long"), Permanent("too long", "InvalidRecord")),
    ],
)
def test_what_can_never_take_place_is_permanent(error: Exception, answer: Permanent) -> None:
    def refuse(_effect: str) -> None:
        raise error

    assert apply(each(str, refuse, name="n"), "a") == [answer]


def test_any_other_exception_is_transient_and_stops_nothing() -> None:
    error = ConnectionError("reset")

    def fail_for_a(effect: str) -> None:
        if effect == "a":
            raise error

    assert apply(each(str, fail_for_a, name="n"), "a", "b") == [Transient(error), DONE]


def test_nothing_is_begun_after_the_deadline() -> None:
    left = [1.0]
    calls: list[str] = []

    def take_all_the_time(effect: str) -> None:
        calls.append(effect)
        left[0] = 0.0

    first, second = apply(each(str, take_all_the_time, name="n"), "a", "b", run=Run(Deadline(lambda: left[0])))
    assert (first, calls) == (DONE, ["a"])
    assert isinstance(second, Transient)
    assert isinstance(second.error, TimeoutError)


def test_a_recording_sink_tells_what_it_was_asked_and_what_it_did() -> None:
    sink = RecordingSink((str,), answer=lambda effect: Done() if effect == "b" else Permanent("no"))
    assert apply(sink, "a", "b") == [Permanent("no"), DONE]
    assert (sink.waves, list(sink)) == ([["a", "b"]], ["b"])


# --- functions that would never run --------------------------------------------------------------------------------


async def send_later(_text: str) -> None: ...


def send_in_steps(_text: str) -> Iterator[None]:
    yield


class AsyncCaller:
    async def __call__(self, _text: str) -> None: ...


@pytest.mark.parametrize("function", [send_later, send_in_steps, AsyncCaller(), partial(send_later)])
def test_a_function_that_would_never_run_is_refused_when_it_is_registered(function: Any) -> None:
    with pytest.raises(ConfigurationError, match="sink mail: wanted a plain function, got an async or generator"):
        each(str, function, name="mail")


@pytest.mark.parametrize("function", [send_later, send_in_steps])
def test_a_coroutine_or_generator_that_comes_back_is_never_done(function: Any) -> None:
    def hand_on(text: str) -> object:
        return function(text)

    with pytest.raises(ConfigurationError, match="sink mail: wanted a plain function, got one that returns a"):
        apply(each(str, hand_on, name="mail"), "a")


@pytest.mark.parametrize("error", [SystemExit(1), asyncio.CancelledError(), GeneratorExit()])
def test_whatever_the_function_raises_concerns_its_effect_only(error: BaseException) -> None:
    def leave(text: str) -> None:
        if text == "a":
            raise error

    assert apply(each(str, leave, name="n"), "a", "b") == [Transient(error), DONE]
    assert apply(each(str, leave, name="n"), "a", "b", run=Run(parallel=ThreadParallel(2))) == [Transient(error), DONE]


def test_the_class_of_effects_must_be_one() -> None:
    with pytest.raises(ConfigurationError, match="wanted the class of its effects, got str"):
        each("Text", print, name="n")  # type: ignore[arg-type]  # as somebody may write it


# --- side by side ----------------------------------------------------------------------------------------------------


def test_calls_run_side_by_side_unless_told_otherwise() -> None:
    meeting = threading.Barrier(2, timeout=10)
    run = Run(parallel=ThreadParallel(2))
    assert apply(each(str, lambda _text: meeting.wait(), name="n"), "a", "b", run=run) == [DONE, DONE]
    threads: list[str] = []
    one_by_one = each(str, lambda _text: threads.append(threading.current_thread().name), name="n", parallel=False)
    apply(one_by_one, "a", "b", run=run)
    assert threads == [threading.current_thread().name] * 2


# --- what tells effects apart ----------------------------------------------------------------------------------------


class Shape(Enum):
    ROUND = 1


@dataclass(frozen=True)
class Text:
    words: str
    extra: Any = None


class Pair(NamedTuple):
    one: int
    other: int


class Plain:
    def __init__(self, words: str) -> None:
        self.words = words


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (Text("a"), Text("a"), Text("b")),
        (Text("a", {"x": 1, "y": 2}), Text("a", {"y": 2, "x": 1}), Text("a", {"x": 1, "y": 3})),
        (Text("a", {3, 1}), Text("a", {1, 3}), Text("a", {1})),
        (Text("a", [1, 2]), Text("a", [1, 2]), Text("a", [2, 1])),
        (Text("a", Shape.ROUND), Text("a", Shape.ROUND), Text("a", 1)),
        (Pair(1, 2), Pair(1, 2), Pair(2, 1)),
        (Plain("a"), Plain("a"), Plain("b")),
        (Decimal("1.0"), Decimal("1.0"), Decimal("1.00")),
        ("1", "1", 1),
        (b"1", b"1", "1"),
        (None, None, "None"),
        ("\ud800", "\ud800", "\ud801"),
    ],
)
def test_equal_content_has_one_fingerprint_and_other_content_another(one: object, same: object, other: object) -> None:
    assert fingerprint(one) == fingerprint(same)
    assert fingerprint(one) != fingerprint(other)


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    assert fingerprint(Text("a", {"x": [1, None, True]})) == "807dd5ae9bbeeb26"


def test_the_effects_own_key_comes_before_its_content() -> None:
    @dataclass(frozen=True)
    class Letter:
        words: str
        key: str | None = None

    assert key_of(Letter("a", key="welcome")) == key_of(Letter("b", key="welcome")) == "welcome"
    assert key_of(Letter("a")) != key_of(Letter("b"))


def test_an_effect_shows_its_id_and_not_its_value() -> None:
    assert repr(Effect("jane@example.com", "worker/1.2/mail/x")) == "Effect(str, 'worker/1.2/mail/x')"
