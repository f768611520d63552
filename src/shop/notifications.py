"""`SnsSink`: messages published, ten in a call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from shop.effects import MAX_BYTES, Message
from tablestream.dynamodb.errors import ErrorKind, Failed, UnreadableAnswerError, attempt, kind_of_code
from tablestream.run import Run
from tablestream.sink import DONE, Answer, Effect, Permanent, Transient

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

_RETRIES = 4
MAX_ENTRIES = 10
"""Entries that PublishBatch takes."""
SUSPICIOUS = 10
"""Where SNS finds all of so many messages invalid, it is hardly the messages."""

_HOPELESS = {ErrorKind.INVALID, ErrorKind.CONFIGURATION}

Batch = Mapping[int, Message]
"""Messages of one call, by their place among the effects."""
Answers = dict[int, Answer]


class SnsSink:
    """Publishes messages to a standard topic.

    At least once: a call whose outcome is unknown is repeated, and subscribers know a repetition by its `eventId`.
    """

    name = "notifications"
    takes = (Message,)
    idempotent = False

    def __init__(self, client: SNSClient, topic_arn: str) -> None:
        """Take a boto3 SNS client and the ARN of the topic."""
        self._client = client
        self._topic_arn = topic_arn

    def apply(self, effects: Sequence[Effect[Message]], run: Run) -> Sequence[Answer]:
        """Publish; answer for each message."""
        calls = [partial(self._publish, batch, run) for batch in _batches([effect.value for effect in effects])]
        published = {place: answer for part in run.parallel.run(calls) for place, answer in part.items()}
        answers = _doubted(published)
        return [answers[place] for place in range(len(effects))]

    def _publish(self, batch: Batch, run: Run) -> Answers:
        answers: Answers = {}
        left = dict(batch)
        failure = Failed(TimeoutError("the deadline came before this message"), ErrorKind.THROTTLE)
        for _ in run.attempts(_RETRIES):
            if run.deadline.expired:
                break
            answer = attempt(partial(self._send, left))
            if isinstance(answer, Failed):
                failure = answer
                if failure.kind in _HOPELESS:
                    break
            else:
                answers |= answer
            left = {place: message for place, message in left.items() if not _final(answers.get(place))}
            if not left:
                break
        if failure.kind is ErrorKind.INVALID and left:
            return answers | self._isolate(left, failure.error, run)
        return dict.fromkeys(left, Transient(failure.error)) | answers

    def _isolate(self, batch: Batch, error: Exception, run: Run) -> Answers:
        """Find the message that fails the whole call, and let the others through."""
        if len(batch) == 1:
            return dict.fromkeys(batch, Permanent(f"SNS does not take the message: {error}"))
        parts = [self._publish({place: message}, run) for place, message in batch.items()]
        return {place: answer for part in parts for place, answer in part.items()}

    def _send(self, batch: Batch) -> Answers:
        entries: list[Any] = [
            {
                "Id": str(place),
                "Message": message.body,
                "MessageAttributes": {
                    name: {"DataType": "String", "StringValue": value} for name, value in message.attributes.items()
                },
            }
            for place, message in batch.items()
        ]
        response = self._client.publish_batch(TopicArn=self._topic_arn, PublishBatchRequestEntries=entries)
        return _read(response, batch)


class EntryFailedError(Exception):
    """SNS refused one entry of a call."""

    def __init__(self, code: str, kind: ErrorKind) -> None:
        """Take SNS's error code and what it means."""
        super().__init__(code)
        self.kind = kind


def _read(response: Any, batch: Batch) -> Answers:
    """Read the answers of a call, one for each message: of one that is not told once nobody knows what became."""
    told: list[tuple[str, Answer]] = [(entry["Id"], DONE) for entry in response.get("Successful", ())]
    told += [(entry["Id"], _refusal(entry)) for entry in response.get("Failed", ())]
    times = Counter([entry_id for entry_id, _ in told])
    answers = {entry_id: answer for entry_id, answer in told if times[entry_id] == 1}
    untold = Transient(UnreadableAnswerError("wanted one answer of SNS for each message, got none or several for one"))
    return {place: answers.get(str(place), untold) for place in batch}


def _refusal(entry: Mapping[str, Any]) -> Answer:
    # Codes that are not known: SNS itself says whether the sender is at fault.
    kind = kind_of_code(entry["Code"], ErrorKind.INVALID if entry.get("SenderFault") else ErrorKind.THROTTLE)
    if kind is ErrorKind.INVALID:
        return Permanent(f"SNS does not take the message: {entry['Code']}")
    return Transient(EntryFailedError(entry["Code"], kind))


def _final(answer: Answer | None) -> bool:
    """Tell whether a message need not be sent again in this invocation."""
    if isinstance(answer, Transient):
        return isinstance(answer.error, EntryFailedError) and answer.error.kind is ErrorKind.CONFIGURATION
    return answer is not None


def _batches(messages: Sequence[Message]) -> Iterable[Batch]:
    """Cut messages into calls of at most ten entries and SNS's size."""
    batch: dict[int, Message] = {}
    size = 0
    for place, message in enumerate(messages):
        if len(batch) == MAX_ENTRIES or size + message.size > MAX_BYTES:
            yield batch
            batch, size = {}, 0
        batch[place] = message
        size += message.size
    if batch:
        yield batch


def _doubted(answers: Answers) -> Answers:
    """Take it for a mistake in the configuration when none of many messages is taken: nothing is dead-lettered then."""
    permanent = [answer.reason for answer in answers.values() if isinstance(answer, Permanent)]
    if len(permanent) < SUSPICIOUS or len(permanent) < len(answers):
        return answers
    return dict.fromkeys(answers, Transient(ValueError(f"SNS takes none of the messages: {permanent[0]}")))
