"""Reading a stream: parents first, each shard from its position, at its rate, whatever happens to the stream."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tablestream.local.delivery.mapping import MappingSettings
from tablestream.local.delivery.protocol import Answered, DiscardRecords, Invoke
from tablestream.local.trigger.memory_stream import MemoryStream
from tablestream.local.trigger.stream import RELIST_SECONDS, After, BotoStream, StreamReader, TrimHorizon
from tablestream.testing import event, inserted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tablestream.local.delivery.mapping import StartingPosition
    from tablestream.local.delivery.shard import Progress
    from tablestream.local.trigger.stream import RecordPage


def records(*names: str) -> Sequence[Mapping[str, object]]:
    first = int("1" * 21)
    made = [inserted({"pk": name, "sk": "x"}, sequence_number=first + ord(name)) for name in names]
    return event(*made)["Records"]


class Reading:
    """A reader over a stream in memory whose function always succeeds."""

    def __init__(
        self,
        source: MemoryStream,
        start: StartingPosition = "TRIM_HORIZON",
        interval: float = 1.0,
        resume: Progress | None = None,
    ) -> None:
        self.troubles: list[str] = []
        self.delivered: list[str] = []
        settings = replace(MappingSettings(), starting_position=start)
        self.reader = StreamReader(source, settings, interval, list, self.troubles.append, resume=resume)

    def at(self, now: float) -> list[str]:
        """Poll at this time, deliver what is due, and return what was delivered since."""
        self.delivered.clear()
        self.reader.poll(now)
        for reading in list(self.reader.readings.values()):
            while actions := reading.delivery.due(now):
                for action in actions:
                    assert not isinstance(action, DiscardRecords)
                    self._answer(action, now)
        return self.delivered

    def _answer(self, action: Invoke, now: float) -> None:
        self.delivered += [record["dynamodb"]["Keys"]["pk"]["S"] for record in action.records]
        self.reader.readings[action.shard_id].delivery.answered(action.id, Answered(None), now)


def stream() -> MemoryStream:
    source = MemoryStream()
    source.open("parent")
    return source


def test_a_shard_is_polled_at_its_rate_and_goes_on_where_it_was() -> None:
    source = stream()
    source.append("parent", records("a"))
    reading = Reading(source, interval=1.0)
    assert reading.at(0.0) == ["a"]
    source.append("parent", records("b"))
    assert reading.at(0.9) == []
    assert reading.reader.next_poll() == 1.0
    assert reading.at(1.0) == ["b"]


def test_children_begin_when_the_parent_is_finished() -> None:
    source = stream()
    source.append("parent", records("a"))
    source.open("child", parent="parent")
    source.append("child", records("b"))
    reading = Reading(source)
    assert reading.at(0.0) == ["a"]
    assert reading.at(1.0) == []
    source.close("parent")
    found = [name for now in (RELIST_SECONDS, RELIST_SECONDS + 1, RELIST_SECONDS + 2) for name in reading.at(now)]
    assert found == ["b"]
    assert set(reading.reader.readings) == {"child"}


def test_a_child_found_later_begins_at_its_oldest_record_under_latest() -> None:
    source = stream()
    source.append("parent", records("a"))
    reading = Reading(source, "LATEST")
    assert reading.at(0.0) == []
    source.open("child", parent="parent")
    source.append("child", records("b"))
    source.close("parent")
    assert [name for now in range(1, 10) for name in reading.at(float(now))] == ["b"]


class Client:
    """A client of a stream of one shard, which has the records of these numbers; `asked` counts its GetRecords.

    Those of `meanwhile` are written while it answers.
    """

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.meanwhile: list[int] = []
        self.asked = 0
        self.exceptions = SimpleNamespace(
            ExpiredIteratorException=KeyError, TrimmedDataAccessException=KeyError, ResourceNotFoundException=KeyError
        )

    def get_shard_iterator(self, SequenceNumber: str = "0", **_request: str) -> dict[str, str]:
        return {"ShardIterator": SequenceNumber}

    def get_records(self, ShardIterator: str, Limit: int) -> dict[str, Any]:
        self.asked += 1
        stored, self.numbers = self.numbers, [*self.numbers, *self.meanwhile]
        behind = [number for number in stored if number > int(ShardIterator)][:Limit]
        made = [inserted({"pk": str(number), "sk": "x"}, sequence_number=number) for number in behind]
        return {"Records": made, "NextShardIterator": "more"}

    def end(self, _stream_arn: str) -> object:
        return tuple(self.numbers)


def numbers(page: RecordPage) -> list[int]:
    return [int(record["dynamodb"]["SequenceNumber"]) for record in page.records]


def test_where_nothing_was_behind_a_position_the_stream_is_asked_again_only_when_it_has_grown() -> None:
    client = Client()
    source = BotoStream(client, "arn:aws:dynamodb:eu-west-1:1:table/T/stream/x", end=client.end)
    assert [numbers(source.read("one", TrimHorizon())) for _ in range(3)] == [[], [], []]
    assert client.asked == 1
    client.numbers.append(1)
    assert [numbers(source.read("one", position)) for position in (TrimHorizon(), After("1"), After("1"))] == [
        [1],
        [],
        [],
    ]
    assert client.asked == 3
    assert numbers(source.read("one", TrimHorizon())) == [1], "another position has its own answer"
    assert numbers(source.read("two", After("1"))) == [], "and so has another shard"
    assert client.asked == 5


def test_what_is_written_while_nothing_is_found_is_found_the_next_time() -> None:
    client = Client()
    source = BotoStream(client, "arn:aws:dynamodb:eu-west-1:1:table/T/stream/x", end=client.end)
    client.meanwhile = [1]
    assert numbers(source.read("one", TrimHorizon())) == []
    assert numbers(source.read("one", TrimHorizon())) == [1]


def test_a_stream_whose_end_is_not_known_is_asked_every_time() -> None:
    client = Client()
    source = BotoStream(client, "arn:aws:dynamodb:eu-west-1:1:table/T/stream/x")
    assert [numbers(source.read("one", TrimHorizon())) for _ in range(3)] == [[], [], []]
    assert client.asked == 3


def test_an_expired_iterator_is_taken_anew_at_once() -> None:
    source = stream()
    source.append("parent", records("a"))
    source.expire_iterator("parent")
    reading = Reading(source)
    assert reading.at(0.0) == []
    assert reading.reader.next_poll() == 0.0
    assert reading.at(0.0) == ["a"]


def test_records_trimmed_before_they_were_read_are_said_to_be_lost() -> None:
    source = stream()
    source.append("parent", records("a"))
    reading = Reading(source)
    assert reading.at(0.0) == ["a"]
    batch = records("b", "c")
    source.append("parent", batch)
    source.trim("parent", str(batch[0]["dynamodb"]["SequenceNumber"]))  # type: ignore[index]  # a record of JSON values
    assert [name for now in (1.0, 2.0) for name in reading.at(now)] == ["c"]
    assert ["trimmed" in trouble for trouble in reading.troubles] == [True]


def test_a_shard_that_vanished_is_reported_and_not_asked_for_at_once() -> None:
    source = stream()
    reading = Reading(source, interval=0.1)
    reading.at(0.0)
    source.forget("parent")
    reading.at(0.5)
    assert reading.troubles == ["there is no shard parent"]
    assert reading.reader.next_poll() > 1.0


def test_nothing_is_read_while_a_shard_has_no_room() -> None:
    source = stream()
    reading = Reading(source, interval=0.0)
    reading.reader.poll(0.0)
    source.append("parent", event(*[inserted({"pk": str(n), "sk": "x"}) for n in range(1500)])["Records"])
    for _ in range(5):
        reading.reader.poll(0.0)
    delivery = reading.reader.readings["parent"].delivery
    assert not delivery.room
    assert reading.reader.next_poll() == RELIST_SECONDS


def test_whoever_resumes_goes_on_behind_what_is_done() -> None:
    source = stream()
    source.append("parent", records("a", "b"))
    first = Reading(source)
    assert first.at(0.0) == ["a", "b"]
    source.append("parent", records("c"))
    assert Reading(source, resume=first.reader.progress).at(0.0) == ["c"]


def test_what_was_read_and_not_done_is_read_again_by_whoever_resumes() -> None:
    source = stream()
    source.append("parent", records("a"))
    first = Reading(source)
    assert first.at(0.0) == ["a"]
    source.append("parent", records("b"))
    first.reader.poll(1.0)
    assert Reading(source, resume=first.reader.progress).at(0.0) == ["b"]


def test_under_latest_too_it_resumes_where_the_first_one_began() -> None:
    source = stream()
    source.append("parent", records("a"))
    first = Reading(source, "LATEST")
    assert first.at(0.0) == []
    source.append("parent", records("b"))
    assert Reading(source, "LATEST", resume=first.reader.progress).at(0.0) == ["b"]


def test_a_parent_that_is_done_stays_done() -> None:
    source = stream()
    source.append("parent", records("a"))
    source.close("parent")
    source.open("child", parent="parent")
    source.append("child", records("b"))
    first = Reading(source)
    assert [name for now in range(3) for name in first.at(float(now))] == ["a", "b"]
    source.append("child", records("c"))
    assert Reading(source, resume=first.reader.progress).at(0.0) == ["c"]


def test_a_reader_that_never_began_has_no_progress() -> None:
    source = stream()
    assert Reading(source).reader.progress is None
