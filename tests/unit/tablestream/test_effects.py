"""Effects and sinks: a plain function as a sink, and what each of its endings means."""

from __future__ import annotations

import pytest

from tablestream import DONE, Deadline, Done, InvalidRecord, Permanent, PermanentFailure, Transient, each
from tablestream.testing import RecordingSink

FOREVER = Deadline(lambda: float("inf"))


def test_each_carries_out_one_effect_at_a_time_in_order() -> None:
    calls: list[str] = []
    sink = each(str, calls.append, name="list")
    assert sink.apply(["a", "b"], FOREVER) == [DONE, DONE]
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

    assert each(str, refuse, name="n").apply(["a"], FOREVER) == [answer]


def test_any_other_exception_is_transient_and_stops_nothing() -> None:
    error = ConnectionError("reset")

    def fail_for_a(effect: str) -> None:
        if effect == "a":
            raise error

    assert each(str, fail_for_a, name="n").apply(["a", "b"], FOREVER) == [Transient(error), DONE]


def test_nothing_is_begun_after_the_deadline() -> None:
    left = [1.0]
    calls: list[str] = []

    def take_all_the_time(effect: str) -> None:
        calls.append(effect)
        left[0] = 0.0

    first, second = each(str, take_all_the_time, name="n").apply(["a", "b"], Deadline(lambda: left[0]))
    assert (first, calls) == (DONE, ["a"])
    assert isinstance(second, Transient)
    assert isinstance(second.error, TimeoutError)


def test_a_recording_sink_tells_what_it_was_asked_and_what_it_did() -> None:
    sink = RecordingSink((str,), answer=lambda effect: Done() if effect == "b" else Permanent("no"))
    assert sink.apply(["a", "b"], FOREVER) == [Permanent("no"), DONE]
    assert (sink.waves, list(sink)) == ([["a", "b"]], ["b"])
