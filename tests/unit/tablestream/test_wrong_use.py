"""Wrong use does not type-check: mypy runs over this file, and refuses a `type: ignore` that is not needed.

The same is refused when it runs, for those who use no type checker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tablestream import DONE, Answer, Change, ConfigurationError, Done, Effect, Run, Worker, each, sinks
from tablestream.testing import MemoryDeadLetters, MemoryJournal, event, inserted


@dataclass(frozen=True, slots=True)
class Mail:
    address: str


@dataclass(frozen=True, slots=True)
class Text:
    number: str


def told(change: Change) -> Mail:
    return Mail(change.new["email"])


def send_mail(_mail: Mail) -> None: ...


async def send_later(_mail: Mail) -> None: ...


def test_a_sink_that_there_is_none_of() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Topics'"):
        sinks.Topics("sales")  # type: ignore[attr-defined]


def test_a_decorator_without_parentheses() -> None:
    worker = Worker()
    with pytest.raises(ConfigurationError, match="with parentheses"):
        worker.on_insert(told)  # type: ignore[arg-type]


def test_a_handler_of_something_else_than_a_change() -> None:
    def of_text(_text: str) -> Mail:
        return Mail("a")

    Worker().on_insert()(of_text)  # type: ignore[arg-type]  # known only when it runs


def test_names_of_attributes_as_one_text() -> None:
    with pytest.raises(ConfigurationError, match="wants a sequence of attribute names"):
        Worker().on_modify(changed=7)  # type: ignore[arg-type]


def test_a_sink_function_of_another_effect_than_it_is_registered_for() -> None:
    Worker().sink(Text)(send_mail)  # type: ignore[arg-type]  # known only when it runs
    each(Text, send_mail, name="texts")  # type: ignore[arg-type]


def test_an_effect_that_no_sink_takes() -> None:
    worker = Worker(sinks=[each(Text, print, name="texts")], journal=MemoryJournal(), dead_letters=MemoryDeadLetters())
    worker.on_insert()(told)
    with pytest.raises(ConfigurationError, match=r"told returned a Mail, which no sink takes; .* are: Text$"):
        worker(event(inserted({"pk": "1", "sk": "A", "email": "a"})))


class OneAnswer:
    """A sink that answers for all effects at once."""

    name, takes, idempotent = "one", (Mail,), True

    def apply(self, effects: Sequence[Effect[Any]], run: Run) -> Done:
        return DONE


class TooFew:
    """A sink that answers for the first effect only, which no type can tell."""

    name, takes, idempotent = "few", (Mail,), True

    def apply(self, effects: Sequence[Effect[Any]], run: Run) -> Sequence[Answer]:
        return [DONE]


def test_a_sink_that_answers_too_few() -> None:
    few, journal = TooFew(), MemoryJournal()
    Worker(sinks=[OneAnswer()])  # type: ignore[list-item]
    worker = Worker(sinks=[few], journal=journal, dead_letters=MemoryDeadLetters())
    worker.on_insert()(told)
    report, _ = worker.process(event(*[inserted({"pk": number, "sk": "A", "email": "a"}) for number in "12"]))
    assert [outcome.reason for outcome in report.outcomes] == ["wanted 2 answers of the sink, got 1: Done"] * 2


def test_an_image_that_a_change_does_not_have() -> None:
    change = Change.from_record(inserted({"pk": "1", "sk": "A"}))
    with pytest.raises(AttributeError, match="an INSERT has no old image"):
        _ = change.old


def test_an_async_function_as_a_sink() -> None:
    with pytest.raises(ConfigurationError, match="would never run"):
        Worker().sink(Mail)(send_later)
