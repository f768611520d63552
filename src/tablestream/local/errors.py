"""Errors that the user of the command line can mend: the message says what came and what is wanted."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class UsageError(Exception):
    """The command cannot be carried out as given."""


class TemplateError(UsageError):
    """The template cannot be run locally."""


class NotRunningError(UsageError):
    """No `up` is running here."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Within the with block part of a template is read: a value nobody thought of is a TemplateError that names it."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        if type(error).__module__.startswith(__package__ or ""):
            raise  # it has words of its own
        raise TemplateError(f"{what} cannot be read: {type(error).__name__}: {error}") from error
