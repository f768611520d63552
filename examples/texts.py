"""A sink of a plain function: text messages, one call each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tablestream import PermanentFailure, Sink, each

LONGEST = 160


@dataclass(frozen=True, slots=True)
class Text:
    """A text message."""

    number: str
    words: str


class Gateway(Protocol):
    """Whoever sends text messages."""

    def send(self, number: str, words: str) -> None:
        """Send one; raises when that does not work."""
        ...


def texts(gateway: Gateway) -> Sink:
    """Return a sink that sends text messages side by side."""

    def send(text: Text) -> None:
        if len(text.words) > LONGEST:
            raise PermanentFailure(f"wanted at most {LONGEST} letters, got {len(text.words)}")
        gateway.send(text.number, text.words)

    return each(Text, send, name="texts")
