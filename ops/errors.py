"""What ends a tool early; the message says what came and what to do."""

from __future__ import annotations


class UsageError(Exception):
    """The command cannot be carried out as given."""


class StoppedError(Exception):
    """The tool stopped by itself; what it has not settled is where it was, and the same command goes on there."""


class OutcomeUnknownError(StoppedError):
    """The tool stopped while an invocation may still be running."""
