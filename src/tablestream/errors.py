"""The errors that the worker raises and takes, and how much of an invocation each ends.

TablestreamError
├── InvalidEvent          the invocation: this is not a DynamoDB stream event for this worker
├── InvalidRecord         one record: it can never be processed; it is poison and goes to the dead letters
│   └── MissingAttribute  likewise: a handler read an attribute that the item does not have; for most records: a bug
├── SystemicFailure       the invocation: most handlers raised, so the code is at fault and not the records
├── NoProgress            the invocation: the first record of the batch failed, there is no checkpoint to answer with
├── JournalUnavailable    the journal could not be written
└── ConfigurationError    the worker was put together or configured wrongly: at start-up, or the invocation

The messages of `InvalidEvent`, `SystemicFailure`, `NoProgress` and `ConfigurationError` reach the log and carry no
attribute values. The message of `InvalidRecord` may quote a value: it is stored with the dead letter, never logged.
"""

from __future__ import annotations

import os
import re
import reprlib
from collections.abc import Iterable
from typing import Any, TypeVar

E = TypeVar("E", bound=BaseException)


class TablestreamError(Exception):
    """Base of everything tablestream raises on purpose."""


class InvalidEvent(TablestreamError):
    """The event is not a DynamoDB stream event that this worker can take. No effect has happened."""


class InvalidRecord(TablestreamError):
    """One record can never be processed: raise it from a handler to send the record to the dead letters."""


class MissingAttribute(InvalidRecord, KeyError):
    """An item lacks an attribute that a handler reads: its record is poison.

    Where most items lack it the handler has misspelled it, or reads what the writer of the table does not write: that
    counts as a bug, see `SystemicFailure`.
    """

    def __init__(self, name: object, there: Iterable[object] | None = None, *, of: str = "item") -> None:
        """Take the attribute's name, or its path, and the names of those that the item has, or what else it is of."""
        told = "" if there is None else f"; the {of} has {_named(there)}"
        super().__init__(f"{name}: wanted a value, got none{told}")

    __str__ = Exception.__str__  # a KeyError puts its message into quotes


class SystemicFailure(TablestreamError):
    """Handlers raised unexpectedly for most of a batch: the invocation fails and nothing is dead-lettered."""


class NoProgress(TablestreamError):
    """The first record of a batch of several failed: a function error lets Lambda halve the batch."""


class JournalUnavailable(TablestreamError):
    """The journal could not be written, after retries."""


class ConfigurationError(TablestreamError):
    """The worker was put together or configured wrongly; the message says what came and what was wanted."""


_bounded = reprlib.Repr()
_bounded.maxlevel = 3
_bounded.maxstring = _bounded.maxother = _bounded.maxlong = 80


def describe(value: object) -> str:
    """Say what came: its type and a bounded repr, whatever its size or depth."""
    if isinstance(value, dict):
        value = dict(value)  # a map of an item is one, too
    return f"{type(value).__name__} {_bounded.repr(value)}"


def _named(names: Iterable[object]) -> str:
    """Name attributes: the first of them, none at any length."""
    found = sorted(map(str, names))
    shown = [name if len(name) <= _NAME_SHOWN else f"{name[:_NAME_SHOWN]}…" for name in found[:_NAMES_SHOWN]]
    more = len(found) - len(shown)
    return f"{', '.join(shown) or 'no attributes'}{f' and {more} more' if more else ''}"


_NAMES_SHOWN = 20
_NAME_SHOWN = 80


def error_class_of(error: BaseException) -> str:
    """Return the name by which logs group an error: its class, or for an error of AWS its code.

    An error of AWS that says more is told apart by that: `ThrottlingException (TableWriteKeyRangeThroughputExceeded)`,
    `TransactionCanceledException (ThrottlingError)`. Of its answer nothing but codes is taken.
    """
    answer: Any = getattr(error, "response", None)
    try:
        code = answer["Error"]["Code"]
        reasons = [*_told(answer, "ThrottlingReasons", "reason"), *_told(answer, "throttlingReasons", "reason")]
        reasons += _told(answer, "CancellationReasons", "Code")
    except (AttributeError, KeyError, TypeError):
        return type(error).__name__
    if not _is_code(code):
        return type(error).__name__
    told = sorted({reason for reason in reasons if _is_code(reason) and reason != "None"})
    return f"{code} ({', '.join(told)})" if told else str(code)


def place_of(error: BaseException) -> str:
    """Return the file, the line and the function that raised an error, empty where nobody knows; it holds no value.

    The last place in the user's own code, where the error came through it: what it called has but met the mistake.
    """
    frame = error.__traceback__
    if frame is None:
        notes = [note for note in getattr(error, "__notes__", ()) if note.startswith(_RAISED_IN)]
        return notes[0].removeprefix(_RAISED_IN) if notes else ""
    last = own = frame
    while frame is not None:
        last = frame
        if _is_own(frame.tb_frame.f_code.co_filename):
            own = frame
        frame = frame.tb_next
    told = own if _is_own(own.tb_frame.f_code.co_filename) else last
    code = told.tb_frame.f_code
    return f"{_file_of(code.co_filename)}, line {told.tb_lineno}, in {code.co_qualname}"


def _is_own(path: str) -> bool:
    """Tell whether a file is the user's: not this library, no installed package, not Python's own."""
    if path.startswith((_LIBRARY, "<")):
        return False
    return not path.startswith(_PYTHON) and "site-packages" not in path and "dist-packages" not in path


def _file_of(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def note_place(error: BaseException) -> None:
    """Note the file, the line and the function that raised an error: they are known when its frames are gone."""
    note = f"{_RAISED_IN}{place_of(error)}"
    if error.__traceback__ is not None and note not in getattr(
        error, "__notes__", ()
    ):  # one object may be raised again
        error.add_note(note)


def without_frames(error: E) -> E:
    """Return an error that is to be kept as a value, without the frames that it came through, as its causes too.

    A traceback holds the frames of all callers, and these the whole event. Kept in one of them, or in what one of them
    refers to, it is a cycle: the event then waits for the garbage collector instead of being freed when it is done.
    """
    left: list[BaseException | None] = [error]
    seen: set[int] = set()
    while left:
        one = left.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            one.__traceback__ = None
            left += [one.__cause__, one.__context__]
    return error


_RAISED_IN = "raised in "
_LIBRARY = __file__.removesuffix(_file_of(__file__))
_PYTHON = os.__file__.removesuffix(_file_of(os.__file__))


def _told(answer: Any, name: str, part: str) -> list[Any]:
    return [entry.get(part) for entry in answer.get(name) or ()]


def _is_code(value: object) -> bool:
    return isinstance(value, str) and _CODE.fullmatch(value) is not None


_CODE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}", re.ASCII)
