"""Wrong use does not type-check: mypy runs over this file, and refuses a `type: ignore` that is not needed.

The same is refused when it runs, for those who use no type checker.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tablestream import DONE, Answer, Change, ConfigurationError, Done, Effect, Router, Run, Worker, each, sinks
from tablestream.sinks import Topic
from tablestream.testing import MemoryDeadLetters, MemoryJournal, event, inserted, removed


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


def test_a_sink_without_its_class() -> None:
    with pytest.raises(ConfigurationError, match=r"got .*\.send_mail: write @worker\.sink\(Mail\), with the class$"):
        Worker().sink(send_mail)  # type: ignore[arg-type]


def test_the_class_of_an_item_in_place_of_its_name() -> None:
    for worker in (Worker(), Router()):
        with pytest.raises(ConfigurationError, match=r'got the class Mail: write @worker\.on_remove\("Mail"\)$'):
            worker.on_remove(Mail)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"got list: write @worker\.on_modify\(\), or with a name in it$"):
        Worker().on_modify(["status"])  # type: ignore[arg-type]


# --- functions that cannot be called with one value ------------------------------------------------------------------


def of_lambda(event: object, context: object) -> None: ...


def of_nothing() -> None: ...


def of_a_name(*, change: object) -> None: ...


MISFITS = [of_lambda, of_nothing, of_a_name, functools.partial(of_lambda, context=1, event=2)]


@pytest.mark.parametrize("function", MISFITS)
@pytest.mark.parametrize(
    "register",
    [
        Worker().on_insert(),
        Worker().on_modify(changed=["x"]),
        Router().on_remove("Mail"),
        Worker().sink(Mail, name="mail"),
        Worker().per_record,
    ],
)
def test_a_function_of_more_or_less_than_one_parameter(register: Any, function: Callable[..., Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"wanted a function of one parameter, the [a-z]+, got"):
        register(function)


def test_it_is_named_with_its_parameters() -> None:
    with pytest.raises(
        ConfigurationError, match=r"^on_insert wanted .*, the change, got .*\.of_lambda\(event, context\)$"
    ):
        Worker().on_insert()(of_lambda)  # type: ignore[arg-type]


class Handlers:
    def bound(self, change: Change) -> None: ...

    def __call__(self, change: Change) -> None: ...


@functools.wraps(of_lambda)
def around(change: Change) -> None: ...


def with_a_default(change: Change, note: str = "") -> None: ...


@pytest.mark.parametrize(
    "function",
    [Handlers().bound, Handlers(), around, with_a_default, functools.partial(of_lambda, "a"), print, dict, [].append],
)
def test_whatever_can_be_called_with_one_value_is_taken(function: Callable[..., Any]) -> None:
    worker = Worker()
    worker.on_insert()(function)
    worker.sink(Mail, name="mail")(function)


def test_an_async_function_for_whole_records() -> None:
    with pytest.raises(ConfigurationError, match=r"per_record wanted a plain function, .*send_later would never run"):
        Worker().per_record(send_later)


# --- what is no sink, no router, no record ---------------------------------------------------------------------------


def test_one_sink_in_place_of_several() -> None:
    with pytest.raises(ConfigurationError, match=r"^sinks wanted a list, got a Topic: write sinks=\[…\]$"):
        Worker(sinks=Topic("sales"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("sales", r'^wanted a sink, such as Topic\("sales"\), got a str$'),
        (Topic, r"^wanted a sink, got the class Topic: make one, Topic\(…\)$"),
        (send_mail, r"got .*\.send_mail: a function is one with @worker\.sink\(…\)$"),
        (None, "got a NoneType$"),
    ],
)
def test_what_is_no_sink(given: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Worker(sinks=[given])
    worker = Worker()
    with pytest.raises(ConfigurationError, match=told):
        worker.add_sink(given)
    worker.sink(Mail)(send_mail)


def test_a_worker_in_place_of_a_router() -> None:
    worker = Worker()
    with pytest.raises(ConfigurationError, match=r"^include wanted a Router, got a Worker$"):
        worker.include(worker)  # type: ignore[arg-type]
    router = Router()
    with pytest.raises(ConfigurationError, match="its handlers would run twice"):
        router.include(router)


def test_an_item_in_place_of_a_record() -> None:
    worker = Worker()
    worker.on_insert()(lambda _change: None)
    tested, record = worker.tested(), inserted({"pk": "1", "sk": "A"})
    for given, told in (
        ({"id": "1"}, r"an item or the like with id: make a record of it, inserted\({…}\)$"),
        (event(record), r'got a whole event: write \*event\["Records"\]$'),
        ([record], r"got a list: write \*records$"),
        ("1", r"got a str, as inserted\({…}\) makes them$"),
    ):
        with pytest.raises((TypeError, ValueError), match=told):
            tested.send(given)  # type: ignore[arg-type]
        with pytest.raises((TypeError, ValueError), match=told):
            event(given)  # type: ignore[arg-type]
    assert tested.send(record).report.records == 1, "what was refused was not sent"


def test_the_image_that_is_not_there_is_not_said_to_be_a_slip_of_the_pen() -> None:
    for record, name in ((inserted({"pk": "1", "sk": "A"}), "old"), (removed({"pk": "1", "sk": "A"}), "new")):
        with pytest.raises(AttributeError, match=f"has no {name} image; the item as it") as caught:
            getattr(Change.from_record(record), name)
        assert caught.value.obj is None, "or Python looks for names that are like it"
        assert "Did you mean" not in "".join(traceback.format_exception(caught.value))
