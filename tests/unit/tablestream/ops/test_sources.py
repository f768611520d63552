"""Items as records, and where they come from."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest

from tablestream import Change
from tablestream.ops.sources import Export, Maker
from tablestream.ops.terminal import CommandError
from tablestream.testing import image, inserted
from tests.support.items import stored_item

ARN = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders"
MAKER = Maker(ARN, ("pk", "sk"), "spring", 1_767_225_600.0, notify=False)


def test_a_replayed_record_is_as_large_as_that_of_the_insertion() -> None:
    item = {"pk": "USER#1", "sk": "ORDER#1", "seal": b"abc", "items": [{"quantity": 12, "label": "größe"}]}
    replayed = Maker("arn:aws:dynamodb:eu-central-1:123456789012:table/orders", ("pk", "sk"), "run", 0.0, notify=False)
    size = replayed.record(image(item) | {"seal": {"B": b"abc"}})["dynamodb"]["SizeBytes"]
    assert size == inserted(item)["dynamodb"]["SizeBytes"]


def test_the_same_run_makes_the_same_record_and_another_run_another() -> None:
    record = MAKER.record(stored_item(1))
    assert record == MAKER.record(stored_item(1))
    assert record["eventID"] != Maker(ARN, ("pk", "sk"), "autumn", 0.0, notify=False).record(stored_item(1))["eventID"]
    assert record["eventID"] != MAKER.record(stored_item(2))["eventID"]


def test_the_record_is_one_the_engine_takes() -> None:
    record = MAKER.record({**stored_item(1), "photo": {"B": b"\x00\xff"}, "all": {"L": [{"BS": [b"a"]}]}})
    change = Change.from_record(json.loads(json.dumps(record)))
    assert (change.kind, change.replayed, change.redriven) == ("INSERT", True, False)
    assert change.new is not None
    assert change.new["photo"] == b"\x00\xff"
    assert change.keys["sk"] == "ORDER#1"
    assert change.event_id == record["eventID"]


def test_its_sequence_number_is_below_every_real_one() -> None:
    number = MAKER.record(stored_item(1))["dynamodb"]["SequenceNumber"]
    assert 21 <= len(number) <= 40
    assert int(number) < 10**20


def test_only_asked_for_it_notifies() -> None:
    assert "notify" not in MAKER.record(stored_item(1))
    assert Maker(ARN, ("pk", "sk"), "spring", 0.0, notify=True).record(stored_item(1))["notify"] is True


class FakeExport:
    def __init__(self, **objects: bytes) -> None:
        self.objects = objects

    def get_object(self, **request: Any) -> Any:
        return {"Body": io.BytesIO(self.objects[request["Key"].rpartition("/")[2].partition(".")[0].replace("-", "_")])}


def lines(count: int) -> bytes:
    return gzip.compress("".join(json.dumps({"Item": stored_item(number)}) + "\n" for number in range(count)).encode())


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (999, [999]), (1000, [1000]), (2500, [1000, 1000, 500])])
def test_an_export_file_is_read_by_thousands(count: int, sizes: list[int]) -> None:
    export = Export(FakeExport(data=lines(count)), "b", "f")
    assert [len(page.items) for page in export.pages("f/data.json.gz", None)] == sizes


def test_an_export_file_goes_on_at_a_line() -> None:
    export = Export(FakeExport(data=lines(2500)), "b", "f")
    (page, rest) = export.pages("f/data.json.gz", 1000)
    assert page.items[0] == stored_item(1000)
    assert (page.after, len(rest.items), rest.after) == (2000, 500, None)
    assert next(iter(export.pages("f/data.json.gz", page.within(41)))).items[0] == stored_item(1042)


@pytest.mark.parametrize(
    "summary", [{"exportType": "INCREMENTAL_EXPORT"}, {"exportType": "FULL_EXPORT", "outputFormat": "ION"}]
)
def test_another_kind_of_export_is_refused(summary: dict[str, str]) -> None:
    with pytest.raises(CommandError, match="wanted a full export"):
        Export(FakeExport(manifest_summary=json.dumps(summary).encode()), "b", "f").check()
