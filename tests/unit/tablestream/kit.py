"""A worker on a bench: things whose items say what their handler shall do, and sinks that remember what they did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tablestream import Change, InvalidRecord, Report, Router, Sequential, Worker
from tablestream.sink import DONE, Answer, Permanent, Transient
from tablestream.testing import (
    FakeClock,
    FakeContext,
    MemoryDeadLetters,
    MemoryJournal,
    Record,
    RecordingSink,
    event,
    inserted,
    modified,
)

Response = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stock:
    """An effect whose sink is idempotent."""

    what: str


@dataclass(frozen=True, slots=True)
class Mail:
    """An effect whose sink is not idempotent: only the journal keeps it from being repeated."""

    what: str


def thing(name: str, *does: str, **attributes: Any) -> dict[str, Any]:
    """Return an item; `does` are stock:…, mail:…, invalid:…, raise:… or read:…, in this order."""
    return {"pk": f"THING#{name}", "sk": "A", "entityType": "Thing", "does": list(does), **attributes}


def made(name: str, *does: str, **settings: Any) -> Record:
    return inserted(thing(name, *does), **settings)


def altered(name: str, *does: str, **settings: Any) -> Record:
    return modified(thing(name), thing(name, *does), **settings)


def act(change: Change) -> Iterator[object]:
    for step in change.image["does"]:
        verb, _, what = step.partition(":")
        if verb == "invalid":
            raise InvalidRecord(what)
        if verb == "read":
            yield Stock(change.image[what])
        if verb == "raise":
            raise ZeroDivisionError(what)
        yield Stock(what) if verb == "stock" else Mail(what)


def router() -> Router:
    routes = Router(key_prefixes={"Thing": ("pk", "THING#")})
    for register in (routes.on_insert, routes.on_modify, routes.on_remove):
        register("Thing")(act)
    return routes


def failing(*whats: str, answer: Answer | None = None) -> Callable[[Any], Answer]:
    """Return how a sink answers that fails for these effects, and does the others."""
    failure = answer or Transient(ConnectionError("throttled"))
    return lambda effect: failure if effect.what in whats else DONE


def refusing(*whats: str) -> Callable[[Any], Answer]:
    return failing(*whats, answer=Permanent("too long"))


@dataclass
class Bench:
    """A worker and all that it touches."""

    stock: RecordingSink = field(default_factory=lambda: RecordingSink((Stock,), "stock", idempotent=True))
    mail: RecordingSink = field(default_factory=lambda: RecordingSink((Mail,), "mail"))
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    letters: MemoryDeadLetters = field(default_factory=MemoryDeadLetters)
    clock: FakeClock = field(default_factory=FakeClock)
    reports: list[Report] = field(default_factory=list)
    routes: Router = field(default_factory=router)
    margin: float | None = 3.0
    name: str = "worker"
    table: str | None = None

    @property
    def worker(self) -> Worker:
        worker = Worker(
            sinks=[self.stock, self.mail],
            journal=self.journal,
            dead_letters=self.letters,
            name=self.name,
            table=self.table,
            margin_seconds=self.margin,
            clock=self.clock,
            parallel=Sequential(),
            observe=self.reports.append,
        )
        worker.include(self.routes)
        return worker

    def run(self, *records: Record, timeout: float = 60.0) -> str | None:
        """Process records; return the sequence number that the answer names."""
        return checkpoint_of(self.send(event(*records), timeout))

    def send(self, whole: object, timeout: float = 60.0) -> Response:
        return self.worker(whole, FakeContext(timeout, self.clock))

    @property
    def did(self) -> list[str]:
        """What the stock sink did, in order."""
        return [effect.what for effect in self.stock]

    @property
    def sent(self) -> list[str]:
        """What the mail sink did, in order."""
        return [effect.what for effect in self.mail]

    @property
    def counts(self) -> dict[str, int]:
        """The outcomes of the last invocation that occurred."""
        return {outcome.value: count for outcome, count in self.reports[-1].counts.items() if count}


def checkpoint_of(response: Response) -> str | None:
    """Return the sequence number that a partial batch response names, None for success."""
    failures = response["batchItemFailures"]
    assert len(failures) <= 1
    return failures[0]["itemIdentifier"] if failures else None
