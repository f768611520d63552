"""Stand-ins for the clock, Lambda's context, the journal, dead letters and a sink, and for a service's errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from tablestream.dead_letters import DeadLetter
from tablestream.errors import JournalUnavailable
from tablestream.run import Run
from tablestream.sink import DONE, Answer, Done, Effect
from tablestream.testing.records import CREATED


class FakeClock:
    """A clock that moves only when told, or by sleeping."""

    def __init__(self, now: float = CREATED) -> None:
        """Start at `now`, in seconds since the epoch."""
        self._now = now
        self.slept: list[float] = []

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Move on by some seconds and remember that."""
        self.slept.append(seconds)
        self._now += seconds

    def advance(self, seconds: float) -> None:
        """Move on by some seconds."""
        self._now += seconds


class FakeContext:
    """A Lambda context whose time runs by a clock."""

    function_name = "worker"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:worker"
    aws_request_id = "00000000-0000-0000-0000-000000000001"

    def __init__(self, timeout_seconds: float = 60.0, clock: FakeClock | None = None) -> None:
        """Begin an invocation now, that Lambda would end after `timeout_seconds`."""
        self.clock = clock or FakeClock()
        self._ends = self.clock.now() + timeout_seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds that are left."""
        return max(0, round((self._ends - self.clock.now()) * 1000))


class MemoryJournal:
    """A journal in memory. Set `down` to have it fail, add to `unreadable` to lose single entries."""

    def __init__(self) -> None:
        """Begin empty."""
        self.entries: dict[str, frozenset[str]] = {}
        self.reads: list[tuple[str, ...]] = []
        self.writes: list[dict[str, frozenset[str]]] = []
        self.unreadable: set[str] = set()
        self.down = False

    def read(self, keys: Sequence[str], run: Run) -> Mapping[str, frozenset[str]]:
        """Return the entries of the keys, those that can be read."""
        self.reads.append(tuple(keys))
        if self.down:
            return {}
        return {key: self.entries.get(key, frozenset()) for key in keys if key not in self.unreadable}

    def record(self, done: Mapping[str, frozenset[str]], run: Run) -> None:
        """Keep the entries."""
        if self.down:
            raise JournalUnavailable("the journal is down")
        self.writes.append(dict(done))
        self.entries.update(done)


class MemoryDeadLetters:
    """Dead letters in memory, by their keys. Set `failure` to have it answer with something else than done."""

    def __init__(self) -> None:
        """Begin empty."""
        self.letters: dict[str, DeadLetter] = {}
        self.failure: Answer | None = None

    def store(self, letters: Sequence[DeadLetter], run: Run) -> Sequence[Answer]:
        """Keep the letters."""
        if self.failure is not None:
            return [self.failure] * len(letters)
        self.letters.update({self.key(letter): letter for letter in letters})
        return [DONE] * len(letters)

    def key(self, letter: DeadLetter) -> str:
        """Return the name of a letter: two records that an emulator gave one event id have two."""
        return f"{letter.event_id}-{letter.sequence_number}"

    @property
    def reasons(self) -> list[str]:
        """The reasons, in the order of storing."""
        return [letter.reason for letter in self.letters.values()]


@dataclass
class RecordingSink:
    """A sink that remembers what it was asked to do; `answer` decides what it says to each effect."""

    takes: tuple[type, ...]
    name: str = "recording"
    idempotent: bool = False
    answer: Callable[[Any], Answer] = lambda _effect: DONE
    log: Callable[[Any], object] = lambda _effect: None
    """Gets each effect that was answered with done."""
    waves: list[list[Any]] = field(default_factory=list)
    """The values of the effects of each call."""
    done: list[Any] = field(default_factory=list)
    """The values of the effects that were answered with done, in order."""
    ids: list[str] = field(default_factory=list)
    """The ids of the effects that were answered with done, in order."""

    def apply(self, effects: Sequence[Effect[Any]], run: Run) -> Sequence[Answer]:
        """Remember the effects and answer for each."""
        self.waves.append([effect.value for effect in effects])
        answers = [self.answer(effect.value) for effect in effects]
        done = [effect for effect, answer in zip(effects, answers, strict=True) if isinstance(answer, Done)]
        self.done += [effect.value for effect in done]
        self.ids += [effect.id for effect in done]
        for effect in done:
            self.log(effect.value)
        return answers

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the effects that were done."""
        return iter(self.done)


def effects(*values: Any) -> list[Effect[Any]]:
    """Return values as effects, as a sink gets them, with ids of their own."""
    return [Effect(value, f"effect-{place}") for place, value in enumerate(values)]


def client_error(
    code: str, operation: str = "Call", *, message: str = "", status: int = 400, **extra: object
) -> ClientError:
    """Return the error that a client of boto3 raises for a service's answer.

    Args:
        code: the error's code, such as `ThrottlingException`.
        operation: the operation's name, such as `PutItem`.
        message: the service's words; the code where there are none.
        status: the answer's HTTP status.
        extra: what else the answer says, such as `CancellationReasons` or `Item`.

    """
    response: Any = {
        "Error": {"Code": code, "Message": message or code},
        "ResponseMetadata": {"HTTPStatusCode": status, "RetryAttempts": 0},
        **extra,
    }
    return ClientError(response, operation)


def cancelled(reasons: Sequence[Mapping[str, Any]]) -> ClientError:
    """Return the error of a cancelled transaction, with a reason for each action."""
    codes = ", ".join(reason["Code"] for reason in reasons)
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    code = "TransactionCanceledException"
    return client_error(code, "TransactWriteItems", message=message, CancellationReasons=list(reasons))
