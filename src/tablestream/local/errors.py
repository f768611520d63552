"""What the user of the command line has to change: the message says what came and what is wanted."""

from __future__ import annotations


class UsageError(Exception):
    """The command cannot be carried out as given."""


class TemplateError(UsageError):
    """The template cannot be run locally."""


class NotRunningError(UsageError):
    """No `up` is running here."""
