"""Dead letters in an S3 bucket."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from tablestream.change import creation_of
from tablestream.dead_letters import PREFIX, DeadLetter, body_of
from tablestream.dynamodb.errors import UnreadableAnswerError
from tablestream.errors import without_frames
from tablestream.run import Run
from tablestream.sink import DONE, Answer, Transient

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3DeadLetters:
    """One JSON object a record, `dead-letters/YYYY/MM/DD/<eventID>-<sequence number>.json`.

    The day is that of the change, so that a letter stored again on redelivery replaces the first; where the record
    does not tell it, the day of storing.
    """

    def __init__(self, client: S3Client, bucket: str, *, prefix: str = PREFIX) -> None:
        """Take a boto3 S3 client and the bucket's name."""
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def store(self, letters: Sequence[DeadLetter], run: Run) -> Sequence[Answer]:
        """Put one object a letter; a put that fails, or is answered by something that is not S3, is transient."""
        return run.parallel.run([partial(self._store_one, letter, run) for letter in letters])

    def _store_one(self, letter: DeadLetter, run: Run) -> Answer:
        if run.deadline.expired:
            return Transient(TimeoutError("the deadline came before this dead letter was stored"))
        try:
            answer = self._client.put_object(
                Bucket=self._bucket, Key=self.key(letter), Body=body_of(letter), ContentType="application/json"
            )
            if not answer.get("ETag"):
                return Transient(
                    UnreadableAnswerError("wanted S3's ETag of the dead letter, got an answer without one")
                )
        except Exception as error:  # noqa: BLE001 -- a letter that cannot be written as JSON must not hold up the others
            return Transient(without_frames(error))
        return DONE

    def key(self, letter: DeadLetter) -> str:
        """Return the key of a letter's object."""
        day = datetime.fromtimestamp(creation_of(letter.record) or letter.time, UTC)
        return f"{self._prefix}{day:%Y/%m/%d}/{letter.event_id}-{letter.sequence_number}.json"
